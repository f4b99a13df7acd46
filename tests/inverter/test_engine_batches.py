"""A unit gets the same random draws in any batch, order and process; attempts at one unit get different ones."""

import pytest
import torch
from torch import nn

from inverter import Inversion, Settings, evaluate, optimize
from inverter.engine import default_batch, unit_seeds
from objectives import Objective, channel, diverse, diversity
from priors import Fourier

EXACT = Settings(steps=6, precision="float32", device="cpu")
UNITS = [3, 0, 5, 7, 1, 6, 2, 4]


def made(net: nn.Module, channels: list[int], batch_size: int | None = None, **options: object) -> Inversion:
    settings = Settings(**{"steps": 6, "precision": "float32", "batch_size": batch_size} | options)  # type: ignore[arg-type]
    return optimize(net, channel("body", channels), Fourier(len(channels), 16), settings, "strong")


def test_a_unit_alone_is_the_same_as_in_a_batch_of_eight(tiny_net: nn.Module) -> None:
    together = made(tiny_net, UNITS)
    for place in (0, 3, 7):
        alone = made(tiny_net, [UNITS[place]])
        assert torch.allclose(alone.images[0], together.images[place], atol=1e-4)
        assert torch.allclose(alone.history[:, 0], together.history[:, place], atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 64])
def test_the_size_of_a_batch_does_not_matter(tiny_net: nn.Module, batch_size: int) -> None:
    together, split = made(tiny_net, UNITS, batch_size=8), made(tiny_net, UNITS, batch_size=batch_size)
    assert torch.allclose(split.images, together.images, atol=1e-4)
    assert torch.allclose(split.scores, together.scores, atol=1e-4)


def test_the_order_of_units_does_not_matter(tiny_net: nn.Module) -> None:
    forth, back = made(tiny_net, UNITS), made(tiny_net, UNITS[::-1], batch_size=3)
    assert torch.allclose(back.images.flip(0), forth.images, atol=1e-4)


def test_the_same_seed_is_bit_identical_and_another_seed_gives_other_pictures(tiny_net: nn.Module) -> None:
    first, again, other = (made(tiny_net, UNITS[:3], seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.history, again.history)
    assert ((first.images - other.images).abs().amax((1, 2, 3)) > 0.05).all()


def test_the_global_generator_is_neither_read_nor_moved(tiny_net: nn.Module) -> None:
    torch.manual_seed(1)
    first = made(tiny_net, [1])
    state = torch.get_rng_state()
    again = made(tiny_net, [1])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.images, again.images)


def test_several_attempts_at_one_unit_draw_differently_and_the_first_as_if_alone(tiny_net: nn.Module) -> None:
    attempts = made(tiny_net, [4, 4, 4])
    for i in range(3):
        assert (attempts.images[i] - attempts.images[(i + 1) % 3]).abs().max() > 0.05
    assert torch.allclose(attempts.images[0], made(tiny_net, [4]).images[0], atol=1e-4)
    split = made(tiny_net, [4, 4, 4], batch_size=2)
    assert torch.allclose(split.images, attempts.images, atol=1e-4)


def test_seeds_depend_on_label_seed_and_how_often_the_label_came() -> None:
    seeds = unit_seeds(["a", "b", "a"], 0)
    assert unit_seeds(["b", "a", "a"], 0) == [seeds[1], seeds[0], seeds[2]]
    assert len({*seeds, *unit_seeds(["a", "b", "a"], 1)}) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_coupled_objective_is_never_split(tiny_net: nn.Module) -> None:
    objective = diverse(channel("body", [1] * 5), "body", [1] * 5)
    split = optimize(tiny_net, objective, Fourier(5, 12), Settings(steps=3, batch_size=2, precision="float32"))
    together = optimize(tiny_net, objective, Fourier(5, 12), Settings(steps=3, batch_size=5, precision="float32"))
    assert torch.equal(split.images, together.images)


def test_diversity_makes_attempts_differ_more(tiny_net: nn.Module) -> None:
    plain = channel("stem.0", [3] * 4)

    def likeness(objective: Objective) -> float:
        result = optimize(tiny_net, objective, Fourier(4, 16), Settings(steps=20, precision="float32"), "none")
        return -evaluate(tiny_net, diversity("stem.0"), result.images).mean().item()

    assert likeness(diverse(plain, "stem.0", [3] * 4, weight=1.0)) < likeness(plain) - 0.02


def test_pictures_together_by_default_are_several() -> None:
    assert default_batch(torch.device("cpu")) > 1
    assert default_batch(torch.device("cuda")) > 1
