"""All measures of a method's maps, on one batch of pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from inverter import Model
from objectives import Objective
from recipes.attribution.api import explain, resolve_layer, target_scores
from recipes.attribution.localization.boxes import Box
from recipes.attribution.measures.curves import area, between, curve
from recipes.attribution.measures.infidelity import drops, infidelity, squares
from recipes.attribution.measures.pointing import energy, inside, overlap, points_at
from recipes.attribution.measures.randomisation import evenly, randomisation, weighted_layers
from recipes.attribution.measures.sensitivity import runner_up_classes, target_change
from recipes.attribution.measures.shift import shift_change
from recipes.attribution.registry import MethodChoice
from recipes.attribution.scoring.baselines import baseline_image
from recipes.attribution.scoring.forward import copies_at_once, score_function
from recipes.options.targets import Target

NOTHING, BLURRED = "mean", "blur"
"""What deletion and infidelity put in place of pixels, and what insertion begins with (Petsiuk et al. 2018)."""


@dataclass(frozen=True)
class Effort:
    """How much is asked of the network, for each map.

    Attributes:
        points: of the insertion and deletion curves. depths: of the cascade at which maps are made; 0: every layer.
        squares: parts of the picture that are removed, for infidelity.
    """

    points: int = 32
    depths: int = 8
    squares: int = 64


@dataclass(frozen=True)
class Verdict:
    """A method's map of one picture, what it became as the weights were drawn anew, and what each measure says."""

    map: Tensor
    randomised: tuple[Tensor, ...]
    metrics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Judge:
    """Measures maps of pictures (B, 3, H, W) in [0, 1]; what does not depend on the method is asked once.

    Attributes:
        target: that the maps explain. against: another one, with which they must change; None takes the nearest rival
            class, and nothing for a target that is no class.
        layer: for methods that look at one. boxes: for each picture, none where it has none.
        margin: pixels beside a box that still count in the pointing game.

    Example:
        >>> from inverter import load_model
        >>> target, effort = Target.parse("logit:3"), Effort(points=4, depths=2, squares=4)
        >>> judge = Judge(load_model("builtin"), torch.rand(2, 3, 64, 64), target, effort=effort)
        >>> [round(found.metrics["shift"], 3) for found in judge(MethodChoice("saliency"))]
        [0.0, 0.0]
    """

    model: Model
    images: Tensor
    target: Target
    against: Target | None = None
    layer: str | None = None
    boxes: Sequence[Sequence[Box]] = ()
    margin: int = 0
    effort: Effort = Effort()
    seed: int = 0

    def __call__(self, choice: MethodChoice) -> list[Verdict]:
        """What the measures say of a method, for each picture.

        Raises:
            BadInput, NotFound, MissingLibrary: as `explain` does.
        """
        method, model, images = choice.method(), self.model, self.images

        def ask(network: Model, pictures: Tensor) -> Tensor:
            return self._explain(network, pictures, self._objective, choice)

        started = time.perf_counter()
        maps = ask(model, images)
        seconds = (time.perf_counter() - started) / len(maps)
        depths = evenly(self.effort.depths, len(self._layers))
        cascade = list(randomisation(ask, model, images, self._layers, depths, self.seed, method.signed))
        columns = self._curves(maps) | {
            "infidelity": infidelity(maps, *self._fallen),
            "shift": shift_change(ask, model, images, maps),
        }
        if self._rival is not None:
            columns["target_change"] = target_change(maps, self._explain(model, images, self._rival, choice))
        where = resolve_layer(self.model, self._objective, choice, self._layer_of(choice), self._size)
        verdicts = []
        for row, heat in enumerate(maps):
            fates = [
                {"layers": depth.layers, "down_to": depth.down_to}
                | {key: plain(getattr(depth, key)[row]) for key in ("rank", "size", "ssim")}
                for depth in cascade
            ]
            metrics = {"at": where, "signed": method.signed, "seconds": seconds, **self._located(row, heat)}
            metrics |= {name: plain(values[row]) for name, values in columns.items()}
            metrics |= {"upper": upper_half(fates, len(self._layers)), "cascade": fates}
            verdicts.append(Verdict(heat, tuple(depth.maps[row] for depth in cascade), metrics))
        return verdicts

    def random_baseline(self) -> list[dict[str, Any]]:
        """For each picture what a map of noise would reach, where that is not plain."""
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.rand(self._size, generator=generator).expand(len(self.images), -1, -1)
        columns = self._curves(noise)
        found: list[dict[str, Any]] = []
        for row in range(len(self.images)):
            metrics = {name: plain(values[row]) for name, values in columns.items()}
            if boxes := self._boxes(row):
                metrics["pointing"] = float(inside(boxes, self._size, self.margin).float().mean())
                metrics["energy"] = float(inside(boxes, self._size).float().mean())
            found.append(metrics)
        return found

    def _explain(self, model: Model, images: Tensor, target: Objective, choice: MethodChoice) -> Tensor:
        return explain(model, images, target, str(choice), layer=self._layer_of(choice), seed=self.seed)

    def _layer_of(self, choice: MethodChoice) -> str | None:
        return self.layer if choice.method().movable else None

    @property
    def _size(self) -> tuple[int, int]:
        return self.images.shape[2], self.images.shape[3]

    @cached_property
    def _objective(self) -> Objective:
        return self.target.objective(self.model, self.images)

    @cached_property
    def _rival(self) -> Objective | None:
        import objectives

        if self.against is not None:
            return self.against.objective(self.model, self.images)
        if not self.target.of_class:
            return None
        score = objectives.logit if self.target.kind == "logit" else objectives.softmax
        return score(runner_up_classes(self.model, self.images, self.channels))

    @cached_property
    def channels(self) -> list[int]:
        """The class or channel that the target means in each picture; a BadInput where it means no single one."""
        return self.target.resolved(self.model).channels(self.model, self.images)

    @cached_property
    def _layers(self) -> list[str]:
        return weighted_layers(self.model, self._objective, self._size)

    @cached_property
    def _fallen(self) -> tuple[Tensor, Tensor]:
        """Masks (N, H, W) and by how much the score falls for each, (N, B)."""
        masks = squares(self.effort.squares, self._size, self.seed)
        images = self.images.to(self.model.device)
        nothing = baseline_image(self.model, images, NOTHING)
        with score_function(self.model, self._objective) as score:
            return masks, drops(score, images, nothing, masks, copies_at_once(self.model, images))

    def _curves(self, maps: Tensor) -> dict[str, Tensor]:
        """Of a class its probability; of another target its score, 0 for nothing and 1 for the picture."""
        import objectives

        objective, images = self._objective, self.images.to(self.model.device)
        if self.target.of_class:
            objective = objectives.softmax(self.channels)
        nothing, blurred = (baseline_image(self.model, images, name) for name in (NOTHING, BLURRED))
        with score_function(self.model, objective) as score:
            at_once = copies_at_once(self.model, images)
            deletion = curve(score, images, nothing, maps, self.effort.points, at_once)
            insertion = curve(score, blurred, images, maps, self.effort.points, at_once)
        if self.target.of_class:
            deletion, insertion = deletion.exp(), insertion.exp()  # the objective is the log-probability
        else:
            low, high = deletion[:, -1], deletion[:, 0]
            deletion, insertion = between(deletion, low, high), between(insertion, low, high)
        return {
            "insertion": area(insertion),
            "deletion": area(deletion),
            "insertion_curve": insertion,
            "deletion_curve": deletion,
        }

    def _boxes(self, row: int) -> Sequence[Box]:
        return self.boxes[row] if self.boxes else ()

    def _located(self, row: int, heat: Tensor) -> dict[str, Any]:
        if not (boxes := self._boxes(row)):
            return {}
        hit = points_at(heat, boxes, self.margin)
        return {"pointing": float(hit), "energy": energy(heat, boxes), "iou": overlap(heat, boxes)}

    @cached_property
    def scores(self) -> list[float]:
        """What the target says of each picture.

        Raises:
            BadInput, NotFound: for a target, or another one to compare with, that the network does not have.
        """
        if self._rival is not None:
            target_scores(self.model, self._rival, self.images)
        return target_scores(self.model, self._objective, self.images)


def upper_half(depths: Sequence[Mapping[str, Any]], layers: int) -> float | None:
    """How alike |map| stays, by rank, while up to half of the layers are random: the mean over those depths.

    Example:
        >>> upper_half([{"layers": 1, "size": 0.8}, {"layers": 2, "size": 0.4}, {"layers": 4, "size": 0.0}], 4)
        0.6000000000000001
    """
    known = [depth["size"] for depth in depths if 2 * depth["layers"] <= max(layers, 2) and depth["size"] is not None]
    return sum(known) / len(known) if known else None


def plain(values: Tensor) -> Any:
    """A number, or a list of them, as JSON knows it; None for what is no number."""
    if values.ndim:
        return [plain(value) for value in values]
    number = float(values)
    return number if math.isfinite(number) else None
