"""Hostile input: each gives one line that names it and exit code 2; no traceback, no file outside the output folder.

`tests/recipes/cli/test_mistakes.py` has the ordinary user errors; here are damaged and foreign files, odd characters,
extreme sizes, files that try to run code, and links that lead out of the output folder.
"""

import json
import os
import pickle
import re
import shutil
import signal
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from recipes.cli.entry import main

NET = """
import sys
import torch
from torch import nn
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
def flat():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
def unpooled():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
def ends():
    sys.exit(0)
def two_arguments(a, b):
    return net()
class Odd(nn.Module):
    def forward(self, x, y):
        return x
odd, number = Odd, 3
"""
MANIFEST = {
    "inverter": "0.1.0",
    "recipe": "gallery",
    "created": "2020-01-01T00:00:00+00:00",
    "settings": {},
    "model": {},
    "versions": {},
    "planned": 1,
    "units": [],
}
UNIT = {
    "layer": "0",
    "channel": 0,
    "objective": "channel",
    "attempt": 0,
    "seed": 0,
    "file": "a.png",
    "score": 1.0,
    "steps": 1,
    "seconds": 1.0,
    "status": "ok",
}


PROGRESS = re.compile(r"\w+: \d+/\d+ (input pictures?|pictures?|files?)")
"""A line of progress: errors in a set of pictures are known only after they have been read."""


class Evil:
    """Creates a folder when it is unpickled."""

    def __reduce__(self) -> object:
        return os.mkdir, ("pwned",)


def png(width: int, height: int) -> bytes:
    """A PNG whose header gives this size and that has no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def code_file(path: Path, **about: str) -> None:
    known = {"inverter": "code", "model": "nets.py:net", "sha256": "ab", "size": "24x24", "layers": '["0"]'}
    save_file({"0": torch.zeros(1, 4, 22, 22)}, path, known | about)


def weights(folder: Path) -> None:
    evil = pickle.dumps(Evil())
    (folder / "evil.pt").write_bytes(evil)
    torch.save({"0.weight": torch.zeros(1), "more": Evil()}, folder / "evil-zip.pth")
    torch.save({"state_dict": {"0.weight": 3}}, folder / "numbers.pt")
    torch.save([torch.zeros(3)], folder / "list.pt")
    with zipfile.ZipFile(folder / "zip.pt", "w") as archive:
        archive.writestr("archive/data.pkl", evil)
    (folder / "bomb.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    (folder / "nested.safetensors").write_bytes(struct.pack("<Q", 20_000) + b"[" * 20_000)
    header = json.dumps({"0.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (folder / "lies.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    save_file({"0.weight": torch.zeros(4, 3, 3, 3)}, folder / "part.safetensors")
    save_file({"<script>": torch.zeros(1), "../../x": torch.zeros(1)}, folder / "names.safetensors")
    (folder / "folder.pt").mkdir()
    (folder / "loop.pt").symlink_to("loop.pt")


def pictures(folder: Path) -> None:
    Image.new("RGB", (24, 24), (200, 90, 30)).save(folder / "good.png")
    Image.new("L", (24, 24), 255).save(folder / "white.png")
    Image.new("L", (9, 24), 0).save(folder / "small-mask.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:50])
    (folder / "bomb.png").write_bytes(png(60_000, 60_000))
    (folder / "no-pixels.png").write_bytes(png(0, 0))
    (folder / "wide.png").write_bytes(png(2**31 - 1, 1))
    (folder / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (folder / "evil.npy").write_bytes(b"")
    np.save(folder / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    (folder / "header.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': (((\n  " + bytes(8))
    np.savez(folder / "archive", np.zeros(4))
    (folder / "archive.npz").rename(folder / "archive.npy")
    np.save(folder / "nan.npy", np.full((3, 8, 8), np.nan, np.float32))
    np.save(folder / "five.npy", np.zeros((1, 1, 3, 8, 8), np.float32))
    np.save(folder / "large.npy", np.full((3, 8, 8), 7.0, np.float32))
    (folder / "bad" / "<b>").mkdir(parents=True)
    (folder / "bad" / "<b>" / "cut.png").write_bytes((folder / "cut.png").read_bytes())
    (folder / "none").mkdir()
    os.mkfifo(folder / "pipe.png")


def codes(folder: Path) -> None:
    code_file(folder / "foreign.safetensors")
    code_file(folder / "zero.safetensors", size="0x0")
    code_file(folder / "words.safetensors", size="axb")
    code_file(folder / "deep.safetensors", layers="[" * 100_000)
    code_file(folder / "absent.safetensors", layers='["absent"]')
    code_file(folder / "text.safetensors", layers='"0"')


def boxes(folder: Path) -> None:
    texts = {
        "brackets": "[" * 100_000,
        "list": "[1, 2, 3, 4]",
        "others": '{"other.png": [0, 0, 2, 2]}',
        "inside-out": '{"good.png": [9, 9, 2, 2]}',
        "nan": '{"good.png": [0, 0, NaN, 2]}',
        "endless": '{"good.png": [0, 0, 1e999, 2]}',
    }
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(text)


def tomls(folder: Path) -> None:
    texts = {
        "deep": "x = " + "[" * 50_000,
        "date": "steps = 2020-01-01\nout = 'OUT'",
        "bool": "steps = true\nout = 'OUT'",
        "nan": "learning_rate = nan\nmodel = 'nets.py:net'\nlayer = '0'\nout = 'OUT'",
        "float": "size = 24.5\nout = 'OUT'",
        "table": "[layer]\nname = '0'",
        "twice": "steps = 1\nsteps = 2",
        "html": "'<script>alert(1)</script>' = 1",
        "number": "recipe = 3",
        "list": "recipe = ['gallery']",
        "out": "out = 3",
        "layers": "layer = [1, 2]\nout = 'OUT'",
        "nested": "layer = [['0']]\nout = 'OUT'",
        "prior": "model = 'nets.py:net'\n[prior]\nblur = 1",
        "priors": "model = 'nets.py:net'\nlayer = '0'\nout = 'OUT'\n[[prior]]\nname = 'pixels'",
        "huge": f"steps = {'9' * 400}\nmodel = 'nets.py:net'\nlayer = '0'\nout = 'OUT'",
        "long": "# " + "x" * 2_000_000,
        "atlas": "recipe = 'atlas'\nout = 'OUT'",
    }
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    (folder / "bytes.toml").write_bytes(b"\xff\xfe = 1")
    (folder / "nul.toml").write_bytes(b"out = 'a\x00b'")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of hostile files."""
    folder = tmp_path_factory.mktemp("kit")
    (folder / "nets.py").write_text(NET)
    (folder / "ends.py").write_text("raise SystemExit(0)\n")
    (folder / "broken.py").write_text("def net(:\n")
    for make in (weights, pictures, codes, boxes, tomls):
        make(folder)
    return folder


@pytest.fixture
def here(kit: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(kit)
    monkeypatch.delenv("INVERTER_TRACEBACK", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield kit
    signal.signal(signal.SIGTERM, before)
    out = kit / "OUT"
    out.unlink() if out.is_symlink() else shutil.rmtree(out, ignore_errors=True)


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """The size and time of all files, except the output folder's and Python's caches."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not name.startswith("OUT") and "__pycache__" not in name:
            stat = path.lstat()
            found[name] = (stat.st_size, 0 if path.is_dir() else stat.st_mtime_ns)
    return found


def refused(folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that must end with code 2: its one line. No file outside its output folder may have changed."""
    before = everything(folder)
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    assert code == 2, (code, out, err)
    lines = [line for line in err.splitlines() if not PROGRESS.match(line)]
    assert len(lines) == 1, err
    assert lines[0].startswith("inverter"), err
    assert err.endswith("\n")
    assert "Traceback" not in err
    assert len(err.strip()) > 30, "the line is too short to help"
    assert everything(folder) == before
    return err


NETWORK = "--model nets.py:net --device cpu"
GALLERY = f"gallery {NETWORK} --size 24 --steps 1 --out OUT"
INVERT = f"invert {NETWORK} --size 24 --steps 1 --out OUT"
DREAM = f"dream {NETWORK} --layer 0 --steps 1 --octaves 1 --out OUT/a.png"
INPAINT = "inpaint --device cpu --steps 1 --out OUT"
LAYER = f"{GALLERY} --layer 0"
EXPLAIN = f"explain {NETWORK} --size 24 --out OUT --image"
JUDGE = f"judge-maps {NETWORK} --size 24 --points 1 --depths 1 --squares 1 --out OUT --image"
ATLAS = f"atlas {NETWORK} --icon 24 --input-size 224 --steps 1 --out OUT --layer 0 --images"
PRIOR = f"{LAYER} --prior"

COMMANDS: dict[str, tuple[str, str]] = {
    # weights
    "a pickle that runs code": (f"{LAYER} --weights evil.pt", "evil.pt holds more than tensors"),
    "an archive that runs code": (f"{LAYER} --weights evil-zip.pth", "evil-zip.pth holds more than tensors"),
    "a zip around code": (f"{LAYER} --weights zip.pt", "zip.pt"),
    "a state dict of numbers": (f"{LAYER} --weights numbers.pt", "numbers.pt holds no state_dict"),
    "a list of tensors": (f"{LAYER} --weights list.pt", "list.pt holds no state_dict"),
    "a header of 4 EiB": (f"{LAYER} --weights bomb.safetensors", "bomb.safetensors is damaged"),
    "a header of brackets": (f"{LAYER} --weights nested.safetensors", "nested.safetensors is damaged"),
    "a tensor of 4 TiB in no bytes": (f"{LAYER} --weights lies.safetensors", "lies.safetensors is damaged"),
    "half of the weights": (f"{LAYER} --weights part.safetensors", "missing"),
    "names that are paths and tags": (f"{LAYER} --weights names.safetensors", "unexpected"),
    "a folder of that name": (f"{LAYER} --weights folder.pt", "no weights file 'folder.pt'"),
    "a link to itself": (f"{LAYER} --weights loop.pt", "loop.pt"),
    "a device as weights": (f"{LAYER} --weights /dev/zero", "/dev/zero"),
    "a generator that runs code": (f"{PRIOR} gan:generator=nets.py:net,weights=evil.pt", "evil.pt"),
    "a judge that runs code": (f"{INVERT} --image good.png --judge nets.py:net --judge-weights evil.pt", "evil.pt"),
    # models
    "a file that ends the program": ("layers --model ends.py:net", "ends.py"),
    "a function that ends the program": ("layers --model nets.py:ends", "ends()"),
    "a file that is no Python": ("layers --model broken.py:net", "broken.py could not be imported"),
    "a function with arguments": ("layers --model nets.py:two_arguments", "two_arguments() of nets.py failed"),
    "a function that is a number": ("layers --model nets.py:number", "nets.py has no function 'number'"),
    "no function": ("layers --model nets.py:", "nets.py"),
    "a network of two inputs": ("layers --model nets.py:odd --size 24", "Odd"),
    "a model that is a path": ("layers --model ../../etc/passwd:net", "unknown model '../../etc/passwd:net'"),
    "a model of tags": ("layers --model <script>alert(1)</script>", "'<script>alert(1)</script>'"),
    "a hub's model with a path": ("layers --model torchvision:../../x", "torchvision has no model '../../x'"),
    "the device meta": (f"{LAYER} --device meta", "unknown device 'meta'"),
    "a negative device": (f"{LAYER} --device cuda:-1", "cuda:-1"),
    "means that are no numbers": (f"{LAYER} --normalize nan,nan,nan/1,1,1", "nan,nan,nan"),
    "deviations without end": (f"{LAYER} --normalize 0,0,0/inf,inf,inf", "inf,inf,inf"),
    "two channels": (f"{LAYER} --normalize 0,0/1,1", "channels"),
    # numbers
    "a side of 20 digits": (f"{LAYER} --size 99999999999999999999", "99999999999999999999"),
    "a side of 30,000 pixels": (f"{LAYER} --size 30000", "size must be at most 16384, got 30000"),
    "a layers' side of 20 digits": (f"layers {NETWORK} --size 99999999999999999999", "99999999999999999999"),
    "10^12 steps": (f"{LAYER} --steps 1000000000000", "got 1000000000000"),
    "a seed of 40 digits": (f"{LAYER} --seed {'9' * 40}", "9999999999"),
    "a number of 5,000 digits": (f"{LAYER} --seed {'9' * 5000}", "--seed"),
    "10^12 attempts": (f"{LAYER} --attempts 1000000000000", "got 1000000000000"),
    "a batch of 20 digits": (f"{LAYER} --batch-size 99999999999999999999", "99999999999999999999"),
    "channels without end": (f"{LAYER} --channels 0-99999999999999999999", "channel 99999999999999999999"),
    "channels of 3,000 digits": (f"{LAYER} --channels {'9' * 5000}", "channel"),
    "a channel of tags": (f"{LAYER} --channels <b>", "'<b>'"),
    "an endless learning rate": (f"{LAYER} --learning-rate inf", "inf"),
    "a dream of 20 digits": (f"{DREAM} --image good.png --size 99999999999999999999", "99999999999999999999"),
    "octaves without end": (f"dream {NETWORK} --layer 0 --image good.png --octaves 1000000000000", "1000000000000"),
    "a scale of octaves that is no number": (f"{DREAM} --image good.png --octave-scale nan", "nan"),
    "an endless scale of octaves": (f"{DREAM} --image good.png --octave-scale inf", "inf"),
    "an atlas of an endless power": (f"{ATLAS} none --power inf", "inf"),
    "an icon of 20 digits": (f"grid {NETWORK} --image good.png --layer 0 --icon {'9' * 20} --out OUT", "9" * 20),
    "groups of 20 digits": (f"grid {NETWORK} --image good.png --layer 0 --groups {'9' * 20} --out OUT", "9" * 20),
    "statistics of a billion channels": (
        "statistics --images good.png --out OUT/s.json --channels 999999999",
        "9999999",
    ),
    "a prior of no number": (f"{PRIOR} pixels:blur=nan", "blur"),
    "a prior of 20 digits": (f"{PRIOR} cppn:width={'9' * 20}", "cppn"),
    "a prior without an option's name": (f"{PRIOR} pixels:=3", "'=3'"),
    "a prior of tags": (f"{PRIOR} <b>", "'<b>'"),
    "a prior with a path": (f"{PRIOR} accentuate:image=../../none.png", "../../none.png"),
    # pictures
    "an empty picture": (f"{INVERT} --image empty.png", "empty.png"),
    "a text as a picture": (f"{INVERT} --image text.png", "text.png"),
    "half a picture": (f"{INVERT} --image cut.png", "cut.png"),
    "a picture of 10 GiB": (f"{INVERT} --image bomb.png", "bomb.png"),
    "a picture of no pixels": (f"{INVERT} --image no-pixels.png", "no-pixels.png"),
    "a picture two billion pixels wide": (f"{INVERT} --image wide.png", "wide.png"),
    "a drawing": (f"{INVERT} --image drawing.svg", "drawing.svg"),
    "an array that runs code": (f"{INVERT} --image evil.npy", "evil.npy"),
    "an array with a damaged header": (f"{INVERT} --image header.npy", "header.npy is not a NumPy array"),
    "an archive of arrays": (f"{INVERT} --image archive.npy", "archive.npy is not a NumPy array"),
    "an array of no numbers": (f"{INVERT} --image nan.npy", "nan.npy"),
    "an array of five dimensions": (f"{INVERT} --image five.npy", "five.npy"),
    "an array beyond 1": (f"{INVERT} --image large.npy", "large.npy"),
    "a pipe": (f"{INVERT} --image pipe.png", "pipe.png"),
    "a folder of damaged pictures": (f"{INVERT} --image bad", "none of the 1 picture can be read"),
    "a folder of none": (f"{INVERT} --image none", "'none'"),
    "a device as a picture": (f"{INVERT} --image /dev/zero", "/dev/zero"),
    "a dream of half a picture": (f"{DREAM} --image cut.png", "cut.png"),
    "a dream guided by an array that runs code": (f"{DREAM} --image good.png --guide evil.npy", "evil.npy"),
    "a dream into its own photo": (f"dream {NETWORK} --layer 0 --image good.png --out good.png", "good.png"),
    "a video of another kind": (f"{DREAM} --image good.png --video a.avi", "a.avi"),
    "a mask that hides no pixel": (f"{INPAINT} --image good.png --mask white.png", "white.png masks no pixel"),
    "a mask of another size": (f"{INPAINT} --image good.png --mask small-mask.png", "small-mask.png"),
    "a mask that runs code": (f"{INPAINT} --image good.png --mask evil.npy", "evil.npy"),
    "a missing share that is no number": (f"{INPAINT} --image good.png --missing nan", "nan"),
    "an atlas of damaged pictures": (f"{ATLAS} bad", "none of the 1 picture can be read"),
    "an atlas of an empty folder": (f"{ATLAS} none", "'none'"),
    "patches of damaged pictures": (f"patches {NETWORK} --size 24 --images bad --layer 0 --out OUT", "none of the 1"),
    "statistics of damaged pictures": ("statistics --images bad --out OUT/s.json", "bad"),
    # heat maps
    "a target of no kind": (f"{EXPLAIN} good.png --target lagit:0", "unknown kind 'lagit'; did you mean logit"),
    "a target out of range": (f"{EXPLAIN} good.png --target logit:3", "channel 3 is out of range"),
    "a class of 40 digits": (f"{EXPLAIN} good.png --target logit:{'9' * 40}", "out of range"),
    "several classes as one": (f"{EXPLAIN} good.png --target logit:0-2", "expected one class"),
    "a channel out of range": (
        f"{EXPLAIN} good.png --target channel:0:4",
        "channel 4 is out of range: layer '0' has 4",
    ),
    "a position out of range": (f"{EXPLAIN} good.png --target neuron:0:0:0,22", "x=22 is out of range"),
    "a target in an unknown layer": (f"{EXPLAIN} good.png --target channel:<b>:0", "no layer '<b>'"),
    "a direction of zeros": (f"{EXPLAIN} good.png --target direction:0:0*0", "finite and not all zero"),
    "a direction of no number": (f"{EXPLAIN} good.png --target direction:0:0*nan", "finite and not all zero"),
    "a direction that runs code": (
        f"{EXPLAIN} good.png --target direction:0:evil.npy",
        "evil.npy is not a NumPy array",
    ),
    "a direction with a damaged header": (
        f"{EXPLAIN} good.png --target direction:0:header.npy",
        "header.npy is not a NumPy array",
    ),
    "a direction of another size": (f"{EXPLAIN} good.png --target direction:0:nan.npy", "nan.npy holds an array of"),
    "a method of tags": (f"{EXPLAIN} good.png --method <b>", "unknown method '<b>'"),
    "an unknown option of a method": (
        f"{EXPLAIN} good.png --method grad-cam:rely=1",
        "no option 'rely'; did you mean relu",
    ),
    "endless noise": (
        f"{EXPLAIN} good.png --method smoothgrad:noise=inf",
        "a finite noise of at least 0, got 32",
    ),
    "no masks": (f"{EXPLAIN} good.png --method rise:masks=0", "masks"),
    "an absent background": (f"{EXPLAIN} good.png --method deep-shap:background=nowhere", "'nowhere'"),
    "a layer without maps": (
        f"{EXPLAIN} good.png --layer 4",
        "layer '4' outputs a tensor of shape (1, 3), expected maps",
    ),
    "a network without maps": (
        "explain --model nets.py:flat --device cpu --size 24 --out OUT --image good.png",
        "nets.py:flat has no layer with maps before logit",
    ),
    "a network that pools no maps": (
        "explain --model nets.py:unpooled --device cpu --size 24 --out OUT --image good.png --method cam",
        "nets.py:unpooled does not end with global average pooling",
    ),
    "a target that does not read pooled maps": (
        f"{EXPLAIN} good.png --target channel:0:1 --method cam",
        "but channel(0:1) reads 0",
    ),
    "a layer that no method uses": (
        f"{EXPLAIN} good.png --method saliency --layer 0",
        "none of the methods takes a layer",
    ),
    "an unknown box": (f"{EXPLAIN} good.png --box circle", "'circle'"),
    "no steps to perceive": (
        f"{EXPLAIN} good.png --perceive 0",
        "perceive must be an integer of at least 1, got 0",
    ),
    "steps without end to perceive": (f"{EXPLAIN} good.png --perceive {'9' * 20}", "perceive must be at most"),
    "maps of half a picture": (f"{EXPLAIN} cut.png", "cut.png"),
    "maps of damaged pictures": (f"{EXPLAIN} bad", "none of the 1 picture can be read"),
    "maps of a picture two billion pixels wide": (f"{EXPLAIN} wide.png", "wide.png"),
    "an opposing class out of range": (f"{JUDGE} good.png --against logit:3", "channel 3 is out of range"),
    "curves without points": (f"{JUDGE} good.png --points 0", "points must be an integer of at least 1, got 0"),
    "curves without end": (f"{JUDGE} good.png --points {'9' * 20}", "points must be at most"),
    "a tolerance below 0": (f"{JUDGE} good.png --tolerance -1", "tolerance must be an integer of at least 0, got -1"),
    "boxes that are a picture": (f"{JUDGE} good.png --boxes good.png", "good.png is no JSON"),
    "boxes of brackets": (f"{JUDGE} good.png --boxes brackets.json", "brackets.json is no JSON"),
    "boxes that are a list": (f"{JUDGE} good.png --boxes list.json", "list.json: expected an object"),
    "boxes of other pictures": (f"{JUDGE} good.png --boxes others.json", "no box for any of the images"),
    "a box inside out": (f"{JUDGE} good.png --boxes inside-out.json", "0 <= x0 < x1"),
    "a box of no numbers": (f"{JUDGE} good.png --boxes nan.json", "0 <= x0 < x1"),
    "an endless box": (f"{JUDGE} good.png --boxes endless.json", "0 <= x0 < x1"),
    "judged maps of damaged pictures": (f"{JUDGE} bad", "none of the 1 picture can be read"),
    # codes
    "another network's code": (f"{INVERT} --code foreign.safetensors", "the code was made by nets.py:net with weights"),
    "a code of no pixels": (f"{INVERT} --code zero.safetensors", "zero.safetensors"),
    "a code of a size in words": (f"{INVERT} --code words.safetensors", "words.safetensors holds no code"),
    "a code of brackets": (f"{INVERT} --code deep.safetensors", "deep.safetensors holds no code"),
    "a code of absent layers": (f"{INVERT} --code absent.safetensors", "absent.safetensors holds no code"),
    "a code that is a pickle": (f"{INVERT} --code evil.pt", "evil.pt"),
    "a code that is weights": (f"{INVERT} --code part.safetensors", "part.safetensors holds no code"),
    # names
    "a layer that is a path": (f"{GALLERY} --layer ../../0", "no layer '../../0'"),
    "a layer of tags": (f"{GALLERY} --layer <script>alert(1)</script>", "<script>"),
    "a layer of 100,000 letters": (f"{GALLERY} --layer {'x' * 100_000}", "no layer"),
    "a call of 20 digits": (f"{GALLERY} --layer 0#99999999999999999999", "0#99999999999999999999"),
    "a class of tags": (f"classes {NETWORK} --size 24 --out OUT --class <img/src=x/onerror=alert(1)>", "<img"),
    "a class out of range": (f"classes {NETWORK} --size 24 --out OUT --class 99999999999999999999", "9999999"),
    "a dream of no layer": (f"dream {NETWORK} --image good.png --layer :3 --out OUT/a.png", "':3'"),
    "a dream of a weight of no number": (f"dream {NETWORK} --image good.png --layer 0*nan --out OUT/a.png", "0*nan"),
    # recipes as TOML
    **{
        f"TOML: {name}": (f"run {name}.toml", says)
        for name, says in {
            "deep": "deep.toml",
            "date": "steps must be an integer",
            "bool": "steps must be an integer, got True",
            "nan": "learning_rate",
            "float": "size must be an integer or text, got 24.5",
            "table": "layer",
            "twice": "twice.toml is no TOML",
            "html": "unknown key '<script>alert(1)</script>'",
            "number": "unknown recipe 3",
            "list": "unknown recipe ['gallery']",
            "out": "out must be text, got 3",
            "layers": "layer",
            "nested": "layer",
            "prior": "prior",
            "priors": "prior",
            "huge": "steps",
            "long": "long.toml",
            "atlas": "images",
            "bytes": "bytes.toml is no TOML",
            "nul": "nul.toml is no TOML",
        }.items()
    },
    "a device as a recipe": ("run /dev/zero", "/dev/zero"),
    # output folders
    "an output folder of 5,000 letters": (f"{LAYER} --out {'x' * 5000}", "xxx"),
    "an output folder that is a device": (f"{LAYER} --out /dev/null", "'/dev/null' is a file"),
    "a manifest to repeat that is a picture": ("repeat good.png --unit 0/1", "good.png is no manifest"),
    "a manifest to repeat that is weights": ("repeat part.safetensors --unit 0/1", "part.safetensors is no manifest"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_hostile_command_is_refused_in_one_line(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, says = COMMANDS[name]
    assert says in refused(here, arguments.split(), capsys)


ODD: dict[str, tuple[list[str], str]] = {
    "an output folder with a NUL": ([*LAYER.split(), "--out", "a\0b"], "a\\x00b"),
    "a layer with a NUL": ([*GALLERY.split(), "--layer", "0\0"], "no layer"),
    "an empty layer": ([*EXPLAIN.split(), "good.png", "--layer", ""], "expected addresses of layers"),
    "an empty target": ([*EXPLAIN.split(), "good.png", "--target", ""], "target: got"),
    "a target with a NUL": ([*EXPLAIN.split(), "good.png", "--target", "channel:0\0:1"], "no layer"),
    "a layer of two lines": ([*GALLERY.split(), "--layer", "0\n1"], "no layer"),
    "a layer that is no UTF-8": ([*GALLERY.split(), "--layer", "\udc80"], "no layer"),
    "a picture with a NUL": ([*INVERT.split(), "--image", "a\0.png"], "a\\x00.png"),
    "weights with a NUL": ([*LAYER.split(), "--weights", "a\0.pt"], "a\\x00.pt"),
    "a dream's picture with a NUL": ([*DREAM.split(), "--image", "a\0.png"], "a\\x00.png"),
    "a dream's guide with a NUL": ([*DREAM.split(), "--image", "good.png", "--guide", "a\0.png"], "a\\x00.png"),
    "a video with a NUL": ([*DREAM.split(), "--image", "good.png", "--video", "a\0.mp4"], "a\\x00.mp4"),
    "a recipe with a NUL": (["run", "a\0.toml"], "a\\x00.toml"),
    "a model with a NUL": (["layers", "--model", "a\0.py:net"], "a\\x00.py"),
}


MISSING = {
    "captum": (
        "--method integrated-gradients",
        "integrated-gradients needs captum: pip install 'inverter-vis[attribution]'",
    ),
    "cv2": ("--box graph-cut", "graph-cut needs OpenCV: pip install 'inverter-vis[localization]'"),
}


@pytest.mark.parametrize("library", MISSING)
def test_a_missing_library_is_one_line_that_says_how_to_install_it(
    library: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    arguments, says = MISSING[library]
    assert says in refused(here, [*EXPLAIN.split(), "good.png", *arguments.split()], capsys)
    assert not (here / "OUT").exists()


@pytest.mark.parametrize("name", ODD)
def test_odd_characters_are_refused_in_one_line(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, says = ODD[name]
    assert says in refused(here, arguments, capsys)


def unit(**more: object) -> str:
    return json.dumps(MANIFEST | {"units": [UNIT | more]})


MANIFESTS: dict[str, str] = {
    "no JSON": "{",
    "empty": "",
    "a web app's": '{"name": "app", "icons": []}',
    "a list": "[]",
    "null": "null",
    "brackets": "[" * 100_000,
    "an older version's": json.dumps({key: MANIFEST[key] for key in MANIFEST if key != "versions"}),
    "a newer version's": unit(colour="red"),
    "settings that are a list": json.dumps(MANIFEST | {"settings": [1]}),
    "units that are a number": json.dumps(MANIFEST | {"units": 3}),
    "a unit that is a text": json.dumps(MANIFEST | {"units": ["a"]}),
    "a file that is a number": unit(file=3),
    "a file that leads out": unit(file="../good.png"),
    "a file from the root": unit(file="/etc/passwd"),
    "a file with a NUL": unit(file="a\0b"),
    "a layer that is a list": unit(layer=["0"]),
    "metrics that are a list": unit(metrics=[1]),
    "a score that is a text": unit(score="<b>"),
    "a plan without end": json.dumps(MANIFEST | {"planned": float("inf")}),
}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", MANIFESTS)
def test_a_foreign_manifest_is_refused_and_fresh_replaces_it(
    name: str, fresh: bool, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "OUT").mkdir()
    (here / "OUT" / "manifest.json").write_text(MANIFESTS[name])
    arguments = f"{LAYER} --channels 0".split()
    if not fresh:
        error = refused(here, arguments, capsys)
        assert "manifest.json is no manifest of this version" in error
        assert "set fresh to start over" in error
        return
    before = everything(here)
    assert main([*arguments, "--fresh"]) == 0
    assert everything(here) == before


@pytest.mark.parametrize("place", ["images", "images/0", "activations"])
def test_a_linked_folder_is_refused(place: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "OUT" / place).parent.mkdir(parents=True)
    (here / "OUT" / place).symlink_to(here / "none")
    assert "leads out of the output folder" in refused(here, f"{LAYER} --channels 0".split(), capsys)
    assert list((here / "none").iterdir()) == []


def test_linked_files_are_replaced_and_not_written_through(here: Path) -> None:
    before = everything(here)
    folder = here / "OUT" / "images" / "0"
    folder.mkdir(parents=True)
    for link in (folder / "0000.png", here / "OUT" / "index.html"):
        link.symlink_to(here / "good.png")
    (folder / "0001.png").symlink_to(here / "nowhere.png")
    assert main(f"{LAYER} --channels 0,1".split()) == 0
    assert everything(here) == before
    assert not any(path.is_symlink() for path in (here / "OUT").rglob("*"))


def test_activations_are_not_written_through_a_link(here: Path) -> None:
    before = everything(here)
    folder = here / "OUT" / "activations" / "0"
    folder.mkdir(parents=True)
    for name in ("high", "low", "mean"):
        (folder / f"{name}.npy").symlink_to(here / "good.png")
    assert main(f"patches {NETWORK} --size 24 --images good.png --layer 0 --out OUT".split()) == 0
    assert everything(here) == before


@pytest.mark.parametrize("target", ["OUT", "nowhere/at/all", "good.png"])
def test_an_output_folder_that_is_a_broken_link_is_refused(
    target: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "OUT").symlink_to(here / target)
    assert "OUT" in refused(here, LAYER.split(), capsys)


def test_an_output_folder_of_odd_characters_is_created(here: Path) -> None:
    out = "OUT/<b>\"'&%20 #?\udc80;$(touch pwned)"
    before = everything(here)
    assert main([*LAYER.split(), "--channels", "0", "--out", out]) == 0
    assert everything(here) == before
    assert (here / out / "images" / "0" / "0000.png").is_file()
