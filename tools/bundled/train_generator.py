"""Train the bundled generator to draw the plain synthetic images, and evaluate it with the bundled network."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inverter.sources import builtin
from priors.generator_net import CLASSES, SIZE, WEIGHTS, BundledGenerator
from tools.bundled import world
from tools.bundled.chart import line_chart
from tools.bundled.compose import turn_limit
from tools.bundled.files import load_checkpoint, save_checkpoint, save_json, save_weights, temporary_for
from tools.bundled.lessons import Lessons, target
from tools.bundled.pages import sample_pages, save_page
from tools.bundled.schedule import one_cycle
from tools.bundled.stream import stream
from tools.bundled.train_network import Progress, normalise

READ = ("stem", "stage1", "stage2", "stage3")  # the network's stages whose features must agree
TEST_SEED = 7_000_002
EXTENT_TEXTURE, EXTENT_THING = 2.6, 1.3


@dataclass(frozen=True)
class GeneratorSettings:
    """All settings that determine the trained weights, except for the critic network."""

    seed: int = 0
    steps: int = 5760
    batch: int = 32
    chunk: int = 1024
    rate: float = 2e-3
    map_rate: float = 1e-2
    cycle: float = 1.222  # see `one_cycle`
    landing: float = 0.25
    refine_from: float = 0.73  # from this fraction of the steps on, the loss has the critic's terms
    edges: float = 0.5
    features: float = 0.05
    verdict: float = 0.01

    @property
    def batches(self) -> int:
        return self.chunk // self.batch

    @property
    def chunks(self) -> int:
        return math.ceil(self.steps / self.batches)


def new_generator(seed: int) -> BundledGenerator:
    """An untrained generator, with the classes that fill the image and the largest rotation of each set."""
    torch.manual_seed(seed)
    generator = BundledGenerator()
    texture = torch.arange(CLASSES) < world.TEXTURE_COUNT
    generator.texture.copy_(texture)
    generator.turn_limit.copy_(torch.tensor([turn_limit(name) for name in world.CLASSES]))
    generator.extent.copy_(torch.where(texture, EXTENT_TEXTURE, EXTENT_THING))
    return generator


def edge_loss(made: Tensor, drawn: Tensor) -> Tensor:
    """Mean absolute error of the differences between neighbouring pixels."""
    across = (made.diff(dim=3) - drawn.diff(dim=3)).abs().mean()
    return across + (made.diff(dim=2) - drawn.diff(dim=2)).abs().mean()


def enlarge(picture: Tensor) -> Tensor:
    """Images of any size as input of the network: 128 px, normalised."""
    return normalise(F.interpolate(picture, size=builtin.INPUT_SIZE, mode="bilinear", align_corners=False))


def _stages(network: nn.Module, picture: Tensor) -> tuple[list[Tensor], Tensor]:
    """Features at READ, and logits."""
    x, features = enlarge(picture).to(memory_format=torch.channels_last), []
    for name, stage in network.get_submodule("features").named_children():
        x = stage(x)
        if name in READ:
            features.append(x)
    return features, network.get_submodule("linear")(x.mean((2, 3)))


def critic_loss(network: nn.Module, made: Tensor, drawn: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Relative distance of the network's features (Johnson et al. 2016), and its cross-entropy on `made`."""
    with torch.no_grad():
        goal, _ = _stages(network, drawn)
    features, logits = _stages(network, made)
    apart = [(a - b).abs().mean() / b.abs().mean() for a, b in zip(features, goal, strict=True)]
    return torch.stack(apart).float().sum(), F.cross_entropy(logits.float(), label)


def train_generator(
    settings: GeneratorSettings,
    checkpoint: Path,
    network: Callable[[], nn.Module] = builtin.load_builtin,
    device: str = "cpu",
    workers: int = 1,
    progress: Progress | None = None,
    every: int = 2,
    chunks: int | None = None,
) -> tuple[BundledGenerator, dict[str, Any]]:
    """Train, resuming from `checkpoint` if it exists; it is written every `every` chunks, and at the end.

    Args:
        settings: of the training.
        checkpoint: file to resume from and to write to.
        network: loads the critic, once it is needed.
        device: cpu, cuda, ...
        workers: processes that draw images; 0: this one.
        progress: called after each chunk.
        every: chunks between checkpoints.
        chunks: stop early after so many chunks in all.

    Returns:
        The generator and the state: settings, history (step, mean absolute error, feature distance, cross-entropy),
        seconds.

    Raises:
        ValueError: if the checkpoint has other settings.
    """
    generator = new_generator(settings.seed).to(device)
    maps = [p for name, p in generator.named_parameters() if name == "maps"]
    rest = [p for name, p in generator.named_parameters() if name != "maps"]
    groups = [{"params": maps, "peak": settings.map_rate}, {"params": rest, "peak": settings.rate}]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
    total = settings.chunks * settings.batches
    state: dict[str, Any] = {"settings": asdict(settings), "chunk": 0, "history": [], "seconds": 0.0}
    found = load_checkpoint(checkpoint, state["settings"])
    if found is not None:
        generator.load_state_dict(found.pop("generator"))
        optimizer.load_state_dict(found.pop("optimizer"))
        state = found
    last = settings.chunks if chunks is None else min(chunks, settings.chunks)
    lessons = Lessons(settings.seed, last, settings.chunk)
    critic: nn.Module | None = None
    generator.train()
    begun = time.monotonic() - state["seconds"]
    for i, latents, pictures in stream(lessons, last, state["chunk"], workers):
        if i >= settings.refine_from * settings.chunks and critic is None:
            critic = network().to(device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
        sums = [0.0, 0.0, 0.0]
        for k in range(settings.batches):
            rows = slice(k * settings.batch, (k + 1) * settings.batch)
            latent, drawn = latents[rows].to(device), pictures[rows].to(device).float() / 255
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
                made = generator(latent)
            error = (made - drawn).abs().mean()
            loss = error + settings.edges * edge_loss(made, drawn)
            distance = verdict = torch.zeros(())
            if critic is not None:
                with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
                    distance, verdict = critic_loss(critic, made, drawn, latent[:, :CLASSES].argmax(1))
                loss = loss + settings.features * distance + settings.verdict * verdict
            factor = one_cycle(i * settings.batches + k, total, 0.05, settings.cycle, settings.landing)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            sums = [s + v.item() / settings.batches for s, v in zip(sums, (error, distance, verdict), strict=True)]
        state["chunk"] = i + 1
        state["seconds"] = time.monotonic() - begun
        state["history"].append([(i + 1) * settings.batches, *sums])
        if progress is not None:
            metrics = dict(zip(("error", "features", "verdict"), sums, strict=True))
            progress((i + 1) * settings.batches, total, metrics | {"seconds": state["seconds"]})
        if (i + 1) % every == 0 or i + 1 == last:
            parts = {"generator": generator.state_dict(), "optimizer": optimizer.state_dict()}
            save_checkpoint(checkpoint, state | parts)
    return generator, state


@torch.inference_mode()
def judge(
    generator: BundledGenerator, network: nn.Module, count: int = 1000, seed: int = TEST_SEED
) -> dict[str, float]:
    """Metrics of `count` random samples by a network in eval mode.

    `confident`: the share with a top-1 probability above .5. `classes`: the number of classes that are the top-1 class
    of such a sample. `coverage`: the same as a share. `intended`: the share of samples whose top-1 class is the
    latent's own. `error`: mean absolute difference, in [0, 1], to the synthetic image.
    """
    latent = torch.randn(count, generator.latent_size, generator=torch.Generator().manual_seed(seed))
    best, guess, error = [], [], 0.0
    for part in latent.split(100):
        made = generator(part)
        probability, k = network(enlarge(made)).softmax(1).max(1)
        best.append(probability)
        guess.append(k)
        error += float((made - target(part)[0]).abs().mean((1, 2, 3)).sum()) / count
    probability, k = torch.cat(best), torch.cat(guess)
    classes = len(k[probability > 0.5].unique())
    return {
        "samples": count,
        "confident": float((probability > 0.5).float().mean()),
        "classes": classes,
        "coverage": classes / CLASSES,
        "intended": float((k == latent[:, :CLASSES].argmax(1)).float().mean()),
        "error": round(error, 4),
    }


def save_generator(
    generator: BundledGenerator, state: dict[str, Any], weights: Path, images: Path, network: nn.Module
) -> dict[str, Any]:
    """Store the generator as float16, evaluate the stored weights, write the record, the curve and the pages."""
    sha256 = save_weights(weights, generator.state_dict())
    stored = new_generator(0).eval()
    stored.load_state_dict({name: value.cpu().half().float() for name, value in generator.state_dict().items()})
    record: dict[str, Any] = {
        "categories": list(world.CLASSES),
        "latent_size": generator.latent_size,
        "size": SIZE,
        "parameters": sum(p.numel() for p in generator.parameters()),
        "sha256": sha256,
        "bytes": weights.stat().st_size,
        "settings": state["settings"],
        "critic_sha256": builtin.record()["sha256"],
        "steps": state["history"][-1][0] if state["history"] else 0,
        "minutes": round(state["seconds"] / 60, 1),
        "measured": judge(stored, network),
        "history": [[row[0], *(round(v, 5) for v in row[1:])] for row in state["history"]],
    }
    save_json(weights.with_suffix(".json"), record)
    for name, page in sample_pages(stored).items():
        save_page(page, images / f"{name}.jpg")
    if state["history"]:
        lines = {"mean absolute error": [(row[0], row[1]) for row in state["history"]]}
        temporary = temporary_for(images / "generator_loss.png")
        line_chart("The bundled generator in training", lines, "steps").save(temporary, "PNG")
        temporary.replace(images / "generator_loss.png")
    return record


def run(arguments: argparse.Namespace, root: Path, progress: Progress) -> dict[str, Any]:
    """The command: train or resume, then store and evaluate."""
    out: Path = arguments.out or WEIGHTS
    settings = GeneratorSettings(seed=arguments.seed)
    if arguments.steps is not None:
        settings = replace(settings, steps=arguments.steps)
    generator, state = train_generator(
        settings, arguments.checkpoint, device=arguments.device, workers=arguments.workers, progress=progress,
        chunks=0 if arguments.export else None,
    )  # fmt: skip
    images = root / "docs/images" if out == WEIGHTS else out.parent
    return save_generator(generator.cpu(), state, out, images, builtin.load_builtin())
