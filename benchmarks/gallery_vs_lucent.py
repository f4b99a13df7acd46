"""Our gallery against torch-lucent 0.1.8 with its defaults, on one layer of SqueezeNet 1.0, in one run.

    python benchmarks/gallery_vs_lucent.py --weights squeezenet1_0.safetensors [--channels 3,17,42,77] [--sheet OUT.png]

Prints a table in Markdown: time per neuron and held-out score, the mean activation of the channel over 16 random warps
that neither optimisation used (rotation 6 degrees, shift 8 px, scale .94 to 1.06). Needs `make .venv/installed-bench`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import kornia.geometry.transform
import torch
from common import SIZE, SQUEEZENET, held_out, machine, squeezenet
from torch import Tensor
from torch.nn import functional as F

from inverter import PRESETS, Model, Settings, load_model, optimize, to_pil
from objectives import Seen, channel
from priors import Fourier


def lucent(model: Model, layer: str, channels: list[int]) -> tuple[Tensor, float]:
    """Lucent's pictures (B, 3, SIZE, SIZE), one after the other as it works, and its seconds for each."""
    # Lucent 0.1.8 looks for two functions where kornia had them in 2020.
    kornia.get_rotation_matrix2d = kornia.geometry.transform.get_rotation_matrix2d
    kornia.warp_affine = kornia.geometry.transform.warp_affine
    from lucent.optvis import render

    network = load_model(model.spec, model.weights).module
    network.requires_grad_(True)  # as a user has it: Lucent does not freeze
    images, started = [], time.perf_counter()
    for index in channels:
        name = f"{layer.replace('.', '_')}:{index}"
        image = render.render_vis(network, name, show_image=False, progress=False)[-1]
        images.append(torch.from_numpy(image).permute(0, 3, 1, 2))
    seconds = (time.perf_counter() - started) / len(channels)
    # Its 128 px picture is shown to the network at 224 px, in just this way.
    return F.interpolate(torch.cat(images), (SIZE, SIZE), mode="bilinear", align_corners=True), seconds


def ours(model: Model, layer: str, channels: list[int], settings: Settings) -> tuple[Tensor, float]:
    started = time.perf_counter()
    result = optimize(model, channel(layer, channels), Fourier(len(channels), SIZE), settings)
    return result.images, (time.perf_counter() - started) / len(channels)


def overhead(model: Model, layer: str, batch: int = 8, steps: int = 24) -> float:
    """Time of the loop over that of the bare truncated forward, backward and warp, at the same batch."""
    channels = list(range(batch))
    objective = channel(layer, channels)
    settings = Settings(steps=steps)
    generators = [torch.Generator().manual_seed(c) for c in channels]
    warp = PRESETS["standard"].prepare(generators, (SIZE, SIZE), steps, torch.device("cpu"))
    image = torch.rand(batch, 3, SIZE, SIZE).requires_grad_()

    def bare() -> float:
        started = time.perf_counter()
        with model.looking([layer]) as capture:
            for step in range(steps):
                image.grad = None
                shown = warp(image, step)
                with settings.autocast(model.device):
                    seen = capture(model.normalize(shown))
                objective.score(Seen(seen, shown)).sum().backward()
        return time.perf_counter() - started

    def loop() -> float:
        started = time.perf_counter()
        optimize(model, objective, Fourier(batch, SIZE), settings)
        return time.perf_counter() - started

    bare(), loop()
    ratios = sorted(loop() / bare() for _ in range(5))
    return ratios[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=SQUEEZENET)
    parser.add_argument("--layer", default="features.9")
    parser.add_argument("--channels", default="3,17,42,77")
    parser.add_argument("--steps", type=int, default=Settings().steps)
    parser.add_argument("--sheet", type=Path, help="write a contact sheet: Lucent above, ours below")
    options = parser.parse_args()
    channels = [int(number) for number in options.channels.split(",")]
    settings = Settings(steps=options.steps)
    model = squeezenet(options.weights)
    ours(model, options.layer, channels, Settings(steps=2))  # warm up the libraries, for both
    together, seconds_together = ours(model, options.layer, channels, settings)
    alone = [ours(model, options.layer, [c], settings) for c in channels]
    seconds_alone = sum(seconds for _, seconds in alone) / len(alone)
    theirs, seconds_theirs = lucent(model, options.layer, channels)
    rows = (
        ("torch-lucent 0.1.8, 512 steps", theirs, seconds_theirs),
        (f"inverter, {len(channels)} together, {settings.steps} steps", together, seconds_together),
        (f"inverter, one alone, {settings.steps} steps", torch.cat([image for image, _ in alone]), seconds_alone),
    )
    print(f"\n{machine()}; SqueezeNet 1.0 {options.layer}, {SIZE} px\n")
    print(f"| | s a neuron | times Lucent's speed | {' | '.join(f'channel {c}' for c in channels)} |")
    print("| --- | --- | --- |" + " --- |" * len(channels))
    for name, images, seconds in rows:
        scores = " | ".join(f"{score:.0f}" for score in held_out(model, options.layer, channels, images).tolist())
        print(f"| {name} | {seconds:.2f} | {seconds_theirs / seconds:.1f} | {scores} |")
    print(
        f"\nThe loop takes {overhead(model, options.layer):.3f} times the bare forward, backward and warp at batch 8."
    )
    if options.sheet:
        from PIL import Image

        sheet = Image.new("RGB", (SIZE * len(channels), SIZE * 2))
        for y, images in enumerate((theirs, together)):
            for x, image in enumerate(images):
                sheet.paste(to_pil(image), (SIZE * x, SIZE * y))
        sheet.save(options.sheet)


if __name__ == "__main__":
    main()
