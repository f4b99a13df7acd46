"""Every method on a trained network and on the same network with random weights (Adebayo et al. 2018)."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from inverter import Model, encode, load_model
from objectives import channel, logit
from recipes.attribution import explain
from recipes.attribution.measures.randomisation import randomisation, weighted_layers
from recipes.attribution.registry import NAMES, get_method
from tools.bundled.world import TEXTURE_COUNT
from tools.bundled.world import pictures as drawn

HARDLY = {"guided-backprop": 0.8, "guided-grad-cam": 0.5, "deconvnet": 0.55, "lrp": 0.75}
"""Methods whose maps hardly change when the upper half of the layers is random -> least rank correlation.

Only positive values are propagated, so that maps converge to the structures seen by the lower layers, whatever is above
(Adebayo et al. 2018 for the first two, Nie et al. 2018 for the third, Sixt et al. 2020 for the ZPlus rule of `lrp`).
"""
CHANGED = 0.65
"""Upper bound of the rank correlation of |map| for all others. Squared gradients come close to it."""
FEW = {
    "occlusion": "occlusion:size=16,stride=8",
    "rise": "rise:masks=60",
    "score-cam": "score-cam:channels=24",
    "meaningful-perturbation": "meaningful-perturbation:steps=10,cells=8",
    "extremal-perturbation": "extremal-perturbation:steps=10,areas=[0.2]",
}
"""More passes than `quick` has, for methods whose maps would be noise otherwise."""


@pytest.fixture(scope="module")
def builtin() -> Model:
    return load_model("builtin", device="cpu")


@pytest.fixture(scope="module")
def things() -> Tensor:
    """Three rendered objects, (3, 3, 64, 64)."""
    return drawn(seed=1, first=TEXTURE_COUNT + 2, count=3, size=64)[0]


def kept(method: str, model: Model, images: Tensor, seeds: int = 2) -> float:
    """Rank correlation of |map| with itself once the upper half of the layers is random: mean over pictures, seeds."""
    facts = get_method(method.partition(":")[0])
    top = encode(model, images, "")[""].argmax(1).tolist()
    # A linear score depends on one layer only: half of the layers is that one.
    target = channel("features.stem.conv1", 5) if facts.linear else logit(top)
    layers = weighted_layers(model, target, (64, 64))

    def explainer(network: Model, pictures: Tensor) -> Tensor:
        return explain(network, pictures, target, method, layer="features.stage3" if facts.movable else None)

    found = list[Tensor]()
    for seed in range(seeds):
        (depth,) = randomisation(explainer, model, images, layers, [(len(layers) + 1) // 2], seed, facts.signed)
        found.append(depth.size)
    return float(torch.cat(found).nanmean())


@pytest.mark.parametrize("name", [name for name in NAMES if not get_method(name).attention])
def test_random_weights_change_the_map(name: str, builtin: Model, things: Tensor, quick: Callable[[str], str]) -> None:
    left = kept(FEW.get(name, quick(name)), builtin, things)
    if name in HARDLY:
        assert left > HARDLY[name]
    else:
        assert left < CHANGED


def test_it_is_the_rule_that_forgets_the_weights(builtin: Model, things: Tensor) -> None:
    assert kept("lrp:rule=epsilon", builtin, things) < 0.5 < kept("lrp:rule=z+", builtin, things)
