"""Runs killed at random moments (`kill -9`) and resumed must leave the same files as an uninterrupted run.

    python tests/recipes/robustness/kill_nine.py --kills 100

Galleries, inversions and atlases of the bundled network in turn. After each kill: no file is half-written, every
picture that the manifest or its journal names exists, and no finished picture was lost or made again. When a run has
finished: the same files as those of an uninterrupted run, byte for byte; JSON is compared without its times. Exits with
1 at the first difference.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recipes import find_recipe
from recipes.cli.arguments import parse
from recipes.cli.entry import main
from recipes.outputs.folder_lock import LOCK
from recipes.outputs.journal import noted
from recipes.outputs.manifest import Manifest

ROOT = Path(__file__).parents[3]
PHOTOS = 48
EACH = 4
"""The most kills of one run; then it may finish."""


def jobs(photos: Path, batch: int) -> dict[str, list[str]]:
    """The commands, without their output folder."""
    layers = "--layer features.stem --layer features.stage3"
    small = f"--size 48 --precision float32 --device cpu --batch-size {batch}"
    texts = {
        "gallery": f"{layers} --channels 0-7 --negative --steps 6 {small}",
        "invert": f"{layers} --prior fourier --prior pixels --steps 6 {small}",
        "atlas": f"--layer features.stage3 --layout tsne --min-members 3 --positions 4 --grid 2,4 --steps 4 {small}",
    }
    given = {"invert": ["--image", str(ROOT / "examples" / "pictures")], "atlas": ["--images", str(photos)]}
    return {name: [name, *given.get(name, []), *text.split()] for name, text in texts.items()}


def write_photos(folder: Path) -> None:
    """Pictures of coloured stripes, each at its own angle, width and colours."""
    folder.mkdir()
    y, x = np.mgrid[:96, :96] / 96
    for index in range(PHOTOS):
        draw = np.random.default_rng(index)
        angle, width = draw.uniform(0, np.pi), draw.uniform(4, 40)
        wave = np.sin(width * (np.cos(angle) * x + np.sin(angle) * y))[..., None] * draw.uniform(-1, 1, 3)
        Image.fromarray(np.uint8(np.clip(127 + 120 * wave, 0, 255))).save(folder / f"{index:03d}.png")


def begin(arguments: list[str]) -> int:
    """Forks a process that runs the command silently, with all libraries imported: its time goes into the work."""
    if process := os.fork():
        return process
    code = 99
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        code = main(arguments)
    finally:
        os._exit(code)


def ended(process: int, seconds: float) -> bool:
    """Waits this many seconds at most, then kills the process; True if it ended by itself."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            if code := os.waitstatus_to_exitcode(status):
                sys.exit(f"the command itself failed with exit code {code}")
            return True
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return False


def files(out: Path) -> Iterator[Path]:
    """All files of a run except its lock and the temporary files that a kill leaves."""
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.name != LOCK and ".partial" not in path.name:
            yield path


def check_intact(out: Path) -> dict[str, int]:
    """Exits if a file is half-written or a finished one is missing; the finished pictures' modification times."""
    for path in files(out):
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix in (".png", ".jpg", ".webp"):
            with Image.open(io.BytesIO(path.read_bytes())) as picture:
                picture.load()
    if not (out / "manifest.json").exists():
        return {}
    units = Manifest.load(out / "manifest.json").units | noted(out)
    return {file: (out / file).stat().st_mtime_ns for file in units}


def contents(out: Path, arguments: list[str]) -> dict[str, Any]:
    """Every file's content: its bytes; JSON without its times; of the page, whether it matches the manifest."""
    options = parse([*arguments, "--out", str(out)])
    recipe: Any = find_recipe(options.pop("command"))(**options)  # type: ignore[misc]
    found: dict[str, Any] = {}
    for path in files(out):
        data: Any = path.read_bytes()
        if path.suffix == ".json":
            data = timeless(json.loads(data))
        elif path.suffix == ".html":
            data = data.decode() == recipe.page(json.loads((out / "manifest.json").read_bytes()))
        found[path.relative_to(out).as_posix()] = data
    return found


def timeless(value: Any) -> Any:
    """JSON without the values that differ between any two runs."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in ("created", "out") and "seconds" not in k}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def compare(found: dict[str, Any], expected: dict[str, Any]) -> None:
    if others := sorted(found.keys() ^ expected.keys()):
        sys.exit(f"files of only one of the two runs: {', '.join(others)}")
    if others := [name for name in expected if found[name] != expected[name]]:
        sys.exit(f"other content after the kills: {', '.join(others)}")


def killed_until_done(arguments: list[str], out: Path, longest: float, draw: random.Random, most: int) -> int:
    """Restarts the command until it finishes, and kills it `most` times at most; the number of kills."""
    finished: dict[str, int] = {}
    kills = 0
    while not ended(begin([*arguments, "--out", str(out)]), draw.uniform(0, longest) if kills < most else 3600):
        kills += 1
        now = check_intact(out)
        if lost := [file for file, time in finished.items() if now.get(file) != time]:
            sys.exit(f"finished before the kill, and lost or made again after it: {', '.join(lost)}")
        finished = now
    return kills


def kill_all(work: Path, count: int, batch: int, seed: int) -> None:
    import kornia.geometry
    import sklearn.manifold
    import torch

    import recipes.runner.run  # noqa: F401

    _ = kornia.geometry, sklearn.manifold
    torch.set_num_threads(1)
    write_photos(work / "photos")
    draw, kills, runs = random.Random(seed), 0, 0
    known: dict[str, tuple[float, dict[str, Any]]] = {}
    while kills < count:
        for name, arguments in jobs(work / "photos", batch).items():
            if name not in known:
                started = time.monotonic()
                ended(begin([*arguments, "--out", str(work / "complete")]), 3600)
                known[name] = time.monotonic() - started, contents(work / "complete", arguments)
                shutil.rmtree(work / "complete")
            longest, expected = known[name]
            most = min(EACH, max(1, count // 3), count - kills)  # a small count is shared by all three
            more = killed_until_done(arguments, work / "killed", longest, draw, most)
            compare(contents(work / "killed", arguments), expected)
            shutil.rmtree(work / "killed")
            kills, runs = kills + more, runs + 1
            print(f"{name}: killed {more} times, {len(expected)} files identical to an uninterrupted run", flush=True)
    print(f"{kills} kills in {runs} runs: no picture lost, none made twice, every byte the same")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kill_all(Path(folder), options.kills, options.batch_size, options.seed)
