"""Attribution as a recipe: where in real pictures lies what excites a target, by several methods side by side."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from recipes.attribution.registry import HELP as METHODS
from recipes.attribution.registry import MethodChoice
from recipes.naming import safe_name
from recipes.near import nearest
from recipes.recipe import Given, Recipe, Unit, option
from recipes.targets import HELP as TARGETS
from recipes.targets import TOP, Target

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model

ORIGINAL = "original"
"""The objective that the manifest gives to a picture that was given."""
BOXES = ("auto", "threshold", "graph-cut", "none")


@dataclass(frozen=True)
class Question:
    """A target asked by a method at a layer ("" for methods that look at none); `layer` as the user gave it."""

    target: Target
    choice: MethodChoice
    layer: str

    @property
    def folder(self) -> str:
        """Where its files lie."""
        at = f"@{self.layer}" if self.layer else ""
        return f"images/{safe_name(str(self.target))}/{safe_name(str(self.choice) + at)}"


@dataclass(frozen=True, kw_only=True)
class Explain(Recipe):
    """Where in a picture lies what excites a target: heat maps by several methods, side by side.

    For each picture, target and method the folder has the map over the picture (`NAME.png`), alone (`NAME-map.png`) and
    as numbers (`NAME.npy`, (H, W) float32: above 0 speaks for the target, below 0 against it).

    Raises:
        ValueError: for a missing picture or target, text of another form, or (in `run`) what does not fit the model.

    Example:
        >>> Explain(image="photo.jpg", target="logit:207", method=["grad-cam", "saliency"], out="OUT").name
        'explain'
    """

    name: ClassVar[str] = "explain"

    image: str | Sequence[str] = option((), "a picture, or a folder of pictures; may be repeated", repeat=True)
    target: str | Sequence[str] = option(f"logit:{TOP}", f"{TARGETS}; may be repeated", repeat=True)
    method: str | Sequence[str] = option("grad-cam", f"{METHODS}; may be repeated", repeat=True)
    layer: str | Sequence[str] = option(
        (),
        "where methods look that need a layer (default: the last maps before the target); may be repeated",
        repeat=True,
    )
    box: str = option(
        "auto",
        "around the thing: auto (threshold, for class activation maps), threshold (20 % of the maximum), graph-cut "
        "(by its colours, from the map's hottest 5 % and coldest 30 %) or none",
        choices=BOXES,
    )
    perceive: int | None = option(
        None, "lay maps of a layer also over what it keeps of the picture, found in so many steps (60, say)"
    )
    out: str = option("explained", "output folder")
    size: int | None = option(
        None, "side of the pictures as the network sees them, in pixels (default: the model's input size)"
    )
    batch_size: int | None = option(None, "pictures worked on together (default: chosen for the device)")
    steps: int | None = option(None, "", hidden=True)
    learning_rate: float | None = option(None, "", hidden=True)
    precision: str = option("float32", "", hidden=True)
    augment: str = option("none", "", hidden=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("image", "target", "method"):
            values = _texts(getattr(self, key))
            if not values or not all(isinstance(value, str | Path) and str(value) for value in values):
                raise ValueError(f"{key}: got {getattr(self, key)!r}; expected one or more texts (--{key})")
        if self.box not in BOXES:
            raise ValueError(f"unknown box {self.box!r}{nearest(self.box, BOXES)}")
        if self.perceive is not None and (type(self.perceive) is not int or self.perceive < 1):
            raise ValueError(f"perceive: expected a number of steps of at least 1, got {self.perceive!r}")
        _ = self._targets, self._choices

    @cached_property
    def _targets(self) -> list[Target]:
        return list(dict.fromkeys(Target.parse(text) for text in _texts(self.target)))

    @cached_property
    def _choices(self) -> list[MethodChoice]:
        return list({str(choice): choice for choice in map(MethodChoice.parse, _texts(self.method))}.values())

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The pictures by a name that tells them apart."""
        from recipes.pictures import named_pictures

        return named_pictures(_texts(self.image))

    def settings(self) -> dict[str, Any]:
        # One way to write what may be written in several, so that a run can be continued with any of them.
        return super().settings() | {
            "image": [str(place) for place in _texts(self.image)],
            "target": [str(target) for target in self._targets],
            "method": [str(choice) for choice in self._choices],
            "layer": list(_texts(self.layer)),
        }

    def units(self, model: Model) -> list[Unit]:
        from recipes.attribution.explaining import place, scored
        from recipes.attribution.localization import open_cv

        if self.box == "graph-cut":
            open_cv()  # told before anything is written
        names, size = list(self._files), self.picture_size(model)
        pictures, layers = self._pictures(model, names), _texts(self.layer)
        if layers and not any(choice.method().movable for choice in self._choices):
            raise ValueError(
                f"layer {layers[0]!r} is given, but no method looks at a layer of your choice: leave it out"
            )
        units = [
            Unit("", None, ORIGINAL, f"originals/{safe_name(name)}.png", image=name, batch=ORIGINAL) for name in names
        ]
        for target in dict.fromkeys(target.resolved(model) for target in self._targets):
            # Scored now, so that a target that is out of range is told before anything is written.
            objective = target.objective(model, pictures)
            scores = scored(model, objective, pictures)
            single = target.kind not in ("direction", "layer")
            channels = target.channels(model, pictures) if single else [None] * len(names)
            for choice in self._choices:
                method = choice.method()
                for layer in layers or ("",) if method.movable else ("",):
                    question = Question(target, choice, layer)
                    where = place(model, objective, choice, layer or None, size)
                    told = {"target": str(target), "method": str(choice), "at": where}
                    for unit, score in zip(_asked(model, question, names, channels), scores, strict=True):
                        units.append(unit)
                        self._questions[unit.file] = question
                        self._told[unit.file] = told | {"value": score}
        return units

    @cached_property
    def _questions(self) -> dict[str, Question]:
        """By file: filled by `units`."""
        return {}

    @cached_property
    def _told(self) -> dict[str, dict[str, Any]]:
        """What the manifest tells of a unit, by file: begun by `units`, completed by `problem`."""
        return {}

    def _pictures(self, model: Model, names: Sequence[str]) -> Tensor:
        import torch

        from recipes.pictures import fit, read_picture

        size, channels = self.picture_size(model), len(model.mean)
        return torch.stack([fit(read_picture(self._files[name], channels), size) for name in names])

    def problem(self, model: Model, units: Sequence[Unit]) -> Given:
        import torch

        from recipes.attribution import explain
        from recipes.attribution.localization import located
        from recipes.outputs.heat import overlay

        pictures = self._pictures(model, [str(unit.image) for unit in units])
        if units[0].objective == ORIGINAL:
            return Given(pictures)
        if units[0].file not in self._questions:  # another process was told of these units
            self.units(model)
        question, started = self._questions[units[0].file], time.perf_counter()
        maps = explain(
            model,
            pictures,
            str(question.target),
            str(question.choice),
            layer=question.layer or None,
            seed=self.seed,
            batch_size=self.batch_size,
        )
        seconds = (time.perf_counter() - started) / len(units)
        method, shown = question.choice.method(), []
        for unit, picture, heat in zip(units, pictures, maps, strict=True):
            signed = method.signed or bool((heat < 0).any())  # an option may keep the sign
            told = self._told[unit.file] | {"signed": signed, "seconds": seconds} | self._keep(unit, heat, signed)
            if method.layer and self.perceive:
                told["perceived"] = self._perceive(model, unit, picture, heat, str(told["at"]))
            if box := located(self.box, picture, heat, method.box):
                told["box"] = list(box)
            if method.channels:
                told["channels"] = self._channels(model, question, picture, str(told["at"]))
            self._told[unit.file] = told
            shown.append(overlay(picture, heat, signed))
        return Given(torch.stack(shown))

    def _keep(self, unit: Unit, heat: Tensor, signed: bool) -> dict[str, Any]:
        """Writes the files beside a unit's picture, which is written last; what they are, and the map's range."""
        import numpy as np

        from recipes.outputs.heat import plain
        from recipes.outputs.media import write_bytes, write_png

        stem = unit.file.removesuffix(".png")
        write_png(Path(self.out) / f"{stem}-map.png", plain(heat, signed))
        buffer = io.BytesIO()
        np.save(buffer, heat.numpy())
        write_bytes(Path(self.out) / f"{stem}.npy", buffer.getvalue())
        low, high = float(heat.min()), float(heat.max())
        return {"plain": f"{stem}-map.png", "array": f"{stem}.npy", "lowest": low, "highest": high}

    def _perceive(self, model: Model, unit: Unit, picture: Tensor, heat: Tensor, layer: str) -> str:
        """Writes what the layer keeps of the picture, where the map is hot."""
        from recipes.attribution.perception import perceived, seen_where_it_looked
        from recipes.outputs.media import write_png

        found = self._perceived.get((layer, str(unit.image)))
        if found is None:
            (found,) = perceived(model, picture[None], layer, self.perceive or 0, self.seed, [str(unit.image)])
            self._perceived[layer, str(unit.image)] = found
        file = f"{unit.file.removesuffix('.png')}-perceived.png"
        write_png(Path(self.out) / file, seen_where_it_looked(found, heat))
        return file

    @cached_property
    def _perceived(self) -> dict[tuple[str, str], Tensor]:
        """What layers keep of pictures, by layer and picture."""
        return {}

    def _channels(self, model: Model, question: Question, picture: Tensor, layer: str) -> list[dict[str, Any]]:
        from recipes.attribution.activation_grid import channel_attribution, strongest_channels

        image = picture[None].to(model.device)
        (shares,) = channel_attribution(model, image, question.target.objective(model, image), layer)
        return strongest_channels(shares.cpu())

    def figures(self, model: Model, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        from recipes.likeness import classifies, recognise

        if units[0].objective != ORIGINAL:
            return [self._told[unit.file] for unit in units]
        found: list[dict[str, Any]] = [{"source": self._files[str(unit.image)].name} for unit in units]
        if classifies(model):
            recognise(found, "top5", model, images, None)
        return found

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.outputs.explained import render_explain

        return render_explain(manifest)


def _asked(model: Model, question: Question, names: Sequence[str], channels: Sequence[int | None]) -> list[Unit]:
    """The units of one question, one for each picture, which has a class or channel of its own."""
    from recipes.judge import class_name

    target = question.target
    return [
        Unit(
            layer=target.layer,
            channel=channel,
            objective=target.kind,
            file=f"{question.folder}/{safe_name(name)}.png",
            name=class_name(model.categories, channel) if target.of_class and channel is not None else None,
            image=name,
            batch=question.folder,
        )
        for name, channel in zip(names, channels, strict=True)
    ]


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str | Path) else tuple(value)
