"""What passes between a recipe and its run: units, how they form batches, and batches as optimisation problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from typing import TYPE_CHECKING, Any

from recipes.outputs.vocabulary import INPUTS

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from objectives import Objective
    from priors import Prior
    from recipes.outputs.manifest import Record

Places = Mapping[str, tuple[int, int]]
"""File of a unit -> the number of the batch that it was made in, and its place there."""


@dataclass(frozen=True)
class Unit:
    """One picture to make.

    Attributes:
        layer: address; "output" for classes, "" for an input picture.
        channel: index of the channel or class, if it is about one.
        objective: channel, neuron, logit, ...
        file: path relative to the output folder; it identifies the unit.
        attempt: which of several pictures of the same target.
        direction: "max", or "min" for a picture that minimises the target.
        name: of the class, where it is known.
        image: the input picture, where there is one.
        prior: of this picture, where a run has several.
        batch: units with the same value may be optimised in one batch.
        group: consecutive units with the same value must be (several attempts that repel each other).
        made_from: what it is made from, as the user named it (the file of its picture, a target): more than its file's
            name may say. A run that grows must not make a unit from something else.
        extra_files: files that the recipe writes with the picture: kind -> path relative to the output folder.
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
    made_from: str | None = None
    extra_files: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def requested(self) -> bool:
        """False for an input image, which is in the folder only to be compared with."""
        return self.objective not in INPUTS


@dataclass(frozen=True)
class Problem:
    """A batch of units as an optimisation.

    Attributes:
        objective: what is maximised.
        prior: of the pictures.
        measure: the objective whose value on the finished pictures is their score.
        stages: fields of `inverter.Settings` in which this batch differs from the run's; one stage after the other.
        finish: maps the optimised pictures (B, C, H, W) to those that are written; None where they are the same.
        alpha: True if the last channel of the pictures that are written is opacity.
        model: the network under inspection, where it is not the run's.
        activation: the score is a unit's activation, which the picture maximises: where it is 0, or never changes, the
            unit is silent. Such a unit is tried once more with other random draws.
        faithful: how true the optimised pictures (B, C, H, W) are to what they should show, (B,). Those below `least`
            are tried once more, as the recipe's `again` poses them, and the better of the two is kept; None: none is.
        least: see `faithful`.
    """

    objective: Objective
    prior: Prior
    measure: Objective
    stages: Sequence[Mapping[str, Any]] = ({},)
    finish: Callable[[Tensor], Tensor] | None = None
    alpha: bool = False
    model: Model | None = None
    activation: bool = False
    faithful: Callable[[Tensor], Tensor] | None = None
    least: float = 0.0


@dataclass(frozen=True)
class Given:
    """A batch of units that need no optimisation.

    Attributes:
        images: the pictures, (B, C, H, W) in [0, 1].
        units: the units once more, where something about them depends on the picture (its class); else None.
        metrics: what was measured of each picture on the way; None lets the recipe's `metrics` measure.
        drawn: True for drawings (heat maps over a photo), which are no pictures as the network takes them.
    """

    images: Tensor
    units: Sequence[Unit] | None = None
    metrics: Sequence[Mapping[str, Any]] | None = None
    drawn: bool = False


def batches(units: Sequence[Unit], size: int, made: Places | None = None) -> Iterator[tuple[int, list[Unit]]]:
    """Units in numbered batches of about `size` that share a `batch` value.

    A batch that was made stays as it was, bit for bit, whatever units have been added since. The other units form new
    ones. A group is never split, so a batch may exceed `size`.

    Args:
        units: all of the run.
        size: of a batch.
        made: the batches of an earlier part of the run.

    Yields:
        The number of each batch, and its units.
    """
    made = made or {}
    old: dict[int, list[Unit]] = {}
    for unit in units:
        if unit.file in made:
            old.setdefault(made[unit.file][0], []).append(unit)
    for number, members in sorted(old.items()):
        yield number, sorted(members, key=lambda unit: made[unit.file][1])
    numbers = (number for number in count() if number not in old)
    for _, alike in groupby((unit for unit in units if unit.file not in made), key=lambda unit: unit.batch):
        batch: list[Unit] = []
        for _, group in groupby(alike, key=lambda unit: (unit.group, unit.file if not unit.group else "")):
            members = list(group)
            if batch and len(batch) + len(members) > size:
                yield next(numbers), batch
                batch = []
            batch += members
        yield next(numbers), batch


def places(records: Iterable[Record]) -> Places:
    """The batches that a manifest records; units of an earlier release have none."""
    return {
        record.file: (record.batch, record.place)
        for record in records
        if record.batch is not None and record.place is not None
    }
