"""Train the bundled network on the synthetic images, and evaluate it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inverter.sources.builtin import INPUT_SIZE, MEAN, STD, BuiltinNet
from tools.bundled.chart import line_chart
from tools.bundled.corruptions import CORRUPTIONS, Corruption
from tools.bundled.files import load_checkpoint, save_checkpoint, save_json, save_weights, temporary_for
from tools.bundled.schedule import one_cycle
from tools.bundled.stream import Chunks, stream
from tools.bundled.world import CLASSES, pictures

Progress = Callable[[int, int, dict[str, float]], None]
TEST_SEED = 7_000_001  # not a training seed: all published accuracies are measured on its images


@dataclass(frozen=True)
class NetworkSettings:
    """All settings that determine the trained weights."""

    seed: int = 0
    steps: int = 2128
    batch: int = 128
    per_class: int = 16  # images of each class in a chunk
    plain: int = 2  # ... of which without clutter
    passes: int = 2  # times that a batch is used, differently augmented
    sizes: tuple[tuple[float, int], ...] = ((0.475, 80), (0.7, 104), (1.0, INPUT_SIZE))  # pixels, up to that fraction
    rate: float = 3e-3
    cycle: float = 1.58  # the cosine cycle of the rate lasts so many times the steps,
    landing: float = 0.52  # but decays linearly to 0 over the last fraction of them
    decay: float = 0.03
    smoothing: float = 0.05
    classes: int = len(CLASSES)

    @property
    def batches(self) -> int:
        return self.passes * (self.per_class * self.classes // self.batch)

    @property
    def chunks(self) -> int:
        return math.ceil(self.steps / self.batches)


def _size_of(settings: NetworkSettings, chunk: int) -> int:
    return next(size for until, size in settings.sizes if chunk < until * settings.chunks)


def augment(image: Tensor, generator: torch.Generator) -> Tensor:
    """Small changes of colour, light and grain of images (B,3,H,W) in [0, 1]; a third of them lose a patch."""
    b, _, height, width = image.shape

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(b, 1, 1, 1, generator=generator).to(image.device)

    gain = 1 + 0.12 * (2 * torch.rand(b, 3, 1, 1, generator=generator).to(image.device) - 1)
    image = (image - 0.5) * uniform(0.75, 1.2) * gain + 0.5 + uniform(-0.1, 0.1)
    grey = image.mean(1, keepdim=True)
    image = torch.where(uniform(0, 1) < 0.15, torch.lerp(image, grey, uniform(0.5, 1)), image)
    rows = torch.arange(height, device=image.device)[None, None, :, None] / height
    columns = torch.arange(width, device=image.device)[None, None, None, :] / width
    hole = ((rows - uniform(0, 1)).abs() < 0.12) & ((columns - uniform(0, 1)).abs() < 0.12) & (uniform(0, 1) < 0.33)
    image = torch.where(hole, uniform(0, 1).expand_as(image), image)
    sigma = uniform(-0.05, 0.06).clamp(min=0)
    return (image + sigma * torch.randn(image.shape, generator=generator).to(image.device)).clamp(0, 1)


def normalise(image: Tensor) -> Tensor:
    mean, std = (torch.tensor(v, device=image.device)[:, None, None] for v in (MEAN, STD))
    return (image - mean) / std


def fold(network: BuiltinNet) -> BuiltinNet:
    """The same function without batch normalisation: every norm is folded into the convolution before it."""
    trained = network.eval()
    folded = BuiltinNet(trained.linear.out_features).eval()
    modules = dict(trained.named_modules())
    weights: dict[str, Tensor | None] = {"linear.weight": trained.linear.weight, "linear.bias": trained.linear.bias}
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d):
            fused = fuse_conv_bn_eval(module, modules[name.replace(".conv", ".norm")])
            weights |= {f"{name}.weight": fused.weight, f"{name}.bias": fused.bias}
    folded.load_state_dict({name: value.detach().cpu() for name, value in weights.items() if value is not None})
    return folded


@torch.inference_mode()
def measure(
    network: nn.Module, count: int, clutter: float = 1.0, damage: Sequence[Corruption | None] = (None,)
) -> list[Tensor]:
    """Confusion matrices (true, predicted), one per corruption, of a network in eval mode on the same fresh images."""
    device = next(network.parameters()).device
    size, step = len(CLASSES), 8 * len(CLASSES)
    generator = torch.Generator().manual_seed(TEST_SEED)
    tables = [torch.zeros(size, size, dtype=torch.long) for _ in damage]
    for first in range(0, count, step):
        image, label = pictures(TEST_SEED, first, min(step, count - first), INPUT_SIZE, clutter, device)
        for table, corrupt in zip(tables, damage, strict=True):
            shown = image if corrupt is None else corrupt(image, generator)
            guess = network(normalise(shown)).argmax(1)
            table.view(-1).index_add_(0, (label * size + guess).cpu(), torch.ones(len(label), dtype=torch.long))
    return tables


def accuracy(table: Tensor) -> float:
    return round(float(table.diagonal().sum() / table.sum()), 4)


def accuracies(network: nn.Module, count: int) -> dict[str, Any]:
    """Top-1 accuracy on fresh images: with clutter, plain, by class, by corruption."""
    full, *damaged = measure(network, count, damage=(None, *CORRUPTIONS.values()))
    by_class = (full.diagonal() / full.sum(1)).tolist()
    return {
        "pictures": count,
        "top1": accuracy(full),
        "top1_plain": accuracy(measure(network, count, clutter=0.0)[0]),
        "top1_by_class": {name: round(value, 4) for name, value in zip(CLASSES, by_class, strict=True)},
        "top1_corrupted": dict(zip(CORRUPTIONS, map(accuracy, damaged), strict=True)),
    }


def train_network(
    settings: NetworkSettings,
    checkpoint: Path,
    device: str = "cpu",
    workers: int = 1,
    progress: Progress | None = None,
    every: int = 4,
    chunks: int | None = None,
) -> tuple[BuiltinNet, dict[str, Any]]:
    """Train, resuming from `checkpoint` if it exists; it is written every `every` chunks, and at the end.

    Args:
        settings: of the training.
        checkpoint: file to resume from and to write to.
        device: cpu, cuda, ...
        workers: processes that draw images; 0: this one.
        progress: called after each chunk.
        every: chunks between checkpoints.
        chunks: stop early after so many chunks in all.

    Returns:
        The network as trained (with its batch normalisation) and the state: settings, history (rows of step, loss,
        top-1 so far), seconds.

    Raises:
        ValueError: if the checkpoint has other settings.
    """
    torch.manual_seed(settings.seed)
    network = BuiltinNet(settings.classes, batch_norm=True).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    total = settings.chunks * settings.batches
    state: dict[str, Any] = {"settings": asdict(settings), "chunk": 0, "history": [], "seconds": 0.0}
    found = load_checkpoint(checkpoint, state["settings"])
    if found is not None:
        network.load_state_dict(found.pop("network"))
        optimizer.load_state_dict(found.pop("optimizer"))
        state = found
    last = settings.chunks if chunks is None else min(chunks, settings.chunks)
    world = Chunks(
        settings.seed, last, settings.per_class, settings.plain, partial(_size_of, settings), settings.classes
    )
    network.train()
    begun = time.monotonic() - state["seconds"]
    for i, images, labels in stream(world, last, state["chunk"], workers):
        generator = torch.Generator().manual_seed(settings.seed * 7919 + i)
        torch.manual_seed(settings.seed * 7919 + i)  # dropout draws from the global generator
        losses, right = 0.0, 0
        for k in range(settings.batches):
            first = k % (settings.batches // settings.passes) * settings.batch
            rows = slice(first, first + settings.batch)
            image = augment(images[rows].to(device).float() / 255, generator)
            label = labels[rows].to(device)
            image = normalise(image).to(memory_format=torch.channels_last)
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
                logits = network(image).float()
            loss = F.cross_entropy(logits, label, label_smoothing=settings.smoothing)
            for group in optimizer.param_groups:
                group["lr"] = settings.rate * one_cycle(
                    i * settings.batches + k, total, 0.1, settings.cycle, settings.landing
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses += loss.item()
            right += int((logits.argmax(1) == label).sum())
        state["chunk"] = i + 1
        state["seconds"] = time.monotonic() - begun
        row = [(i + 1) * settings.batches, losses / settings.batches, right / (settings.batches * settings.batch)]
        state["history"].append(row)
        if progress is not None:
            progress((i + 1) * settings.batches, total, {"loss": row[1], "top1": row[2], "seconds": state["seconds"]})
        if (i + 1) % every == 0 or i + 1 == last:
            parts = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            save_checkpoint(checkpoint, state | parts)
    return network, state


def save_network(
    network: BuiltinNet, state: dict[str, Any], weights: Path, chart: Path | None, count: int
) -> dict[str, Any]:
    """Store the folded network as float16, evaluate the stored weights on `count` images, write record and curve."""
    folded = fold(network)
    sha256 = save_weights(weights, folded.state_dict())
    folded.load_state_dict({name: value.half().float() for name, value in folded.state_dict().items()})
    record: dict[str, Any] = {
        "categories": list(CLASSES),
        "input_size": INPUT_SIZE,
        "mean": list(MEAN),
        "std": list(STD),
        "parameters": sum(p.numel() for p in folded.parameters()),
        "sha256": sha256,
        "bytes": weights.stat().st_size,
        "settings": state["settings"],
        "steps": state["history"][-1][0] if state["history"] else 0,
        "minutes": round(state["seconds"] / 60, 1),
        "measured": accuracies(folded, count),
        "history": [[step, round(loss, 4), round(top1, 4)] for step, loss, top1 in state["history"]],
    }
    save_json(weights.with_suffix(".json"), record)
    if chart is not None and state["history"]:
        lines = {
            "loss (label smoothing)": [(step, loss) for step, loss, _ in state["history"]],
            "top-1 on the training stream": [(step, top1) for step, _, top1 in state["history"]],
        }
        temporary = temporary_for(chart)
        line_chart("The bundled network in training", lines, "steps").save(temporary, "PNG")
        temporary.replace(chart)
    return record
