"""What passes between a recipe and the run: the pictures that it wants, and how a batch of them comes about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from objectives import Objective
    from priors import Prior


@dataclass(frozen=True)
class Unit:
    """One picture that a recipe wants.

    Attributes:
        layer, channel, objective, attempt, direction, name, image, prior: as in the manifest's `Record`.
        file: where it goes, relative to the output folder: also its identity.
        batch: units with the same value may be optimised in one batch.
        group: consecutive units with the same value must be (several attempts that repel each other).
        beside: files that the recipe writes with the picture, by what they are, relative to the output folder.
    """

    layer: str
    channel: int | None
    objective: str
    file: str
    attempt: int = 0
    direction: str = "max"
    name: str | None = None
    image: str | None = None
    prior: str | None = None
    batch: str = ""
    group: str = ""
    extra_files: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Problem:
    """A batch of units as an optimisation: what to climb, on which pictures, and what to report as their score.

    Attributes:
        stages: fields of `inverter.Settings` in which this batch differs from the run's; one stage after the other.
        finish: makes of the finished pictures (B, 3, H, W) those that are written, where they are others.
        model: that looks at them, where it is not the run's.
    """

    objective: Objective
    prior: Prior
    measure: Objective
    stages: Sequence[Mapping[str, Any]] = ({},)
    finish: Callable[[Tensor], Tensor] | None = None
    model: Model | None = None


@dataclass(frozen=True)
class Given:
    """A batch of units that need no optimisation: pictures (B, 3, H, W) in [0, 1] to be kept as they are.

    Attributes:
        images: the pictures.
        units: as they turned out, where only the picture tells (its class); None where they are as before.
        metrics: what was measured of each picture on the way; None lets the recipe's `metrics` measure.
    """

    images: Tensor
    units: Sequence[Unit] | None = None
    metrics: Sequence[Mapping[str, Any]] | None = None
