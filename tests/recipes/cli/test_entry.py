"""The command line: the same fields as the recipe, one line for each mistake, and a way to resume."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import recipes.cli.entry
import recipes.runner.progress_bar
from inverter import __version__
from recipes import Atlas, Patches
from recipes.cli.commands import COMMANDS
from recipes.cli.entry import main
from recipes.executors.progress import RunProgress

Command = Callable[..., tuple[int, str, str]]
GOOD = ("gallery", "--model", "nets.py:net", "--layer", "conv", "--channels", "0,2", "--size", "24", "--steps", "2")


def test_a_gallery_is_made_and_the_same_command_again_makes_no_pictures(command: Command, here: Path) -> None:
    code, out, err = command(*GOOD, "--out", "OUT")
    assert code == 0
    assert "2 pictures in OUT (2 made in" in out
    assert f"open {Path('OUT') / 'index.html'}" in out
    assert "gallery: 2/2 pictures, all finished" in err
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
    assert rows["conv"] == ["Conv2d", "1", "BCHW", "4", "20x20", "5", "*"]
    assert rows["wide"] == ["Conv2d", "1", "BCHW", "6", "12x12", "13", "*"]
    assert rows["head"] == ["Linear", "1", "BC", "3", "all"]


def test_the_version_is_the_packages(command: Command) -> None:
    assert command("--version") == (0, f"inverter {__version__}\n", "")


def test_an_interruption_keeps_what_is_finished_and_says_how_to_continue(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (*GOOD[:6], "0-3", *GOOD[7:], "--batch-size", "2", "--precision", "float32")
    lines = recipes.runner.progress_bar._lines

    def interrupting(*about: str) -> object:
        @contextmanager
        def shown() -> Iterator[object]:
            with lines(*about) as callback:

                def act(update: RunProgress) -> None:
                    callback(update)
                    if update.done > 2:
                        raise KeyboardInterrupt

                yield act

        return shown()

    with monkeypatch.context() as patch:
        patch.setattr(recipes.runner.progress_bar, "_lines", interrupting)
        code, out, err = command(*arguments, "--out", "OUT")
    assert code == 130
    assert out == ""
    assert err.splitlines()[-1] == "stopped; what is finished is kept, and the same command continues"
    assert len(json.loads((here / "OUT/manifest.json").read_text())["units"]) == 2
    assert (here / "OUT/index.html").is_file()
    assert "4 pictures in OUT (2 made" in command(*arguments, "--out", "OUT")[1]


def test_a_closed_pipe_prints_no_error(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def gone(**_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("recipes.cli.entry.COMMANDS", [each._replace(run=gone) for each in COMMANDS])
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert main(["layers", "--model", "nets.py:net"]) == 1
    assert capfd.readouterr() == ("", "")


def test_a_traceback_is_shown_on_request(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVERTER_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown model"):
        command("layers", "--model", "absent")


def test_a_unit_that_stopped_is_reported_and_the_command_succeeds(command: Command, here: Path) -> None:
    (here / "broken.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x * float('nan')\n"
        "def net():\n    return nn.Sequential(Net())\n"
    )
    flags = ("--layer", "0", "--channels", "1", "--size", "8", "--steps", "2", "--out", "OUT")
    code, out, err = command("gallery", "--model", "broken.py:net", *flags)
    assert code == 0
    assert "images/0/0001.png: non-finite at step 0" in err
    assert "1 picture in OUT" in out


def test_a_flag_of_the_last_release_works_and_names_the_new_one(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    monkeypatch.setattr("recipes.cli.entry.run_recipe", lambda recipe: taken.append(recipe) or 0)
    code, _, err = command("atlas", "--images", "photos", "--layer", "a", "--least", "3")
    assert code == 0
    assert err == "inverter: --least is now --min-members; the old name goes with the next release\n"
    assert taken == [Atlas(images=["photos"], layer="a", min_members=3)]


def test_a_required_flag_may_have_its_old_name_and_be_repeated(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    monkeypatch.setattr("recipes.cli.entry.run_recipe", lambda recipe: taken.append(recipe) or 0)
    assert command("patches", "--dataset", "a", "--images", "b")[0] == 0
    assert taken == [Patches(images=["a", "b"])]


def test_a_change_reaches_the_recipe(command: Command, here: Path) -> None:
    (here / "g.toml").write_text('model = "nets.py:net"\nlayer = "conv"\nchannels = "0"\nsize = 24\nsteps = 2\n')
    assert command("run", "g.toml", "--set", "steps=3", "--set", "prior=pixels", "--out", "OUT")[0] == 0
    settings = json.loads((here / "OUT/manifest.json").read_text())["settings"]
    assert (settings["steps"], settings["prior"], settings["channels"]) == (3, "pixels", "0")


def test_a_fault_of_the_code_shows_its_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(**_: object) -> None:
        raise ValueError("not the user's mistake")

    monkeypatch.setattr("recipes.cli.entry.COMMANDS", [each._replace(run=fault) for each in COMMANDS])
    with pytest.raises(ValueError, match="not the user's mistake"):
        command("layers")


def test_help_shows_a_commands_own_options_first_and_an_example_last(command: Command) -> None:
    code, out, _ = command("gallery", "--help")
    flags = re.findall(r"^  (--[a-z-]+)", out, re.MULTILINE)
    assert code == 0
    assert flags[:4] == ["--layer", "--channels", "--objective", "--prior"]
    titles = re.findall(r"^(\w+).*:$", out, re.MULTILINE)
    assert titles == ["options", "network", "optimisation", "machine", "output", "help", "example"]
    assert out.rstrip().splitlines()[-1].startswith("  inverter gallery ")
