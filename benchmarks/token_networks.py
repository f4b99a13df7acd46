"""Pictures of DeiT-tiny, a Vision Transformer: class models and MLP neurons by variant, and the time for a step.

    python benchmarks/token_networks.py classes [--classes every31] [--variants "tokens;wide"] [--sheet OUT.png]
    python benchmarks/token_networks.py neurons [--variants "tokens;standard"] [--sheet OUT.png]
    python benchmarks/token_networks.py step

Prints tables in Markdown; seconds are CPU seconds of all threads, since wall time depends on what else runs. Judges are
EfficientNet-Lite0, SqueezeNet 1.0 and MobileNetV2, which take no part. Blocks count from 1. Needs timm and the data.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from common import DATA, SIZE, mobilenet, spread_out, squeezenet
from torch import Tensor
from torch.nn import functional as F
from torchvision.utils import make_grid, save_image

from inverter import PRESETS, Model, Settings, load_model, optimize
from inverter.augment import Augmentation
from objectives import Activations, Objective, channel, logit, softmax
from priors import Fourier
from recipes.activations.predictions import top_classes
from recipes.evidence.appearance import burnt
from recipes.pictures.reading import fit, read_picture

PATCH = 16
TOKENS = PRESETS["tokens"]


@dataclass(frozen=True)
class Variant:
    """How pictures are made."""

    augment: Augmentation
    steps: int
    rate: float | None
    prior: dict[str, Any] = field(default_factory=lambda: {"natural_mean": True})


FAR = replace(TOKENS, shift=0.3, scale=(0.5, 2.0))
VARIANTS = {
    "standard": Variant("standard", 32, None, {}),
    "wide": Variant("wide", 64, 0.2, {}),
    "wide, rate .5": Variant("wide", 64, 0.5, {}),
    "wide, rate .5, decay 1.3": Variant("wide", 64, 0.5, {"decay": 1.3}),
    "far, no colour or flip, rate .5": Variant(replace(FAR, color=0, flip=False), 64, 0.5, {}),
    "far, no colour or flip, noise .2, rate .5": Variant(replace(FAR, color=0, flip=False, noise=0.2), 64, 0.5, {}),
    "far, no colour, rate .3": Variant(replace(FAR, color=0), 64, 0.3, {}),
    "far, rate .3": Variant(FAR, 64, 0.3, {}),
    "far, noise .2, rate .5, decay 1.3": Variant(replace(FAR, noise=0.2), 64, 0.5, {"decay": 1.3}),
    "tokens, shift .3": Variant(replace(TOKENS, shift=0.3), 64, 0.2),
    "tokens": Variant("tokens", 64, 0.2),
    "tokens, 48 steps": Variant("tokens", 48, 0.2),
    "tokens, shift .3, 48 steps": Variant(replace(TOKENS, shift=0.3), 48, 0.2),
    "far, rate .3, 48 steps": Variant(FAR, 48, 0.3),
    "far, noise .15, contrast 1.5, 48 steps": Variant(
        replace(FAR, noise=0.15), 48, 0.2, {"natural_mean": True, "contrast": 1.5}
    ),
}
"""`far`: as `tokens`, but shifts of .3, scale .5 to 2."""


def deit() -> Model:
    return load_model("timm:deit_tiny_patch16_224", DATA / "weights" / "deit_tiny_patch16_224.safetensors")


def lite() -> Model:
    return load_model("timm:tf_efficientnet_lite0", DATA / "weights" / "tf_efficientnet_lite0.safetensors", "half")


def photographs() -> Tensor:
    """The 400, (400, 3, SIZE, SIZE)."""
    files = sorted((DATA / "images" / "imagenet").glob("*.jpg"))
    return torch.stack([fit(read_picture(file, 3), (SIZE, SIZE)) for file in files])


def grid_energy(images: Tensor) -> Tensor:
    """Power at multiples of one cycle per patch, relative to that of frequencies nearby, (B,); 1 without a grid.

    Of the 1-D spectra of rows and of columns of the mean colour; the geometric mean over all multiples.
    """
    grey, window = images.mean(1), torch.hann_window(SIZE, periodic=False)
    grey = grey - grey.mean((1, 2), keepdim=True)
    power = sum(torch.fft.rfft(g * window).abs().square().mean(1) for g in (grey, grey.transpose(1, 2)))
    assert isinstance(power, Tensor)
    peaks = [SIZE // PATCH * k for k in range(1, PATCH // 2)]
    at = torch.stack([power[:, k - 1 : k + 2].mean(1) for k in peaks], 1)
    near = torch.stack([torch.cat([power[:, k - 5 : k - 2], power[:, k + 3 : k + 6]], 1).mean(1) for k in peaks], 1)
    return (at / near).log().mean(1).exp()


def roughness(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, (B,)."""
    return torch.stack([images.diff(dim=d).abs().flatten(1).mean(1) for d in (2, 3)]).mean(0)


def made(model: Model, objective: Objective, variant: Variant) -> tuple[Tensor, float]:
    """The pictures, as they are on disk, and CPU seconds for each."""
    started = time.process_time()
    prior = Fourier(objective.count, SIZE, **variant.prior)
    settings = Settings(steps=variant.steps, learning_rate=variant.rate)
    images = optimize(model, objective, prior, settings, variant.augment).images
    return (images * 255).round() / 255, (time.process_time() - started) / objective.count


def sheet(path: Path | None, images: Tensor, columns: int = 8) -> None:
    if path is not None:
        small = F.interpolate(images, (160, 160), mode="bilinear", antialias=True, align_corners=False)
        save_image(make_grid(small, nrow=columns), path)


def classes(options: argparse.Namespace) -> None:
    targets = list(range(9, 1000, 31)) if options.classes == "every31" else list(map(int, options.classes.split(",")))
    network, judges = deit(), [lite(), squeezenet(), mobilenet()]
    print("| variant | DeiT's top 1 | EfficientNet-Lite0's top 5 | SqueezeNet's | MobileNetV2's | burnt | CPU s |")
    print("| --- " * 7 + "|")
    for name in options.variants.split(";"):
        images, seconds = made(network, logit(targets) + 2.0 * softmax(targets), VARIANTS[name])
        known = []
        for judge, top in ((network, 1), *((judge, 5) for judge in judges)):
            guesses = top_classes(judge, images, top)
            known.append(sum(c in [g.index for g in row] for c, row in zip(targets, guesses, strict=True)))
        print(f"| {name} | {' | '.join(map(str, known))} | {burnt(images).mean():.1%} | {seconds:.2f} |", flush=True)
        sheet(options.sheet, images)


@torch.no_grad()
def responses(model: Model, layer: str, images: Tensor, channels: Sequence[int]) -> Tensor:
    """Activations of channels at all patches, (B, 196, channels)."""
    with model.capture([layer]) as capture:
        maps = [capture(model.normalize(part))[layer][:, list(channels)].float() for part in images.split(10)]
    return torch.cat(maps).flatten(2).transpose(1, 2)


def neurons(options: argparse.Namespace) -> None:
    model, photos = deit(), photographs()
    print(
        f"photographs: grid energy {grid_energy(photos).median():.2f}, neighbours differ by "
        f"{roughness(photos).median():.3f} (95 % below {roughness(photos).quantile(0.95):.3f})\n"
    )
    print(
        "| variant | block | above the 99th percentile | times it, median | grid energy | neighbours | burnt | CPU s |"
    )
    print("| --- " * 8 + "|")
    shown = []
    for name in options.variants.split(";"):
        for block in map(int, options.blocks.split(",")):
            layer, channels = f"blocks.{block - 1}.mlp.act", spread_out(8, 768)
            natural = responses(model, layer, photos, channels)
            limit = natural.mean(1).quantile(0.99, dim=0)
            images, seconds = made(model, channel(layer, channels), VARIANTS[name])
            score = responses(model, layer, images, channels).mean(1).diagonal()
            print(
                f"| {name} | {block} | {int((score > limit).sum())} of 8 | {(score / limit.abs()).median():.1f} | "
                f"{grid_energy(images).median():.2f} | {roughness(images).median():.3f} | {burnt(images).mean():.1%} | "
                f"{seconds:.2f} |",
                flush=True,
            )
            shown += [images, *(patches(photos, natural[..., c]) for c in range(8))]
    if options.sheet is not None:
        rows = [torch.cat([shown[9 * i], torch.stack([shown[9 * i + 1 + c][j] for j in range(3) for c in range(8)])])
                for i in range(len(shown) // 9)]  # fmt: skip
        sheet(options.sheet, torch.cat(rows))


def patches(photos: Tensor, natural: Tensor, count: int = 3, side: int = 64) -> Tensor:
    """The surroundings of the patches that activate one neuron most, one of each photograph, (count, 3, 224, 224)."""
    found = []
    for photo in natural.amax(1).topk(count).indices.tolist():
        y, x = divmod(int(natural[photo].argmax()), SIZE // PATCH)
        top, left = (min(max(PATCH * p + PATCH // 2 - side // 2, 0), SIZE - side) for p in (y, x))
        found.append(photos[photo : photo + 1, :, top : top + side, left : left + side])
    return F.interpolate(torch.cat(found), (SIZE, SIZE), mode="bilinear", align_corners=False)


STEPS = 12


def step(options: argparse.Namespace) -> None:
    """The loop's step relative to plain torch, alternating in one process."""
    model = deit()
    print("| block | network alone, CPU s | plain loop | our loop | ours / network | ours / plain |")
    print("| --- " * 6 + "|")
    for block in map(int, options.blocks.split(",")):
        layer = f"blocks.{block - 1}.mlp.act"
        objective = channel(layer, spread_out(8, 768))
        rows = [
            [plain(model, layer, objective, False), plain(model, layer, objective, True), ours(model, objective)]
            for _ in range(options.rounds)
        ]
        network, loop, own = (statistics.median(row[i] for row in rows) for i in range(3))
        print(
            f"| {block} | {network:.3f} | {loop:.3f} | {own:.3f} | {own / network:.2f} | {own / loop:.2f} |", flush=True
        )


class _StopForward(Exception):
    """Ends a forward pass at the layer."""


def plain(model: Model, layer: str, objective: Objective, pictures: bool) -> float:
    """CPU seconds of a step for eight pictures with a hook that ends the forward pass, as torch runs it.

    Args:
        model: the network.
        layer: where the forward pass ends.
        objective: of this layer.
        pictures: True for pictures of the Fourier prior, transformed and moved by torch's Adam; False for the gradient
            of fixed pixels, the network alone.
    """
    seen: dict[str, Tensor] = {}

    def hook(_module: object, _inputs: object, output: Tensor) -> None:
        seen[layer] = output
        raise _StopForward

    network = model.module.requires_grad_(False)
    prior, generators = Fourier(8, SIZE), [torch.Generator().manual_seed(i) for i in range(8)]
    prior.reset(generators)
    optimizer = torch.optim.Adam(prior.parameters(), 0.2)
    transform = TOKENS.prepare(generators, (SIZE, SIZE), STEPS, torch.device("cpu"))
    pixels = torch.rand(8, 3, SIZE, SIZE, requires_grad=True)
    spent = []
    handle = network.get_submodule(layer).register_forward_hook(hook)
    for number in range(STEPS):
        started = time.process_time()
        x = transform(prior(), number) if pictures else pixels
        with Settings().autocast(torch.device("cpu")), suppress(_StopForward):
            network(model.normalize(x))
        maps = {layer: seen[layer][:, 1:].transpose(1, 2).unflatten(2, (SIZE // PATCH, SIZE // PATCH))}
        loss = -objective.score(Activations(maps, x)).sum()
        if pictures:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        else:
            torch.autograd.grad(loss, pixels)
        spent.append(time.process_time() - started)
    handle.remove()
    return statistics.median(spent)


def ours(model: Model, objective: Objective) -> float:
    """CPU seconds of a step of the engine's loop for eight pictures."""
    marks: list[float] = []
    settings = Settings(steps=STEPS, learning_rate=0.2)
    optimize(model, objective, Fourier(8, SIZE), settings, TOKENS, lambda _progress: marks.append(time.process_time()))
    return statistics.median(b - a for a, b in pairwise(marks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("classes", "neurons", "step"))
    parser.add_argument("--classes", default="every31", help="indices, or every31: 9, 40, ..., 970")
    parser.add_argument("--variants", default="tokens", help="of VARIANTS, separated by semicolons")
    parser.add_argument("--blocks", default="3,6,9")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet")
    options = parser.parse_args()
    parts: dict[str, Callable[[argparse.Namespace], None]] = {"classes": classes, "neurons": neurons, "step": step}
    parts[options.part](options)


if __name__ == "__main__":
    main()
