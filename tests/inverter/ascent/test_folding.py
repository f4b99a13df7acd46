"""Folding: the same values from fewer passes, and only where no other layer reads the folded output."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from inverter import Model, load_model
from inverter.ascent.folding import Folding


def normalisation(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    for tensor, low in ((norm.weight, 0.5), (norm.bias, -1), (norm.running_mean, -1), (norm.running_var, 0.5)):
        assert tensor is not None
        nn.init.uniform_(tensor, low, 2)
    return norm


class Net(nn.Module):
    """Two convolutions with a normalisation each; `course` is what else a forward pass does with the first."""

    def __init__(self, course: str) -> None:
        super().__init__()
        self.course = course
        self.first, self.after_first = nn.Conv2d(3, 6, 3), normalisation(6)
        self.second, self.after_second = nn.Conv2d(6, 6, 3, bias=False), normalisation(6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        z = self.after_first(y)
        if self.course == "the convolution's output is added":
            z = z + y
        z = self.second(z.relu())
        if self.course == "a convolution runs twice":
            z = self.after_second(z)
            z = self.second(z)
        elif self.course == "it is changed in place":
            z.mul_(2)
        return F.relu(self.after_second(z))


def frozen(net: nn.Module) -> nn.Module:
    return net.eval().requires_grad_(False)


def passes(net: nn.Module, folding: Folding, x: Tensor, count: int = 3) -> list[Tensor]:
    found = []
    for _ in range(count):
        with folding:
            found.append(net(x))
    return found


@pytest.fixture
def normalised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each batch normalisation that is actually computed."""
    calls: list[int] = []
    usual = torch.batch_norm
    monkeypatch.setattr(torch, "batch_norm", lambda *args: (calls.append(1), usual(*args))[1])
    return calls


@pytest.mark.parametrize(
    "course, left",
    [
        ("usual", 0),
        ("the convolution's output is added", 1),
        ("it is changed in place", 1),
        ("a convolution runs twice", 0),
    ],
)
def test_only_outputs_with_a_single_reader_are_folded(course: str, left: int, normalised: list[int]) -> None:
    torch.manual_seed(0)
    net, x, folding = frozen(Net(course)), torch.randn(2, 3, 12, 12), Folding()
    expected = net(x)
    for number in range(3):
        normalised.clear()
        with folding:
            torch.testing.assert_close(net(x), expected)
        assert len(normalised) == (left if number else 3 if "twice" in course else 2)


def test_a_network_that_takes_another_course_is_watched_again() -> None:
    torch.manual_seed(0)
    net, x, folding = Net("usual"), torch.randn(2, 3, 12, 12), Folding()
    frozen(net)
    passes(net, folding, x)
    net.after_first, after = nn.Identity(), net.after_first  # type: ignore[assignment]
    passes(net, folding, x, 1)  # the fold of the first convolution has lost its reader
    for found in passes(net, folding, x):
        torch.testing.assert_close(found, net(x))
    net.after_first = after
    passes(net, folding, x, 1)
    for found in passes(net, folding, x):
        torch.testing.assert_close(found, net(x))


def test_layers_that_learn_and_statistics_that_move_are_left_alone(normalised: list[int]) -> None:
    for net in (Net("usual").eval(), Net("usual").train().requires_grad_(False)):
        normalised.clear()
        passes(net, Folding(), torch.randn(2, 3, 12, 12))
        assert len(normalised) == 6


def test_a_layer_that_is_read_is_the_output_of_the_network_there(mobilenet: Model) -> None:
    reads = ["features.1.conv.0.0", "features.1.conv.0.1", "features.2.conv.3", "features.4"]
    folding, x = Folding(), torch.rand(2, 3, 64, 64)
    with torch.no_grad(), mobilenet.capture(reads) as capture:
        expected = capture(x)
        for _ in range(2):
            with folding:
                found = capture(x)
            for layer in reads:
                torch.testing.assert_close(found[layer], expected[layer], atol=1e-4, rtol=1e-3)


def test_weights_are_those_of_each_precision() -> None:
    model = load_model("builtin", device="cpu")
    folding, x = Folding(), torch.rand(1, 3, 64, 64)
    with torch.no_grad(), model.capture([""]) as capture:
        expected = capture(x)[""]
        for precision in (torch.float32, torch.bfloat16, torch.float32):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16), folding:
                found = capture(x)[""]
            assert found.dtype == precision
            tolerance = 1e-4 if precision is torch.float32 else 0.05
            assert (found.float() - expected).norm() <= tolerance * expected.norm()


class Counting(TorchDispatchMode):
    """Counts the operations that are run."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = Counter[str]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls[function.name().split(".")[0]] += 1
        return function(*args, **(kwargs or {}))


class Awkward(nn.Module):
    """Normalisations that may be folded (0, 3) and that may not (1, 2), functional ones, a weight that is computed."""

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
    before, fast = snapshot(awkward), Folding()
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
    x, fast = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), Folding()
    with mobilenet.capture([""]) as capture:
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
