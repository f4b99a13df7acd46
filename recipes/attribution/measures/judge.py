"""All measures of a method's maps, on one batch of images."""

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
from recipes.attribution.api import heat_maps, resolve_layer, target_scores
from recipes.attribution.localization.boxes import Box
from recipes.attribution.measures.curves import area, curve, normalise_curves
from recipes.attribution.measures.infidelity import infidelity, random_squares, score_drops
from recipes.attribution.measures.pointing import box_iou, box_mask, energy, points_at
from recipes.attribution.measures.randomisation import randomisation, spread_depths, weighted_layers
from recipes.attribution.measures.sensitivity import runner_up_classes, target_change
from recipes.attribution.measures.shift import shift_change
from recipes.attribution.registry import MethodChoice
from recipes.attribution.scoring.baselines import Baseline, baseline_image
from recipes.attribution.scoring.forward import copies_at_once, score_function
from recipes.attribution.scoring.images import check_images
from recipes.options.targets import Target

REMOVED: Baseline = "mean"
"""Baseline that replaces removed pixels, for deletion and infidelity."""
BLURRED: Baseline = "blur"
"""Baseline that insertion starts from (Petsiuk et al. 2018)."""


@dataclass(frozen=True)
class Effort:
    """How many forward passes the measures take.

    Attributes:
        points: steps of the insertion and deletion curves.
        depths: numbers of randomised layers at which maps are computed; 0 takes every layer.
        squares: random squares that are removed to measure infidelity.
    """

    points: int = 32
    depths: int = 8
    squares: int = 64


@dataclass(frozen=True)
class Verdict:
    """The evaluation of a method on one image.

    Attributes:
        map: the heat map, (H, W).
        randomised: its maps as layers are randomised from the top, (H, W) each.
        metrics: measure -> value.
    """

    map: Tensor
    randomised: tuple[Tensor, ...]
    metrics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Judge:
    """Evaluates methods on a batch of images; results that do not depend on the method are computed once.

    Attributes:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        target: the target that the maps explain.
        against: another target, with which the maps must change; None takes the highest scoring other class, or leaves
            the measure out for a target that is no class.
        layer: address of the layer for methods that need one; None for the default.
        boxes: annotated boxes of each image; empty for an image without any.
        margin: tolerance around a box in the pointing game, in pixels.
        effort: how many forward passes the measures take.
        seed: of all random draws.

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
        """The evaluation of a method for each image.

        Args:
            choice: the method with its options.

        Raises:
            BadInput: as `explain`.
            NotFound: as `explain`.
            MissingLibrary: as `explain`.
        """
        method, model, images = choice.method(), self.model, self.images
        check_images(model, images)  # once: those of `shift_change` leave the range

        def explainer(network: Model, images: Tensor) -> Tensor:
            return self._explain(network, images, self._objective, choice)

        started = time.perf_counter()
        maps = explainer(model, images)
        seconds = (time.perf_counter() - started) / len(maps)
        depths = spread_depths(self.effort.depths, len(self._layers))
        cascade = list(randomisation(explainer, model, images, self._layers, depths, self.seed, method.signed))
        columns = self._curves(maps) | {
            "infidelity": infidelity(maps, *self._drops),
            "shift": shift_change(explainer, model, images, maps),
        }
        if self._rival is not None:
            columns["target_change"] = target_change(maps, self._explain(model, images, self._rival, choice))
        where = resolve_layer(self.model, self._objective, choice, self._layer_of(choice), self._size)
        verdicts = []
        for row, heat in enumerate(maps):
            stages = [
                {"layers": depth.layers, "down_to": depth.down_to}
                | {key: to_json(getattr(depth, key)[row]) for key in ("rank", "size", "ssim")}
                for depth in cascade
            ]
            metrics = {"at": where, "signed": method.signed, "seconds": seconds, **self._located(row, heat)}
            metrics |= {name: to_json(values[row]) for name, values in columns.items()}
            metrics |= {"upper": upper_half(stages, len(self._layers)), "cascade": stages}
            verdicts.append(Verdict(heat, tuple(depth.maps[row] for depth in cascade), metrics))
        return verdicts

    def random_baseline(self) -> list[dict[str, Any]]:
        """The metrics of a map of uniform noise on each image, for measures whose random baseline is not obvious."""
        generator = torch.Generator("cpu").manual_seed(self.seed)
        noise = torch.rand(self._size, generator=generator, dtype=torch.float32).expand(len(self.images), -1, -1)
        columns = self._curves(noise)
        found: list[dict[str, Any]] = []
        for row in range(len(self.images)):
            metrics = {name: to_json(values[row]) for name, values in columns.items()}
            if boxes := self._boxes(row):
                metrics["pointing"] = float(box_mask(boxes, self._size, self.margin).float().mean())
                metrics["energy"] = float(box_mask(boxes, self._size).float().mean())
            found.append(metrics)
        return found

    def _explain(self, model: Model, images: Tensor, target: Objective, choice: MethodChoice) -> Tensor:
        return heat_maps(model, images, target, str(choice), layer=self._layer_of(choice), seed=self.seed)

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
        output = self.target.address
        rivals = runner_up_classes(self.model, self.images, self.channels, output)
        return None if rivals is None else score(rivals, output)

    @cached_property
    def channels(self) -> list[int]:
        """The class or channel of the target in each image; a `BadInput` for a target without a single one."""
        return self.target.resolved(self.model).channels(self.model, self.images)

    @cached_property
    def _layers(self) -> list[str]:
        return weighted_layers(self.model, self._objective, self._size)

    @cached_property
    def _drops(self) -> tuple[Tensor, Tensor]:
        """Masks (N, H, W), and the drop of the score for each, (N, B)."""
        masks = random_squares(self.effort.squares, self._size, self.seed)
        images = self.images.to(self.model.device)
        baselines = baseline_image(self.model, images, REMOVED)
        at_once = copies_at_once(self.model, images, gradient=False)
        with score_function(self.model, self._objective) as score:
            return masks, score_drops(score, images, baselines, masks, at_once)

    def _curves(self, maps: Tensor) -> dict[str, Tensor]:
        """Curves of a class's probability, or of another target's score from 0 (baseline) to 1 (image)."""
        import objectives

        objective, images = self._objective, self.images.to(self.model.device)
        if self.target.of_class:
            objective = objectives.softmax(self.channels, self.target.address)
        removed, blurred = (baseline_image(self.model, images, name) for name in (REMOVED, BLURRED))
        at_once = copies_at_once(self.model, images, gradient=False)
        with score_function(self.model, objective) as score:
            deletion = curve(score, images, removed, maps, self.effort.points, at_once)
            insertion = curve(score, blurred, images, maps, self.effort.points, at_once)
        if self.target.of_class:
            deletion, insertion = deletion.exp(), insertion.exp()  # the objective is the log-probability
        else:
            low, high = deletion[:, -1], deletion[:, 0]
            deletion, insertion = normalise_curves(deletion, low, high), normalise_curves(insertion, low, high)
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
        return {"pointing": float(hit), "energy": energy(heat, boxes), "iou": box_iou(heat, boxes)}

    @cached_property
    def scores(self) -> list[float]:
        """The target's score of each image.

        Raises:
            BadInput: for a target, or one to compare with, that does not fit the network.
            NotFound: for a target, or one to compare with, that the network does not have.
        """
        if self._rival is not None:
            target_scores(self.model, self._rival, self.images)
        return target_scores(self.model, self._objective, self.images)


def upper_half(depths: Sequence[Mapping[str, Any]], layers: int) -> float | None:
    """Rank correlation of |map| with the original while up to half of the layers are random: the mean over depths.

    Args:
        depths: stages of the cascade, with `layers` and `size`.
        layers: number of all layers with weights.

    Example:
        >>> upper_half([{"layers": 1, "size": 0.8}, {"layers": 2, "size": 0.4}, {"layers": 4, "size": 0.0}], 4)
        0.6000000000000001
    """
    known = [depth["size"] for depth in depths if 2 * depth["layers"] <= max(layers, 2) and depth["size"] is not None]
    return sum(known) / len(known) if known else None


def to_json(values: Tensor) -> Any:
    """A number, or a list of numbers, for JSON; None for values that are not finite."""
    if values.ndim:
        return [to_json(value) for value in values]
    number = float(values)
    return number if math.isfinite(number) else None
