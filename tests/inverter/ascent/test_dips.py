"""Activation functions with a dip: where they are lowest, whose gradient is reversed, and that a unit is reached."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Settings, optimize
from inverter.ascent.dips import DIPS, Lift
from objectives import channel
from priors import Pixels

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
}


@pytest.mark.parametrize("name", DIPS)
def test_the_dip_is_where_the_function_is_lowest(name: str) -> None:
    x = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    assert x[FUNCTIONS[name](x).argmin()].item() == pytest.approx(DIPS[name], abs=2e-3)


def slopes(x: Tensor, inactive: Tensor, raised: bool = True, times: int = 1, on: bool = True) -> Tensor:
    """What descent on the loss sees at x, if the loss falls as GELU rises (`raised`), or the other way round."""
    x = x.clone().requires_grad_()
    with Lift(on) as lift:
        y = x
        for _ in range(times):
            y = F.gelu(y)
    lift.inactive = inactive
    (-y if raised else y).sum().backward()
    assert x.grad is not None
    return x.grad


def test_below_the_dip_an_inactive_image_is_led_up_by_the_size_of_its_gradient() -> None:
    x = torch.tensor([[-2.0, -0.5, 1.0], [-2.0, -0.5, 1.0]])
    usual = slopes(x, torch.tensor([False, False]))
    lifted = slopes(x, torch.tensor([True, False]))
    assert usual[0, 0] > 0  # without it, descent moves x down
    assert lifted[0].tolist() == [-usual[0, 0], usual[0, 1], usual[0, 2]]
    assert torch.equal(lifted[1], usual[1])
    assert torch.equal(slopes(x, torch.tensor([True, True]), on=False), usual)


def test_a_gradient_that_lowers_the_unit_is_left_alone() -> None:
    x = torch.full((1, 1), -2.0)
    assert torch.equal(slopes(x, torch.tensor([True]), raised=False), slopes(x, torch.tensor([False]), raised=False))


def test_only_the_last_function_of_a_forward_pass_is_the_unit() -> None:
    x = torch.full((1, 1), -2.0)  # the second of them is at -0.05, above the dip
    assert torch.equal(slopes(x, torch.tensor([True]), times=2), slopes(x, torch.tensor([False]), times=2))


def test_an_inplace_function_stays_as_it_is() -> None:
    x = torch.full((1, 1), -2.0, requires_grad=True)
    with Lift() as lift:
        y = F.silu(x.clone(), inplace=True)
    lift.inactive = torch.tensor([True])
    (-y).sum().backward()
    assert x.grad is not None
    assert x.grad.item() > 0


def test_a_unit_that_starts_below_the_dip_is_reached_only_with_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.GELU())
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.fill_(-3.0)
    scores = [
        optimize(
            network, channel("1", [0]), Pixels(1, 8), Settings(steps=40, redirect=redirect, learning_rate=0.05), "none"
        ).scores.item()
        for redirect in (0, 40)
    ]
    assert abs(scores[0]) < 0.01  # the picture is black
    assert scores[1] > 1
