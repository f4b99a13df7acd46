"""Each mistake on the command line gives one line that says what was given, and no file is written."""

from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

Command = Callable[..., tuple[int, str, str]]
SIZED = ("--input-size", "224", "--out", "OUT")
MODEL = ("gallery", "--model", "nets.py:net", "--size", "24", "--steps", "1", "--out", "OUT")
CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "no command": ((), "COMMAND"),
    "unknown command": (("galery",), "'galery'"),
    "unknown flag": ((*MODEL, "--colour", "red"), "--colour"),
    "a flag that is nearly one": (
        ("gallery", "--chanels", "3"),
        "did you mean --channels or --show-channels? (see inverter gallery --help)",
    ),
    "a flag that is nearly one, and another missing": (("repeat", "x", "--unt", "3"), "did you mean --unit?"),
    "a missing flag": (("atlas", "--layer", "conv"), "required: --images (see inverter atlas --help)"),
    "a word too many": ((*MODEL, "more"), "unexpected argument 'more' (see inverter gallery --help)"),
    "a choice that is nearly one": ((*MODEL, "--objective", "chanel"), "did you mean channel?"),
    "a command that is nearly one": (("invrt",), "did you mean invert"),
    "all units of a large network": (
        ("gallery", "--out", "OUT"),
        "896 pictures, of all 8 stages of builtin: set layer",
    ),
    "a file for a large network": (("run", "large.toml"), "896 pictures"),
    "a change of a file": (("run", "large.toml", "--set", "chanels=3"), "did you mean channels"),
    "unknown model": (("gallery", "--model", "resnet", "--out", "OUT"), "'resnet'"),
    "unknown torchvision model": (("gallery", "--model", "torchvision:resnet17", "--out", "OUT"), "resnet17"),
    "unknown timm model": (("gallery", "--model", "timm:resnet17x", "--out", "OUT"), "resnet17x"),
    "no such file": (("gallery", "--model", "none.py:net", "--out", "OUT"), "none.py"),
    "no such factory": (("gallery", "--model", "nets.py:nett", "--out", "OUT"), "'nett'"),
    "a factory that fails": (("gallery", "--model", "nets.py:fails", "--out", "OUT"), "two lines"),
    "a factory of something else": (("gallery", "--model", "nets.py:number", "--out", "OUT"), "returned int"),
    "no tensor": (("gallery", "--model", "nets.py:silent", *SIZED, "--objective", "logit"), "NoneType"),
    "unknown layer": ((*MODEL, "--layer", "cnv"), "conv"),
    "empty layer": ((*MODEL, "--layer", ""), "''"),
    "a call that is never made": ((*MODEL, "--layer", "conv#4"), "conv#4"),
    "a layer for a class": ((*MODEL, "--layer", "conv", "--objective", "logit"), "logit"),
    "channel out of range": ((*MODEL, "--layer", "conv", "--channels", "0,4"), "channel 4"),
    "no layer has the channel": ((*MODEL, "--channels", "500"), "500"),
    "class out of range": ((*MODEL, "--objective", "softmax", "--channels", "3"), "channel 3"),
    "empty range": ((*MODEL, "--layer", "conv", "--channels", "3-1"), "3-1"),
    "no channels": ((*MODEL, "--layer", "conv", "--channels", ""), "''"),
    "channels that are no numbers": ((*MODEL, "--layer", "conv", "--channels", "red"), "'red'"),
    "size too small": ((*MODEL[:4], "12", *MODEL[5:], "--layer", "wide"), "12x12"),
    "size 0": ((*MODEL[:4], "0", *MODEL[5:]), "got 0"),
    "negative size": ((*MODEL[:4], "-3", *MODEL[5:]), "-3"),
    "huge size": ((*MODEL[:4], "10000000", *MODEL[5:], "--layer", "conv"), "size must be at most 16384, got 10000000"),
    "size that the network asserts": (
        ("gallery", "--model", "nets.py:strict", "--size", "32", "--layer", "conv", "--out", "OUT"),
        "Wrong image height",
    ),
    "no steps": ((*MODEL, "--steps", "0"), "got 0"),
    "negative steps": ((*MODEL, "--steps", "-5"), "-5"),
    "steps that are no number": ((*MODEL, "--steps", "many"), "'many'"),
    "a seed that is no number": ((*MODEL, "--seed", "luck"), "'luck'"),
    "negative seed": ((*MODEL, "--seed", "-1"), "-1"),
    "no attempts": ((*MODEL, "--attempts", "0"), "got 0"),
    "empty batches": ((*MODEL, "--batch-size", "0"), "got 0"),
    "unknown objective": ((*MODEL, "--objective", "loss"), "'loss'"),
    "unknown prior": ((*MODEL, "--prior", "wavelet"), "'wavelet'"),
    "unknown augmentation": ((*MODEL, "--layer", "conv", "--augment", "wild"), "'wild'"),
    "unknown precision": ((*MODEL, "--precision", "float8"), "'float8'"),
    "unknown normalization": ((*MODEL, "--normalize", "imagnet"), "'imagnet'"),
    "learning rate that is no number": ((*MODEL, "--learning-rate", "nan"), "nan"),
    "learning rate of 0": ((*MODEL, "--learning-rate", "0"), "0"),
    "absent device": ((*MODEL, "--device", "cuda:99"), "cuda:99"),
    "unknown device": ((*MODEL, "--device", "gpu"), "'gpu'"),
    "missing weights": ((*MODEL, "--weights", "none.pt"), "none.pt"),
    "weights that are a folder": ((*MODEL, "--weights", "."), "'.'"),
    "weights of another kind": ((*MODEL, "--weights", "nets.py"), "nets.py"),
    "corrupt safetensors": ((*MODEL, "--weights", "corrupt.safetensors"), "corrupt.safetensors"),
    "corrupt pt": ((*MODEL, "--weights", "corrupt.pt"), "corrupt.pt"),
    "empty pt": ((*MODEL, "--weights", "empty.pt"), "empty.pt"),
    "weights that do not fit": ((*MODEL, "--weights", "other.safetensors"), "conv.weight"),
    "no output folder": ((*MODEL[:-1], "", "--layer", "conv"), "out is empty"),
    "output that is a file": ((*MODEL[:-1], "nets.py", "--layer", "conv", "--channels", "0"), "nets.py"),
    "output below a file": ((*MODEL[:-1], "nets.py/out", "--layer", "conv", "--channels", "0"), "nets.py"),
    "layers of an unknown model": (("layers", "--model", "what"), "'what'"),
    "layers at too small a size": (("layers", "--model", "nets.py:net", "--size", "8"), "8x8"),
    "layers at size 0": (("layers", "--model", "nets.py:net", "--size", "0"), "0"),
    "layers at a huge size": (("layers", "--model", "nets.py:net", "--size", "10000000"), "10000000"),
    "run without a file": (("run",), "file"),
    "run of a missing file": (("run", "none.toml"), "none.toml"),
    "run of a folder": (("run", "."), "'.'"),
    "run of no TOML": (("run", "nets.py"), "nets.py"),
    "unknown key": (("run", "key.toml"), "'chanels'"),
    "value of another type": (("run", "type.toml"), "'many'"),
    "unknown recipe": (("run", "recipe.toml"), "'gallry'"),
}


@pytest.mark.parametrize(("arguments", "says"), CASES.values(), ids=CASES)
def test_a_mistake_is_one_line_that_says_what_was_given_and_no_file_is_written(
    command: Command, here: Path, arguments: tuple[str, ...], says: str
) -> None:
    (here / "corrupt.safetensors").write_bytes(b"no tensors")
    (here / "corrupt.pt").write_bytes(b"PK\x03\x04 cut off")
    (here / "empty.pt").write_bytes(b"")
    save_file({"conv.weight": torch.zeros(1)}, here / "other.safetensors")
    (here / "key.toml").write_text("chanels = 3\nout = 'OUT'")
    (here / "type.toml").write_text("steps = 'many'\nout = 'OUT'")
    (here / "large.toml").write_text("out = 'OUT'")
    (here / "recipe.toml").write_text("recipe = 'gallry'\nout = 'OUT'")

    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in here.rglob("*") if path.is_file() and path.suffix != ".pyc"}

    before = everything()
    code, out, err = command(*arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    assert err.startswith("inverter")
    assert says in err
    assert "Traceback" not in err
    assert everything() == before
    assert not (here / "OUT").exists()


def test_a_hub_that_cannot_be_reached_is_one_line(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(models, "get_model", unreachable)
    code, out, err = command("gallery", "--model", "torchvision:squeezenet1_0", "--out", "OUT")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "torchvision:squeezenet1_0" in err
    assert not (here / "OUT").exists()


def test_a_folder_that_cannot_be_written_to_is_reported(command: Command) -> None:
    if not Path("/proc/sys/kernel").is_dir():
        pytest.fail("this test needs a folder that not even root can write to")
    code, _, err = command(*MODEL[:-1], "/proc/sys/inverter", "--layer", "conv", "--channels", "0")
    assert code == 2
    assert err.count("\n") == 1
    assert "/proc/sys/inverter" in err
