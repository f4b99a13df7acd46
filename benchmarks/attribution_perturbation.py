"""Occlusion, RISE and extremal perturbation against Captum, TorchRay and a plain loop, in one run.

    pip install '.[peers]' && python benchmarks/attribution_perturbation.py [--pictures 2] [--masks 256] [--extremal 1]

Prints a table in Markdown: the correlation of the maps over their pixels (mean over the pictures), processor seconds
for a picture, and their ratio. Everybody asks the same class of the same pictures, in turns. "Loop" is the paper's
definition as it stands, one masked picture at a time; its masks are independent of each other where they are not ours.
The last column says how far each is from a map of several times as many masks, made as in the paper.

TorchRay's RISE squeezes what a network puts out through a sigmoid, and divides by the number of masks instead of by
how much they let a pixel be seen: a logit far above 0 is 1 behind any mask, and the map shows the masks. Asked for the
sigmoid, with the same masks and division, its map is ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from common import machine, named
from contest import PHOTOGRAPHS, Asked, Contest, Whole, alike, photographs, timed
from torch import Tensor
from torch.nn import functional as F

from inverter import Model
from objectives import Objective, logit
from recipes.attribution import explain
from recipes.attribution.methods.rise import place_masks, random_masks
from recipes.attribution.scoring.baselines import baseline_image


def captum_occlusion(model: Model, size: int, stride: int) -> Asked:
    from captum.attr import Occlusion

    whole = Whole(model)

    def asked(image: Tensor, target: int) -> Tensor:
        with torch.no_grad():
            window, steps = (3, size, size), (3, stride, stride)
            return Occlusion(whole).attribute(image, window, steps, baselines=0.5, target=target)[0, 0]

    return asked


def torchray_rise(model: Model, masks: int, same: bool) -> Asked:
    from torchray.attribution.rise import rise

    whole = Whole(model)

    def asked(image: Tensor, target: int) -> Tensor:
        if not same:
            return rise(whole, image, num_masks=masks, resize=True)[0, target]
        drawn = torch.cat(list(random_masks(image, masks, 7, 0.5, 0, 32)))
        found = rise(whole, image, num_masks=masks, filter_masks=drawn[:, None], resize=True)[0, target]
        return found * masks / drawn.sum(0)

    return asked


def torchray_extremal(model: Model) -> Asked:
    from torchray.attribution.extremal_perturbation import extremal_perturbation

    whole = Whole(model)

    def asked(image: Tensor, target: int) -> Tensor:
        masks, _ = extremal_perturbation(whole, image, target, areas=[0.1], max_iter=200)  # as many as ours
        return F.interpolate(masks, image.shape[2:], mode="bilinear")[0, 0]

    return asked


def plain_rise(model: Model, masks: int, same: bool) -> Asked:
    whole = Whole(model)

    @torch.no_grad()
    def asked(image: Tensor, target: int) -> Tensor:
        nothing, total, times = baseline_image(model, image, "black"), 0, 0
        chance = torch.rand(masks, 7 * 7 + 2, generator=torch.Generator().manual_seed(0))
        drawn = random_masks(image, masks, 7, 0.5, 0, 1) if same else place_masks(chance, model.input_size, 7, 0.5, 1)
        for group in drawn:
            total = total + whole(torch.lerp(nothing, image, group[:, None]))[0, target] * group[0]
            times = times + group[0]
        return total / times

    return asked


def ours(model: Model, method: str, objective: Callable[[int], Objective] = logit) -> Asked:
    return lambda image, target: explain(model, image, objective(target), method)[0]


def sigmoid(target: int) -> Objective:
    score = logit(target).score
    return Objective(f"sigmoid({target})", ("",), lambda seen: score(seen).sigmoid())


def contests(model: Model, masks: int, stride: int) -> Iterator[Contest]:
    square, half = f"occlusion:stride={stride}", masks // 2
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
"""A map and its seconds for each picture."""


def runs(asked: Asked, pictures: list[tuple[Tensor, int]]) -> Runs:
    return [timed(asked, *picture) for picture in pictures]


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
    parser.add_argument("--truth", type=int, default=6, help="times as many masks make the map that all are held to")
    parser.add_argument("--extremal", type=int, default=0, help="pictures for extremal perturbation, which takes long")
    parser.add_argument("--only", default="", help="methods whose name begins so")
    options = parser.parse_args()
    model = named(options.network)
    pictures = photographs(options.images, options.pictures, model.input_size)
    asked = [each for each in contests(model, options.masks, options.stride) if each.name.startswith(options.only)]
    shown = [pictures] * len(asked)
    if options.extremal:
        method = "extremal-perturbation:areas=[0.1]"
        asked.append(Contest(method, "torchray 1.0.0.2", ours(model, method), torchray_extremal(model)))
        shown.append(pictures[: options.extremal])
    # The peers come first: our first look at a network changes how the whole process keeps memory.
    plain_rise(model, 16, False)(*pictures[0])  # warms up
    theirs = [runs(contest.theirs, seen) for contest, seen in zip(asked, shown, strict=True)]
    explain(model, pictures[0][0], logit(0), "rise:masks=16")
    print(f"\n{machine()}; {model.spec}, {len(pictures)} photographs, class of each\n")
    print("| method | peer | correlation | our s | their s | times their speed | ours, theirs to many masks |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    more = f"rise:masks={options.truth * options.masks},baseline=black,fit=false"
    truth = [explain(model, x, logit(c), more, seed=1)[0] for x, c in pictures] if options.truth else []
    for contest, seen, other in zip(asked, shown, theirs, strict=True):
        print(row(contest, runs(contest.ours, seen), other, truth[: len(seen)]), flush=True)


if __name__ == "__main__":
    main()
