"""Networks of any architecture pass the layer table, a gallery, an inversion and an explanation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import Model, layers, load_model, stages
from recipes import Explain, Gallery, Invert, Patches
from recipes.activations.predictions import classifies
from tests.recipes.robustness.architectures import NETWORKS

LEAST = 40
OF_TOKENS = {
    "torchvision vit",
    "torchvision swin",
    "timm vit",
    "timm deit, distilled",
    "timm dinov2 with registers",
    "timm eva",
    "timm swin",
    "transformers vit",
    "transformers dinov2",
    "transformers clip",
    "transformers siglip",
    "transformers vit mae",
    "transformers swin",
    "transformers convnext v2",
}
"""Those that are read in layers of tokens, or of channels-last maps."""


def test_there_are_many() -> None:
    assert len(NETWORKS) >= LEAST
    assert len(OF_TOKENS) >= 12


def made(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, int]:
    """A network with random weights, and the side of its pictures; there is one in the working folder."""
    make, side = NETWORKS[name]
    if name.startswith("transformers"):
        pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("picture.png")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(), side


def held(model: Model) -> tuple[object, ...]:
    """What the use of a network may not change."""
    parts = [
        (name, part.training, len(part._forward_hooks), sorted(vars(part)))
        for name, part in model.module.named_modules()
    ]
    return model.sha256, parts, [parameter.requires_grad for parameter in model.module.parameters()]


def chosen_layer(model: Model) -> str:
    """A stage in the middle; of a network without stages, a layer with maps."""
    if found := stages(model):
        return found[(len(found) - 1) // 2]
    rows = [row.name for row in layers(model) if row.size]
    return rows[len(rows) // 2]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning:timm")
@pytest.mark.parametrize("name", NETWORKS)
def test_an_architecture_passes_every_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, side = made(name, tmp_path, monkeypatch)
    model = load_model(net, input_size=side)
    before, layer = held(model), chosen_layer(model)
    (row,) = [row for row in layers(model) if row.name == layer]
    assert (row.axes not in ("BCHW", "")) == (name in OF_TOKENS)
    target = "logit:top" if classifies(model) else f"channel:{layer}:0"
    recipes = (
        Gallery(model=model, layer=layer, channels=0, steps=2, out="gallery"),
        Patches(model=model, layer=layer, channels=0, images="picture.png", out="patches"),
        Invert(model=model, layer=layer, image="picture.png", prior="fourier", start="noise", steps=2, out="inverted"),
        *(
            Explain(model=model, image="picture.png", target=target, method=method, layer=at, out=method)
            for method, at in {"saliency": (), "grad-cam": layer}.items()
        ),
    )
    for recipe in recipes:
        records = recipe.run(None).records
        assert {record.status for record in records} <= {"ok", "silent"}
        assert len(records) >= (recipe.name not in ("gallery", "patches")) + 1
        assert all((Path(recipe.out) / record.file).is_file() for record in records)
    assert held(model) == before
