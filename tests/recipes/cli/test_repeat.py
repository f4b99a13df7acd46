"""`inverter repeat`: makes one picture again from the manifest alone, or one clear line says why it cannot."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from inverter import load_model
from recipes import Gallery
from recipes.cli.entry import main
from recipes.cli.repeat import repeat

NET = """
import torch
from torch import nn
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
MODEL = "--model nets.py:net --weights weights.safetensors --size 24 --steps 2"
GALLERY = f"gallery {MODEL} --layer 0 --layer 2 --channels 1-5 --batch-size 4 --attempts 2 --negative --out OUT"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INVERTER_TRACEBACK", raising=False)
    (tmp_path / "nets.py").write_text(NET)
    save_weights(1)
    return tmp_path


def save_weights(seed: int) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    save_file(net.state_dict(), "weights.safetensors")


def edit(change: Callable[[dict], object]) -> None:
    path = Path("OUT/manifest.json")
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_unit_is_made_again_and_is_identical(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(GALLERY.split()) == 0
    before = everything(here / "OUT")
    capsys.readouterr()
    assert main(["repeat", "OUT/manifest.json", "--unit", "2/3"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"images/2/0003{tail}.png: the same" for tail in ("", "-1", "-negative", "-negative-1")
    ]
    assert [each.file for each in repeat("OUT", "images/0/0005-1.png")] == ["images/0/0005-1.png"]
    assert everything(here / "OUT") == before


def test_a_changed_picture_is_detected(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(GALLERY.split()) == 0
    path = here / "OUT/images/0/0001.png"
    with Image.open(path) as picture:
        pixels = np.asarray(picture).copy()
    pixels[3, 4, 1] ^= 1
    Image.fromarray(pixels).save(path)
    edit(lambda data: data["versions"].update(torch="1.0"))
    capsys.readouterr()
    assert main(["repeat", "OUT/manifest.json", "--unit", "images/0/0001.png"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "images/0/0001.png: 1 of 1728 values differ, by 1 of 255 at most"
    assert out[1].startswith("not the same; since then: torch was 1.0, is ")


@pytest.mark.parametrize(
    ("command", "unit"),
    [
        (
            "atlas --images photos --input-size 224 --layer 2 --layout tsne --positions 6 --grid 2,3 --min-members 1 "
            "--neighbors 6",
            None,
        ),
        ("invert --image photos/00.png --image photos/01.png --layer 0 --layer 2 --prior pixels", "images/2/01"),
        ("inpaint --image photos --missing 0.4", "images/05.png"),
        ("grid --size 7 --image photos/00.png --layer 2 --icon 12", "images/2/position-001"),
        ("classes --class 1,3,4", None),
        ("mix --term 0/1 --term 2/3=-0.5 --attempts 2", None),
        ("circuit --layer 2 --channels 3,5 --inputs 0 --outputs none --count 2", "images/2/0005"),
    ],
)
def test_every_recipe_can_be_repeated(here: Path, command: str, unit: str | None) -> None:
    (here / "photos").mkdir()
    for index in range(8):
        pixels = np.random.default_rng(index).integers(0, 255, (24, 24, 3))
        Image.fromarray(np.uint8(pixels)).save(here / f"photos/{index:02d}.png")
    model = "--steps 2 --precision float32" if "inpaint" in command else MODEL
    name, *more = command.split()
    assert main([name, *model.split(), *more, "--device", "cpu", "--batch-size", "3", "--out", "OUT"]) == 0
    files = [unit["file"] for unit in json.loads(Path("OUT/manifest.json").read_text())["units"]]
    file = next(name for name in reversed(files) if unit is None or name.startswith(unit))
    assert [each.same for each in repeat("OUT/manifest.json", file)] == [True]


CASES: dict[str, tuple[Callable[[], object], str, str]] = {
    "no such unit": (lambda: None, "2/99", "has no unit '2/99'; did you mean 2/3?"),
    "changed weights": (lambda: save_weights(2), "2/3", "the weights of nets.py:net have changed: their sha256 was"),
    "lost weights": (lambda: Path("weights.safetensors").unlink(), "2/3", "no weights file 'weights.safetensors'"),
    "lost picture": (lambda: Path("OUT/images/2/0003.png").unlink(), "2/3", "0003.png' to compare with"),
    "another version": (lambda: edit(lambda d: d["settings"].update(zoom=3)), "2/3", "does not know (zoom)"),
    "an older version": (lambda: edit(lambda d: d["settings"].pop("prior")), "2/3", "it lacks settings (prior)"),
    "another recipe": (lambda: edit(lambda d: d.update(recipe="hum")), "2/3", "the recipe 'hum' is none that this"),
    "a recipe without": (lambda: edit(lambda d: d.update(recipe="patches")), "2/3", "'patches' makes no pictures by"),
    "absent device": (lambda: edit(lambda d: d["model"].update(device="cuda:77")), "2/3", "CUDA devices"),
    "no manifest": (lambda: Path("OUT/manifest.json").unlink(), "2/3", "no manifest 'OUT"),
    "a broken one": (lambda: Path("OUT/manifest.json").write_text("{"), "2/3", "is no manifest of this version"),
}


def test_what_cannot_be_repeated_is_one_clear_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"gallery {MODEL} --layer 2 --channels 3 --out OUT".split()) == 0
    manifest, picture = Path("OUT/manifest.json").read_bytes(), Path("OUT/images/2/0003.png").read_bytes()
    for name, (spoil, unit, says) in CASES.items():
        Path("OUT/manifest.json").write_bytes(manifest)
        Path("OUT/images/2/0003.png").write_bytes(picture)
        save_weights(1)
        spoil()
        capsys.readouterr()
        assert main(["repeat", "OUT/manifest.json", "--unit", unit]) == 2, name
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        assert says in error, name


def test_weights_that_have_moved_can_be_given(here: Path) -> None:
    assert main(f"gallery {MODEL} --layer 2 --channels 3 --out OUT".split()) == 0
    Path("weights.safetensors").rename("moved.safetensors")
    assert main(["repeat", "OUT/manifest.json", "--unit", "2/3", "--weights", "moved.safetensors"]) == 0


def test_a_module_from_python_has_no_name_to_load_it_by(here: Path) -> None:
    model = load_model(nn.Sequential(nn.Conv2d(3, 2, 1)), input_size=8)
    Gallery(model=model, layer="0", channels="1", steps=1, out="OUT").run()
    with pytest.raises(ValueError, match="given from Python as a module"):
        repeat("OUT", "0/1")
