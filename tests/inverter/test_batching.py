"""Pictures together: by the memory of a GPU, a constant on a CPU, and never an error of its own."""

import pytest
import torch
from torch import nn

from inverter import Model, load_model
from inverter.batching import MOST, pictures_at_once
from tests.pretended import PretendedDevice


@pytest.fixture
def net() -> Model:
    return load_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)), input_size=16, device="cpu")


def at_once(model: Model, monkeypatch: pytest.MonkeyPatch, free: int, peak: int, copies: int = 1) -> int:
    """The number for a GPU with so much free memory, of which the measured pass of two pictures takes `peak`."""
    with PretendedDevice():
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (free, 2 * free))
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: peak)
        return pictures_at_once(model.on("cuda"), ["2"], (16, 16), gradient=True, copies=copies)


def test_a_cpu_takes_eight(net: Model) -> None:
    assert pictures_at_once(net, ["2"], (16, 16)) == 8
    assert pictures_at_once(net, ["2"], (16, 16), copies=3) == 2
    assert pictures_at_once(net, ["2"], (16, 16), copies=30) == 1


@pytest.mark.parametrize(
    ("free", "copies", "expected"),
    [(1000, 1, 8), (2500, 1, 16), (10**9, 1, MOST), (10**9, 100, 2), (10, 1, 1), (1000, 4, 2)],
)
def test_a_gpu_takes_a_power_of_two_that_fits(
    net: Model, monkeypatch: pytest.MonkeyPatch, free: int, copies: int, expected: int
) -> None:
    assert at_once(net, monkeypatch, free, 200, copies) == expected


def test_a_pass_is_measured_once(net: Model) -> None:
    with PretendedDevice() as gpu:
        there, launched = net.on("cuda"), list[int]()
        for gradient in (True, True, False, True):
            before = gpu.launched
            pictures_at_once(there, ["2"], (16, 16), gradient=gradient)
            launched.append(gpu.launched - before)
    assert launched[0] > launched[2] > 0
    assert launched[1] == launched[3] == 0


def test_a_picture_that_the_network_cannot_take_is_left_to_who_uses_it(net: Model) -> None:
    with PretendedDevice():
        assert pictures_at_once(net.on("cuda"), ["2"], (2, 2)) == 64


def test_a_picture_that_does_not_fit_is_tried_alone(net: Model) -> None:
    class Large(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    large = load_model(nn.Sequential(nn.Conv2d(3, 4, 3), Large()), input_size=16, device="cpu")
    with PretendedDevice():
        assert pictures_at_once(large.on("cuda"), ["1"], (16, 16)) == 1
