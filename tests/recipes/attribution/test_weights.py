"""Every method, asked of a trained network and of the same with random weights (Adebayo et al. 2018)."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from inverter import Model, encode, load_model
from objectives import channel, logit
from recipes.attribution import explain
from recipes.attribution.measures.randomisation import randomisation, weighted_layers
from recipes.attribution.registry import NAMES, find
from tools.bundled.world import TEXTURE_COUNT
from tools.bundled.world import pictures as drawn

HARDLY = {"guided-backprop": 0.8, "guided-grad-cam": 0.5, "deconvnet": 0.55, "lrp": 0.75}
"""Methods that do not tell that the upper half of the layers is random, and how much of their maps stays at least.

What goes back is kept where it is positive, so it converges to what the lower layers see, whatever is above (Adebayo et
al. 2018 for the first two, Nie et al. 2018 for the third, Sixt et al. 2020 for the z+ rule of `lrp`).
"""
CHANGED = 0.65
"""Rank correlation of |map| with itself of which all others keep less. Squares of gradients come near."""
FEW = {
    "occlusion": "occlusion:size=16,stride=8",
    "rise": "rise:masks=60",
    "score-cam": "score-cam:channels=24",
    "meaningful-perturbation": "meaningful-perturbation:steps=10,cells=8",
    "extremal-perturbation": "extremal-perturbation:steps=10,areas=[0.2]",
}
"""More than `quick` asks of methods whose maps would else be chance."""


@pytest.fixture(scope="module")
def builtin() -> Model:
    return load_model("builtin", device="cpu")


@pytest.fixture(scope="module")
def things() -> Tensor:
    """Three drawn things, (3, 3, 64, 64)."""
    return drawn(seed=1, first=TEXTURE_COUNT + 2, count=3, size=64)[0]


def kept(method: str, model: Model, images: Tensor, seeds: int = 2) -> float:
    """Rank correlation of |map| with itself once the upper half of the layers is random: mean over pictures, seeds."""
    facts = find(method.partition(":")[0])
    top = encode(model, images, "")[""].argmax(1).tolist()
    # A linear score reads one layer alone: half of them is that one.
    target = channel("features.stem.conv1", 5) if facts.linear else logit(top)
    layers = weighted_layers(model, target, (64, 64))

    def ask(network: Model, pictures: Tensor) -> Tensor:
        return explain(network, pictures, target, method, layer="features.stage3" if facts.movable else None)

    found = list[Tensor]()
    for seed in range(seeds):
        (depth,) = randomisation(ask, model, images, layers, [(len(layers) + 1) // 2], seed, facts.signed)
        found.append(depth.size)
    return float(torch.cat(found).nanmean())


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_change_the_map(name: str, builtin: Model, things: Tensor, quick: Callable[[str], str]) -> None:
    left = kept(FEW.get(name, quick(name)), builtin, things)
    if name in HARDLY:
        assert left > HARDLY[name]
    else:
        assert left < CHANGED


def test_it_is_the_rule_that_forgets_the_weights(builtin: Model, things: Tensor) -> None:
    assert kept("lrp:rule=epsilon", builtin, things) < 0.5 < kept("lrp:rule=z+", builtin, things)
