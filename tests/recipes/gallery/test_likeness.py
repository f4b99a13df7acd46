"""Pictures that are held to the features of photographs: of a folder, or each unit's top patches."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inverter import BadInput, Model, load_model
from inverter.scoring import evaluate
from objectives import channel, distribution, logit
from recipes import ClassModel, Gallery
from recipes.cli.entry import main
from recipes.gallery.likeness import RANKS, TOP, reference
from recipes.pictures.reading import read_picture
from recipes.runner.context import RunContext
from tests.recipes.inversion.test_invert import save


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(6):
        save(tmp_path / "photos" / f"{seed}.png", seed, (32, 32))
    return tmp_path / "photos"


@pytest.fixture
def model(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=16)


def gallery(model: Model, tmp_path: Path, **options: Any) -> Gallery:
    known = {"layer": "body", "channels": "0-2", "steps": 2, "precision": "float32", "out": str(tmp_path / "out")}
    return Gallery(model=model, **(known | options))


def test_each_unit_has_the_pictures_that_activate_it_most(model: Model, photos: Path, tmp_path: Path) -> None:
    recipe = gallery(model, tmp_path, like=TOP, images=str(photos))
    context = RunContext(recipe, model)
    examples = recipe.examples(context)
    for unit in recipe.units(context):
        pictures = torch.stack([picture for picture, _ in examples.parts(unit, examples.strongest(unit, 6))])
        with torch.no_grad(), model.capture(["body"]) as capture:
            highest = capture(model.normalize(pictures))["body"][:, unit.channel].amax((1, 2))
        assert highest.diff().max() <= 1e-5


def test_the_part_that_a_unit_sees_counts_and_channels_by_their_gradient(model: Model) -> None:
    picture = torch.rand(3, 16, 16)
    known, relevance = reference(model, [(picture, [0, 0, 8, 16])], channel("body", 1), ["body"])
    with torch.no_grad(), model.capture(["body"]) as capture:
        maps = capture(model.normalize(picture[None]))["body"]
    part = maps[:, :, : maps.shape[2] // 2]
    torch.testing.assert_close(known["body"].mean, part.mean((0, 2, 3)))
    assert known["body"].sorted_values is not None
    assert known["body"].sorted_values.shape == (maps.shape[1], RANKS)
    others = [c for c in range(maps.shape[1]) if c != 1]
    assert not relevance["body"][others].any() or bool((relevance["body"] == 1).all())


@pytest.mark.parametrize("like", [TOP, "folder"])
def test_a_run_resumes_and_says_what_it_was_held_to(model: Model, photos: Path, tmp_path: Path, like: str) -> None:
    chosen = {"like": TOP, "images": str(photos)} if like == TOP else {"like": str(photos)}
    recipe = gallery(model, tmp_path, **chosen)
    report = recipe.run()
    assert report.made == 3
    assert report.manifest.settings["like"] == chosen["like"]
    assert recipe.run().made == 0
    free = gallery(model, tmp_path, out=str(tmp_path / "free")).run()
    one, other = (run.out / next(iter(run.manifest.units)) for run in (report, free))
    assert one.read_bytes() != other.read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"like": TOP}, "set images to a folder, or like to one"),
        ({"like": "nowhere"}, "nowhere"),
        ({"like_weight": 0}, "like_weight must be above 0"),
    ],
)
def test_bad_input(model: Model, tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises((BadInput, OSError), match=says):
        gallery(model, tmp_path, **options).run()


def test_the_command_line_refuses_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classes", "--class", "1", "--like", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_trained_networks_class_model_comes_nearer_to_photographs(
    squeezenet: Model, photographs: Tensor, shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "images" / "imagenet"
    options = {"class_": 130, "size": 96, "steps": 16, "tries": 1, "precision": "float32"}
    flamingos = next(folder.glob("0130_*"))
    layers = ["features.7", "features.9", "features.12"]
    photo = read_picture(str(flamingos))[None]
    photo = nn.functional.interpolate(photo, (96, 96), mode="bilinear", antialias=True)[0]
    known, relevance = reference(squeezenet, [(photo, [0, 0, 96, 96])], logit(130), layers)
    measure, nearness = distribution(None, known, relevance), []
    for like in (None, str(flamingos)):
        out = tmp_path / str(like is None)
        report = ClassModel(model=squeezenet, like=like, out=str(out), **options).run()  # type: ignore[arg-type]
        picture = read_picture(str(out / next(iter(report.manifest.units))))[None]
        nearness.append(float(evaluate(squeezenet, measure, picture)))
    assert 0 > nearness[1] > 0.7 * nearness[0]
