"""Excitation backpropagation by hand; memory and localization of all methods that propagate."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, load_model
from objectives import channel, logit
from recipes.attribution import explain
from tests.propagated_networks import (
    model_of,
    seeded,
)

# ---- Excitation backpropagation ----


class Excited(nn.Module):
    """Activations and weights such that every unit has an excitatory input, so that no probability is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.skip, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        return self.head((x + F.relu(self.skip(x))).mean((2, 3)))


@pytest.mark.parametrize("layer", ["layers.0", "layers.1", "layers.3", "layers.4"])
def test_a_walk_is_somewhere(layer: str, pictures: Tensor) -> None:
    model = model_of(seeded(Excited))
    for target in (logit([4, 0, 2]), channel("skip", 2), logit(1) + 2 * logit(2)):
        maps = explain(model, pictures, target, "excitation-backprop", layer=layer)
        small = F.adaptive_avg_pool2d(maps[:, None], 16 if layer < "layers.4" else 8)
        total = small.sum((1, 2, 3))
        assert maps.min() >= 0
        assert (total <= 1 + 1e-4).all()
        if layer != "layers.0":
            torch.testing.assert_close(total, torch.ones(3), rtol=2e-2, atol=2e-2)


def test_the_probabilities_of_a_step_by_hand() -> None:
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)))
    model = load_model(net, normalize="none", input_size=2, device="cpu")
    image = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    a = net[:3](image).detach()
    winning = a * net[3].weight[1].clamp_min(0).detach()
    losing = a * (-net[3].weight[1]).clamp_min(0).detach()
    winning, losing = winning / winning.sum(), losing / losing.sum()
    for contrastive, expected in ((False, winning), (True, winning - losing)):
        found = explain(
            model, image, logit(1), f"excitation-backprop:contrastive={str(contrastive).lower()}", layer="1"
        )
        torch.testing.assert_close(found[0], expected.view(4, 2, 2).sum(0).relu(), rtol=1e-3, atol=1e-5)


# ---- Memory ----


@pytest.mark.parametrize(
    "method", ["lrp", "lrp:rule=epsilon", "excitation-backprop:contrastive=true", "deeplift", "deep-shap"]
)
def test_nothing_stays_in_memory(method: str, tiny: Model, pictures: Tensor) -> None:
    """A reference cycle between a rule and the graph's nodes would never be freed."""

    def left() -> int:
        explain(tiny, pictures, logit(1), method, layer="stem" if "excitation" in method else None)
        gc.collect()
        return sum(issubclass(type(each), Tensor) for each in gc.get_objects())

    assert left() == left()


# ---- Localization in photographs ----


def outline(name: str) -> Tensor:
    """The box around the object, as a mask (224, 224)."""
    box = {"wood_rabbit": (20, 40, 195, 190), "container_ship": (60, 0, 160, 224), "goldfish": (40, 0, 175, 210)}[name]
    inside = torch.zeros(224, 224, dtype=torch.bool)
    inside[box[0] : box[2], box[1] : box[3]] = True
    return inside


@pytest.mark.parametrize("name", ["goldfish", "wood_rabbit", "container_ship"])
@pytest.mark.parametrize(
    ("method", "network"),
    [
        ("lrp", "squeezenet"),
        ("lrp", "mobilenet"),
        ("deeplift:baseline=blur", "squeezenet"),
        ("excitation-backprop", "mobilenet"),
        ("excitation-backprop:contrastive=true", "mobilenet"),
    ],
)
def test_the_thing_lights_up(
    method: str, network: str, name: str, photo: Callable[[str], Tensor], request: pytest.FixtureRequest
) -> None:
    model: Model = request.getfixturevalue(network)
    picture = photo(name)
    (heat,) = explain(model, picture, f"logit:{name.replace('_', ' ')}", method)
    there = outline(name)
    heat = heat.abs()
    assert heat[there].sum() / heat.sum() > 1.15 * there.float().mean()


@pytest.mark.parametrize("method", ["lrp", "deeplift", "excitation-backprop"])
def test_other_weights_make_another_map(
    method: str, squeezenet: Model, squeezenet_weights: Path, photo: Callable[[str], Tensor]
) -> None:
    other = load_model("torchvision:squeezenet1_0", weights=squeezenet_weights, device="cpu")
    for part in other.module.modules():
        if isinstance(part, nn.Conv2d):
            noise = torch.randn(part.weight.shape, generator=torch.Generator().manual_seed(0))
            part.weight.data = noise * part.weight.std()
    picture = photo("goldfish")
    target, layer = channel("features.12", 7), "features.10" if method == "excitation-backprop" else None
    one, two = (explain(model, picture, target, method, layer=layer).flatten() for model in (squeezenet, other))
    assert abs(float(torch.corrcoef(torch.stack([one, two]))[0, 1])) < 0.5
