"""Randomised weights: on a copy, from the top, and reflected by methods that depend on the weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from inverter import Model, encode
from objectives import channel, logit
from recipes.attribution import explain
from recipes.attribution.measures.randomisation import cascade, randomisation, spread_depths, weighted_layers

TOP_DOWN = ["head", "mix", "body", "stem.1", "stem.0"]


def edges(_model: Model, images: Tensor) -> Tensor:
    return images.mean(1).diff(dim=1, prepend=images.mean(1)[:, :1]).abs()


def test_layers_come_from_the_top_as_far_as_the_target_reads(tiny: Model) -> None:
    assert weighted_layers(tiny, logit([0, 1]), (16, 16)) == TOP_DOWN
    assert weighted_layers(tiny, channel("body", 1), (16, 16)) == ["body", "stem.1", "stem.0"]


def test_an_inner_part_goes_with_the_one_that_uses_it() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cut = nn.Conv2d(3, 8, 4, 4)
            self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.cut(x).flatten(2).transpose(1, 2)
            return self.head(self.mix(x, x, x, need_weights=False)[0].mean(1))

    found = weighted_layers(Model(Attention(), input_size=(16, 16)), logit(1), (16, 16))
    assert found[0] == "head"
    assert found[-1] == "cut"
    assert set(found[1:-1]) == {"mix", "mix.out_proj"}


def test_the_cascade_goes_on_and_leaves_the_users_network_alone(
    tiny: Model, snapshot: Callable[[nn.Module], dict[str, object]]
) -> None:
    before, random = snapshot(tiny.module), torch.get_rng_state()
    own = {name: value.detach().clone() for name, value in tiny.module.named_parameters()}
    changed = []
    for count, network in cascade(tiny, TOP_DOWN, [1, 3, 5], seed=0):
        new = dict(network.module.named_parameters())
        changed.append({name.rpartition(".")[0] for name in own if not torch.equal(own[name], new[name])})
        assert len(changed[-1]) == count
        for name in ("head.weight", "body.weight"):
            assert 0.5 < float(new[name].detach().norm() / own[name].norm()) < 2
    assert changed == [set(TOP_DOWN[:count]) for count in (1, 3, 5)]
    assert snapshot(tiny.module) == before
    assert torch.equal(torch.get_rng_state(), random)


def test_the_same_draws_for_every_method(tiny: Model) -> None:
    def weights() -> list[Tensor]:
        return [network.module.get_parameter("body.weight").clone() for _, network in cascade(tiny, TOP_DOWN, [3], 7)]

    assert torch.equal(weights()[0], weights()[0])


def test_a_map_that_ignores_the_weights_stays_what_it_was(tiny: Model, pictures: Tensor) -> None:
    for depth in randomisation(edges, tiny, pictures, TOP_DOWN, [1, 5], 0, signed=False):
        assert depth.rank.tolist() == pytest.approx([1.0] * 3)
        assert depth.size.tolist() == pytest.approx([1.0] * 3)
        assert depth.ssim.tolist() == pytest.approx([1.0] * 3, abs=1e-4)


@pytest.mark.parametrize(("method", "signed"), [("saliency", False), ("gradient-x-input", True)])
def test_a_gradient_changes_with_the_weights(method: str, signed: bool, tiny: Model, pictures: Tensor) -> None:
    def explainer(network: Model, images: Tensor) -> Tensor:
        return explain(network, images, logit(1), method)

    first, last = randomisation(explainer, tiny, pictures, TOP_DOWN, [1, 5], 0, signed)
    assert (first.layers, first.down_to, last.down_to) == (1, "head", "stem.0")
    assert (last.rank.abs() < 0.5).all()
    assert first.maps.shape == (3, 16, 16)


def test_a_network_that_falls_silent_is_not_compared(tiny: Model, pictures: Tensor) -> None:
    def explainer(network: Model, images: Tensor) -> Tensor:
        return images.mean(1) * (network is tiny)

    (depth,) = randomisation(explainer, tiny, pictures, TOP_DOWN, [2], 0, signed=False)
    assert depth.rank.isnan().all()
    assert depth.ssim.isnan().all()


def test_depths_are_spread_evenly_and_end_with_all() -> None:
    assert spread_depths(1, 26) == [1, 26]
    assert spread_depths(3, 5) == [1, 3, 5]
    assert spread_depths(8, 3) == spread_depths(0, 3) == [1, 2, 3]


def test_guided_backpropagation_hardly_sees_that_the_classes_are_random(
    squeezenet: Model, photo: Callable[[str], Tensor]
) -> None:
    """Adebayo et al. 2018: its maps stay the same while the upper layers are randomised; those of Grad-CAM do not."""
    images = nn.functional.avg_pool2d(torch.cat([photo("goldfish"), photo("toucan")]), 2)
    target = logit(encode(squeezenet, images, "")[""].argmax(1).tolist())
    layers = weighted_layers(squeezenet, target, (112, 112))
    assert len(layers) == 26
    assert (layers[0], layers[-1]) == ("classifier.1", "features.0")

    def correlation(method: str) -> float:
        def explainer(network: Model, pictures: Tensor) -> Tensor:
            return explain(network, pictures, target, method)

        (depth,) = randomisation(explainer, squeezenet, images, layers, [1], 0, signed=False)
        return float(depth.size.nanmean())

    assert correlation("guided-backprop") > 0.7
    assert correlation("grad-cam") < 0.5
