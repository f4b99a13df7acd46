"""The choice between two ways of an input gradient: measured where it is not known, and the same every time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from inverter.ascent import ways
from inverter.ascent.input_gradients import InputGradients
from inverter.isolation.determinism import deterministic
from tests.pretended import PretendedDevice

IS_KNOWN = ways.is_known  # which other tests replace
WEIGHT = torch.zeros(4, 3, 3, 3)


@pytest.fixture(autouse=True)
def with_tiles(no_clock: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A processor on which the ways are not known, and whose clock runs only when a way is computed."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(ways, "is_known", IS_KNOWN)
    monkeypatch.setattr(ways, "_chosen", {})
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    Slow.now = now
    yield


class Slow:
    """A way that takes some seconds, and counts how often it is computed."""

    now: list[float]

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, 0

    def __call__(self, gradient: Tensor) -> Tensor:
        self.now[0] += self.seconds
        self.calls += 1
        return gradient


@pytest.mark.parametrize("special, usual, expected", [(1.0, 2.0, True), (1.4, 1.0, True), (1.6, 1.0, False)])
def test_the_usual_way_is_taken_if_it_is_clearly_faster(special: float, usual: float, expected: bool) -> None:
    pair = Slow(special), Slow(usual)
    for _ in range(2):
        assert ways.pays(*pair, (4, 5, 5), ("a",), WEIGHT) == expected
    assert [way.calls for way in pair] == [ways.REPEATS] * 2  # once in a process
    assert ways.pays(pair[1], pair[0], (4, 5, 5), ("b",), WEIGHT) == (usual < ways.MARGIN * special)


def test_a_measurement_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(ways, "PICTURES", {"cpu": 32})
    monkeypatch.setattr(ways, "LARGEST", 1000)
    for side in (1, 10, 100):
        ways.pays(lambda x: (counts.append(len(x)), x)[1], Slow(1.0), (1, side, side), (side,), WEIGHT)
    assert counts[:: ways.REPEATS] == [32, 10, 1]


def test_deterministic_runs_and_known_processors_do_not_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Slow(9.0), Slow(1.0)
    with deterministic():
        assert ways.pays(*pair, (4, 5, 5), ("a",), WEIGHT)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert ways.pays(*pair, (4, 5, 5), ("a",), WEIGHT)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert IS_KNOWN(torch.device("cuda"))  # while a stream is recorded
    assert [way.calls for way in pair] == [0, 0]


@pytest.fixture
def first_layers() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, 2, 1, groups=8))
    return layers.eval().requires_grad_(False)


@pytest.mark.parametrize("faster", ["special", "usual"])
def test_either_way_has_the_gradient_that_torch_finds(
    first_layers: nn.Module, faster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds(way: Callable[[Tensor], Tensor], example: Tensor) -> float:
        assert way(example).shape == (1, 3, 23, 21)
        return 1.0 if (way.__name__ == "usual") == (faster == "usual") else 2.0

    monkeypatch.setattr(ways, "_seconds", seconds)
    x = torch.randn(2, 3, 23, 21, requires_grad=True)
    (expected,) = torch.autograd.grad(first_layers(x).square().sum(), x)
    with InputGradients():
        y = first_layers(x)
    assert ("_Convolution" in _history(y)) == (faster == "special")
    (found,) = torch.autograd.grad(y.square().sum(), x)
    torch.testing.assert_close(found, expected)
    assert len(ways._chosen) == 1  # the depthwise layer has a special way in bfloat16 alone


def _history(y: Tensor) -> str:
    node, names = y.grad_fn, []
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    return " ".join(names)


def test_a_gpu_takes_the_same_ways(first_layers: nn.Module) -> None:
    picture = torch.randn(2, 3, 23, 21)
    (expected,) = torch.autograd.grad(first_layers(x := picture.clone().requires_grad_()).square().sum(), x)
    with PretendedDevice() as gpu:
        net, x = first_layers.to("cuda"), picture.to("cuda").requires_grad_()
        for _ in range(2):
            with InputGradients():
                y = net(x)
            (found,) = torch.autograd.grad(y.square().sum(), x)
        assert gpu.waits.total() == 2 * ways.REPEATS  # the clock of one measurement
        found = found.cpu()
    torch.testing.assert_close(found, expected)
