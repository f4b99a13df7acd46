"""The command line: the same fields as the recipe, one line for each mistake, and a way to go on."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

import recipes.cli
import recipes.terminal
from inverter import __version__
from recipes.cli import main
from recipes.run import Update

NETS = """
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)
        self.wide = nn.Conv2d(4, 6, 9)
        self.head = nn.Linear(6, 3)
    def forward(self, x):
        return self.head(self.wide(self.conv(x)).mean((2, 3)))

class Silent(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)
    def forward(self, x):
        self.conv(x)

class Strict(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)
    def forward(self, x):
        assert x.shape[2] == 224, "Wrong image height! Expected 224"
        return self.conv(x)

class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Flatten(2)
    def forward(self, x):
        return self.tokens(x)

def net():
    torch.manual_seed(0)
    return Net()

def fails():
    raise RuntimeError("two\\nlines")

silent, strict, sequence, number = Silent, Strict, Sequence, int
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with networks in nets.py."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INVERTER_TRACEBACK", raising=False)
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path


@pytest.fixture
def command(here: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


GOOD = ("gallery", "--model", "nets.py:net", "--layer", "conv", "--channels", "0,2", "--size", "24", "--steps", "2")


def test_a_gallery_is_made_and_the_same_command_again_does_nothing(command: Command, here: Path) -> None:
    code, out, err = command(*GOOD, "--out", "OUT")
    assert code == 0
    assert "2 pictures in OUT (2 made in" in out
    assert f"open {Path('OUT') / 'index.html'}" in out
    assert "gallery: 2/2 units, all finished" in err
    assert (here / "OUT/images/conv/0002.png").is_file()
    assert (here / "OUT/index.html").is_file()
    assert command(*GOOD, "--out", "OUT")[1].startswith("2 pictures in OUT (all were finished already)")


def test_every_flag_reaches_the_manifest(command: Command, here: Path) -> None:
    flags = "--steps 3 --size 24 --seed 9 --device cpu --precision float32 --batch-size 2 --augment light --attempts 2"
    more = "--negative --objective neuron --prior pixels --learning-rate 0.5 --normalize half --out OUT"
    layers = "--model nets.py:net --layer conv --layer wide --channels 1"
    assert command("gallery", *layers.split(), *flags.split(), *more.split())[0] == 0
    data = json.loads((here / "OUT/manifest.json").read_text())
    expected = {
        "model": "nets.py:net",
        "layer": ["conv", "wide"],
        "channels": "1",
        "steps": 3,
        "size": 24,
        "seed": 9,
        "device": "cpu",
        "precision": "float32",
        "batch_size": 2,
        "augment": "light",
        "attempts": 2,
        "negative": True,
        "objective": "neuron",
        "prior": "pixels",
        "learning_rate": 0.5,
        "normalize": "half",
        "out": "OUT",
    }
    assert {key: data["settings"][key] for key in expected} == expected
    assert len(data["units"]) == 2 * 2 * 2


def test_a_toml_file_makes_the_same_pictures_as_the_flags(command: Command, here: Path) -> None:
    (here / "g.toml").write_text(
        'recipe = "gallery"\nmodel = "nets.py:net"\nlayer = "conv"\nchannels = "0,2"\nsize = 24\nsteps = 2\nout = "A"\n'
    )
    assert command("run", "g.toml")[0] == 0
    assert command("run", "g.toml", "--out", "C")[0] == 0
    assert command(*GOOD, "--out", "B")[0] == 0
    for name in ("0000.png", "0002.png"):
        first = (here / "A/images/conv" / name).read_bytes()
        assert first == (here / "B/images/conv" / name).read_bytes() == (here / "C/images/conv" / name).read_bytes()


def test_fresh_starts_over_where_other_settings_are_refused(command: Command, here: Path) -> None:
    assert command(*GOOD, "--out", "OUT")[0] == 0
    code, _, err = command(*GOOD, "--seed", "1", "--out", "OUT")
    assert code == 2
    assert "seed is 0, not 1" in err
    assert command(*GOOD, "--seed", "1", "--out", "OUT", "--fresh")[0] == 0
    assert json.loads((here / "OUT/manifest.json").read_text())["settings"]["seed"] == 1


def test_layers_are_shown_as_a_table(command: Command) -> None:
    code, out, err = command("layers", "--model", "nets.py:net", "--size", "24")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert rows["conv"] == ["Conv2d", "1", "4", "20x20", "5", "*"]
    assert rows["wide"] == ["Conv2d", "1", "6", "12x12", "13", "*"]
    assert rows["head"] == ["Linear", "1", "3", "all"]


def test_the_version_is_the_packages(command: Command) -> None:
    assert command("--version") == (0, f"inverter {__version__}\n", "")


def test_an_interruption_keeps_what_is_finished_and_says_how_to_continue(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (*GOOD[:6], "0-3", *GOOD[7:], "--batch-size", "2", "--precision", "float32")
    lines = recipes.terminal._lines

    def interrupting(*about: str) -> object:
        @contextmanager
        def shown() -> Iterator[object]:
            with lines(*about) as callback:

                def act(update: Update) -> None:
                    callback(update)
                    if update.done > 2:
                        raise KeyboardInterrupt

                yield act

        return shown()

    with monkeypatch.context() as patch:
        patch.setattr(recipes.terminal, "_lines", interrupting)
        code, out, err = command(*whole, "--out", "OUT")
    assert code == 130
    assert out == ""
    assert err.splitlines()[-1] == "stopped; what is finished is kept, and the same command continues"
    assert len(json.loads((here / "OUT/manifest.json").read_text())["units"]) == 2
    assert (here / "OUT/index.html").is_file()
    assert "4 pictures in OUT (2 made" in command(*whole, "--out", "OUT")[1]


def test_a_reader_that_has_gone_is_no_error_message(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def gone(**_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(recipes.cli, "_layers", gone)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert main(["layers", "--model", "nets.py:net"]) == 1
    assert capfd.readouterr() == ("", "")


def test_a_traceback_is_there_for_who_asks(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVERTER_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown model"):
        command("layers", "--model", "nothing")


def test_a_unit_that_stopped_is_told_and_the_command_succeeds(command: Command, here: Path) -> None:
    (here / "broken.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x * float('nan')\n"
        "def net():\n    return nn.Sequential(Net())\n"
    )
    flags = ("--layer", "0", "--channels", "1", "--size", "8", "--steps", "2", "--out", "OUT")
    code, out, err = command("gallery", "--model", "broken.py:net", *flags)
    assert code == 0
    assert "images/0/0001.png: non-finite at step 0" in err
    assert "1 pictures in OUT" in out


MODEL = ("gallery", "--model", "nets.py:net", "--size", "24", "--steps", "1", "--out", "OUT")
CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "no command": ((), "COMMAND"),
    "unknown command": (("galery",), "'galery'"),
    "unknown flag": ((*MODEL, "--colour", "red"), "--colour"),
    "unknown model": (("gallery", "--model", "resnet", "--out", "OUT"), "'resnet'"),
    "unknown torchvision model": (("gallery", "--model", "torchvision:resnet17", "--out", "OUT"), "resnet17"),
    "unknown timm model": (("gallery", "--model", "timm:resnet17x", "--out", "OUT"), "resnet17x"),
    "no such file": (("gallery", "--model", "none.py:net", "--out", "OUT"), "none.py"),
    "no such factory": (("gallery", "--model", "nets.py:nett", "--out", "OUT"), "'nett'"),
    "a factory that fails": (("gallery", "--model", "nets.py:fails", "--out", "OUT"), "two lines"),
    "a factory of something else": (("gallery", "--model", "nets.py:number", "--out", "OUT"), "returned int"),
    "no tensor": (("gallery", "--model", "nets.py:silent", "--objective", "logit", "--out", "OUT"), "NoneType"),
    "unknown layer": ((*MODEL, "--layer", "cnv"), "conv"),
    "empty layer": ((*MODEL, "--layer", ""), "''"),
    "a call that is never made": ((*MODEL, "--layer", "conv#4"), "conv#4"),
    "a layer of tokens": (("gallery", "--model", "nets.py:sequence", "--layer", "tokens", "--out", "OUT"), "tokens"),
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
    "batches of nothing": ((*MODEL, "--batch-size", "0"), "got 0"),
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
def test_a_mistake_is_one_line_that_says_what_was_given_and_nothing_is_written(
    command: Command, here: Path, arguments: tuple[str, ...], says: str
) -> None:
    (here / "corrupt.safetensors").write_bytes(b"no tensors")
    (here / "corrupt.pt").write_bytes(b"PK\x03\x04 cut off")
    (here / "empty.pt").write_bytes(b"")
    save_file({"conv.weight": torch.zeros(1)}, here / "other.safetensors")
    (here / "key.toml").write_text("chanels = 3\nout = 'OUT'")
    (here / "type.toml").write_text("steps = 'many'\nout = 'OUT'")
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


def test_a_folder_that_cannot_be_written_to_is_told(command: Command) -> None:
    if not Path("/proc/sys/kernel").is_dir():
        pytest.fail("this test needs a folder that not even root can write to")
    code, _, err = command(*MODEL[:-1], "/proc/sys/inverter", "--layer", "conv", "--channels", "0")
    assert code == 2
    assert err.count("\n") == 1
    assert "/proc/sys/inverter" in err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3600, "1 h 00 min"), (7800, "2 h 10 min")],
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert recipes.terminal.clock(seconds) == text


def test_without_a_terminal_each_part_of_a_run_ends_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with recipes.terminal.shown("gallery") as progress:
        for noun, units in (("picture", 3), (None, 2)):
            for done in (*range(units + 1), units):
                progress(Update(done, units, 0, noun))
    err = capsys.readouterr().err.splitlines()
    assert err.count("gallery: 3/3 pictures, all finished") == 1
    assert err.count("gallery: 2/2 units, all finished") == 1


def test_in_a_terminal_a_bar_shows_units_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", terminal)
    with recipes.terminal.shown("[gallery]") as progress:
        progress(Update(0, 4, 1))
        progress(Update(2.5, 4, 1))
    text = terminal.getvalue()
    assert "[gallery]" in text
    assert "3/5 units" in text
    assert "s a unit" in text
    assert "left" in text
