"""The atlas of one class: the contribution of each activation to its logit, and the selection of the strongest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import recipes.atlas.layout
from inverter import Model
from recipes import Atlas
from recipes.activations.collect import CollectedActivations, collect
from recipes.activations.reducers import Positions
from recipes.atlas.labels.class_attributions import collect_attributions, strongest
from recipes.atlas.labels.class_effects import attributions
from recipes.cli.entry import main
from recipes.executors.progress import RunProgress
from recipes.pictures.sets import PictureSet, picture_set
from recipes.runner.context import RunContext

NAMES = ["ant", "bee", "cat", "dog", "<b>elk"]


@pytest.fixture
def model(tiny_net: nn.Module) -> Model:
    return Model(tiny_net, "tiny", input_size=(8, 8), categories=NAMES)


@pytest.fixture
def pictures(tmp_path: Path) -> PictureSet:
    """Nine pictures, and one among them that cannot be read."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for index in range(9):
        Image.fromarray(draw.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    (folder / "4b.png").write_bytes(b"no picture")
    return picture_set(folder)


def gather(model: Model, pictures: PictureSet, out: Path) -> CollectedActivations:
    return collect(model, pictures, "mix", Positions(3), out=out / "activations", batch=4)


def test_each_row_is_of_its_own_position(model: Model, pictures: PictureSet, tmp_path: Path) -> None:
    found = gather(model, pictures, tmp_path)
    values = collect_attributions(model, pictures, found, "mix", 2, out=tmp_path / "class", batch=4)
    where = found.where("mix")
    assert values.shape == (27,) and len(set(where[:, 0].tolist())) == 9
    for value, (picture, y, x) in zip(values, where.tolist(), strict=True):
        alone = attributions(model, "mix", pictures.read(picture, (8, 8))[None], 2)
        assert value == pytest.approx(float(alone[0, y, x]), rel=1e-4, abs=1e-6)
    assert (values > 0).any() and (values < 0).any()


def test_an_interrupted_pass_ends_with_the_same_bytes(
    model: Model, pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gather(model, pictures, tmp_path)
    collect_attributions(model, pictures, found, "mix", 2, out=tmp_path / "full", batch=4)

    def stop(update: RunProgress) -> None:
        if update.done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect_attributions(model, pictures, found, "mix", 2, out=tmp_path / "parts", batch=4, progress=stop)
    updates: list[RunProgress] = []
    again: Any = lambda: collect_attributions(  # noqa: E731
        model, pictures, found, "mix", 2, out=tmp_path / "parts", batch=4, progress=updates.append
    )
    again()
    assert updates[0] == RunProgress(2, 2, 8, "input picture")  # the last batch alone
    for name in ("2.npy", "2.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "full" / name).read_bytes()
    monkeypatch.setattr("recipes.atlas.labels.class_effects.attributions", None)
    np.testing.assert_array_equal(again(), np.load(tmp_path / "full" / "2.npy"))  # no attribution is computed again


def test_a_picture_that_is_gone_is_one_line(model: Model, pictures: PictureSet, tmp_path: Path) -> None:
    found = gather(model, pictures, tmp_path)
    (tmp_path / "pictures" / "7.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^7 can no longer be read: .*7\.png"):
        collect_attributions(model, pictures, found, "mix", 0, out=tmp_path / "class", batch=4)


@given(st.lists(st.floats(-10, 10, allow_nan=False), min_size=1, max_size=40), st.floats(0, 1, exclude_min=True))
def test_the_strongest(values: list[float], share: float) -> None:
    numbers = np.array(values)
    kept = strongest(numbers, share)
    rest = np.setdiff1d(np.arange(len(numbers)), kept)
    assert len(kept) <= max(1, round(share * len(numbers))) and (numbers[kept] > 0).all()
    assert (np.diff(kept) > 0).all()
    room = len(kept) < max(1, round(share * len(numbers)))
    assert not (numbers[rest] > 0).any() if room else numbers[rest].max(initial=-np.inf) <= numbers[kept].min()


@pytest.fixture
def atlas(model: Model, pictures: PictureSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Atlas]:
    def lay_out(vectors: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        return np.asarray(vectors[:, :2], dtype=np.float32)

    monkeypatch.setattr(recipes.atlas.layout, "lay_out", lay_out)
    usual = {"images": str(tmp_path / "pictures"), "layer": "mix", "grid": 2, "min_members": 2, "steps": 2, "icon": 8}

    def make(**options: Any) -> Atlas:
        return Atlas(**({"model": model, "out": str(tmp_path / "out")} | usual | options))

    return make


def test_only_activations_that_support_the_class_are_on_the_map(atlas: Callable[..., Atlas], tmp_path: Path) -> None:
    recipe = atlas(class_="Cat", share=0.25)
    report = recipe.run()
    values = np.load(tmp_path / "out" / "attributions" / "2.npy")
    shown = np.isfinite(recipe._surveys(RunContext(recipe, recipe.load()))[""].places[:, 0])
    assert 0 < shown.sum() <= 0.25 * len(values)
    assert values[shown].min() > 0 and values[shown].min() >= values[~shown].max()
    counts = [record.metrics["count"] for record in report.manifest.units.values()]
    assert 0 < sum(counts) <= shown.sum()
    assert report.manifest.settings["class"] == "Cat" and report.manifest.settings["share"] == 0.25
    assert {record.name for record in report.manifest.units.values()} == {"cat"}
    assert "Activation atlas of the class cat" in report.page.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "atlas.json").read_bytes())["class"] == "Cat"


def test_another_class_is_rejected_and_leaves_the_output_unchanged(atlas: Callable[..., Atlas], tmp_path: Path) -> None:
    def lasting() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    atlas(class_="cat", share=0.3).run()
    before = lasting()
    for other, line in (({"class_": "bee", "share": 0.3}, "class is 'cat', not 'bee'"), ({}, "class is 'cat'")):
        with pytest.raises(ValueError, match=line):
            atlas(**other).run()
    with pytest.raises(ValueError, match=r"share is 0\.3, not 0\.4"):
        atlas(class_="cat", share=0.4).run()
    assert lasting() == before


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"class_": "bea"}, "no class of tiny is named 'bea'; did you mean bee"),
        ({"class_": 9}, "9 is out of range"),
        ({"class_": "0-1"}, "means 2 classes"),
        ({"class_": "cat", "share": 0.0}, "share must be"),
        ({"share": 0.5}, "share is given but no class"),
        ({"class_": "cat", "share": 0.005}, "activations that support the class, fewer than the 4 cells"),
        (
            {"class_": "cat", "share": 0.2, "min_members": 300},
            "has 300 of .* activations that support the class",
        ),
    ],
)
def test_bad_input_is_one_line(atlas: Callable[..., Atlas], options: dict[str, Any], line: str) -> None:
    with pytest.raises((ValueError, LookupError), match=line) as raised:
        atlas(**options).run()
    assert "\n" not in str(raised.value)


def test_a_network_without_classes_is_reported(atlas: Callable[..., Atlas]) -> None:
    maps = Model(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)), "maps", input_size=(8, 8))
    report = atlas(model=maps, layer="0").run()
    line = "lass effects are not available: maps outputs no vector of classes"
    assert line in str(atlas(model=maps).closing(list(report.manifest.units.values())))
    assert line in report.page.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="outputs no vector of classes"):
        atlas(model=maps, layer="0", class_="cat").run()


class Aside(nn.Module):
    """A network whose output does not depend on one of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.aside, self.head = nn.Conv2d(3, 4, 3), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.aside(x)
        return self.head(x.mean((2, 3)))


def test_a_layer_that_the_output_does_not_depend_on_has_no_classes(atlas: Callable[..., Atlas]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        aside = Model(Aside(), "aside", input_size=(8, 8))
    recipe = atlas(model=aside, layer="aside")
    assert "does not depend on layer 'aside'" in str(recipe.closing(list(recipe.run().manifest.units.values())))
    with pytest.raises(ValueError, match="does not depend on layer"):
        atlas(model=aside, layer="aside", class_=1).run()


def test_classes_without_names(atlas: Callable[..., Atlas], tiny_net: nn.Module) -> None:
    unnamed = atlas(model=Model(tiny_net, "tiny", input_size=(8, 8)), class_=2, share=0.3)
    assert "classes are shown by index" in str(unnamed.closing(list(unnamed.run().manifest.units.values())))


def test_the_command_line_rejects_an_unknown_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "one.png")
    arguments = ["--images", str(tmp_path / "one.png"), "--layer", "features.stem", "--out", str(tmp_path / "out")]
    assert main(["atlas", *arguments, "--class", "no such class"]) == 2
    assert "no class of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
