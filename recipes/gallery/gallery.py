"""The gallery: pictures that maximise the units of a layer (feature visualization)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from inverter_errors import BadInput, plural
from recipes.gallery.faceted import FacetRecipe
from recipes.gallery.film_fields import FilmFields
from recipes.gallery.posed import REPULSION, diversity_layer, posed
from recipes.options.directions import LATENTS_HELP, check_latents, chosen_layers
from recipes.options.fields import MANY, MOST, check_integer, check_many, option, texts
from recipes.options.indices import count_classes, parse_channels
from recipes.options.names import OUTPUT_LAYER, address
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.outputs.file_names import numbered, safe_name
from recipes.outputs.vocabulary import SILENT
from recipes.runner.context import RunContext
from recipes.runner.natural_fields import CLASS_WEIGHT
from recipes.runner.units import Problem, Unit

if TYPE_CHECKING:
    from inverter import Model
    from objectives import Objective
    from recipes.outputs.manifest import Record

GalleryObjective = Literal["channel", "neuron", "direction", "logit", "softmax"]
"""What a gallery maximises: a channel's mean over its map, the centre of the map, the dot product with a direction, a
logit, or a log-probability."""

OBJECTIVES: tuple[GalleryObjective, ...] = get_args(GalleryObjective)
CLASSES: tuple[GalleryObjective, ...] = ("logit", "softmax")
"""Objectives whose units are classes."""


@dataclass(frozen=True, kw_only=True)
class Gallery(FilmFields, FacetRecipe):
    """A picture that maximises each channel, neuron or class (Olah et al. 2017, "Feature Visualization").

    x* = argmax E_t[f(t(x))], f the unit's objective and t random transforms (`augment`). Several `attempts` at a unit
    also maximise the diversity of their Gram matrices. With `images`, each picture is shown next to the dataset
    patches that activate its unit most, and compared with the scores of the dataset; `facets` makes one for each of
    several groups of them.

    Raises:
        BadInput: for an unknown objective, prior or option, or (in `run`) an unsuitable layer or channel.

    Example:
        >>> Gallery(model="builtin", layer="features.stem", channels="0-3", out="OUT").name
        'gallery'
    """

    name: ClassVar[str] = "gallery"

    layer: str | Sequence[str] | None = option(
        None,
        f"address of a layer, or all (every stage; the default up to {MANY} pictures); may be repeated",
        repeat=True,
        grows=True,
    )
    channels: str | int | Sequence[int] | None = option(
        None, "channels or classes: all (the default), a list 3,17,42, or ranges 0-15", grows=True
    )
    objective: GalleryObjective = option(
        "channel",
        "what to maximise: channel (its mean; of a latent, its activation), neuron (the centre of the map), direction "
        "(of a set of directions, the dot product with its decoder's row), logit or softmax (log-probability)",
        choices=OBJECTIVES,
    )
    prior: PriorLike = option("fourier", HELP)
    steps: int | None = option(
        None,
        "optimisation steps for each picture (default: 32 with the fourier prior, 48 on networks that read patches, "
        "else 64)",
    )
    attempts: int = option(1, "number of different pictures of each unit, which repel each other")
    negative: bool = option(False, "add a picture that minimises each unit", grows=True)
    latents: str | int | Sequence[int] | None = option(None, LATENTS_HELP, grows=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        PriorChoice.parse(self.prior)
        self.check_judge()
        check_integer("attempts", self.attempts, 1, MOST)
        if not self.layers:
            raise BadInput("layer: got none; expected an address, or all")
        if not all(isinstance(layer, str) and layer for layer in self.layers):
            raise BadInput(f"layer: got {self.layer!r}; expected addresses (inverter layers lists them), or all")
        if self.objective in CLASSES and self.layers != ("all",):
            raise BadInput(f"objective {self.objective} is of the model's output: leave out layer")
        if self.objective == "direction" and not self.directions:
            raise BadInput("objective direction is of a set of directions: set directions to its file")
        if self.objective == "direction" and self.layers != ("all",):
            raise BadInput("objective direction is of the directions' own layer: leave out layer")
        if self.objective in CLASSES and self.directions:
            raise BadInput(f"objective {self.objective} is of the model's output: leave out directions")
        check_latents(self.latents, self.channels, self.directions)
        if self.facets and (self.negative or self.attempts > 1):
            raise BadInput("facets are pictures of what activates a unit, one each: leave out negative and attempts")

    @property
    def layers(self) -> tuple[str, ...]:
        return texts("all" if self.layer is None else self.layer)

    @property
    def usual_natural_weight(self) -> float:
        return CLASS_WEIGHT if self.objective in CLASSES else super().usual_natural_weight

    @property
    def _channels(self) -> str | int | Sequence[int]:
        given = self.latents if self.channels is None else self.channels
        return "all" if given is None else given

    def units(self, context: RunContext) -> list[Unit]:
        return self.with_facets(context, self._plain_units(context))

    def example_layers(self, context: RunContext) -> list[str]:
        return list(dict.fromkeys(address(unit.layer) for unit in self._plain_units(context)))

    def _plain_units(self, context: RunContext) -> list[Unit]:
        model = context.model
        choice, size = PriorChoice.parse(self.prior), self.picture_size(model)
        window = choice.window(size, model)
        if self.objective in CLASSES:
            classes = count_classes(model, size=window)
            choice.check(size, model)
            units = self._units(OUTPUT_LAYER, parse_channels(self._channels, classes, model.spec), model.categories)
            if self.channels is None:
                check_many(len(units), "channels", f"all classes of {model.spec}")
            return self.with_films(units)
        units = []
        shapes = {layer: model.shapes([layer], window)[layer] for layer in self._addresses(model, window)}
        choice.check(size, model)
        for layer, shape in shapes.items():
            if len(shape) not in (2, 4):
                raise BadInput(
                    f"layer {layer!r} outputs a tensor of shape {tuple(shape)}, expected a map (B, C, H, W) or a "
                    "vector (B, C): choose another layer (inverter layers lists them)"
                )
            if self.layers == ("all",) and self._channels != "all" and not self.directions:
                # For all stages, channels that a stage does not have are left out.
                channels = [c for c in parse_channels(self._channels, 1 << 20, "a layer") if c < shape[1]]
            else:
                channels = parse_channels(self._channels, shape[1], f"layer {layer!r}")
            directions = model.directions_of(layer)
            units += self._units(layer, channels, directions.names if directions else ())
        if not units:
            raise BadInput(f"channels {self._channels!r}: no layer has any of them")
        if self.directions and self.channels is None and self.latents is None:
            check_many(len(units), "latents", f"all latents of {', '.join(shapes)}")
        elif self.layer is None and not self.directions:
            check_many(len(units), "layer", f"all {len(shapes)} stages of {model.spec}")
        return self.with_films(units)

    def settings(self) -> dict[str, Any]:
        # One spelling of what has several, so that a run can be resumed with any of them.
        channels = self._channels
        channels = channels if isinstance(channels, str | int) else ",".join(map(str, channels))
        prior = str(PriorChoice.parse(self.prior))
        own = {"layer": list(self.layers), "channels": str(channels), "latents": None, "prior": prior}
        return super().settings() | own

    def _addresses(self, model: Model, size: tuple[int, int]) -> list[str]:
        from inverter import stages

        addresses: list[str] = []
        layers = chosen_layers(
            model, () if self.layers == ("all",) else self.layers, self.directions, self.objective == "direction"
        )
        for layer in layers or self.layers:
            if layer == "all":
                if not (known := stages(model, size)):
                    raise BadInput(f"{model.spec} has no stages that output maps: set layer to addresses of its layers")
                addresses += known
            else:
                model.check_layer(layer)
                addresses.append(layer)
        return list(dict.fromkeys(addresses))

    def _units(self, layer: str, channels: Sequence[int], names: Sequence[str] = ()) -> list[Unit]:
        units = []
        for direction in ("max", "min") if self.negative else ("max",):
            for channel in channels:
                name = names[channel] or None if channel < len(names) else None
                for attempt in range(self.attempts):
                    tail = ("-negative" if direction == "min" else "") + (f"-{attempt}" if attempt else "")
                    units.append(
                        Unit(
                            layer=layer,
                            channel=channel,
                            objective="channel" if self.objective == "direction" else self.objective,
                            file=f"images/{safe_name(layer)}/{numbered(channel, name)}{tail}.png",
                            attempt=attempt,
                            direction=direction,
                            name=name,
                            batch=f"{layer} {direction}",
                            group=f"{layer} {channel} {direction}" if self.attempts > 1 else "",
                        )
                    )
        return units

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem:
        from objectives import channel, diverse, logit, neuron, softmax

        model = context.model
        layer, channels = units[0].layer, [unit.channel for unit in units if unit.channel is not None]
        measure: Objective = {
            "channel": lambda: channel(layer, channels),
            "neuron": lambda: neuron(layer, channels),
            "logit": lambda: logit(channels),
            "softmax": lambda: softmax(channels),
        }[units[0].objective]()
        objective = measure if units[0].direction == "max" else -measure
        if self.attempts > 1:
            objective = diverse(objective, diversity_layer(self, model, self.prior, layer), channels, REPULSION)
        objective, start = self.faceted(context, units, objective, self.picture_size(model))
        objective = self.alike(context, units, objective)
        # A minimised unit may well be inactive, and log-probability 0 is the highest there is.
        activation = units[0].direction == "max" and self.objective != "softmax"
        return posed(self, model, self.prior, len(units), objective, measure, activation, start)

    def closing(self, records: Sequence[Record]) -> str | None:
        silent = [record for record in records if record.status == SILENT]
        if not silent:
            return None
        named = ", ".join(dict.fromkeys(f"{record.layer}/{record.channel}" for record in silent[:5]))
        which = "are of silent units" if len(silent) > 1 else "is of a silent unit"
        more = ", ..." if len(silent) > 5 else ""
        return f"{plural(len(silent), 'picture')} {which}, which no picture made active: {named}{more}"

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.gallery.page import render_gallery

        return render_gallery(manifest)
