"""The deterministic mode: on inside, as it was before outside, and no business of a CPU."""

import os

import torch

from inverter import Settings, load_model, optimize
from inverter.determinism import CUBLAS, deterministic
from objectives import channel
from priors import Fourier


def state() -> tuple[bool, bool, bool, str | None]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        os.environ.get(CUBLAS),
    )


def test_it_is_on_inside_and_leaves_all_as_it_was() -> None:
    before = state()
    try:
        with deterministic():
            assert state() == (True, False, False, ":4096:8")
            raise LookupError
    except LookupError:
        pass
    assert state() == before
    with deterministic(False):
        assert state() == before


def test_a_cpu_gives_the_same_bits_with_it_and_without(tiny_net: torch.nn.Module) -> None:
    model, runs = load_model(tiny_net, input_size=16), []
    for wanted in (True, False, False):
        with deterministic(wanted):
            found = optimize(model, channel("body", [1, 5]), Fourier(2, size=16), Settings(steps=4))
        runs.append(found.images)
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[1], runs[2])
