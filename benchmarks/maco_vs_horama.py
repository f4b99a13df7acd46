"""Our MACO against Horama 0.3 on one canvas, at equal steps and crops, in one run.

    python benchmarks/maco_vs_horama.py [--classes 1,207] [--steps 32] [--size 1280] [--device cpu] [--sheet OUT.png]

A logit of SqueezeNet 1.0; in each step both pass 6 crops of a quarter of the canvas's side to the network, at 224 px.
The score is the mean logit over 64 random crops of that size that neither optimisation used. Both take their magnitudes
from our statistics of natural images: Horama would download its own. Needs `make .venv/installed-bench`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from common import SIZE, apart, machine, squeezenet
from torch import Tensor

from inverter import Augment, Model, Settings, evaluate, optimize, to_pil
from objectives import logit
from priors import Maco
from priors.statistics import natural_statistics

CROPS = 6
BOX = 0.25


def horama(device: str, indices: list[int], steps: int, size: int) -> list[tuple[Tensor, float]]:
    """For each class Horama's picture (1, 3, size, size), in [0, 1], and seconds."""
    model = squeezenet(device=device)
    _horama(model, indices[0], 1, size)  # warm up
    return [timed(model, lambda: _horama(model, index, steps, size)) for index in indices]  # noqa: B023


def _horama(model: Model, index: int, steps: int, size: int) -> Tensor:
    sys.modules.setdefault("horama.plots", _without_plots())
    from horama import maco_fv

    maco_fv.tqdm = iter
    network = model.module.requires_grad_(True)
    mean, std = (torch.tensor(numbers, device=model.device)[:, None, None] for numbers in (model.mean, model.std))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        np.save(maco_fv.MACO_SPECTRUM_FILENAME, natural_statistics().spectrum(512, 512).numpy())
        image, _ = maco_fv.maco(
            lambda crops: network((crops - mean) / std)[:, index].mean(),
            total_steps=steps,
            image_size=size,
            model_input_size=SIZE,
            values_range=(0, 1),
            crops_per_iteration=CROPS,
            box_size=(BOX, BOX),
            device=str(model.device),
        )
    return image.detach()[None].clamp(0, 1)


def _without_plots() -> ModuleType:
    """A replacement for Horama's plotting functions, which import matplotlib."""
    plots = ModuleType("horama.plots")
    for name in ("set_size", "to_numpy", "check_format", "normalize", "clip_percentile", "show", "plot_maco"):
        setattr(plots, name, None)
    return plots


def timed(model: Model, make: Callable[[], Tensor]) -> tuple[Tensor, float]:
    started = time.perf_counter()
    image = make()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return image, time.perf_counter() - started


def ours(model: Model, index: int, steps: int, size: int) -> Tensor:
    window = SIZE / size
    augment = Augment(crop=window, scale=(window / BOX, window / BOX), noise=0.05)
    settings = Settings(steps=steps, views=CROPS)
    return optimize(model, logit([index]), Maco(1, size), settings, augment).images


def score(model: Model, index: int, image: Tensor) -> float:
    size = image.shape[2]
    shown = Augment(crop=BOX).prepare([torch.Generator().manual_seed(9)], (size, size), 64, model.device)
    crops = torch.nn.functional.interpolate(
        shown(image.to(model.device), 0, 64), (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False
    )
    return evaluate(model, logit([index]), crops).mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", default="1,207")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--size", type=int, default=1280)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheet", type=Path, help="write the pictures: Horama's above, ours below")
    options = parser.parse_args()
    model = squeezenet(device=options.device)
    classes = [int(number) for number in options.classes.split(",")]
    theirs = apart(horama, options.device, classes, options.steps, options.size)
    ours(model, classes[0], 1, options.size)  # warm up
    own = [timed(model, lambda: ours(model, index, options.steps, options.size)) for index in classes]  # noqa: B023
    found = {"Horama 0.3": theirs, "inverter": own}
    print(f"\n{machine(options.device)}; {options.size} px, {options.steps} steps of {CROPS} crops\n")
    print("| | s per step | times as fast as Horama | " + " | ".join(f"logit {index}" for index in classes) + " |")
    print("| --- | --- | --- |" + " --- |" * len(classes))
    slowest = sum(seconds for _, seconds in theirs)
    for name, runs in found.items():
        total = sum(seconds for _, seconds in runs)
        logits = [score(model, index, image) for index, (image, _) in zip(classes, runs, strict=True)]
        cells = " | ".join(f"{value:.1f}" for value in logits)
        print(f"| {name} | {total / len(runs) / options.steps:.3f} | {slowest / total:.1f} | {cells} |")
    if options.sheet:
        from PIL import Image

        sheet = Image.new("RGB", (640 * len(classes), 1280))
        for y, runs in enumerate(found.values()):
            for x, (image, _) in enumerate(runs):
                sheet.paste(to_pil(image[0]).resize((640, 640)), (640 * x, 640 * y))
        sheet.save(options.sheet)


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    main()
