"""Occlusion, RISE and extremal perturbation against Captum, TorchRay and a plain loop, in one run.

    pip install '.[peers]' && python benchmarks/attribution_perturbation.py [--pictures 2] [--masks 256] [--extremal 1]

Prints a table in Markdown: the correlation of the maps over their pixels (mean over the images), CPU seconds per image,
and their ratio. All attribute the same class in the same images. "Loop" is the paper's definition, one masked image at
a time; its masks are independent of each other where they are not ours. The last column is the correlation of each with
a map of several times as many masks, made as in the paper.

TorchRay's RISE applies a sigmoid to the network's output, and divides by the number of masks instead of by the coverage
of each pixel: a logit far above 0 is 1 behind any mask, and the map shows the masks. For the sigmoid, with the same
masks and division, its map equals ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from common import machine, named
from contest import PHOTOGRAPHS, Attribution, Contest, FullNetwork, alike, photographs, timed
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from objectives import Objective, logit
from recipes.attribution import explain
from recipes.attribution.methods.rise import place_masks, random_masks
from recipes.attribution.scoring.baselines import baseline_image


def captum_occlusion(model: Model, size: int, stride: int) -> Attribution:
    from captum.attr import Occlusion

    full = FullNetwork(model)

    def attribute(image: Tensor, target: int) -> Tensor:
        with torch.no_grad():
            window, steps = (3, size, size), (3, stride, stride)
            return Occlusion(full).attribute(image, window, steps, baselines=0.5, target=target)[0, 0]

    return attribute


def torchray_rise(model: Model, masks: int, same: bool) -> Attribution:
    from torchray.attribution.rise import rise

    full = FullNetwork(model)

    def attribute(image: Tensor, target: int) -> Tensor:
        if not same:
            return rise(full, image, num_masks=masks, resize=True)[0, target]
        drawn = torch.cat(list(random_masks(image, masks, 7, 0.5, 0, 32)))
        found = rise(full, image, num_masks=masks, filter_masks=drawn[:, None], resize=True)[0, target]
        return found * masks / drawn.sum(0)

    return attribute


def torchray_extremal(model: Model) -> Attribution:
    from torchray.attribution.extremal_perturbation import extremal_perturbation

    full = FullNetwork(model)

    def attribute(image: Tensor, target: int) -> Tensor:
        masks, _ = extremal_perturbation(full, image, target, areas=[0.1], max_iter=200)  # as many as ours
        return F.interpolate(masks, image.shape[2:], mode="bilinear")[0, 0]

    return attribute


def plain_rise(model: Model, masks: int, same: bool) -> Attribution:
    full = FullNetwork(model)

    @torch.no_grad()
    def attribute(image: Tensor, target: int) -> Tensor:
        black, total, times = baseline_image(model, image, "black"), 0, 0
        uniform = torch.rand(masks, 7 * 7 + 2, generator=torch.Generator().manual_seed(0))
        drawn = random_masks(image, masks, 7, 0.5, 0, 1) if same else place_masks(uniform, model.input_size, 7, 0.5, 1)
        for group in drawn:
            total = total + full(torch.lerp(black, image, group[:, None]))[0, target] * group[0]
            times = times + group[0]
        return total / times

    return attribute


def ours(model: Model, method: str, objective: Callable[[int], Objective] = logit) -> Attribution:
    return lambda image, target: explain(model, image, objective(target), method)[0]


def sigmoid(target: int) -> Objective:
    score = logit(target).score
    return Objective(f"sigmoid({target})", ("",), lambda activations: score(activations).sigmoid())


def contests(model: Model, masks: int, stride: int) -> Iterator[Contest]:
    square, half = f"occlusion:size=128,stride={stride},grey=0.5", masks // 2
    yield Contest(square, "captum 0.9.0", ours(model, square), captum_occlusion(model, 128, stride))
    plain, fitted = f"rise:masks={masks},fit=false", f"rise:masks={half}"
    same = plain_rise(model, masks, True)
    yield Contest(plain, "loop, same masks", ours(model, f"{plain},baseline=black"), same)
    independent = plain_rise(model, masks, False)
    yield Contest(fitted, f"loop, {masks} masks", ours(model, f"{fitted},baseline=black"), independent)
    peer, squeezed = "torchray 1.0.0.2", ours(model, f"{fitted},fit=false,baseline=black", sigmoid)
    same = torchray_rise(model, half, True)
    yield Contest(f"{fitted},fit=false, of a sigmoid", f"{peer}, same masks", squeezed, same)
    yield Contest(fitted, peer, ours(model, f"{fitted},baseline=black"), torchray_rise(model, half, False))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


Runs = list[tuple[Tensor, float]]
"""A map and its seconds, per image."""


def runs(attribute: Attribution, pictures: list[tuple[Tensor, int]]) -> Runs:
    return [timed(attribute, *picture) for picture in pictures]


def row(contest: Contest, own: Runs, theirs: Runs, truth: list[Tensor]) -> str:
    took, took_theirs = (mean([seconds for _, seconds in made]) for made in (own, theirs))
    likeness = mean([alike(one, other) for (one, _), (other, _) in zip(own, theirs, strict=True)])
    held = ""
    if truth and contest.name.startswith("rise") and "sigmoid" not in contest.name:
        far = [mean([alike(heat, true) for (heat, _), true in zip(made, truth, strict=True)]) for made in (own, theirs)]
        held = f"{far[0]:.3f}, {far[1]:.3f}"
    metrics = f"{likeness:.4f} | {took:.2f} | {took_theirs:.2f} | {took_theirs / took:.1f}"
    return f"| {contest.name} | {contest.peer} | {metrics} | {held} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=PHOTOGRAPHS, help="INDEX_*.jpg")
    parser.add_argument("--network", choices=("squeezenet", "mobilenet"), default="squeezenet")
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--stride", type=int, default=8, help="of the square of 128 pixels")
    parser.add_argument("--masks", type=int, default=256)
    parser.add_argument("--truth", type=int, default=6, help="factor of masks for the reference map")
    parser.add_argument("--extremal", type=int, default=0, help="images for extremal perturbation, which is slow")
    parser.add_argument("--only", default="", help="methods whose name starts with this")
    options = parser.parse_args()
    model = named(options.network)
    pictures = photographs(options.images, options.pictures, model.input_size)
    selected = [each for each in contests(model, options.masks, options.stride) if each.name.startswith(options.only)]
    shown = [pictures] * len(selected)
    if options.extremal:
        method = "extremal-perturbation:areas=[0.1]"
        selected.append(Contest(method, "torchray 1.0.0.2", ours(model, method), torchray_extremal(model)))
        shown.append(pictures[: options.extremal])
    # The peers come first: our first use of a network makes the process keep freed memory.
    plain_rise(model, 16, False)(*pictures[0])  # warms up
    theirs = [runs(contest.theirs, images) for contest, images in zip(selected, shown, strict=True)]
    explain(model, pictures[0][0], logit(0), "rise:masks=16")
    print(f"\n{machine()}; {model.spec}, {len(pictures)} photographs, class of each\n")
    print("| method | peer | correlation | our s | their s | times as fast | ours, theirs to many masks |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    more = f"rise:masks={options.truth * options.masks},baseline=black,fit=false"
    truth = [explain(model, x, logit(c), more, seed=1)[0] for x, c in pictures] if options.truth else []
    for contest, images, other in zip(selected, shown, theirs, strict=True):
        print(row(contest, runs(contest.ours, images), other, truth[: len(images)]), flush=True)


if __name__ == "__main__":
    main()
