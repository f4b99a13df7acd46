"""`inverter train-inverter`: resumable, and what it trained is where pre-images start, or their picture in one pass."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import Model, load_model
from inverter.learned_inverter import load_inverter
from recipes import Invert, TrainInverter
from recipes.executors.progress import RunProgress
from recipes.runner.report import Report


@pytest.fixture
def model() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), nn.ReLU())
    return load_model(net, input_size=32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed in range(6):
        small = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((40, 40), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{seed}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.fixture
def training(model: Model, folder: Path, tmp_path: Path) -> Callable[..., TrainInverter]:
    known = {"images": str(folder), "layer": "1", "out": str(tmp_path / "one.safetensors"), "steps": 6, "size": 32}
    known |= {"batch_size": 2, "width": 8, "held_out": 3}
    return lambda **options: TrainInverter(model=model, **(known | options))


def states(file: str) -> dict[str, torch.Tensor]:
    return dict(load_inverter(file).state_dict())


def test_what_is_trained_is_kept_when_it_is_stopped_and_the_same_call_continues(
    training: Callable[..., TrainInverter], tmp_path: Path
) -> None:
    def stop(update: RunProgress) -> None:
        if update.done == 3:
            raise KeyboardInterrupt

    recipe = training()
    with pytest.raises(KeyboardInterrupt):
        recipe.run(stop)
    assert load_inverter(recipe.out).about["step"] == 3
    seen = list[RunProgress]()
    report = recipe.run(seen.append)
    assert [update.done for update in seen] == [1, 2, 3]
    assert seen[0].finished == 3
    assert list(report.skipped) == [str(tmp_path / "photos" / "broken.png")]
    assert str(report.closing).startswith("on 2 held-out pictures the codes of its pictures are off by ")
    other = training(out=str(tmp_path / "two.safetensors"))
    other.run(None)
    one, two = states(recipe.out), states(other.out)
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"width": 16}, r"was trained with other settings \(width\): give those, another out, or fresh"),
        ({"learning_rate": 2.0}, "learning_rate must be above 0 and below 1"),
        ({"out": "one.pt"}, r"a learned inverter is kept in a .safetensors file, got 'one.pt'"),
    ],
)
def test_bad_input_is_refused(training: Callable[..., TrainInverter], options: dict[str, Any], error: str) -> None:
    training(steps=1).run(None)
    with pytest.raises(ValueError, match=error):
        training(**({"steps": 1} | options)).run(None)


def test_pre_images_start_from_it_and_are_its_pictures_with_the_prior_learned(
    training: Callable[..., TrainInverter], model: Model, folder: Path, tmp_path: Path
) -> None:
    recipe = training(steps=40, learning_rate=4e-3)
    recipe.run(None)

    def inverted(name: str, **options: Any) -> Report:
        return Invert(model=model, image=str(folder / "0.png"), layer="1", out=str(tmp_path / name), **options).run(
            None
        )

    (learned,) = inverted("a", prior=f"learned:weights={recipe.out}").requested
    assert learned.steps == 0
    one_step = {"prior": "pixels", "steps": 1, "learning_rate": 1e-6, "augment": "light"}
    (from_it,) = inverted("b", inverter=recipe.out, **one_step).requested
    (from_decoder,) = inverted("c", inverter=recipe.out, start="decoder", **one_step).requested
    assert from_it.metrics["relative_error"] == pytest.approx(learned.metrics["relative_error"], rel=0.1)
    assert from_it.metrics["relative_error"] < 0.9 * from_decoder.metrics["relative_error"]


def test_the_prior_learned_needs_an_inverter_of_the_layer_and_network(
    training: Callable[..., TrainInverter], model: Model, folder: Path, tmp_path: Path
) -> None:
    recipe = training(steps=1)
    recipe.run(None)
    known = {"image": str(folder / "0.png"), "out": str(tmp_path / "out")}
    with pytest.raises(LookupError, match=r"no learned inverter of layer '0' of module \(known: 1\)"):
        Invert(model=model, layer="0", prior="learned", inverter=recipe.out, **known).run(None)
    other = load_model(nn.Conv2d(3, 12, 4, stride=4), input_size=32)
    with pytest.raises(ValueError, match="was trained for weights"):
        Invert(model=other, layer="output", prior=f"learned:weights={recipe.out}", **known).run(None)
    with pytest.raises(ValueError, match="prior learned has no option 'width'"):
        Invert(model=model, layer="1", prior="learned:width=3", **known).run(None)


def test_the_bundled_inverter_is_the_default_start_and_the_prior_learned(tmp_path: Path) -> None:
    picture = Path(__file__).parents[3] / "examples" / "pictures"
    known: dict[str, Any] = {"model": "builtin", "image": str(picture), "layer": "features.stage2"}
    reports = {
        "learned": Invert(prior="learned", out=str(tmp_path / "a"), **known),
        "start": Invert(steps=6, out=str(tmp_path / "b"), **known),
        "decoder": Invert(steps=6, start="decoder", out=str(tmp_path / "c"), **known),
    }
    errors = {name: recipe.run(None).manifest.table[0]["relative_error"] for name, recipe in reports.items()}
    assert errors["learned"] < 0.6
    assert errors["start"] < 0.9 * errors["decoder"]
