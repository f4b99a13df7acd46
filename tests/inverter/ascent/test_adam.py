"""Adam over a batch: the paper's update for each picture, and a picture that has stopped stays where it is."""

import pytest
import torch
from torch import Tensor, nn

from inverter.ascent.adam import Adam
from inverter.ascent.optimizer import finite


def gradients(steps: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3, 2, 4, generator=generator) for _ in range(steps)]


def run(optimizer: Adam, parameter: nn.Parameter, given: list[Tensor], alive: Tensor) -> None:
    for gradient in given:
        optimizer.step(alive, torch.zeros(len(alive)), [gradient])


def test_it_is_torchs_adam_with_a_rate_for_each_step() -> None:
    ours, theirs = nn.Parameter(torch.zeros(3, 2, 4)), nn.Parameter(torch.zeros(3, 2, 4))
    rates = [0.1, 0.5, 0.2, 0.05, 0.3]
    reference = torch.optim.Adam([theirs], betas=(0.9, 0.99))
    run(Adam([ours], rates, noise=0), ours, gradients(5), torch.ones(3, dtype=torch.bool))
    for rate, gradient in zip(rates, gradients(5), strict=True):
        reference.param_groups[0]["lr"] = rate
        theirs.grad = gradient
        reference.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_stopped_picture_does_not_move_by_momentum_and_the_others_do_not_notice() -> None:
    parameter, alone = nn.Parameter(torch.zeros(3, 2, 4)), nn.Parameter(torch.zeros(3, 2, 4))
    given = gradients(6)
    everyone = torch.ones(3, dtype=torch.bool)
    stopped = torch.tensor([True, False, True])
    optimizer = Adam([parameter], [0.1] * 6)
    run(optimizer, parameter, given[:2], everyone)
    there = parameter[1].detach().clone()
    for step in range(2, 6):
        given[step][1] = float("nan")
        assert finite([given[step]]).tolist() == [True, False, True]
        optimizer.step(stopped, torch.zeros(3), [given[step]])
    run(Adam([alone], [0.1] * 6), alone, gradients(6), everyone)
    assert torch.equal(parameter[1], there)
    assert torch.equal(parameter[[0, 2]], alone[[0, 2]])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_number_in_any_parameter_makes_a_picture_not_finite(bad: float) -> None:
    first, second = torch.zeros(3, 2), torch.zeros(3, 5, 5)
    second[2, 4, 4] = bad
    assert finite([first, second]).tolist() == [True, True, False]


def test_a_gradient_that_never_arrives_is_reported() -> None:
    with pytest.raises(ValueError, match="does not reach"):
        Adam([nn.Parameter(torch.zeros(1, 2))], [0.1]).gradients(torch.zeros(1, requires_grad=True))


def test_after_a_reset_it_starts_anew_at_the_same_places_in_memory() -> None:
    parameter = nn.Parameter(torch.zeros(3, 2, 4))
    everyone, optimizer = torch.ones(3, dtype=torch.bool), Adam([parameter], [0.1, 0.3, 0.2])
    places = [tensor.data_ptr() for tensor in (optimizer.steps, *optimizer.means, *optimizer.squares)]
    run(optimizer, parameter, gradients(3), everyone)
    first = parameter.detach().clone()
    with torch.no_grad():
        parameter.zero_()
    optimizer.reset()
    run(optimizer, parameter, gradients(3), everyone)
    assert torch.equal(parameter, first)
    assert places == [tensor.data_ptr() for tensor in (optimizer.steps, *optimizer.means, *optimizer.squares)]
