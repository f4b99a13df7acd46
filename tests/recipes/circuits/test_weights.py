"""Expanded weights: the product of the weights between two layers, whatever stands between them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.curve_tuning import MODEL, difference, preferred, tuning
from inverter import BadInput, Directions, Model, load_model
from recipes.circuits.weights import expanded_weights, linearity


def model(*layers: nn.Module, size: int = 16) -> Model:
    torch.manual_seed(0)
    return Model(nn.Sequential(*layers).eval(), input_size=(size, size))


def test_a_bottleneck_is_multiplied_through(snapshot: Callable[[nn.Module], dict[str, object]]) -> None:
    first, squeeze, norm, expand = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 5, 3)
    net = model(first, nn.ReLU(inplace=True), squeeze, norm, nn.ReLU(inplace=True), expand, nn.ReLU(inplace=True))
    assert norm.running_var is not None
    nn.init.uniform_(norm.running_var, 0.5, 2)
    before = snapshot(net.module)
    found = expanded_weights(net, "6", [4, 1], "1")
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    expected = torch.einsum("kmyx,m,mc->kcyx", expand.weight, scale, squeeze.weight[:, :, 0, 0])
    torch.testing.assert_close(found.kernels, expected[[4, 1]].detach())
    assert (found.path.depth, found.path.obstacles, found.path.linear) == (2, (), True)
    assert snapshot(net.module) == before


class _Skip(nn.Module):
    """A residual block whose ReLUs are written in three ways, one of them in place on the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.two(self.one(x).clamp(min=0)) + x
        return F.relu_(y)


def test_a_skip_connection_adds_the_identity() -> None:
    block = _Skip()
    found = expanded_weights(model(nn.Conv2d(3, 4, 3), block, size=12), "1", range(4), "0")
    expected = torch.einsum("km,mcyx->kcyx", block.two.weight[:, :, 0, 0], block.one.weight).detach().clone()
    expected[range(4), range(4), 1, 1] += 1
    torch.testing.assert_close(found.kernels, expected)
    assert found.path.depth == 2


def test_maximum_pooling_is_an_average_and_response_normalisation_the_identity() -> None:
    first, last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)
    linear = model(first, nn.AvgPool2d(2), last)
    found = expanded_weights(model(first, nn.MaxPool2d(2), nn.LocalResponseNorm(2, 1.0), last), "3", [1], "0")
    expected = expanded_weights(linear, "2", [1], "0")
    torch.testing.assert_close(found.kernels, expected.kernels)
    assert found.kernels.shape == (1, 4, 6, 6) and (found.path.depth, expected.path.depth) == (0, 0)


def test_a_vector_has_kernels_of_one_position() -> None:
    head = nn.Linear(4, 3)
    net = model(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    torch.testing.assert_close(expanded_weights(net, "", [2, 0], "2").kernels[:, :, 0, 0], head.weight[[2, 0]].detach())
    spread = expanded_weights(net, "", [2], "0").kernels
    torch.testing.assert_close(spread, (head.weight[[2], :, None, None] / 196).detach().expand(1, 4, 14, 14))


@pytest.mark.parametrize("gate", [{"gate": "relu"}, {"gate": "topk", "k": 1}, {"gate": "none"}])
def test_a_latent_has_the_kernels_that_its_encoder_reads_and_that_its_decoder_writes(gate: dict[str, Any]) -> None:
    net = model(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 1))
    directions = Directions("3", torch.randn(3, 6), encoder=torch.randn(3, 6), **gate)
    net = net.with_directions({"sae": directions})
    assert directions.encoder is not None
    read = expanded_weights(net, "3:sae", [2, 0], "1")
    kernels = expanded_weights(net, "3", range(6), "1").kernels
    torch.testing.assert_close(read.kernels, torch.einsum("nk,kcyx->ncyx", directions.encoder[[2, 0]], kernels))
    assert read.path.linear
    written = expanded_weights(net, "4", [1], "3:sae").kernels
    own = expanded_weights(net, "4", [1], "3").kernels
    torch.testing.assert_close(written, torch.einsum("ncyx,lc->nlyx", own, directions.decoder))


def test_what_is_not_linear_is_named() -> None:
    softmax = expanded_weights(model(nn.Conv2d(3, 4, 3), nn.Softmax(1)), "1", [0], "0").path
    assert softmax.obstacles == ("softmax",) and not softmax.linear
    sigmoid = expanded_weights(model(nn.Conv2d(3, 4, 3), nn.Sigmoid()), "1", [0], "0").path
    assert sigmoid.obstacles == ("sigmoid",)
    deep = [nn.Conv2d(3, 4, 1), *(part for _ in range(4) for part in (nn.Conv2d(4, 4, 1), nn.ReLU()))]
    path = expanded_weights(model(*deep), "8", [0], "0").path
    assert (path.depth, path.obstacles, path.linear) == (4, (), False)


def test_a_layer_that_does_not_come_before_is_refused() -> None:
    net = model(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    with pytest.raises(BadInput, match=r"layer '0' does not depend on '1': choose one before it"):
        expanded_weights(net, "0", [0], "1")


def test_the_linear_path_is_compared_with_the_real_one() -> None:
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    net = model(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3), nn.ReLU())
    assert linearity(net, "2", [0, 1], "0", images) == pytest.approx([1, 1], abs=1e-4)
    bent = model(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
    assert linearity(bent, "4", [0], "1", images)[0] < 0.99


def test_a_curve_unit_is_excited_by_curves_of_its_orientation_and_inhibited_by_opposite_ones(shared_data: Path) -> None:
    """GoogLeNet as Caffe trained it, unit 386 of inception3b, a bowl (Cammarata et al. 2021)."""
    net = load_model(MODEL, shared_data / "weights" / "bvlc_googlenet.safetensors", device="cpu")
    size = 112
    own, selectivity = preferred(tuning(net, "inception3b", size, (25.0,), 12)[:, [386]])
    angles, _ = preferred(tuning(net, "inception3a", size, (25.0,), 12))
    assert abs(float(difference(own, 250.0))) < 15 and selectivity > 0.9
    kernels = expanded_weights(net, "inception3b", [386], "inception3a", (size, size)).kernels[0]
    weights, norms = kernels.sum((1, 2)), kernels.flatten(1).norm(dim=1)
    away = difference(angles, float(own)).abs()
    excites, inhibits = (torch.where(mine, norms, -1.0).topk(5).indices for mine in (weights > 0, weights < 0))
    assert set(excites.tolist()) == {221, 202, 216, 213, 198}
    assert away[excites].max() < 90 and away[excites].mean() < 45
    assert away[inhibits].min() > 110 and away[inhibits].mean() > 140
