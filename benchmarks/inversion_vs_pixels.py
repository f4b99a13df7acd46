"""Seconds to a relative error of a code: our pre-images against Adam on pixels with total variation, in one run.

    python benchmarks/inversion_vs_pixels.py [--layer features.7] [--images DIR] [--count 4] [--errors .2,.15,.12,.1]

Both invert the same codes of SqueezeNet 1.0, from grey noise at 224 px, in one batch. Adam on pixels is what `inverter
invert --prior pixels` does at that depth. Each contender is run with ever more steps, each run with its own schedule,
until its mean relative error |Phi(x) - Phi0| / |Phi0| is as low as asked for.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from common import DATA, SIZE, machine, squeezenet
from torch import Tensor

from inverter import Model, Settings, encode, optimize
from objectives import Objective, code
from priors import Fourier, Pixels, Prior
from recipes.pictures import fit, read_picture

STEPS = (25, 35, 50, 70, 100, 140, 200, 280, 400, 560, 800)
RUNS: dict[str, dict[str, Any]] = {
    "Adam on pixels with TV": {"momentum": 0.9, "schedule": "cosine", "learning_rate": 0.1},
    "Fourier, L-BFGS": {"optimizer": "lbfgs", "learning_rate": 1.0},
    "Fourier, Adam with little momentum": {"momentum": 0.7, "learning_rate": 0.2},
}


def start(name: str, count: int) -> Prior:
    if name.startswith("Adam"):
        return Pixels(count, SIZE, total_variation=4.0, spread=0.01)
    return Fourier(count, SIZE, contrast=math.inf, decay=1.0 if "BFGS" in name else None)


def error(model: Model, layer: str, images: Tensor, target: Tensor) -> float:
    off = (encode(model, images, layer)[layer] - target).flatten(1).norm(dim=1)
    return float((off / target.flatten(1).norm(dim=1)).mean())


def invert(model: Model, objective: Objective, name: str, count: int, steps: int) -> tuple[Tensor, float]:
    started = time.perf_counter()
    settings = Settings(steps=steps, redirect=0, **RUNS[name])
    images = optimize(model, objective, start(name, count), settings, "none").images
    return images, (time.perf_counter() - started) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", default="features.7")
    parser.add_argument("--images", type=Path, default=DATA / "images" / "imagenet")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--errors", default=".2,.15,.12,.1")
    options = parser.parse_args()
    model = squeezenet()
    files = sorted(path for path in options.images.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    originals = torch.stack([fit(read_picture(file), (SIZE, SIZE)) for file in files[:: len(files) // options.count]])
    originals = originals[: options.count]
    target = encode(model, originals, options.layer)[options.layer]
    objective, count = code(options.layer, target), len(originals)
    invert(model, objective, "Fourier, L-BFGS", count, 2)  # warm up
    wanted = [float(text) for text in options.errors.split(",")]
    print(f"\n{machine()}; SqueezeNet 1.0 {options.layer}, {count} photographs, {SIZE} px\n")
    print("| | " + " | ".join(f"to {value:g}" for value in wanted) + " |")
    print("| --- |" + " --- |" * len(wanted))
    for name in RUNS:
        cells: dict[float, str] = {}
        for steps in STEPS:
            images, seconds = invert(model, objective, name, count, steps)
            reached = error(model, options.layer, images, target)
            fits = -10 * (images - originals).square().flatten(1).mean(1).log10().mean().item()
            for value in wanted:
                if reached <= value and value not in cells:
                    cells[value] = f"{seconds:.2f} s ({steps} steps, {fits:.1f} dB)"
            if len(cells) == len(wanted):
                break
        print(f"| {name} | " + " | ".join(cells.get(value, "not reached") for value in wanted) + " |", flush=True)


if __name__ == "__main__":
    main()
