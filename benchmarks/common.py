"""What the benchmarks share: the network under test and the score that no contender optimises."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch
from torch import Tensor

from inverter import Augment, Model, evaluate, load_model
from objectives import channel

SIZE = 224
WARPS = 16
HELD_OUT = Augment(shift=8 / SIZE, scale=(0.94, 1.06), rotate=6.0)
DATA = Path(os.environ.get("INVERTER_TEST_DATA", Path(__file__).parents[2] / "shared"))
SQUEEZENET = DATA / "weights" / "squeezenet1_0.safetensors"


def squeezenet(weights: Path = SQUEEZENET) -> Model:
    return load_model("torchvision:squeezenet1_0", weights, device="cpu")


def held_out(model: Model, layer: str, channels: list[int], images: Tensor) -> Tensor:
    """Mean activation of each picture's channel over warps that are the same for every contender, (B,)."""
    generators = [torch.Generator().manual_seed(10_000 + c) for c in channels]
    warp = HELD_OUT.prepare(generators, (SIZE, SIZE), WARPS, torch.device("cpu"))
    objective = channel(layer, channels)
    return torch.stack([evaluate(model, objective, warp(images, step)) for step in range(WARPS)]).mean(0)


def machine() -> str:
    python = platform.python_version()
    return f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, Python {python}"
