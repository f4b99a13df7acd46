"""Casts of a frozen network under autocast: as few as possible, and the same values."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from inverter import load_model
from inverter.ascent.casts import Casts
from inverter.ascent.folding import Folding
from inverter.ascent.input_gradients import InputGradients


class CastCount(TorchDispatchMode):
    """Counts copies of activations in another type, by their number of dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Counter[int]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function.name() == "aten::_to_copy" and result.dtype != args[0].dtype:
            self.seen[result.ndim] += 1
        return result


class Block(nn.Module):
    """A transformer's block of width 8, which reads its input twice before and after attention."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.gamma = nn.Parameter(torch.full((8,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        mixed = F.softmax(q @ k.transpose(-1, -2), -1) @ v
        return x + self.gamma * self.proj(mixed)


class Tokens(nn.Module):
    """Patches with a class token and positions, and three blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 17, 8))
        self.blocks = nn.Sequential(Block(), Block(), Block())

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.blocks(x)


@pytest.fixture
def tokens() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tokens().eval().requires_grad_(False)


def gradient(net: nn.Module, folding: Folding | None, passes: int = 3) -> tuple[Tensor, Tensor, Counter[int]]:
    """The output and the input gradient of the last forward pass, and the casts in both."""
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    for _ in range(passes):
        x.grad = None
        with CastCount() as casts:
            with torch.autocast("cpu", torch.bfloat16, enabled=folding is not None), folding or torch.enable_grad():
                y = net(x)
            y.float().square().sum().backward()
    assert x.grad is not None
    return y.detach().float(), x.grad, casts.seen


def test_a_transformer_casts_its_picture_and_its_output_alone(tokens: nn.Module) -> None:
    expected, downhill, _ = gradient(tokens, None)
    found, other, casts = gradient(tokens, Folding())
    assert casts == {4: 2, 3: 2}  # each there and, for its gradient, back
    assert (found - expected).norm() < 0.02 * expected.norm()
    assert (other - downhill).norm() < 0.05 * downhill.norm()


def test_an_activation_is_cast_once_for_all_its_readers_and_again_when_it_has_changed() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(4, 4).requires_grad_(False) for _ in range(3)]
    x, folding = torch.randn(2, 4, requires_grad=True), Folding()

    def forward() -> tuple[Tensor, Tensor, Tensor]:
        y = x * 1
        with torch.no_grad():
            first = layers[0](y)
        second = layers[1](y) + layers[0](y)
        y.mul_(2)
        return first, second, layers[2](y)

    for _ in range(3):  # traced, weights cast, casts of activations alone
        with CastCount() as casts, torch.autocast("cpu"), folding:
            first, second, third = forward()
    assert casts.seen[2] == 3  # without gradients, with them, and after the change
    assert not first.requires_grad
    torch.testing.assert_close(
        third, F.linear(2 * x, layers[2].weight, layers[2].bias), atol=0.05, rtol=0.05, check_dtype=False
    )
    assert torch.autograd.grad(second.sum(), x)[0].any()


@pytest.mark.parametrize("learns", [True, False])
def test_parameters_that_learn_keep_their_type(learns: bool) -> None:
    norm, x, casts = nn.LayerNorm(4).requires_grad_(learns), torch.randn(2, 4).bfloat16(), Casts()
    with torch.autocast("cpu"):
        y = casts.call(Tensor.add, (x, norm.weight), {})
        z = casts.call(F.layer_norm, (x, (4,)), {"weight": norm.weight, "bias": norm.bias})
    assert y.dtype == (torch.float32 if learns else torch.bfloat16)
    torch.testing.assert_close(z.float(), F.layer_norm(x.float(), (4,)), atol=0.02, rtol=0.02)
    assert y.requires_grad == z.requires_grad == learns
    assert casts.call(Tensor.add, (x, norm.weight), {}).dtype == torch.float32  # without autocast


def test_a_trained_transformer_keeps_its_gradient(shared_data: Path) -> None:
    model = load_model("timm:deit_tiny_patch16_224", weights=shared_data / "weights/deit_tiny_patch16_224.safetensors")
    picture = torch.rand(1, 3, 14, 14, generator=torch.Generator().manual_seed(0))
    found = []
    with model.capture(["blocks.3"]) as capture:
        for lower in (False, True):
            folding, image = Folding(), F.interpolate(picture, (224, 224), mode="bilinear").requires_grad_()
            for _ in range(3):
                with (
                    CastCount() as casts,
                    torch.autocast("cpu", torch.bfloat16, enabled=lower),
                    InputGradients(),
                    folding,
                ):
                    y = capture(model.normalize(image))["blocks.3"]
            found.append(torch.autograd.grad(y.float()[:, 3].square().mean(), image)[0])
    assert casts.seen == {4: 1}
    assert F.cosine_similarity(*(each.flatten() for each in found), dim=0) > 0.99
