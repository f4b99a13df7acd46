"""Input gradients of frozen layers: equal to those of torch, however they are computed."""

import copy
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from inverter.ascent.input_gradients import InputGradients, by_phases, by_stuffing

KERNELS = st.integers(1, 8).flatmap(
    lambda kernel: st.tuples(
        st.just(kernel), st.integers(1, 4), st.integers(0, kernel - 1), *[st.integers(kernel, 19)] * 2
    )
)


@settings(max_examples=80, deadline=None)
@given(KERNELS, st.integers(1, 3))
def test_phases_are_the_gradient_of_any_strided_convolution(shape: tuple[int, ...], channels: int) -> None:
    kernel, stride, padding, height, width = shape
    x = torch.randn(2, channels, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, channels, kernel, kernel, dtype=torch.float64)
    y = F.conv2d(x, weight, None, stride, padding)
    gradient = torch.randn_like(y)
    y.backward(gradient)
    assert x.grad is not None
    torch.testing.assert_close(by_phases(weight, stride, padding, (height, width))(gradient), x.grad)


@settings(max_examples=80, deadline=None)
@given(KERNELS, st.integers(1, 5))
def test_stuffing_is_the_gradient_of_any_depthwise_convolution(shape: tuple[int, ...], channels: int) -> None:
    kernel, stride, padding, height, width = shape
    x = torch.randn(2, channels, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(channels, 1, kernel, kernel, dtype=torch.float64)
    y = F.conv2d(x, weight, None, stride, padding, groups=channels)
    gradient = torch.randn_like(y)
    y.backward(gradient)
    assert x.grad is not None
    torch.testing.assert_close(by_stuffing(weight, stride, padding, (height, width))(gradient), x.grad)


@pytest.fixture
def network() -> nn.Module:
    """A first layer with a stride, a normalisation, a depthwise layer with a stride, and one that is neither."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False),
        nn.BatchNorm2d(8, affine=False),
        nn.Conv2d(8, 6, 3, padding="same", dilation=2),
        nn.Flatten(),
        nn.LazyLinear(4),
        nn.BatchNorm1d(4),
    ).eval()
    net(torch.zeros(1, 3, 23, 21))
    for part in net:
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d) and part.running_mean is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return net.requires_grad_(False)


@pytest.mark.parametrize("precision, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_a_network_has_the_gradient_and_the_output_that_torch_finds(
    network: nn.Module, precision: torch.dtype, tolerance: float
) -> None:
    found = []
    for way in (None, InputGradients()):
        x = torch.randn(3, 3, 23, 21, generator=torch.Generator().manual_seed(1)).requires_grad_()
        for _ in range(2):  # the second time from what it kept of the first
            x.grad = None
            with torch.autocast("cpu", precision, enabled=precision == torch.bfloat16):
                if way is None:
                    y = network(x)
                else:
                    with way:
                        y = network(x)
            y.float().square().sum().backward()
        found.append((y.detach().float(), x.grad))
    (y, expected), (other, gradient) = found
    assert expected is not None and gradient is not None
    assert torch.equal(y, other)
    assert (gradient - expected).norm() / expected.norm() < tolerance


def test_layers_that_learn_keep_their_own_gradients(network: nn.Module) -> None:
    network.requires_grad_(True).train()
    other = copy.deepcopy(network)
    x = torch.randn(3, 3, 23, 21)
    network(x.clone().requires_grad_()).sum().backward()
    with InputGradients():
        other(x.clone().requires_grad_()).sum().backward()
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert one.grad is not None and torch.equal(one.grad, two.grad)  # type: ignore[arg-type]


def test_double_differentiation_is_refused_and_not_wrong(network: nn.Module) -> None:
    x = torch.randn(2, 3, 23, 21, requires_grad=True)
    with InputGradients():
        y = network(x)
    (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(first.square().sum(), x)


@pytest.mark.parametrize(
    "relu",
    [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.ReLU6(inplace=True), nn.Hardtanh(0, 0.5), nn.Hardtanh(-1, 0.5)],
    ids=str,
)
def test_relus_have_the_gradient_that_torch_finds_whatever_the_memory_order(relu: nn.Module) -> None:
    x = 4 * torch.randn(2, 8, 5, 6, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    found = []
    for way in (nullcontext(), InputGradients()):
        leaf = x.clone().requires_grad_()
        with way:
            y = relu(leaf * 1)
        both = torch.cat([y, y.mean((2, 3), keepdim=True).expand_as(y)], 1)  # neither part arrives in y's order
        (gradient,) = torch.autograd.grad(both.square().sum(), leaf)
        found.append((y.detach(), gradient))
    (y, gradient), (other, other_gradient) = found
    assert torch.equal(y, other)
    torch.testing.assert_close(gradient, other_gradient)
