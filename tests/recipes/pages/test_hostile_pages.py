"""No text reaches a page unescaped: real runs of all recipes, with HTML in the names of layers, classes and files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import Model, load_model
from recipes import (
    Adversarial,
    Atlas,
    Circuit,
    ClassModel,
    Compare,
    Dictionary,
    Gallery,
    Grid,
    Inpaint,
    Invert,
    Microscope,
    Mix,
    Patches,
    Polysemantic,
)

LAYER = "\"><img src=x onerror=hacked=1></script><script>hacked=2</script>'&amp;"
FILE = "\"><img src=x onerror=hacked=3>'&amp;"


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module(LAYER, nn.Conv2d(3, 3, 3))
    for index, part in enumerate((nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))):
        net.add_module(str(index), part)
    found = load_model(net, input_size=16)
    found.categories, found.spec = (LAYER, FILE, "plain"), LAYER
    return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("<b>")
    for index in range(8):
        pixels = np.random.default_rng(index).integers(0, 255, (20, 20, 3))
        Image.fromarray(np.uint8(pixels)).save(folder / f"{FILE}{index}.png")
    return folder


@pytest.mark.parametrize(
    "recipe",
    [
        Gallery,
        ClassModel,
        Invert,
        Inpaint,
        Dictionary,
        Grid,
        Patches,
        Atlas,
        Compare,
        Circuit,
        Adversarial,
        Polysemantic,
        Microscope,
        Mix,
    ],
    ids=lambda recipe: recipe.name,
)
def test_no_name_is_more_than_text(
    recipe: Any, model: Model, photos: Path, tmp_path: Path, visit: Callable[..., Any]
) -> None:
    photo, out = str(photos / f"{FILE}0.png"), tmp_path / "<i>"
    network = {"model": model, "layer": LAYER, "size": 16, "steps": 1}
    options: dict[str, dict[str, Any]] = {
        "gallery": network | {"channels": "0,1", "images": str(photos)},
        "mix": {"model": model, "term": [f"{LAYER}/0=1", "output/plain=-1"], "size": 16, "steps": 1},
        "classes": {"model": model, "class_": "0-2", "judge": model, "size": 16, "steps": 1},
        "invert": network | {"image": str(photos), "prior": "pixels"},
        "inpaint": {"image": str(photos), "missing": 0.5, "steps": 1, "device": "cpu"},
        "dictionary": network | {"image": photo, "icon": 16, "positions": "3,4"},
        "grid": network | {"image": photo, "icon": 12, "size": 8},
        "patches": {"model": model, "layer": LAYER, "size": 16, "images": str(photos)},
        "adversarial": {"model": model, "target": "1", "size": 16, "steps": 2, "image": photo},
        "compare": {"model": model, "layer": [LAYER, "output"], "size": 16, "images": str(photos), "warp": "hflip"},
        "polysemantic": {
            "model": model,
            "layer": "output",
            "channels": "0,1",
            "inputs": LAYER,
            "size": 16,
            "steps": 1,
            "patches": 4,
            "others": 0,
            "images": str(photos),
        },
        "microscope": {"model": model, "layers": LAYER, "size": 16, "steps": 1, "images": str(photos), "atlas": "none"},
        "circuit": {
            "model": model,
            "layer": "output",
            "channels": "0,1",
            "inputs": LAYER,
            "size": 16,
            "steps": 1,
            "images": str(photos),
        },
        "atlas": {
            "model": model,
            "layer": LAYER,
            "icon": 16,
            "steps": 1,
            "images": str(photos),
            "positions": 20,
            "grid": "2",
            "min_members": 1,
            "layout": "tsne",
        },
    }
    recipe(out=str(out), **options[recipe.name]).run()
    seen = visit(out / "index.html")
    page = seen.page
    names = (FILE,) if recipe is Inpaint else (LAYER,)
    assert any(name in page.locator("html").inner_text() for name in names), "the page shows the name as it is"
    for target in ("details summary", ".shot", ".patch", ".icon", ".cell", "canvas"):
        if page.locator(f"{target} >> visible=true").count():
            page.locator(f"{target} >> visible=true").first.click()
            page.keyboard.press("Escape")
    assert page.evaluate("window.hacked") is None
    assert page.locator("[onerror], [src=x]").count() == 0
