"""Seconds to a relative error of a code: our pre-images against Adam on pixels with total variation, in one run.

    python benchmarks/inversion_vs_pixels.py [--layer features.7] [--images DIR] [--count 4] [--errors .3,.2,.15,.12]
        [--processor]

All invert the same codes of SqueezeNet 1.0 at 224 px, from grey noise or from a decoder's reconstruction; the decoder
is trained once per network and layer, and its seconds are reported separately. "PyTorch" is a plain implementation of
Adam on pixels with TV: float32, a hook on the layer, one picture at a time, weights frozen. The same prior in our
engine isolates the effect of the engine, the others that of the basis, the optimiser and the start. Each contender runs
with more and more steps, each run with its own schedule, until its mean relative error |Phi(x) - Phi0| / |Phi0| is
reached.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from common import DATA, SIZE, apart, machine, squeezenet
from torch import Tensor

from inverter import Model, Settings, encode, optimize
from inverter.decoder import Decoder
from objectives import Objective, code
from priors import Fourier, Pixels, Prior
from recipes.pictures.reading import fit, read_picture

STEPS = sorted({round(8 * 1.12**i) for i in range(42)})
RUNS: dict[str, dict[str, Any]] = {
    "Adam on pixels with TV": {"momentum": 0.9, "schedule": "cosine", "learning_rate": 0.1},
    "Fourier, L-BFGS": {"optimizer": "lbfgs", "learning_rate": 1.0},
    "Fourier, Adam with little momentum": {"momentum": 0.7, "learning_rate": 0.2},
    "Fourier from a decoder's guess, L-BFGS": {"optimizer": "lbfgs", "learning_rate": 1.0},
}


CLOCKS = {False: time.perf_counter, True: time.process_time}
"""The clock, by `--processor`."""


def plain(originals: Tensor, layer: str, steps: int, processor: bool) -> tuple[Tensor, float]:
    """Pre-images by torch alone, and seconds per picture."""
    clock = CLOCKS[processor]
    model = squeezenet()
    network, outputs = model.module.requires_grad_(False), list[Tensor]()
    network.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (model.mean, model.std))
    images, took = [], 0.0
    for original in originals:
        with torch.no_grad():
            network((original[None] - mean) / std)
        target = outputs.pop().clone()
        started = clock()
        image = (0.5 + 0.01 * torch.randn(1, 3, SIZE, SIZE)).requires_grad_()
        optimizer = torch.optim.Adam([image], 0.1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            network((image - mean) / std)
            dx, dy = image[..., 1:] - image[..., :-1], image[..., 1:, :] - image[..., :-1, :]
            smooth = dx.square().mean() + dy.square().mean()
            loss = (outputs.pop() - target).square().sum() / target.square().sum() + 4 * smooth
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                image.clamp_(0, 1)
        took += clock() - started
        images.append(image.detach())
    return torch.cat(images), took / len(originals)


def start(name: str, target: Tensor, decoder: Decoder) -> Prior:
    count = len(target)
    if name.startswith("Adam"):
        return Pixels(count, SIZE, total_variation=4.0, spread=0.01)
    if "decoder" in name:
        return Fourier.from_image(decoder(target, (SIZE, SIZE)), contrast=math.inf, decay=0.9)
    usual: dict[str, Any] = {"decay": 0.9, "spread": 0.1} if "BFGS" in name else {}
    return Fourier(count, SIZE, contrast=math.inf, **usual)


def error(model: Model, layer: str, images: Tensor, target: Tensor) -> float:
    off = (encode(model, images, layer)[layer] - target).flatten(1).norm(dim=1)
    return float((off / target.flatten(1).norm(dim=1)).mean())


def invert(
    model: Model, objective: Objective, name: str, steps: int, target: Tensor, decoder: Decoder, processor: bool
) -> tuple[Tensor, float]:
    clock = CLOCKS[processor]
    started = clock()
    settings = Settings(steps=steps, redirect=0, **RUNS[name])
    images = optimize(model, objective, start(name, target, decoder), settings, "none").images
    return images, (clock() - started) / len(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", default="features.7")
    parser.add_argument("--images", type=Path, default=DATA / "images" / "imagenet")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--errors", default=".3,.2,.15,.12")
    parser.add_argument("--processor", action="store_true", help="CPU seconds, for a busy machine")
    options = parser.parse_args()
    model = squeezenet()
    files = sorted(path for path in options.images.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    originals = torch.stack([fit(read_picture(file), (SIZE, SIZE)) for file in files[:: len(files) // options.count]])
    originals = originals[: options.count]
    target = encode(model, originals, options.layer)[options.layer]
    objective, count = code(options.layer, target), len(originals)
    clock = CLOCKS[options.processor]
    started = clock()
    decoder = Decoder.fit(model, options.layer, (SIZE, SIZE))
    learnt = clock() - started
    rest = (target, decoder, options.processor)
    invert(model, objective, "Fourier, L-BFGS", 2, *rest)  # warm up
    errors = [float(text) for text in options.errors.split(",")]
    unit = "CPU seconds" if options.processor else "seconds"
    print(f"\n{machine()}; SqueezeNet 1.0 {options.layer}, {count} photographs, {SIZE} px; {unit} per picture")
    print(f"The decoder was trained in {learnt:.2f} s, once for all pictures.\n")
    print("| | " + " | ".join(f"to {value:g}" for value in errors) + " |")
    print("| --- |" + " --- |" * len(errors))
    first: dict[float, float] = {}
    for name in ("PyTorch: Adam on pixels with TV", *RUNS):
        cells: dict[float, str] = {}
        for steps in STEPS:
            if name in RUNS:
                images, seconds = invert(model, objective, name, steps, *rest)
            else:
                images, seconds = apart(plain, originals, options.layer, steps, options.processor)
            reached = error(model, options.layer, images, target)
            fits = -10 * (images - originals).square().flatten(1).mean(1).log10().mean().item()
            for value in errors:
                if reached <= value and value not in cells:
                    times = f", {first[value] / seconds:.1f} times as fast" if value in first else ""
                    cells[value] = f"{seconds:.2f} s ({steps} steps, {fits:.1f} dB{times})"
                    if name not in RUNS:
                        first[value] = seconds
            if len(cells) == len(errors):
                break
        print(f"| {name} | " + " | ".join(cells.get(value, "not reached") for value in errors) + " |", flush=True)


if __name__ == "__main__":
    main()
