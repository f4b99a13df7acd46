"""Pre-images: which pictures look to a layer as a given one does, and what the layer has thus forgotten of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, NotFound
from recipes.inversion.schedules import AUTO
from recipes.options.fields import MOST, check_whole, option
from recipes.options.names import OUTPUT_LAYER, address, safe_name
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.runner.recipe import Recipe
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Code, Model
    from recipes.inversion.decoder_starts import DecodedStarts
    from recipes.outputs.manifest import Record

DISTANCES = ("l2", "cosine", "l1")
STARTS = ("decoder", "noise")
ORIGINAL = "original"
"""The objective that the manifest gives to a picture that was given."""
YARDSTICK = 32
"""At most so many pictures make the mean distance between codes of different pictures."""


@dataclass(frozen=True, kw_only=True)
class Invert(Recipe):
    """Pre-images: pictures that look to a layer as a given one does (Mahendran & Vedaldi 2015).

    x* = argmin |Phi(x) - Phi0|^2 / |Phi0|^2 + R(x), eq. 1 of "Understanding Deep Image Representations by Inverting
    Them". What differs between a picture and its pre-images is what the layer has forgotten of it.

    Example:
        >>> Invert(image="photo.jpg", layer=["features.stem", "output"], out="OUT").name
        'invert'
    """

    name: ClassVar[str] = "invert"

    image: str | Sequence[str] = option((), "a picture, or a folder of pictures; may be repeated", repeat=True)
    code: str | None = option(None, "codes to invert instead of pictures: a .safetensors file of inverter.encode")
    layer: str | Sequence[str] = option(
        "all", "address of a layer, output, or all (the stages, or all of the code); may be repeated", repeat=True
    )
    prior: PriorLike | Sequence[PriorLike] = option(
        "auto", f"auto (what suits the depth best), or {HELP}; may be repeated", repeat=True
    )
    attempts: int = option(1, "different pre-images of each code")
    start: str = option("decoder", "decoder (a linear guess at the picture) or noise", choices=STARTS)
    distance: str = option("l2", "between codes: l2, cosine or l1", choices=DISTANCES)
    judge: str | None = option(None, "a second network that is asked what it sees: as --model")
    judge_weights: str | None = option(None, "its weights file")
    judge_normalize: str | None = option(None, "its normalization: as --normalize")
    out: str = option("preimages", "output folder")
    steps: int | None = option(None, "optimisation steps for each picture (default: the prior's, by depth)")
    augment: str = option("none", "none, light, standard or strong")

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.images) == (self.code is not None):
            given = "both image and code" if self.images else "neither image nor code"
            raise BadInput(f"got {given}; expected pictures (--image) or a file of codes (--code)")
        for key, values in (("image", self.images), ("layer", self.layers)):
            if not all(isinstance(value, str) and value for value in values):
                raise BadInput(f"{key}: expected text, or a list of texts, got {getattr(self, key)!r}")
        if self.distance not in DISTANCES:
            raise BadInput(f"unknown distance {self.distance!r}; expected one of {', '.join(DISTANCES)}")
        if self.start not in STARTS:
            raise BadInput(f"unknown start {self.start!r}; expected one of {', '.join(STARTS)}")
        if not self.priors:
            raise BadInput(f"prior: got none; expected auto, or {HELP}")
        if not self.layers:
            raise BadInput("layer: got none; expected an address, output, or all")
        check_whole("attempts", self.attempts, 1, MOST)
        if self.judge is None and (self.judge_weights or self.judge_normalize):
            raise BadInput("judge_weights and judge_normalize say how to load a judge, but there is none: give judge")

    @property
    def images(self) -> tuple[str, ...]:
        return _texts(self.image)

    @property
    def layers(self) -> tuple[str, ...]:
        return _texts(self.layer)

    @property
    def priors(self) -> tuple[str, ...]:
        """What was asked for, as text: auto, or a `PriorChoice`."""
        given = (self.prior,) if isinstance(self.prior, str | Mapping) else tuple(self.prior)
        return tuple(one if one == AUTO else str(PriorChoice.parse(one)) for one in given)

    @cached_property
    def _found(self) -> tuple[dict[str, Path], dict[str, str]]:
        """The pictures that can be read, and why the others cannot."""
        from recipes.pictures.reading import readable_pictures

        return readable_pictures(self.images) if self.images else ({}, {})

    @property
    def _files(self) -> dict[str, Path]:
        """The pictures by a name that tells them apart."""
        return self._found[0]

    def skipped(self) -> Mapping[str, str]:
        return self._found[1]

    @cached_property
    def _code(self) -> Code | None:
        from inverter import load_code

        return None if self.code is None else load_code(self.code)

    @cached_property
    def _names(self) -> list[str]:
        return list(self._files) if self._code is None else [f"code-{i:04d}" for i in range(self._code.count)]

    @cached_property
    def _judge(self) -> Model | None:
        if self.judge is None:
            return None
        from inverter import load_model
        from recipes.activations.predictions import classifies

        judge = load_model(self.judge, self.judge_weights, self.judge_normalize, self.device)
        if not classifies(judge):
            raise BadInput(f"judge {self.judge} puts out no vector of classes: expected a classifier")
        return judge

    def picture_size(self, model: Model) -> tuple[int, int]:
        return super().picture_size(model) if self._code is None else self._code.size

    def settings(self) -> dict[str, Any]:
        # One way to write what may be written in several, so that a run can be continued with any of them.
        lists = {"image": list(self.images), "layer": list(self.layers), "prior": list(self.priors)}
        return super().settings() | lists

    def units(self, model: Model) -> list[Unit]:
        from recipes.inversion.schedules import best, stride

        code, size = self._code, self.picture_size(model)
        if len(model.mean) != 3:
            raise BadInput(f"{model.spec} takes pictures of {len(model.mean)} channels; pre-images are in colour, of 3")
        if code is not None:
            code.check(model)
            if self.size is not None and (self.size, self.size) != code.size:
                raise BadInput(f"size {self.size}: the code is of pictures of {code.size[0]}x{code.size[1]} pixels")
        _ = self._found  # what cannot be read is told before anything is written
        _ = self._judge
        units = [Unit("", None, ORIGINAL, f"originals/{name}.png", image=name, batch=ORIGINAL) for name in self._files]
        for layer, shape in self._shapes(model, size).items():
            depth = stride(shape, size)
            for prior in dict.fromkeys(best(depth) if prior == AUTO else prior for prior in self.priors):
                PriorChoice.parse(prior).check(size, model)
                units += [
                    Unit(
                        layer=layer,
                        channel=None,
                        objective="code",
                        file=f"images/{safe_name(layer)}/{name}-{safe_name(prior)}{_tail(attempt)}.png",
                        attempt=attempt,
                        image=name,
                        prior=prior,
                        batch=f"{layer} {prior}",
                        group=f"{layer} {prior} {name}" if self.attempts > 1 else "",
                    )
                    for name in self._names
                    for attempt in range(self.attempts)
                ]
        return units

    def _shapes(self, model: Model, size: tuple[int, int]) -> dict[str, Sequence[int]]:
        """The layers that are asked for, each with the shape of its code (1, ...); it fits the code's file."""
        from inverter import stages

        code, wanted = self._code, list[str]()
        for layer in self.layers:
            if layer != "all":
                wanted.append(layer)
            elif code is not None:
                wanted += [known or OUTPUT_LAYER for known in code.layers]
            elif known := stages(model, size):
                wanted += known
            else:
                raise BadInput(f"{model.spec} has no stages that put out maps: name its layers with --layer")
        shapes: dict[str, Sequence[int]] = {}
        for layer in dict.fromkeys(wanted):
            where = address(layer)
            if code is not None and where not in code.layers:
                known_layers = ", ".join(known or OUTPUT_LAYER for known in code.layers)
                raise NotFound(f"{self.code} holds no code of layer {layer!r}; it has {known_layers}")
            shape = tuple(model.shapes([where], size)[where])
            if code is not None and tuple(code.layers[where].shape[1:]) != shape[1:]:
                raise BadInput(
                    f"{self.code}: the code of layer {layer!r} has shape {tuple(code.layers[where].shape[1:])}, but "
                    f"{model.spec} puts out {shape[1:]} there for a picture of {size[0]}x{size[1]} pixels"
                )
            shapes[layer] = shape
        return shapes

    def _originals(self, model: Model, units: Sequence[Unit]) -> Tensor:
        import torch

        from recipes.pictures.reading import fit, read_picture

        size = self.picture_size(model)
        pictures = {name: fit(read_picture(self._files[name]), size) for name in {str(unit.image) for unit in units}}
        return torch.stack([pictures[str(unit.image)] for unit in units])

    def _targets(self, model: Model, units: Sequence[Unit]) -> Tensor:
        """The codes that these units of one layer pursue, (B, ...)."""
        from inverter import encode

        where = address(units[0].layer)
        if self._code is not None:
            return self._code.layers[where][[self._names.index(str(unit.image)) for unit in units]]
        return encode(model, self._originals(model, units), where)[where]

    @cached_property
    def _starts(self) -> DecodedStarts:
        from recipes.inversion.decoder_starts import DecodedStarts

        return DecodedStarts(self.seed)

    def problem(self, model: Model, units: Sequence[Unit]) -> Problem | Given:
        from objectives import code
        from recipes.inversion.schedules import APPROACHES, DECODED, OTHERS, planned, stride

        if units[0].objective == ORIGINAL:
            return Given(self._originals(model, units))
        target, size = self._targets(model, units), self.picture_size(model)
        choice, depth = PriorChoice.parse(str(units[0].prior)), stride(target.shape, size)
        approach = APPROACHES.get(choice.name, OTHERS)
        names = [str(unit.image) for unit in units]
        objective = code(address(units[0].layer), target, self.distance, names)
        prior = choice.make(len(units), size, model, **approach.options(depth))
        if self.start == "decoder" and choice.name in DECODED and target.ndim == 4:
            prior = choice.at(self._starts.of(model, units, target, prior), **approach.options(depth))
        stages = planned(approach.stages(depth), self.steps, self.learning_rate, self.augment != "none")
        stages = [{"redirect": 0} | stage for stage in stages]
        return Problem(objective, prior, objective, stages, choice.finish(prior))

    def metrics(self, model: Model, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """The figures of the pictures as they are in their files, with 8 bits a channel."""
        from inverter import encode
        from recipes.activations.predictions import classifies, recognise
        from recipes.inversion.similarity import likeness

        images = images.clamp(0, 1).mul(255).round().div(255)
        known, found = self._code is None, [dict[str, Any]() for _ in units]
        originals = self._originals(model, units) if known else None
        for name, network in (("top5", model if classifies(model) else None), ("judge_top5", self._judge)):
            if network is not None:
                recognise(found, name, network, images, originals if units[0].objective != ORIGINAL else None)
        if units[0].objective == ORIGINAL:
            for metrics, unit in zip(found, units, strict=True):
                metrics["source"] = self._files[str(unit.image)].name
            return found
        where = address(units[0].layer)
        target = self._targets(model, units).flatten(1)
        distance = (encode(model, images, where)[where].flatten(1) - target).norm(dim=1)
        between = self._between(model, units[0].layer)
        for metrics, off, size in zip(found, distance.tolist(), target.norm(dim=1).tolist(), strict=True):
            metrics["relative_error"] = off / size
            if between:
                metrics["normalized_error"] = off / between
        if originals is not None:
            for metrics, alike in zip(found, likeness(images, originals), strict=True):
                metrics |= alike
        return found

    def _between(self, model: Model, layer: str) -> float | None:
        """Mean distance between codes of different pictures (Mahendran & Vedaldi 2015: N_Phi)."""
        if layer not in self._distances:
            import torch

            names = self._names[:YARDSTICK]
            units = [Unit(layer, None, "code", "", image=name) for name in names]
            codes = self._targets(model, units).flatten(1)
            self._distances[layer] = float(torch.pdist(codes).mean()) if len(names) > 1 else None
        return self._distances[layer]

    @cached_property
    def _distances(self) -> dict[str, float | None]:
        return {}

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        from recipes.inversion.error_table import rows

        return rows(record for record in records if record.objective != ORIGINAL)

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.inversion.page import render_invert

        return render_invert(manifest)


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _tail(attempt: int) -> str:
    return f"-{attempt}" if attempt else ""
