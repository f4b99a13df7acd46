"""One definition, computed by us and by a peer: the similarity of the maps, and the time of each."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from common import DATA
from torch import Tensor, nn

from inverter import Model
from objectives import logit
from recipes.attribution import explain
from recipes.attribution.api import upsample_maps
from recipes.pictures.reading import fit, read_picture

PHOTOGRAPHS = DATA / "images" / "imagenet"
ENOUGH = 2.0
"""Seconds; a method that takes longer is timed once per image."""
HEAD = """| method | peer | correlation, mean | least | our s | their s |
| --- | --- | --- | --- | --- | --- |"""

Attribution = Callable[[Tensor, int], Tensor]
"""Image (1, 3, H, W) and its class -> map (H, W), or a gradient (3, H, W)."""


@dataclass(frozen=True)
class Contest:
    """One definition, computed twice.

    Attributes:
        name: of the method, with its options.
        peer: the library that it is compared with, and its version.
        ours: computes our map.
        theirs: computes the peer's map.
        sums: whether the row reports the sums of the maps, for methods that distribute a score.
    """

    name: str
    peer: str
    ours: Attribution
    theirs: Attribution
    sums: bool = False


class FullNetwork(nn.Module):
    """The network with its normalisation, on a copy whose ReLUs are not in place: peers hook into them."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = copy.deepcopy(model.module).eval().requires_grad_(True)  # as a user has it
        for part in self.network.modules():
            if isinstance(part, nn.ReLU | nn.ReLU6):
                part.inplace = False
        self.normalize = model.normalize

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalize(images))


def mine(model: Model, method: str, layer: str | None = None) -> Attribution:
    return lambda image, target: explain(model, image, logit(target), method, layer=layer)[0]


def grown(heat: Tensor, image: Tensor) -> Tensor:
    """A peer's map (1, 1, h, w) upsampled to the image's size, (H, W), as ours are."""
    return upsample_maps(heat[0].detach(), image)[0]


def alike(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten().float(), b.flatten().float()]))[0, 1])


def photographs(folder: Path, count: int, size: tuple[int, int]) -> list[tuple[Tensor, int]]:
    """`count` images (1, 3, H, W), evenly spaced in the folder, each with the class that its file name starts with."""
    files = sorted(folder.glob("*.jpg"))
    files = files[1 :: max(1, len(files) // count)][:count]
    return [(fit(read_picture(file), size)[None], int(file.name[:4])) for file in files]


def timed(attribute: Attribution, image: Tensor, target: int) -> tuple[Tensor, float]:
    started = time.process_time()
    found = attribute(image.clone(), target).detach()
    return found, time.process_time() - started


def row(contest: Contest, pictures: Iterable[tuple[Tensor, int]], rounds: int) -> str:
    """A line of the table. Seconds are medians over images and rounds, in which we and the peer alternate."""
    likeness, seconds, sums = list[float](), (list[float](), list[float]()), list[str]()
    for place, (image, target) in enumerate(pictures):
        for turn in range(rounds):
            sides = [(contest.ours, seconds[0]), (contest.theirs, seconds[1])]
            maps = list[Tensor]()
            for attribute, spent in sides:
                found, took = timed(attribute, image, target)
                maps.append(found)
                spent.append(took)
            if not turn:
                likeness.append(alike(*maps))
                sums.append(" and ".join(f"{float(each.sum()):.3g}" for each in maps))
            if max(spent[-1] for _, spent in sides) > ENOUGH:
                break
        if not place and len(seconds[0]) > 1:
            seconds = (seconds[0][1:], seconds[1][1:])  # the first call warms up
    metrics = f"{sum(likeness) / len(likeness):.5f} | {min(likeness):.5f}"
    name = f"{contest.name} (sums {', '.join(sums)})" if contest.sums else contest.name
    return f"| {name} | {contest.peer} | {metrics} | {median(seconds[0]):.3f} | {median(seconds[1]):.3f} |"
