"""Circuits: what drives a unit, what it drives, with the pictures of all of them and the kernels between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from inverter_errors import BadInput
from recipes.gallery.dataset_recipe import ExamplesRecipe
from recipes.gallery.gallery import Gallery
from recipes.options.fields import MOST, check_integer, option, texts
from recipes.options.indices import parse_channels
from recipes.options.names import OUTPUT_LAYER, address
from recipes.options.priors import HELP, PriorLike
from recipes.outputs.file_names import numbered, safe_name
from recipes.runner.context import RunContext, once
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from recipes.circuits.filters import Filters

Method = Literal["auto", "weights", "attribution"]
"""How units are connected: by expanded weights, by attribution, or by what the path between them allows."""
METHODS: tuple[Method, ...] = get_args(Method)
NONE = "none"
"""In place of a layer: no outputs."""
FILTER = "filter"
"""The objective of the pictures of the first layer's filters, which are the filters themselves."""


@dataclass(frozen=True, kw_only=True)
class Circuit(ExamplesRecipe):
    """A unit with the units that drive it and those that it drives (Olah et al. 2020, "Zoom in").

    Where the path between two layers is nearly linear, units are connected by expanded weights: the Jacobian of the
    unit before its activation function, with ReLUs between as the identity and maximum pooling as an average (Cammarata
    et al. 2021, "Curve circuits"), a kernel for each channel of the earlier layer. They are ranked by the L2 norm of
    the kernel; the sum of its values is the sign. Elsewhere units are connected by attribution: activation times
    gradient, averaged over the unit's top patches, which need `images`.

    Several `inputs` are a chain: the first drives the units, the second drives the units that are shown of the first.

    Raises:
        BadInput: for options out of their range, or (in `run`) layers of which one does not depend on the other, or a
            path without a kernel where no images are given.

    Example:
        >>> Circuit(model="builtin", layer="features.stage2", channels="3", out="OUT").name
        'circuit'
    """

    name: ClassVar[str] = "circuit"

    layer: str = option(MISSING, "address of the units' layer")
    channels: str | int | Sequence[int] = option(MISSING, "channels: a list 3,17,42 or ranges 0-15", grows=True)
    inputs: str | Sequence[str] | None = option(
        None,
        "address of the layer whose units drive these (default: the stage before); repeated: the layer before that "
        "one, and so on",
        repeat=True,
    )
    outputs: str | None = option(
        None, f"address of the layer whose units these drive, or {NONE} (default: the next stage, if there is one)"
    )
    count: int = option(8, "number of the strongest connections of each sign to show, to either side")
    method: Method = option(
        "auto",
        "weights (expanded weights), attribution (activation times gradient), or auto: weights where the path between "
        "the layers is nearly linear",
        choices=METHODS,
    )
    prior: PriorLike = option("fourier", HELP)
    steps: int | None = option(None, "optimisation steps for each picture (default: as of inverter gallery)")
    out: str = option("circuit", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("count", self.count, 1, MOST)
        if not isinstance(self.layer, str) or not self.layer:
            raise BadInput(f"layer: got {self.layer!r}; expected the address of one layer (inverter layers lists them)")
        if not all(isinstance(each, str) and each for each in self._chain):
            raise BadInput(f"inputs: got {self.inputs!r}; expected addresses of layers (inverter layers lists them)")
        _ = self._gallery

    @property
    def _chain(self) -> tuple[str, ...]:
        return () if self.inputs is None else texts(self.inputs)

    @property
    def _gallery(self) -> Gallery:
        """The gallery that the pictures are of."""
        return Gallery(prior=self.prior, size=self.size, steps=self.steps, out=self.out)

    def settings(self) -> dict[str, Any]:
        channels = self.channels if isinstance(self.channels, str | int) else ",".join(map(str, self.channels))
        prior = self._gallery.settings()["prior"]
        return super().settings() | {"channels": str(channels), "inputs": list(self._chain) or None, "prior": prior}

    @once
    def _layers(self, context: RunContext) -> tuple[str, ...]:
        """The chain of layers, from the units' own back."""
        from recipes.circuits.neighbours import stage_before

        model = context.model
        chain = self._chain or (stage_before(model, self.layer, self.picture_size(model)),)
        for layer in (self.layer, *chain):
            model.check_layer(address(layer))
        return self.layer, *chain

    @once
    def _outputs(self, context: RunContext) -> str | None:
        from recipes.circuits.neighbours import stage_after

        if self.outputs == NONE:
            return None
        model = context.model
        layer = self.outputs or stage_after(model, self.layer, self.picture_size(model))
        if layer is not None:
            model.check_layer(address(layer))
        return layer

    def example_layers(self, context: RunContext) -> list[str]:
        after = self._outputs(context)
        layers = (*self._layers(context), *([] if after is None else [after]))
        filters = self._filters(context)
        return [address(layer) for layer in dict.fromkeys(layers) if filters is None or layer != filters.layer]

    @once
    def _filters(self, context: RunContext) -> Filters | None:
        from recipes.circuits.filters import first_filters

        return first_filters(context.model)

    @once
    def _circuit(self, context: RunContext) -> dict[tuple[str, int], dict[str, Any]]:
        """(layer, channel) of each unit whose connections are found -> its sides."""
        from recipes.circuits.wiring import Wiring

        model, size = context.model, self.picture_size(context.model)
        layers, after = self._layers(context), self._outputs(context)
        shape = model.shapes([address(self.layer)], size)[address(self.layer)]
        if len(shape) not in (2, 4):
            raise BadInput(f"layer {self.layer!r} outputs a tensor of shape {tuple(shape)}: choose one with maps")
        channels = parse_channels(self.channels, shape[1], f"layer {self.layer!r}")
        examples = self.examples(context) if self.images is not None else None
        wiring = Wiring(model, self.method, self.count, size, examples)
        found: dict[tuple[str, int], dict[str, Any]] = {}
        current = channels
        for layer, before in pairwise(layers):
            sides = wiring.inputs(layer, current, before)
            found |= {(layer, channel): {"inputs": side} for channel, side in zip(current, sides, strict=True)}
            current = sorted({each["channel"] for side in sides for each in _connections(side)})
        if after is not None:
            for channel, side in zip(channels, wiring.outputs(self.layer, channels, after), strict=True):
                found[self.layer, channel]["outputs"] = side
        return found

    def units(self, context: RunContext) -> list[Unit]:
        circuit, filters, known = self._circuit(context), self._filters(context), dict[tuple[str, int], None]()
        for key, sides in circuit.items():
            known[key] = None
            for side in sides.values():
                known |= {(side["layer"], each["channel"]): None for each in _connections(side)}
        shown = [] if filters is None else [(filters.layer, channel) for channel in range(len(filters.kernels))]
        order = list(dict.fromkeys(layer for layer, _ in known))
        pictured = [
            self._unit(context, layer, channel)
            for layer, channel in sorted(known, key=lambda key: order.index(key[0]))
            if filters is None or layer != filters.layer
        ]
        return pictured + [
            Unit(layer, channel, FILTER, f"images/{safe_name(layer)}/filter-{channel:04d}.png", batch=FILTER)
            for layer, channel in shown
        ]

    def _unit(self, context: RunContext, layer: str, channel: int) -> Unit:
        is_class = address(layer) == ""
        directions = context.model.directions_of(layer)
        names = context.model.categories if is_class else () if directions is None else directions.names
        name = names[channel] or None if channel < len(names) else None
        file = f"images/{safe_name(layer)}/{numbered(channel, name)}.png"
        objective = "logit" if is_class else "channel"
        return Unit(OUTPUT_LAYER if is_class else layer, channel, objective, file, name=name, batch=layer)

    def cost(self, context: RunContext, unit: Unit) -> float:
        return float(unit.objective != FILTER)

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem | Given:
        if units[0].objective == FILTER:
            filters = self._filters(context)
            assert filters is not None  # else there are no such units
            channels = [unit.channel for unit in units if unit.channel is not None]
            return Given(filters.pictures()[channels], metrics=[{}] * len(units), drawn=True)
        return self._gallery.problem(context, units)

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> Sequence[Mapping[str, Any]]:
        circuit, rows = self._circuit(context), super().metrics(context, units, images)
        sides = [circuit.get((unit.layer, unit.channel or 0)) for unit in units]
        return [row if each is None else {**row, "circuit": each} for row, each in zip(rows, sides, strict=True)]

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.circuits.page import render_circuit

        return render_circuit(manifest)


def _connections(side: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*side["positive"], *side["negative"]]
