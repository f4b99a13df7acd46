"""`natural` of recipes: every objective takes it up, the manifest records it, and changed files are noticed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from inverter import BadInput, MissingFile, Model, evaluate, load_model
from objectives import FeatureStatistics, LayerStatistics, natural
from recipes import Atlas, ClassModel, DeepDream, Dictionary, Gallery, Grid, Invert
from recipes.cli.repeat import repeat
from recipes.gallery.class_model import PRESETS
from recipes.pictures.reading import read_picture
from recipes.runner.context import RunContext
from recipes.runner.natural_fields import NaturalRecipe

STAGES = ("features.stem", "features.stage2", "features.stage4")


def statistics(model: Model, layers: tuple[str, ...] = STAGES) -> FeatureStatistics:
    """Those of grey noise, which no recipe would draw on its own."""
    torch.manual_seed(0)
    images = 0.5 + 0.05 * torch.randn(8, 3, 64, 64)
    with torch.no_grad(), model.capture(layers) as capture:
        found = capture(model.normalize(images))
    measured = {}
    for layer in layers:
        std, mean = torch.std_mean(found[layer], (2, 3))
        measured[layer] = LayerStatistics(mean.mean(0), std.mean(0), mean.std(0), std.std(0))
    return FeatureStatistics(measured, model.spec, model.sha256, 8, (64, 64), "noise")


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("builtin", device="cpu")


@pytest.fixture
def file(tmp_path: Path, model: Model) -> str:
    statistics(model).save(tmp_path / "natural.safetensors")
    return str(tmp_path / "natural.safetensors")


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Image.effect_noise((64, 64), 90).convert("RGB").save(path)
    return str(path)


def test_pictures_are_held_to_the_statistics(model: Model, file: str, tmp_path: Path) -> None:
    shared = {"model": "builtin", "class_": "0", "size": 64, "steps": 16, "tries": 1, "device": "cpu"}
    scores = []
    for out, more in (("free", {}), ("held", {"natural": file, "natural_weight": 2.0})):
        report = ClassModel(**shared, **more, out=str(tmp_path / out)).run(None)
        image = read_picture(tmp_path / out / next(iter(report.manifest.units)))[None]
        scores.append(float(evaluate(model, natural(None, FeatureStatistics.load(file)), image)))
    assert scores[1] > 0.5 * scores[0]  # both are negative


def test_class_models_with_statistics_take_their_own_preset(model: Model, file: str, tmp_path: Path) -> None:
    made = {"model": model, "class_": "0", "out": str(tmp_path)}
    for more, name in (({}, "best"), ({"natural": file}, "natural"), ({"natural": file, "preset": "best"}, "best")):
        recipe = ClassModel(**made, **more)
        settings = recipe.recorded_settings(RunContext(recipe, model))
        chosen = asdict(PRESETS[name])
        del chosen["log_probability"]
        assert settings["preset"] == name
        assert {key: settings[key] for key in chosen} == chosen


def test_the_manifest_records_the_file_and_repeat_and_resume_notice_another(
    model: Model, file: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    recipe = Gallery(
        model="builtin", layer="features.stage2", channels="0,1", size=32, steps=2, natural=file, device="cpu", out=out
    )
    recipe.run(None)
    settings = json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]
    assert settings["natural"] == file and len(settings["natural_sha256"]) == 64
    assert [made.same for made in repeat(out, "features.stage2/1")] == [True]
    assert recipe.run(None).made == 0
    statistics(model, STAGES[:2]).save(file)
    with pytest.raises(BadInput, match="natural_sha256 is"):
        recipe.run(None)
    with pytest.raises(BadInput, match="has changed since the run"):
        repeat(out, "features.stage2/1")


def test_the_bundled_network_has_statistics_of_its_own_world(model: Model) -> None:
    recipe = Gallery(model="builtin", layer="features.stage2", natural="own", out="OUT")
    found = recipe.feature_statistics(model)
    assert found is not None and found.images == 560 and next(iter(found.layers)) == "features.stem"
    with pytest.raises(BadInput, match="feature statistics of builtin"):
        recipe.feature_statistics(Model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_size=(32, 32)))


def test_layers_after_the_objectives_own_are_left_out(model: Model) -> None:
    from objectives import channel, logit

    recipe, found = Gallery(model="builtin", layer="features.stage2", out="OUT"), statistics(model)
    assert recipe.held_natural(model, channel("features.stage2", 0), found).reads == ("features.stage2", STAGES[0])
    assert recipe.held_natural(model, logit(0), found).reads == ("", *STAGES)
    assert recipe.held_natural(model, channel("features.stem", 0), found).reads == ("features.stem",)
    late = FeatureStatistics({STAGES[2]: found[STAGES[2]]}, found.model, found.sha256, 8, (64, 64), "noise")
    assert recipe.held_natural(model, channel("features.stem", 0), late).reads == ("features.stem", STAGES[2])


def test_running_statistics_weigh_three_times_as_much_by_default(model: Model) -> None:
    from objectives import channel, naturally

    recipe, measured = Gallery(model="builtin", layer="features.stem", out="OUT"), statistics(model, STAGES[:1])
    for given, weight in ((measured, 0.03), (replace(measured, images=0), 0.09)):
        held = recipe.held_natural(model, channel("features.stem", 0), given)
        assert held.form == naturally(channel("features.stem", 0), given, weight).form


@pytest.mark.parametrize("kind", [Dictionary, Invert])
def test_every_recipe_takes_it(kind: type, file: str, photo: str, tmp_path: Path) -> None:
    place = {"image": photo, "layer": "features.stage2"}
    more = {Invert: {"prior": "fourier"}, Dictionary: {"positions": "1,1", "icon": 32, "count": 1}}
    recipe = kind(
        model="builtin", steps=1, natural=file, device="cpu", out=str(tmp_path / "out"), **place, **more.get(kind, {})
    )
    assert recipe.run(None).made > 0
    assert "natural_sha256" in json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]


def test_all_recipes_of_units_have_the_same_fields() -> None:
    assert all(issubclass(kind, NaturalRecipe) for kind in (Atlas, ClassModel, Dictionary, Gallery, Grid, Invert))


def test_a_dream_takes_it(file: str, photo: str, tmp_path: Path) -> None:
    written = []
    for name, more in (("free", {}), ("held", {"natural": file, "natural_weight": 5.0})):
        dream = DeepDream(
            model="builtin", image=photo, layer="features.stage2", octaves=1, steps=2, device="cpu",
            out=str(tmp_path / f"{name}.png"), **more,
        )  # fmt: skip
        dream.run(None)
        written.append(read_picture(tmp_path / f"{name}.png"))
    assert not torch.equal(*written)


def test_bad_values_are_refused_before_anything_is_written(file: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="natural_weight is given but no statistics"):
        Gallery(layer="features.stem", natural_weight=1.0, out="OUT")
    with pytest.raises(BadInput, match="natural_weight must be above 0"):
        Gallery(layer="features.stem", natural=file, natural_weight=-1.0, out="OUT")
    out = tmp_path / "out"
    with pytest.raises(MissingFile, match="no feature statistics"):
        Gallery(model="builtin", layer="features.stem", natural="none.safetensors", out=str(out)).run(None)
    other = Model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_size=(32, 32))
    with pytest.raises(BadInput, match="feature statistics of builtin"):
        Gallery(model=other, layer="0", natural=file, out=str(out)).run(None)
    with pytest.raises(BadInput, match="no batch normalisation"):
        Gallery(model=other, layer="0", natural="bn", out=str(out)).run(None)
    assert not (out / "manifest.json").exists()
