"""Occlusion and RISE against Captum, TorchRay and a plain loop, on one shared network, in one run.

    pip install '.[peers]' && python benchmarks/attribution_perturbation.py [--pictures 2] [--masks 256]

Prints a table in Markdown: the correlation of the maps over their pixels (mean over the pictures), processor seconds
for a picture, and their ratio. Everybody asks the same class of the same pictures, one after the other. "Loop" is the
paper's definition as it stands, one masked picture at a time, with our masks. TorchRay draws its own masks, so its map
differs by chance; the last column says how far each is from a map of ten times as many masks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from attribution_vs_peers import Whole, alike
from common import DATA, machine, squeezenet
from recipes.attribution.perturbation import random_masks
from torch import Tensor

from inverter import Model, load_model
from objectives import logit
from recipes.attribution import explain
from recipes.attribution.baselines import baseline_of
from recipes.pictures import fit, read_picture

Asked = Callable[[Tensor, int], Tensor]
"""Picture (1, 3, H, W) and class -> map (H, W)."""


def captum_occlusion(model: Model, size: int, stride: int) -> Asked:
    from captum.attr import Occlusion

    whole = Whole(model)

    def asked(image: Tensor, target: int) -> Tensor:
        with torch.no_grad():
            window, steps = (3, size, size), (3, stride, stride)
            return Occlusion(whole).attribute(image, window, steps, baselines=0.5, target=target)[0, 0]

    return asked


def torchray_rise(model: Model, masks: int) -> Asked:
    from torchray.attribution.rise import rise

    whole = Whole(model)
    return lambda image, target: rise(whole, image, num_masks=masks, resize=True)[0, target]


def plain_rise(model: Model, masks: int) -> Asked:
    whole = Whole(model)

    @torch.no_grad()
    def asked(image: Tensor, target: int) -> Tensor:
        nothing, total, times = baseline_of(model, image, "black"), 0, 0
        for group in random_masks(image, masks, 7, 0.5, 0, 1):
            total = total + whole(torch.lerp(nothing, image, group[:, None]))[0, target] * group[0]
            times = times + group[0]
        return total / times

    return asked


def ours(model: Model, method: str) -> Asked:
    return lambda image, target: explain(model, image, logit(target), method)[0]


def timed(asked: Asked, pictures: list[tuple[Tensor, int]]) -> tuple[list[Tensor], float]:
    started = time.process_time()
    maps = [asked(image.clone(), target).detach() for image, target in pictures]
    return maps, (time.process_time() - started) / len(pictures)


def likeness(a: list[Tensor], b: list[Tensor]) -> float:
    return sum(alike(x, y) for x, y in zip(a, b, strict=True)) / len(a)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=DATA / "images" / "imagenet", help="INDEX_*.jpg")
    parser.add_argument("--network", choices=("squeezenet", "mobilenet"), default="squeezenet")
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--stride", type=int, default=16, help="of the square of 128 pixels")
    parser.add_argument("--masks", type=int, default=256)
    parser.add_argument("--truth", type=int, default=10, help="times as many masks make the map that all are held to")
    options = parser.parse_args()
    model = squeezenet()
    if options.network == "mobilenet":
        weights = DATA / "weights" / "mobilenet_v2.safetensors"
        model = load_model("torchvision:mobilenet_v2", weights, "half", "cpu")
    files = sorted(options.images.glob("*.jpg"))[1::50][: options.pictures]
    pictures = [(fit(read_picture(file), model.input_size)[None], int(file.name[:4])) for file in files]
    square = f"occlusion:stride={options.stride}"
    many = [(square, "captum 0.9.0", captum_occlusion(model, 128, options.stride))]
    rise = f"rise:masks={options.masks},baseline=black"
    many += [
        (rise, "loop", plain_rise(model, options.masks)),
        (rise, "torchray 1.0.0.2", torchray_rise(model, options.masks)),
    ]
    explain(model, pictures[0][0], logit(0), "rise:masks=16")  # warms up
    print(f"\n{machine()}; {model.spec}, {len(pictures)} photographs, class of each\n")
    print("| method | peer | correlation | our s | their s | times their speed | ours, theirs to many masks |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    more, truth = f"rise:masks={options.truth * options.masks},baseline=black", list[Tensor]()
    if options.truth:
        truth = [explain(model, x, logit(c), more, seed=1)[0] for x, c in pictures]
    for method, peer, asked in many:
        (own, took), (other, took_theirs) = timed(ours(model, method), pictures), timed(asked, pictures)
        held = f"{likeness(own, truth):.3f}, {likeness(other, truth):.3f}" if truth and "rise" in method else ""
        figures = f"{likeness(own, other):.4f} | {took:.2f} | {took_theirs:.2f} | {took_theirs / took:.1f}"
        print(f"| {method} | {peer} | {figures} | {held} |", flush=True)


if __name__ == "__main__":
    main()
