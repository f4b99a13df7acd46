"""L-BFGS: converges fast where Adam is slow, and each picture independently."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from inverter import Model, Settings, optimize
from inverter.ascent.lbfgs import LBFGS, LONG
from objectives import channel, code
from priors import Fourier

STEEP = torch.tensor([1.0, 30.0, 900.0])


def valley(place: Tensor) -> Tensor:
    """(B,): a long narrow valley, bent, with its bottom 0 at (1, 1, 1); Rosenbrock's and a steep side."""
    x, y, z = place.unbind(1)
    return (1 - x) ** 2 + 30 * (y - x**2) ** 2 + 900 * (z - y) ** 2


def run(place: nn.Parameter, steps: int, alive: Tensor | None = None, memory: int = 10) -> Tensor:
    """The losses (steps, B) of a run."""
    optimizer = LBFGS([place], first=0.1, memory=memory)
    losses = []
    for _ in range(steps):
        loss = valley(place)
        losses.append(loss.detach())
        going = torch.ones(len(place), dtype=torch.bool) if alive is None else alive
        optimizer.step(going, loss.detach(), optimizer.gradients(loss))
    optimizer.finish()
    return torch.stack(losses)


def test_it_comes_down_a_narrow_bent_valley_where_adam_does_not() -> None:
    start = torch.tensor([[-1.2, 1.0, 0.0], [2.0, 0.0, 3.0]])
    place, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    run(place, 80)
    adam = torch.optim.Adam([other], lr=0.05)
    for _ in range(80):
        adam.zero_grad()
        valley(other).sum().backward()
        adam.step()
    assert valley(place).max() < 1e-6
    assert valley(other).min() > 1e-2


@given(st.integers(0, 2**31), st.integers(1, 4))
def test_pictures_do_not_notice_each_other(seed: int, count: int) -> None:
    start = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    together = nn.Parameter(start.clone())
    run(together, 12)
    for row in range(count):
        alone = nn.Parameter(start[row : row + 1].clone())
        run(alone, 12)
        assert torch.allclose(alone[0], together[row], rtol=1e-6, atol=1e-9)


@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 5))
def test_it_never_ends_above_where_it_was(seed: int, steps: int, memory: int) -> None:
    start = 3 * torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    place = nn.Parameter(start.clone())
    losses = run(place, steps, memory=memory)
    assert torch.allclose(valley(place), losses.min(0).values)  # the best of all points that it evaluated


def two_loops(slope: Tensor, moves: list[Tensor], bends: list[Tensor], scale: float) -> Tensor:
    """The direction of one picture by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4)."""
    q, shares = slope.clone(), []
    for move, bend in zip(reversed(moves), reversed(bends), strict=True):
        shares.append(move @ q / (move @ bend))
        q -= shares[-1] * bend
    q *= scale
    for move, bend, share in zip(moves, bends, reversed(shares), strict=True):
        q += (share - bend @ q / (move @ bend)) * move
    return -q


@pytest.mark.parametrize("moves", [1, 2, 5, 8, 13])
def test_the_direction_is_that_of_the_two_loop_recursion(moves: int) -> None:
    memory, size = 5, 12
    draw = torch.Generator().manual_seed(moves)
    optimizer = LBFGS([nn.Parameter(torch.zeros(3, size, dtype=torch.float64))], first=0.1, memory=memory)
    kept: list[tuple[list[Tensor], list[Tensor]]] = [([], []) for _ in range(3)]
    along = torch.zeros(3, 2 * memory, dtype=torch.float64)
    for number in range(moves):
        move = torch.randn(3, size, generator=draw, dtype=torch.float64)
        bend = move * torch.linspace(0.5, 20, size, dtype=torch.float64)
        optimizer.slope = torch.randn(3, size, generator=draw, dtype=torch.float64)
        better = torch.tensor([True, number % 2 == 0, number < 3])  # each picture remembers others
        along = optimizer._remember(better, move, bend)
        for picture in better.nonzero().flatten().tolist():
            for known, new in zip(kept[picture], (move, bend), strict=True):
                known.append(new[picture])
                del known[:-memory]
    found = optimizer._downhill(along)
    for picture, (known_moves, known_bends) in enumerate(kept):
        move, bend = known_moves[-1], known_bends[-1]
        scale = (move @ bend / (bend @ bend)) ** (1 - LONG) * (move @ move / (move @ bend)) ** LONG
        expected = two_loops(optimizer.slope[picture], known_moves, known_bends, float(scale))
        torch.testing.assert_close(found[picture], expected, rtol=1e-8, atol=1e-10)


def test_a_stopped_picture_ends_at_the_best_that_it_had() -> None:
    place = nn.Parameter(torch.tensor([[-1.2, 1.0, 0.0], [2.0, 0.0, 3.0]]))
    before = place.detach().clone()
    run(place, 30, torch.tensor([False, True]))
    assert torch.equal(place[0], before[0])
    assert valley(place)[1] < 1e-2


def test_parameters_of_several_shapes_are_one_vector() -> None:
    a, b = nn.Parameter(torch.zeros(2, 2, 2)), nn.Parameter(torch.zeros(2, 3))
    target = torch.arange(7.0)
    optimizer = LBFGS([a, b], first=0.1)
    for _ in range(25):
        loss = ((torch.cat([a.flatten(1), b], 1) - target).square() * torch.linspace(1, 50, 7)).sum(1)
        optimizer.step(torch.tensor([True, True]), loss.detach(), optimizer.gradients(loss))
    optimizer.finish()
    assert torch.allclose(torch.cat([a.flatten(1), b], 1), target.expand(2, -1), atol=1e-3)


def test_a_gradient_that_never_arrives_is_reported() -> None:
    with pytest.raises(ValueError, match="does not reach the prior's parameters"):
        LBFGS([nn.Parameter(torch.zeros(1, 2))], 0.1).gradients(torch.zeros(1, requires_grad=True))


def test_lbfgs_comes_nearer_to_a_code_than_adam_with_its_usual_momentum(tiny_net: nn.Module) -> None:
    target = Fourier(3, 16, spread=1.0)
    target.reset([torch.Generator().manual_seed(seed) for seed in (7, 8, 9)])
    model = Model(tiny_net)
    with torch.no_grad(), model.capture(["body"]) as capture:
        expected = code("body", capture(model.normalize(target()))["body"])
    scores = {}
    for optimizer, rate in (("lbfgs", 1.0), ("adam", 0.3)):
        settings = Settings(
            steps=40, optimizer=optimizer, learning_rate=rate, momentum=0.9, precision="float32", redirect=0
        )
        result = optimize(tiny_net, expected, Fourier(3, 16), settings, "none")
        scores[optimizer] = result.scores
        # What it ends at is the best that it saw, though the last step may have been a miss.
        assert optimizer == "adam" or (result.scores >= result.history.max(0).values - 1e-4).all()
    assert (scores["lbfgs"] > scores["adam"]).all()


def test_lbfgs_does_not_depend_on_the_batch(tiny_net: nn.Module) -> None:
    settings = Settings(steps=5, optimizer="lbfgs", precision="float32", redirect=0)
    together, parts = (
        optimize(tiny_net, channel("body", [1, 4, 6]), Fourier(3, 12), replace(settings, batch_size=size), "none")
        for size in (3, 1)
    )
    assert torch.allclose(together.images, parts.images, atol=2e-4)
