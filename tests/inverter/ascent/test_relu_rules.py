"""Every spelling of a ReLU is found, and no other function; its gradient follows the rule."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter.ascent.relu_rules import DeconvReLU, GuidedReLU, RedirectedReLU
from inverter.ascent.relu_spellings import spelled_relu


def in_place(x: Tensor) -> Tensor:
    y = x + 0
    y[y < 0] = 0
    return y


def masked_in_place(x: Tensor) -> Tensor:
    y = x + 0
    y *= y > 0
    return y


def clamped_in_place_and_overwritten(x: Tensor) -> Tensor:
    y = (x + 0).clamp_(min=0)
    return y.mul_(1.0)


SPELLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "F.relu": F.relu,
    "module": nn.ReLU(),
    "method": Tensor.relu,
    "in place": lambda x: (x + 0).relu_(),
    "clamp(min=0)": lambda x: x.clamp(min=0),
    "clamp(0)": lambda x: torch.clamp(x, 0),
    "clamp of tensor": lambda x: x.clamp(min=torch.zeros(())),
    "clamp(0, None)": lambda x: x.clamp(0, None),
    "clamp_": clamped_in_place_and_overwritten,
    "clip": lambda x: torch.clip(x, min=0.0),
    "clamp_min": lambda x: x.clamp_min(0),
    "clamp_min_": lambda x: (x + 0).clamp_min_(0),
    "maximum": lambda x: torch.maximum(x, x.new_zeros(())),
    "maximum, zero first": lambda x: torch.maximum(torch.zeros_like(x), x),
    "max": lambda x: torch.max(x, torch.zeros(1)),
    "fmax": lambda x: x.fmax(torch.zeros(())),
    "where": lambda x: torch.where(x > 0, x, 0),
    "where, zeros": lambda x: torch.where(x >= 0, x, torch.zeros_like(x)),
    "where, reversed": lambda x: torch.where(x < 0, 0.0, x),
    "x.where": lambda x: x.where(x > 0, 0),
    "mask product": lambda x: (x > 0) * x,
    "float mask": lambda x: x * (x > 0).float(),
    "torch.mul": lambda x: torch.mul(x, x.gt(0).to(x.dtype)),
    "heaviside": lambda x: x * torch.heaviside(x.detach(), torch.zeros(())),
    "mask in place": masked_in_place,
    "masked_fill": lambda x: x.masked_fill(x < 0, 0),
    "setitem": in_place,
    "threshold": lambda x: F.threshold(x, 0, 0),
    "nn.Threshold": nn.Threshold(0, 0),
    "hardtanh": lambda x: F.hardtanh(x, 0, float("inf")),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.0),
    "operator": torch.ops.aten.relu.default,
}


def gradient(rule: DeconvReLU | GuidedReLU, relu: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).requires_grad_()
    with rule:
        y = relu(x + 0)
    (found,) = torch.autograd.grad(y, x, torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0]))
    assert rule.found == 1
    return y.detach(), found


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_rectified(name: str) -> None:
    values, guided = gradient(GuidedReLU(), SPELLINGS[name])
    assert values.tolist() == [0, 0, 0, 1, 2]
    assert guided.tolist() == [0, 0, 0, 1, 0]
    assert gradient(DeconvReLU(), SPELLINGS[name])[1].tolist() == [1, 0, 1, 1, 0]


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_redirected_for_stuck_images(name: str) -> None:
    x = torch.tensor([[-1.0, -2.0], [-1.0, 2.0]]).requires_grad_()
    with RedirectedReLU(torch.tensor([True, False])):
        y = SPELLINGS[name](x + 0)
    (found,) = torch.autograd.grad(y, x, torch.tensor([[-1.0, 1.0], [-1.0, -1.0]]))
    assert found.tolist() == [[-1, 0], [0, -1]]


@pytest.mark.parametrize("relu", [F.relu6, nn.ReLU6(), lambda x: x.clamp(0, 6), lambda x: F.hardtanh(x, 0.0, 6.0)])
def test_a_ceiling_is_known(relu: Callable[[Tensor], Tensor]) -> None:
    x = torch.tensor([-1.0, 3.0, 7.0]).requires_grad_()
    with GuidedReLU() as rule:
        y = relu(x + 0)
    assert rule.found == 1
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "other",
    [
        lambda x: x.clamp(min=-1),
        lambda x: x.clamp(max=0),
        lambda x: F.threshold(x, 0.5, 0),
        lambda x: F.leaky_relu(x),
        lambda x: F.hardtanh(x),
        lambda x: x * (x > 1),
        lambda x: x * x,
        lambda x: torch.where(x > 1, x, 0),
        lambda x: torch.where(x > 0, x, 0.1 * x),
        lambda x: torch.maximum(x, torch.ones(())),
        lambda x: x.max(),
        lambda x: x.masked_fill(x > 0, 0),
        lambda x: 2 * x,
        F.gelu,
        F.silu,
    ],
)
def test_what_is_no_relu_keeps_its_gradient(other: Callable[[Tensor], Tensor]) -> None:
    x = torch.tensor([-2.0, -0.5, 0.7, 2.0]).requires_grad_()
    plain = torch.autograd.grad(other(x + 0).sum(), x)[0]
    with GuidedReLU() as rule:
        y = other(x + 0)
    assert rule.found == 0
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], plain)


def test_names_of_other_activations_are_noted() -> None:
    x = torch.ones(2, requires_grad=True)
    with GuidedReLU() as rule:
        F.gelu(F.relu(x))
    assert list(rule.others) == ["gelu"]


def test_integers_are_no_activations() -> None:
    assert spelled_relu(torch.clamp, (torch.arange(3), 0), {}) is None
