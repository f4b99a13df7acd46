"""The gallery: what each unit of a layer looks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.options.fields import MOST, check_integer, option
from recipes.options.indices import parse_channels
from recipes.options.names import OUTPUT_LAYER
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.outputs.file_names import safe_name
from recipes.runner.context import RunContext, once
from recipes.runner.recipe import NetworkRecipe
from recipes.runner.units import Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

    from inverter import Model
    from objectives import Objective
    from recipes.gallery.dataset_examples import DatasetExamples

OBJECTIVES = ("channel", "neuron", "logit", "softmax")
CLASSES = ("logit", "softmax")
FOURIER_STEPS = 32
"""Steps after which a picture in the Fourier basis hardly gains: BENCHMARKS.md. Other priors take the usual number."""
REPULSION = 0.5
"""Weight of the diversity of several attempts, as a fraction of the unit's own score."""


@dataclass(frozen=True, kw_only=True)
class Gallery(NetworkRecipe):
    """A picture of what each channel, neuron or class looks for (Olah et al. 2017, "Feature Visualization").

    Example:
        >>> Gallery(model="builtin", layer="features.stem", channels="0-3", out="OUT").name
        'gallery'
    """

    name: ClassVar[str] = "gallery"

    layer: str | Sequence[str] = option("all", "address of a layer, or all (the stages); may be repeated", repeat=True)
    channels: str | int | Sequence[int] = option("all", "all, a list 3,17,42, or ranges 0-15")
    objective: str = option("channel", "channel, neuron (the centre of the map), logit or softmax", choices=OBJECTIVES)
    prior: PriorLike = option("fourier", HELP)
    steps: int | None = option(None, "optimisation steps for each picture (default: 32 in the Fourier basis, else 64)")
    attempts: int = option(1, "different pictures of each unit")
    negative: bool = option(False, "add the picture that minimises each unit")
    dataset: str | Sequence[str] | Dataset[Any] | None = option(
        None, "a folder of pictures: show what excites each unit in them; may be repeated", repeat=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective not in OBJECTIVES:
            raise BadInput(f"unknown objective {self.objective!r}; expected one of {', '.join(OBJECTIVES)}")
        PriorChoice.parse(self.prior)
        check_integer("attempts", self.attempts, 1, MOST)
        if not self.layers:
            raise BadInput("layer: got none; expected an address, or all")
        if not all(isinstance(layer, str) and layer for layer in self.layers):
            raise BadInput(f"layer: got {self.layer!r}; expected addresses (inverter layers shows them), or all")
        if self.objective in CLASSES and self.layers != ("all",):
            raise BadInput(f"objective {self.objective} looks at the model's output: leave out layer")

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,) if isinstance(self.layer, str) else tuple(self.layer)

    def units(self, context: RunContext) -> list[Unit]:
        model = context.model
        choice, size = PriorChoice.parse(self.prior), self.picture_size(model)
        window = choice.window(size, model)
        if self.objective in CLASSES:
            from objectives import OUTPUT

            classes = model.shapes([OUTPUT], window)[OUTPUT][1]
            choice.check(size, model)
            return self._units(OUTPUT_LAYER, parse_channels(self.channels, classes, model.spec), model.categories)
        units = []
        shapes = {layer: model.shapes([layer], window)[layer] for layer in self._addresses(model, window)}
        choice.check(size, model)
        for layer, shape in shapes.items():
            if len(shape) not in (2, 4):
                raise BadInput(
                    f"layer {layer!r} puts out a tensor of shape {tuple(shape)}, expected a map (B, C, H, W) or a "
                    "vector (B, C): choose another layer (inverter layers shows them)"
                )
            if self.layers == ("all",) and self.channels != "all":
                # Numbers for all stages mean as many of them as each stage has.
                channels = [c for c in parse_channels(self.channels, 1 << 20, "a layer") if c < shape[1]]
            else:
                channels = parse_channels(self.channels, shape[1], f"layer {layer!r}")
            units += self._units(layer, channels)
        if not units:
            raise BadInput(f"channels {self.channels!r}: no layer has any of them")
        return units

    def settings(self) -> dict[str, Any]:
        # One way to write what may be written in several, so that a run can be continued with any of them.
        channels = self.channels if isinstance(self.channels, str | int) else ",".join(map(str, self.channels))
        prior = str(PriorChoice.parse(self.prior))
        settings = super().settings() | {"layer": list(self.layers), "channels": str(channels), "prior": prior}
        return settings | {"dataset": None if self.dataset is None else places(self.dataset)}

    def _addresses(self, model: Model, size: tuple[int, int]) -> list[str]:
        from inverter import stages

        found: list[str] = []
        for layer in self.layers:
            if layer == "all":
                if not (known := stages(model, size)):
                    raise BadInput(f"{model.spec} has no stages that put out maps: name its layers with --layer")
                found += known
            else:
                model.check_layer(layer)
                found.append(layer)
        return list(dict.fromkeys(found))

    def _units(self, layer: str, channels: Sequence[int], names: Sequence[str] = ()) -> list[Unit]:
        units = []
        for direction in ("max", "min") if self.negative else ("max",):
            for channel in channels:
                for attempt in range(self.attempts):
                    tail = ("-negative" if direction == "min" else "") + (f"-{attempt}" if attempt else "")
                    units.append(
                        Unit(
                            layer=layer,
                            channel=channel,
                            objective=self.objective,
                            file=f"images/{safe_name(layer)}/{channel:04d}{tail}.png",
                            attempt=attempt,
                            direction=direction,
                            name=names[channel] if channel < len(names) else None,
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
        }[self.objective]()
        objective = measure if units[0].direction == "max" else -measure
        if self.attempts > 1:
            objective = diverse(objective, self._style_layer(model, layer), channels, REPULSION)
        choice = PriorChoice.parse(self.prior)
        prior = choice.make(len(units), self.picture_size(model), model)
        stage = {"steps": FOURIER_STEPS} if self.steps is None and choice.name == "fourier" else {}
        return Problem(objective, prior, measure, [stage], choice.finish(prior))

    @once
    def _examples(self, context: RunContext) -> DatasetExamples:
        """The dataset's pictures that activate the units most; read from the output folder if they are there."""
        from recipes.gallery.dataset_examples import DatasetExamples

        assert self.dataset is not None  # only asked for with one
        units, size = self.units(context), self.picture_size(context.model)
        return DatasetExamples(
            context.model, self.dataset, units, size, Path(self.out), self.fresh, context.progress, context.executor
        )

    def prepare(self, context: RunContext, units: Sequence[Unit]) -> None:
        if self.dataset is not None:
            self._examples(context)

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> Sequence[Mapping[str, Any]]:
        from inverter.scoring import evaluate, uncropped

        if self.dataset is None:
            return super().metrics(context, units, images)
        work = self.problem(context, units)
        scores = evaluate(context.model, work.measure, uncropped(context.model, work.prior, images))
        return self._examples(context).metrics(units, scores.tolist())

    def _style_layer(self, model: Model, layer: str) -> str:
        """Where attempts must differ: in the layer itself, or for classes in the last layer that puts out maps."""
        if layer != OUTPUT_LAYER:
            return layer
        from inverter import stages

        return stages(model, PriorChoice.parse(self.prior).window(self.picture_size(model), model))[-1]

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.gallery.page import render_gallery

        return render_gallery(manifest)


def places(dataset: Any) -> list[str]:
    """Where pictures are from, as the manifest says it: their places, or the type of the Dataset."""
    if isinstance(dataset, str | Path):
        return [str(dataset)]
    return [str(place) for place in dataset] if isinstance(dataset, Sequence) else [type(dataset).__name__]
