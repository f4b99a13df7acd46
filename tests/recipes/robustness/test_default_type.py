"""Entire recipes give the same files under torch's default type float64."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from recipes import Explain, Gallery, Invert
from recipes.runner.recipe import NetworkRecipe


@pytest.fixture
def float64() -> Iterator[Callable[[], None]]:
    yield lambda: torch.set_default_dtype(torch.float64)
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save("picture.png")
    return "picture.png"


RECIPES: dict[str, Callable[[nn.Module, str], NetworkRecipe]] = {
    "gallery": lambda net, out: Gallery(model=net, layer="body", channels="0,1", size=16, steps=3, attempts=2, out=out),
    "classes": lambda net, out: Gallery(model=net, objective="softmax", channels="1", size=16, steps=3, out=out),
    "invert": lambda net, out: Invert(model=net, layer="body", image="picture.png", size=16, steps=3, out=out),
    "explain": lambda net, out: Explain(
        model=net,
        image="picture.png",
        target=["logit:top", "channel:body:1"],
        method=["grad-cam", "saliency", "integrated-gradients:steps=3", "lrp", "rise:masks=4", "lime:samples=9"],
        layer="body",
        size=16,
        out=out,
    ),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_recipes_give_the_same_files(
    recipe: Callable[[nn.Module, str], NetworkRecipe],
    tiny_net: nn.Module,
    picture: str,
    float64: Callable[[], None],
) -> None:
    expected = recipe(tiny_net, "float32").run(None)
    float64()
    found = recipe(tiny_net, "float64").run(None)
    assert [record.status for record in found.records] == [record.status for record in expected.records]
    assert len(found.records) >= 1
    for record in expected.records:
        for file in (record.file, *record.extra_files.values()):
            one, other = Path("float32", file), Path("float64", file)
            if one.suffix == ".npy":
                assert np.load(other).dtype == np.float32
                assert np.array_equal(np.load(one), np.load(other)), file
            else:
                assert Image.open(one).tobytes() == Image.open(other).tobytes(), file
