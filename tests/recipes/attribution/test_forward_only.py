"""Cheaper forward passes: the same values, for networks written in any way, and a network that stays as it was."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from inverter import Model
from recipes.attribution.forward_only import ForwardOnly


class Counting(TorchDispatchMode):
    """Counts the operations that are run."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = Counter[str]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[function.name().split(".")[0]] += 1
        return function(*args, **(kwargs or {}))


class Awkward(nn.Module):
    """Normalisations that may be folded (0, 3) and that may not (1, 2), functional ones, a weight that is made anew."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if i == 0 else 6, 6, 3, padding=1, bias=i % 2 == 0) for i in range(5))
        self.norms = nn.ModuleList(nn.BatchNorm2d(6, affine=i != 3) for i in range(5))
        for norm in self.norms:
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.2, 2)
            if norm.affine:
                nn.init.normal_(norm.weight)
                nn.init.normal_(norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.convs[0](x)), inplace=True)
        y = self.convs[1](x)
        x = self.norms[1](y) + y  # read twice
        x = self.norms[2](self.convs[2](x)) + self.norms[4](self.convs[2](x))  # two for one weight
        norm = self.norms[3]
        x = F.batch_norm(self.convs[3](x), norm.running_mean, norm.running_var, eps=norm.eps)
        return self.norms[4](F.conv2d(x, torch.tanh(self.convs[4].weight)))


@pytest.fixture
def awkward() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Awkward().eval().requires_grad_(False)


@torch.no_grad()
def test_values_are_the_same_and_what_can_be_folded_is(
    awkward: nn.Module, snapshot: Callable[[nn.Module], dict[str, object]]
) -> None:
    before, fast = snapshot(awkward), ForwardOnly()
    scaled: list[nn.Module] = []
    for size in (16, 16, 12):
        x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(size))
        with fast:
            found = awkward(x)
        torch.testing.assert_close(found, awkward(x), rtol=1e-4, atol=1e-4)
    with fast:
        for i in range(5):
            y = awkward.convs[i](torch.rand(1, awkward.convs[i].in_channels, 4, 4))
            if awkward.norms[i](y) is not y:
                scaled.append(awkward.norms[i])
    assert scaled == [awkward.norms[1], awkward.norms[2], awkward.norms[4]]
    assert snapshot(awkward) == before


@torch.no_grad()
def test_weights_are_cast_once_and_no_normalisation_is_left(mobilenet: Model) -> None:
    x, fast = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), ForwardOnly()
    with mobilenet.looking([""]) as capture:
        exact = capture(x)[""]
        with fast:
            capture(x)
        with fast:
            torch.testing.assert_close(capture(x)[""], exact, rtol=1e-3, atol=1e-3)
        with torch.autocast("cpu", torch.bfloat16):
            with fast:
                capture(x)  # casts
            with Counting() as counting, fast:
                rounded = capture(x)[""].float()
    assert (rounded - exact).square().mean().sqrt() < 0.1 * exact.std()
    assert not any("batch_norm" in name for name in counting.calls)
    assert counting.calls["aten::convolution"] == 52
    assert counting.calls["aten::_to_copy"] <= 5  # the picture, the linear layer and the logits
