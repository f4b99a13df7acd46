"""Our gallery against torch-lucent 0.1.8 with its defaults, at three layers of two networks, in one run.

    python benchmarks/gallery_vs_lucent.py [--channels 4] [--layers squeezenet:features.9,...] [--sheet OUT.png]
    python benchmarks/gallery_vs_lucent.py --device cuda --channels 16

Lucent optimises 512 steps of a 128 px picture that is resized to 224 px for the network; its pictures are evaluated at
that size. Two scores, means over the channels: of the pictures as they are, and held out, over 16 random warps that
neither optimisation used (rotation 6 degrees, shift 8 px, scale .94 to 1.06). "As good" is the smallest number of steps
at which our gallery reaches both of Lucent's. Needs `make .venv/installed-bench`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import SIZE, apart, held_out, machine, named, restore_kornia, spread_out
from torch import Tensor
from torch.nn import functional as F

from inverter import PRESETS, Model, Settings, evaluate, optimize, to_pil
from inverter.engine import default_batch
from objectives import Activations, channel
from priors import Fourier
from recipes.gallery.posed import FOURIER_STEPS

LAYERS = (
    *(f"squeezenet:{layer}" for layer in ("features.3", "features.9", "features.12")),
    *(f"mobilenet:{layer}" for layer in ("features.3", "features.10", "features.18")),
)
TRIED = (8, 12, 16, 20, 24, 28, 32, 34, 36, 40, 48, 64)


def seconds(model: Model, channels: list[int], make: Callable[[], object]) -> float:
    """Seconds per picture."""
    _wait(model)
    started = time.perf_counter()
    make()
    _wait(model)
    return (time.perf_counter() - started) / len(channels)


def scores(model: Model, layer: str, channels: list[int], images: Tensor) -> tuple[float, float]:
    """Mean score of the pictures as they are, and held out."""
    plain = evaluate(model, channel(layer, channels), images).mean().item()
    return plain, held_out(model, layer, channels, images).mean().item()


def _wait(model: Model) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def lucent(network_name: str, device: str, layer: str, channels: list[int]) -> tuple[Tensor, float]:
    """Lucent's pictures, made one after the other, and seconds per picture."""
    restore_kornia()
    from lucent.optvis import render, transform

    model = named(network_name, device)
    network = model.module.requires_grad_(True)  # as a user has it: Lucent does not freeze
    mean, std = (torch.tensor(numbers, device=model.device)[:, None, None] for numbers in (model.mean, model.std))
    transforms = [*transform.standard_transforms, lambda x: (x - mean) / std]  # what the network was trained with
    images = []

    def make() -> None:
        for index in channels:
            name = f"{layer.replace('.', '_')}:{index}"
            image = render.render_vis(
                network, name, transforms=transforms, preprocess=False, show_image=False, progress=False
            )
            images.append(torch.from_numpy(image[-1]).permute(0, 3, 1, 2))

    took = seconds(model, channels, make)
    # Lucent resizes its 128 px picture to 224 px for the network in the same way.
    return F.interpolate(torch.cat(images), (SIZE, SIZE), mode="bilinear", align_corners=True), took


def ours(model: Model, layer: str, channels: list[int], steps: int) -> Tensor:
    settings = Settings(steps=steps)
    return optimize(model, channel(layer, channels), Fourier(len(channels), SIZE), settings).images


def over_bare(model: Model, layer: str, steps: int = 16) -> float:
    """Time of the loop relative to that of the bare truncated forward, backward and warp, as torch runs them."""
    batch = default_batch(model.device)
    channels = list(range(batch))
    objective, settings = channel(layer, channels), Settings(steps=steps)
    generators = [torch.Generator().manual_seed(number) for number in channels]
    warp = PRESETS["standard"].prepare(generators, (SIZE, SIZE), steps, model.device)
    image = torch.rand(batch, 3, SIZE, SIZE, device=model.device).requires_grad_()

    def bare() -> float:
        _wait(model)
        started = time.perf_counter()
        with model.capture([layer]) as capture:
            for step in range(steps):
                image.grad = None
                shown = warp(image, step)
                with settings.autocast(model.device):
                    values = capture(model.normalize(shown))
                objective.score(Activations(values, shown)).sum().backward()
        _wait(model)
        return time.perf_counter() - started

    def loop() -> float:
        _wait(model)
        started = time.perf_counter()
        optimize(model, objective, Fourier(batch, SIZE), settings)
        return time.perf_counter() - started

    bare(), loop()
    return sorted(loop() / bare() for _ in range(3))[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", default=",".join(LAYERS))
    parser.add_argument("--channels", type=int, default=4, help="per layer: Lucent takes half a minute for one")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheet", type=Path, help="write contact sheets: Lucent above, ours below")
    options = parser.parse_args()
    print(f"\n{machine(options.device)}; {SIZE} px, {options.channels} channels of each layer\n")
    print(
        "| layer | Lucent, s per picture | its held-out score | ours, s | times as fast "
        "| held-out score, relative to Lucent's | as they are | as good after | times as fast "
        "| one alone, s | times as fast | loop / bare |"
    )
    print("| --- |" + " --- |" * 11)
    for place in options.layers.split(","):
        network, layer = place.split(":")
        model = named(network, options.device)
        total = model.shapes([layer], (SIZE, SIZE))[layer][1]
        channels = spread_out(options.channels, total)
        # As many as a gallery optimises together: a peer's seconds are the same for one and for many.
        many = spread_out(max(options.channels, default_batch(model.device)), total)
        ours(model, layer, many, 2)  # warm up the libraries, for both
        together = seconds(model, many, lambda: ours(model, layer, many, FOURIER_STEPS))  # noqa: B023
        alone = min(seconds(model, [c], lambda: ours(model, layer, [c], FOURIER_STEPS)) for c in channels)  # noqa: B023
        images = ours(model, layer, channels, FOURIER_STEPS)
        plain, held = scores(model, layer, channels, images)
        theirs, took = apart(lucent, network, options.device, layer, channels)
        goal = scores(model, layer, channels, theirs)
        least = f"more than {TRIED[-1]} steps | "
        for tried in TRIED:
            reached = scores(model, layer, channels, ours(model, layer, channels, tried))
            if all(mine >= yours for mine, yours in zip(reached, goal, strict=True)):
                quick = seconds(model, many, lambda: ours(model, layer, many, tried))  # noqa: B023
                least = f"{tried} steps, {quick:.2f} s | {took / quick:.0f}"
                break
        print(
            f"| {network} {layer} | {took:.2f} | {goal[1]:.4g} | {together:.2f} | {took / together:.0f} "
            f"| {held / goal[1]:.2f} | {plain / goal[0]:.2f} | {least} "
            f"| {alone:.2f} | {took / alone:.0f} | {over_bare(model, layer):.2f} |",
            flush=True,
        )
        if options.sheet:
            _sheet(options.sheet.with_stem(f"{options.sheet.stem}-{network}-{layer}"), theirs, images)


def _sheet(path: Path, *rows: Tensor) -> None:
    from PIL import Image

    sheet = Image.new("RGB", (SIZE * len(rows[0]), SIZE * len(rows)))
    for y, images in enumerate(rows):
        for x, image in enumerate(images):
            sheet.paste(to_pil(image), (SIZE * x, SIZE * y))
    sheet.save(path)


if __name__ == "__main__":
    main()
