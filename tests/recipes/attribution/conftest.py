"""Fixtures for the tests of attribution."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, load_model
from recipes.pictures.reading import fit, read_picture

QUICK: dict[str, str] = {
    "augmented-grad-cam": "augmented-grad-cam:views=3,steps=5,scale=2",
    "integrated-gradients": "integrated-gradients:steps=5",
    "lime": "lime:samples=40,segments=8",
    "kernel-shap": "kernel-shap:samples=40,segments=8",
    **{name: f"{name}:samples=3" for name in ("smoothgrad", "smoothgrad-squared", "vargrad", "smooth-grad-cam++")},
    "occlusion": "occlusion:size=6,stride=4",
    "rise": "rise:masks=20",
    "meaningful-perturbation": "meaningful-perturbation:steps=4,cells=5",
    "extremal-perturbation": "extremal-perturbation:steps=4,areas=[0.2]",
    "extremal-channels": "extremal-channels:steps=4",
}
"""Options that make methods with many forward passes fast enough for tests of general properties."""


@pytest.fixture(scope="session")
def quick() -> Callable[[str], str]:
    """A method by name, with fast options."""
    return lambda name: QUICK.get(name, name)


@pytest.fixture
def tiny(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=16, device="cpu")


class Attention(nn.Module):
    """Attention of 3 heads."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(12, 36), nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(2, (3, 3, 4)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A layer of a transformer, of width 12."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(12), Attention(), nn.LayerNorm(12)
        self.fc1, self.act, self.fc2 = nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))


class TinyTransformer(nn.Module):
    """A vision transformer for pictures of 16x16 with a class token: 4x4 patches, three layers, five classes."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 12, 4, 4)
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, 12)), nn.Parameter(torch.randn(1, 17, 12))
        self.blocks = nn.Sequential(*(Block() for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 5)

    def embedded(self, x: Tensor) -> Tensor:
        patches = self.embed(x).flatten(2).transpose(1, 2)
        return torch.cat([self.cls_token.expand(len(x), -1, -1), patches], 1) + self.pos_embed

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.embedded(x)))[:, 0])


@pytest.fixture
def transformer() -> Model:
    """A `TinyTransformer` with the same random weights each time, large enough that attention is not uniform."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net = TinyTransformer()
        for block in net.blocks:
            nn.init.normal_(block.attn.qkv.weight, 0, 0.6)
    return load_model(net.eval(), input_size=16, device="cpu")


@pytest.fixture
def pictures() -> Tensor:
    """Three pictures (3, 3, 16, 16) in [0, 1]."""
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="session")
def photo(shared_data: Path) -> Callable[[str], Tensor]:
    """The photograph (1, 3, 224, 224) of a class, by a part of its name."""

    def find(name: str) -> Tensor:
        (path,) = (shared_data / "images" / "imagenet").glob(f"*{name}*.jpg")
        return fit(read_picture(path), (224, 224))[None]

    return find
