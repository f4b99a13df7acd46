"""The deterministic mode: on inside, restored outside, and without effect on a CPU."""

import os

import pytest
import torch

from inverter import RunFailed, Settings, load_model, optimize
from inverter.isolation.determinism import CUBLAS, deterministic
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


def test_a_cpu_is_bit_identical_with_it_and_without(tiny_net: torch.nn.Module) -> None:
    model, runs = load_model(tiny_net, input_size=16), []
    for enabled in (True, False, False):
        with deterministic(enabled):
            found = optimize(model, channel("body", [1, 5]), Fourier(2, size=16), Settings(steps=4))
        runs.append(found.images)
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[1], runs[2])


def test_an_operation_without_a_deterministic_algorithm_is_reported() -> None:
    message = "roll_cuda does not have a deterministic implementation, but you set '...'\nYou can turn it off"
    says = r"^roll_cuda does not have a deterministic implementation on this device: run"
    with pytest.raises(RunFailed, match=says), deterministic(), deterministic():
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match=r"^other$"), deterministic():
        raise RuntimeError("other")
