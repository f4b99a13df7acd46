"""Shared by the benchmarks: the networks under test and the held-out score that no contender optimises."""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from inverter import Augment, Model, evaluate, load_model
from objectives import Objective, channel

Made = TypeVar("Made")
SIZE = 224
WARPS = 16
HELD_OUT = Augment(shift=8 / SIZE, scale=(0.94, 1.06), rotate=6.0)
DATA = Path(os.environ.get("INVERTER_TEST_DATA", Path(__file__).parents[2] / "shared"))
SQUEEZENET = DATA / "weights" / "squeezenet1_0.safetensors"
MOBILENET = DATA / "weights" / "mobilenet_v2.safetensors"


def squeezenet(weights: Path = SQUEEZENET, device: str = "cpu") -> Model:
    return load_model("torchvision:squeezenet1_0", weights, device=device)


def mobilenet(weights: Path = MOBILENET, device: str = "cpu") -> Model:
    return load_model("torchvision:mobilenet_v2", weights, "half", device=device)


def spread_out(count: int, total: int) -> list[int]:
    """`count` channels of `total`, evenly spaced."""
    return [(2 * i + 1) * total // (2 * count) for i in range(min(count, total))]


def named(network: str, device: str = "cpu") -> Model:
    """The network of that name: squeezenet or mobilenet."""
    return {"squeezenet": squeezenet, "mobilenet": mobilenet}[network](device=device)


def held_out(model: Model, layer: str, channels: list[int], images: Tensor) -> Tensor:
    """Mean activation of each picture's channel over warps that are the same for every contender, (B,)."""
    return held_out_of(model, channel(layer, channels), channels, images)


def held_out_of(model: Model, objective: Objective, numbers: Sequence[int], images: Tensor) -> Tensor:
    """Mean score of each picture over warps drawn from its number, (B,)."""
    generators = [torch.Generator().manual_seed(10_000 + number) for number in numbers]
    warp = HELD_OUT.prepare(generators, (SIZE, SIZE), WARPS, model.device)
    images = images.to(model.device)
    return torch.stack([evaluate(model, objective, warp(images, step)) for step in range(WARPS)]).mean(0)


def apart(function: Callable[..., Made], *arguments: Any) -> Made:
    """The result of a module's function in a process of its own, with as many threads as here.

    A peer runs as its users have it: capturing our network changes how the complete process keeps freed memory.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (torch.get_num_threads(),)) as pool:
        return pool.submit(function, *arguments).result()


def profiled(run: Callable[[], object], device: str = "cpu") -> tuple[torch.profiler.profile, float]:
    """A profile of what runs on the device, and the seconds that it took; `run` waits for its end."""
    activity = torch.profiler.ProfilerActivity
    kind = activity.CUDA if device.startswith("cuda") else activity.CPU
    with torch.profiler.profile(activities=[kind]) as profile:
        started = time.perf_counter()
        run()
        total = time.perf_counter() - started
    return profile, total


def busy_share(profile: torch.profiler.profile, seconds: float) -> float | None:
    """The share of the time in which kernels of a GPU ran; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / seconds


def restore_kornia() -> None:
    """Restore two functions to where kornia had them in 2020, which Lucent 0.1.8 imports."""
    import kornia
    import kornia.geometry.transform

    kornia.get_rotation_matrix2d = kornia.geometry.transform.get_rotation_matrix2d
    kornia.warp_affine = kornia.geometry.transform.warp_affine


def machine(device: str = "cpu") -> str:
    python = platform.python_version()
    what = torch.cuda.get_device_name() if device.startswith("cuda") else f"{torch.get_num_threads()} threads"
    return f"{platform.machine()}, {what}, torch {torch.__version__}, Python {python}"
