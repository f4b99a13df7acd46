"""Polysemantic units: the several things that a unit responds to, separated by what drives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.gallery.dataset_recipe import ExamplesRecipe
from recipes.gallery.gallery import Gallery
from recipes.options.fields import MOST, check_integer, option
from recipes.options.indices import parse_channels
from recipes.options.names import address
from recipes.options.priors import HELP, PriorLike
from recipes.outputs.file_names import numbered, safe_name
from recipes.runner.context import RunContext, once
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

    from inverter import Directions
    from recipes.circuits.unit_groups import UnitGroups
    from recipes.outputs.manifest import Record

GROUP = "group"
"""The objective of the picture of one group of a unit's patches."""
DIRECTIONS = "directions.safetensors"
"""The file of the groups' directions, in the output folder."""
SHOWN = 12
"""Patches of each group on the page."""
POWER = 4.0
"""Exponent of the cosine by which a group's picture keeps to its direction."""


@dataclass(frozen=True, kw_only=True)
class Polysemantic(ExamplesRecipe):
    """Splits the top patches of units into groups by what drives the unit in each (PURE, Dreyer et al. 2024).

    A patch is described by the attribution (activation times gradient) of the unit to each channel of the layer before,
    summed over the positions; the directions of these vectors are grouped by k-means, with the number of groups that
    has the largest silhouette. Each group has its patches, a picture, and a direction of the layer before in
    `directions.safetensors`: what adds to the unit in its patches and not in the others. A unit is the more mixed, the
    further its silhouette lies above that of shuffled attributions; the page compares it with other units of the layer.

    Raises:
        BadInput: for options out of their range, or (in `run`) a layer that does not depend on `inputs`.
        MissingLibrary: in `run`, without scikit-learn.

    Example:
        >>> Polysemantic(model="builtin", layer="features.stage3", channels="3", images="PHOTOS", out="OUT").name
        'polysemantic'
    """

    name: ClassVar[str] = "polysemantic"

    layer: str = option(MISSING, "address of the units' layer")
    channels: str | int | Sequence[int] = option(MISSING, "channels: a list 3,17,42 or ranges 0-15", grows=True)
    images: str | Sequence[str] | Dataset[Any] = option(
        MISSING,
        "picture or folder to search for the patches that activate each unit most; may be repeated",
        repeat=True,
    )
    inputs: str | None = option(
        None, "address of the layer before, in whose channels patches are compared (default: the stage before)"
    )
    patches: int = option(32, "number of top patches of each unit that are grouped")
    groups: int = option(3, "largest number of groups of a unit")
    others: int = option(32, "number of other units of the layer, drawn at random, that a unit is compared with")
    prior: PriorLike = option("fourier", HELP)
    steps: int | None = option(None, "optimisation steps for each picture (default: as of inverter gallery)")
    out: str = option("polysemantic", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("patches", self.patches, 4, MOST)
        check_integer("groups", self.groups, 2, MOST)
        check_integer("others", self.others, 0, MOST)
        if not isinstance(self.layer, str) or not self.layer:
            raise BadInput(f"layer: got {self.layer!r}; expected the address of one layer (inverter layers lists them)")
        _ = self._gallery

    @property
    def _gallery(self) -> Gallery:
        """The gallery that the units' own pictures are of."""
        return Gallery(prior=self.prior, size=self.size, steps=self.steps, out=self.out)

    def settings(self) -> dict[str, Any]:
        channels = self.channels if isinstance(self.channels, str | int) else ",".join(map(str, self.channels))
        return super().settings() | {"channels": str(channels), "prior": self._gallery.settings()["prior"]}

    @once
    def _inputs(self, context: RunContext) -> str:
        from recipes.circuits.neighbours import stage_before

        model = context.model
        model.check_layer(address(self.layer))
        inputs = self.inputs or stage_before(model, self.layer, self.picture_size(model))
        model.check_layer(address(inputs))
        return inputs

    def example_layers(self, context: RunContext) -> list[str]:
        return [address(self.layer)]

    @once
    def _channels(self, context: RunContext) -> tuple[int, ...]:
        model = context.model
        shape = model.shapes([address(self.layer)], self.picture_size(model))[address(self.layer)]
        if len(shape) not in (2, 4):
            raise BadInput(f"layer {self.layer!r} outputs a tensor of shape {tuple(shape)}: choose one with maps")
        self._inputs(context)
        return tuple(parse_channels(self.channels, shape[1], f"layer {self.layer!r}"))

    @once
    def _others(self, context: RunContext) -> tuple[int, ...]:
        """The other units; the same ones for any channels, so that a run may grow."""
        import numpy as np

        count = self.examples(context).collected.shapes[address(self.layer)][0]
        return tuple(np.random.default_rng(self.seed).permutation(count)[: self.others].tolist())

    @once
    def _found(self, context: RunContext) -> dict[int, UnitGroups]:
        """The groups of each unit and of the others, but for those that are constant over all pictures."""
        from recipes.circuits.unit_groups import unit_groups

        channels, inputs = sorted({*self._channels(context), *self._others(context)}), self._inputs(context)
        examples = self.examples(context)
        return unit_groups(context.model, examples, self.layer, channels, inputs, self.patches, self.groups, self.seed)

    def units(self, context: RunContext) -> list[Unit]:
        found, own, grouped = self._found(context), list[Unit](), list[Unit]()
        for channel in self._channels(context):
            stem = f"images/{safe_name(self.layer)}/{numbered(channel, None)}"
            own.append(Unit(self.layer, channel, "channel", f"{stem}.png", batch="channel"))
            count = found[channel].groups.count if channel in found else 1
            grouped += [
                Unit(self.layer, channel, GROUP, f"{stem}-group-{group}.png", attempt=group, batch=GROUP)
                for group in range(count if count > 1 else 0)
            ]
        return own + grouped

    def prepare(self, context: RunContext, units: Sequence[Unit]) -> None:
        super().prepare(context, units)
        if (directions := self._directions(context, units)) is not None:
            directions.save(Path(self.out) / DIRECTIONS)

    @once
    def _known(self, context: RunContext) -> Directions:
        """The directions of all groups, also in another process, which has not found them."""
        from inverter import Directions

        path = Path(self.out) / DIRECTIONS
        found = Directions.load(path) if path.is_file() else self._directions(context, self.units(context))
        assert found is not None  # called for a group's picture
        return found

    def _directions(self, context: RunContext, units: Sequence[Unit]) -> Directions | None:
        """The directions of the groups among some units, in their order; None if there are none."""
        import torch

        from inverter import Directions

        units = [unit for unit in units if unit.objective == GROUP]
        if not units:
            return None
        found, model = self._found(context), context.model
        return Directions(
            layer=address(self._inputs(context)),
            decoder=torch.stack([found[unit.channel or 0].directions[unit.attempt] for unit in units]),
            names=[_name(unit) for unit in units],
            method=self.name,
            model=model.spec,
            sha256=model.sha256,
            source=f"attributions of units of {self.layer} at {self.patches} top patches",
        )

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem | Given:
        from objectives import facet

        problem = self._gallery.problem(context, _as_channels(units))
        if units[0].objective != GROUP:
            return problem
        known = self._known(context)
        rows = [known.names.index(_name(unit)) for unit in units]
        return replace(problem, objective=facet(problem.objective, known.layer, known.decoder[rows], power=POWER))

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> Sequence[Mapping[str, Any]]:
        return super().metrics(context, _as_channels(units), images)

    def evidence(self, context: RunContext, records: Sequence[Record], folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """How mixed each unit is, and the patches of each group."""
        found, examples = self._found(context), self.examples(context)
        others = [found[each].groups.mixed for each in self._others(context) if each in found]
        patches, rows = examples.records(address(self.layer), "channel"), dict[str, Mapping[str, Any]]()
        for record in records:
            if record.channel not in found:
                continue
            unit = found[record.channel]
            if record.objective == GROUP:
                members = unit.members(record.attempt)
                shown = examples.shown(patches, members[:SHOWN])
                rows[record.file] = {"group": record.attempt, "members": len(members), "patches": shown}
            else:
                less = [other < unit.groups.mixed for other in others]
                rows[record.file] = unit.groups.metrics() | ({"less_mixed": sum(less) / len(less)} if less else {})
        return rows

    def closing(self, records: Sequence[Record]) -> str | None:
        several = [record for record in records if (record.metrics.get("groups") or 1) > 1]
        named = ", ".join(f"{record.layer}/{record.channel}" for record in several[:8])
        more = ", ..." if len(several) > 8 else ""
        return f"units of several groups: {named}{more}" if several else "no unit has several groups"

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.circuits.polysemantic_page import render_polysemantic

        return render_polysemantic(manifest)


def _as_channels(units: Sequence[Unit]) -> list[Unit]:
    """The units whose groups these are of."""
    return [replace(unit, objective="channel") for unit in units]


def _name(unit: Unit) -> str:
    """Of a group's direction."""
    return f"{unit.layer} {unit.channel} group {unit.attempt}"
