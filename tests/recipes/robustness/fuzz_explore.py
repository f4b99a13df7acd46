"""A live server under a fuzzer: it stays alive, its folder intact, and no other file is read or written.

    python tests/recipes/robustness/fuzz_explore.py --requests 1000

Paths, tokens, headers, JSON bodies, uploads and connections that break off, half of them with the right cookie. The
server runs in this process with a tiny network, so that an audit hook sees each file that it opens. Exits with 1 at the
first answer of 500, a secret that comes out, a file that is opened outside, or a damaged folder.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import random
import re
import socket
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import torch
from PIL import Image
from torch import nn

from inverter import load_model
from recipes.explore.explore import Explore
from recipes.explore.listening import Listening
from recipes.explore.session import Session
from recipes.outputs.journal import noted
from recipes.outputs.manifest import Manifest

SECRET = "the-content-of-a-file-outside"
SECONDS = 20.0
"""An answer may take this long."""


class Net(nn.Sequential):
    def __init__(self) -> None:
        stages = [nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), nn.Conv2d(8, 12, 3, padding=1)]
        super().__init__(nn.Sequential(*stages), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5))


def text(draw: random.Random) -> str:
    """A hostile piece of text."""
    return draw.choice(
        [
            "../" * draw.randint(1, 8) + draw.choice(["secret.txt", "etc/passwd", "out/manifest.json"]),
            "..%2f" * draw.randint(1, 8) + "secret.txt",
            "%2e%2e/" * 4 + "secret.txt",
            "%00",
            "%",
            "/etc/passwd",
            "file:///etc/passwd",
            "C:\\secret.txt",
            "0.0",
            "0.1",
            "manifest.json",
            ".lock",
            "constructor",
            "a" * draw.randint(1, 3000),
            "".join(chr(draw.randint(33, 126)) for _ in range(draw.randint(1, 40))),
            "%F0%9F%A6%A9",
            "\u202e",
            str(draw.randint(-5, 10**20)),
            "",
        ]
    )


def value(draw: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = draw.randint(0, 9 if depth < 4 else 6)
    if kind == 7:
        return [value(draw, depth + 1) for _ in range(draw.randint(0, 5))]
    if kind == 8:
        return {text(draw): value(draw, depth + 1) for _ in range(draw.randint(0, 5))}
    if kind == 9:
        return list(range(draw.randint(0, 700)))
    return [None, True, draw.randint(-3, 20), draw.uniform(-1e3, 1e3), 10**400, text(draw), float("nan")][kind]


PAGES = [f"page-{number:04d}" for number in range(12)]
RECIPES = ("gallery", "mix", "patches", "circuit", "invert", "dream", "explain", "dictionary", "inpaint", "run", "")
KEYS = ("layer", "channels", "photo", "prior", "steps", "size", "seed", "natural", "terms", "method", "target", "out")
PATHS = ("weights", "model", "images", "image", "like", "judge", "directions", "device", "fresh", "workers", "ray")


def run_body(draw: random.Random) -> dict[str, Any]:
    """The start of a run, valid in parts."""
    likely: dict[str, Callable[[], Any]] = {
        "layer": lambda: draw.choice(["0.0", "0.1", "0"]),
        "channels": lambda: draw.choice([[0], "1-2", "0", [99]]),
        "steps": lambda: draw.choice([1, 2, 3, -1, 10**9]),
        "size": lambda: draw.choice([12, 8, "12x16", 0, 10**6]),
        "prior": lambda: draw.choice(["fourier", "pixels:l2=1", "decoder:weights=/etc/passwd", "accentuate:image=/x"]),
    }
    keys = draw.sample([*KEYS, *PATHS], draw.randint(0, 6))
    settings = {key: likely[key]() if key in likely and draw.random() < 0.8 else value(draw) for key in keys}
    if draw.random() < 0.5:
        settings |= {"layer": "0.1", "channels": [draw.randint(0, 11)], "steps": 1}
    return {"recipe": draw.choice(RECIPES), "settings": settings, "slot": draw.choice(["picture", text(draw), None])}


def sensible_body(draw: random.Random, photos: Sequence[str]) -> dict[str, Any]:
    """The start of a run that is valid, or would be but for one setting."""
    layer = draw.choice(["0.0", "0.1"])
    few: dict[str, Any] = {"steps": draw.randint(1, 3), "seed": draw.randint(0, 2)}
    unit: dict[str, Any] = {"layer": layer, "channels": str(draw.randint(0, 7))}
    seen: dict[str, Any] = {"photo": draw.choice([*photos, "absent"]), "layer": layer}
    recipe, settings = draw.choice(
        [
            ("gallery", unit | few | {"attempts": draw.randint(1, 2)}),
            ("mix", few | {"terms": [f"{layer}/{draw.randint(0, 7)}=1", "0.0/2=-0.5"]}),
            ("patches", unit),
            ("circuit", unit | {"count": 1}),
            ("invert", seen | few),
            ("dream", seen | few | {"size": 24}),
            ("explain", {"photo": seen["photo"], "method": "saliency", "target": "logit:1"}),
            ("dictionary", seen | few | {"positions": ["2,3"]}),
        ]
    )
    if draw.random() < 0.3:
        settings |= {draw.choice([*settings, *PATHS]): value(draw)}
    return {"recipe": recipe, "settings": settings, "slot": f"slot-{draw.randint(0, 9)}"}


def photo(draw: random.Random) -> bytes:
    """An upload: a picture, part of one, a bomb, or something else."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(width: int, height: int, rows: bytes) -> bytes:
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    good = png(9, 7, bytes(7 * (1 + 27)))
    damaged = bytearray(good)
    for _ in range(draw.randint(1, 6)):
        damaged[draw.randrange(len(damaged))] = draw.randrange(256)
    return draw.choice(
        [
            good,
            good,
            good,
            good,
            good[: draw.randrange(len(good))],
            bytes(damaged),
            png(60_000, 60_000, bytes(1000)),
            png(2**31 - 1, 2**31 - 1, b""),
            draw.randbytes(draw.randint(0, 5000)),
            pickle.dumps({"a": 1}),
            b"GIF89a" + draw.randbytes(50),
            b"II*\0" + draw.randbytes(200),
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
            b"%PDF-1.4 " + draw.randbytes(60),
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n(/etc/passwd) (r) file\n",
            b"",
        ]
    )


def request(
    draw: random.Random, cookie: str, token: str, port: int, known: Mapping[str, Sequence[str]]
) -> tuple[bytes, bool]:
    """One request, or what begins like one, and whether it ends there; `known` has runs and photos of earlier ones."""
    page, piece = draw.choice([*PAGES, text(draw)]), text(draw)
    form = draw.choice(["png", "figure.svg", "gif", piece])
    method, body, kind = "GET", b"", "application/json"
    match draw.randint(0, 13):
        case 0:
            path = "/" + piece
        case 1:
            path = f"/assets/{piece}" if draw.random() < 0.5 else f"/files/{piece}"
        case 2:
            path = f"/?token={draw.choice([piece, token[:-1], token, token * 2])}"
        case 3:
            unit = f"0.1/{draw.choice([piece, '3'])}"
            file = f"/api/layers/{unit}/download?as={form}&page={page}"
            path = draw.choice([f"/api/layers/{piece}", f"/api/layers/{unit}/copies", f"/api/units/{unit}", file])
        case 4:
            method, path = "POST", f"/api/pages/{page}/visible"
            body = json.dumps(
                draw.choice([value(draw), {"layer": draw.choice(["0.0", piece]), "channels": value(draw)}])
            ).encode()
        case 5 | 6 | 10 | 11:
            method, path = "POST", f"/api/pages/{page}/runs"
            sensible = sensible_body(draw, known["photo"])
            body = json.dumps(draw.choice([value(draw), run_body(draw), sensible, sensible, sensible])).encode()
        case 7:
            method, path, kind = "POST", "/api/photos", draw.choice(["image/png", "application/octet-stream", piece])
            body = photo(draw)
        case 8 | 12:
            run = draw.choice([piece, *known["run"], *known["run"]])
            method, path = draw.choice(["GET", "GET", "DELETE"]), f"/api/runs/{run}"
            path += draw.choice(["", f"/download?as={form}&page={page}"])
        case _:
            method, path = (
                draw.choice(["PUT", "HEAD", "OPTIONS", "BREW", piece[:9]]),
                draw.choice(["/", "/api/network"]),
            )
    host = f"127.0.0.1:{port}" if draw.random() < 0.9 else draw.choice(["evil.example", piece, ""])
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Type: {kind}", "Connection: close"]
    if draw.random() < 0.9:
        lines.append(f"Origin: http://{host if draw.random() < 0.9 else 'evil.example'}")
    if draw.random() < 0.85:
        lines.append(f"Cookie: {cookie if draw.random() < 0.9 else cookie[:-1]}")
    if body or draw.random() < 0.2:
        lines.append(f"Content-Length: {len(body) if draw.random() < 0.9 else draw.choice([-1, 10**12, 3, piece])}")
    if draw.random() < 0.05:
        lines.append(piece)
    data = "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body
    cut = draw.random() < 0.1
    return (data[: draw.randrange(len(data))], True) if cut else (data, False)


def answer_to(port: int, data: bytes, ends: bool = False, waits: bool = True) -> bytes:
    """Sends bytes; returns what comes back, at most a megabyte of it, unless nobody waits for it."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while waits and len(answer) < 2**20 and (part := connection.recv(65536)):
                answer += part
        except (ConnectionError, TimeoutError):
            pass
    return answer


def _dropped(port: int, cookie: str) -> str:
    """The id of a photograph that the server takes."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((20, 16)).convert("RGB").save(buffer, "PNG")
    host = f"127.0.0.1:{port}"
    lines = ["POST /api/photos HTTP/1.1", f"Host: {host}", f"Origin: http://{host}", f"Cookie: {cookie}"]
    lines += ["Connection: close", f"Content-Length: {len(buffer.getvalue())}", "", ""]
    answer = answer_to(port, "\r\n".join(lines).encode() + buffer.getvalue())
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["photo"])


def check_whole(out: Path) -> int:
    """Raises an AssertionError if the folder is not that of a run; returns the number of its pictures."""
    units = Manifest.load(out / "manifest.json").units | noted(out)
    for file in units:
        with Image.open(out / file) as picture:
            picture.load()
    made = {path.relative_to(out).as_posix() for path in (out / "images").rglob("*.png")}
    assert made == set(units), made ^ set(units)
    return len(units)


@contextmanager
def own_temporary_folder(folder: Path) -> Iterator[None]:
    """A context in which temporary files lie in a folder."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def fuzz(requests: int, seed: int, folder: Path) -> Counter[str]:
    """Runs a server under this many requests.

    Args:
        requests: how many.
        seed: of what they are.
        folder: an empty folder.

    Returns:
        How often each status came, `none` for connections that got no answer; and how many runs of each recipe were
        finished, as `made RECIPE`.

    Raises:
        AssertionError: for what must not happen.
    """
    (folder / "secret.txt").write_text(SECRET)
    for name in ("images", "tmp"):
        (folder / name).mkdir()
    for number in range(16):
        Image.new("RGB", (12, 12), (16 * number, 255 - 16 * number, 99)).save(folder / "images" / f"{number}.png")
    out, opened, watching = folder / "out", set[str](), threading.Event()

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and watching.is_set() and isinstance(args[0], str | bytes):
            opened.add(args[0] if isinstance(args[0], str) else args[0].decode(errors="replace"))

    torch.manual_seed(0)
    model = load_model(Net().eval(), input_size=12, device="cpu")
    images = str(folder / "images")
    options = Explore(model=model, images=images, out=str(out), steps=2, precision="float32", batch_size=4)
    draw, ends, session = random.Random(seed), Counter[str](), Session(options)
    known: dict[str, list[str]] = {"run": [], "photo": []}
    sys.addaudithook(audit)
    with own_temporary_folder(folder / "tmp"), Listening(session) as server:
        session.load()
        worker = threading.Thread(target=session.work)
        worker.start()
        name, secret = session.access.cookie(server.port)
        cookie, before = f"{name}={secret}", {path for path in folder.rglob("*") if out not in path.parents}
        known["photo"].append(_dropped(server.port, cookie))
        watching.set()
        for number in range(requests):
            data, cut = request(draw, cookie, session.access.token, server.port, known)
            answer = answer_to(server.port, data, cut, draw.random() < 0.95)
            status = answer[9:12].decode(errors="replace") if answer else "none"
            ends[status] += 1
            assert status[0] in "234n" or status == "503", (number, status, data[:300], answer[:300])
            for kind, ids in known.items():
                ids += re.findall(rf'"{kind}":"([^"]+)"', answer[:9000].decode(errors="replace"))
                del ids[:-9]
            assert SECRET.encode() not in answer and b"root:" not in answer, (number, data[:300])
        deadline = time.monotonic() + 120
        while session.workers.busy:
            assert time.monotonic() < deadline, "the foreground never ends"
            time.sleep(0.05)
        watching.clear()
        ends.update(f"made {view.recipe.name}" for view in session.runs.values() if view.finished)
        assert worker.is_alive(), "the grid has ended"
        good = f"GET /api/network HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        assert answer_to(server.port, good.encode()).startswith(b"HTTP/1.1 200"), "the server has ended"
        session.grid.show("pageaaaa", "0.0", [0])
        deadline = time.monotonic() + 60
        while ("0.0", 0) not in session.grid.finished:
            assert time.monotonic() < deadline, "the grid does not work any more"
            session.grid.show("pageaaaa", "0.0", [0])
            time.sleep(0.05)
        session.end()
        worker.join(60)
    session.close()
    assert check_whole(out) > 0
    assert not list((folder / "tmp").iterdir())
    assert {path for path in folder.rglob("*") if out not in path.parents} == before, "a file outside was written"
    libraries: tuple[str, ...] = (
        sys.prefix,
        sys.base_prefix,
        str(Path(__file__).parents[3]),
        "/proc/",
        "/sys/",
        "/dev/",
        "/usr/",
    )
    own = (str(out), images, str(folder / "tmp"))
    libraries += (str(Path(sys.prefix).resolve()), matplotlib.get_cachedir())  # the list of its fonts
    fonts = ("/etc/fonts", "/etc/mime.types", "/etc/ssl")
    foreign = {path for path in opened if path.startswith("/") and not path.startswith((*own, *libraries, *fonts))}
    assert not foreign, f"files outside were opened: {sorted(foreign)[:5]}"
    assert not list(out.rglob("*.partial*"))
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        ends = fuzz(given.requests, given.seed, Path(folder))
    print(f"{given.requests} requests in {time.perf_counter() - started:.0f} s: {dict(ends.most_common())}")


if __name__ == "__main__":
    main()
