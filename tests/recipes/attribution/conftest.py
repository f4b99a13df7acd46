"""Fixtures for the tests of attribution."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

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
