"""Attribution as a recipe: where in real pictures lies what excites a target, by several methods side by side."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.attribution.registry import MethodChoice
from recipes.heatmaps.shared import PictureQuestions, asked_units, original_units, texts, with_channels
from recipes.options.fields import check_whole, option
from recipes.options.names import safe_name
from recipes.options.suggest import nearest
from recipes.options.targets import Target
from recipes.pages.by_picture import ORIGINAL
from recipes.runner.units import Given, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.heatmaps.picture_batch import Batch

BOXES = ("auto", "threshold", "graph-cut", "none")
MOST_STEPS = 100_000
"""Of `perceive`."""


@dataclass(frozen=True)
class Question:
    """A target asked by a method at a layer ("" where the user named none)."""

    target: Target
    choice: MethodChoice
    layer: str

    @property
    def folder(self) -> str:
        """Where its files lie."""
        at = f"@{self.layer}" if self.layer else ""
        return f"images/{safe_name(str(self.target))}/{safe_name(str(self.choice) + at)}"


@dataclass(frozen=True, kw_only=True)
class Explain(PictureQuestions):
    """Where in a picture lies what excites a target: heat maps by several methods, side by side.

    For each picture, target and method the folder has the map over the picture (`NAME.png`), alone (`NAME-map.png`) and
    as numbers (`NAME.npy`, (H, W) float32: above 0 speaks for the target, below 0 against it). With `box="graph-cut"`
    it has the thing that was cut out, too (`NAME-thing.png`, all else transparent).

    Raises:
        BadInput: for a missing picture or target, text of another form, or (in `run`) what does not fit the model.

    Example:
        >>> Explain(image="photo.jpg", target="logit:207", method=["grad-cam", "saliency"], out="OUT").name
        'explain'
    """

    name: ClassVar[str] = "explain"

    layer: str | Sequence[str] = option(
        (),
        "where methods look that need a layer (default: the last maps before the target); may be repeated",
        repeat=True,
    )
    box: str = option(
        "auto",
        "around the thing: auto (threshold, for class activation maps), threshold (20 % of the maximum), graph-cut "
        "(cuts it out by its colours, from the map's hottest 5 % and coldest 30 %) or none",
        choices=BOXES,
    )
    perceive: int | None = option(
        None, "lay maps of a layer also over what it keeps of the picture, found in so many steps (60, say)"
    )
    out: str = option("explained", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(layer, str) and layer for layer in self._layers):
            raise BadInput(f"layer: got {self.layer!r}; expected addresses of layers (inverter layers shows them)")
        if self.box not in BOXES:
            raise BadInput(f"unknown box {self.box!r}{nearest(self.box, BOXES)}")
        if self.perceive is not None:
            check_whole("perceive", self.perceive, 1, MOST_STEPS)

    @cached_property
    def _layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(texts(self.layer)))

    def settings(self) -> dict[str, Any]:
        target = [str(target) for target in self._targets]
        return super().settings() | {"target": target, "layer": list(self._layers)}

    def units(self, model: Model) -> list[Unit]:
        from recipes.attribution.localization.graph_cut import open_cv

        if self.box == "graph-cut":
            open_cv()  # all is told before anything is written
        if self._layers and not any(choice.method().movable for choice in self._choices):
            raise BadInput(
                f"layer {self._layers[0]!r} is given, but no method looks at a layer of your choice: leave it out"
            )
        questions, names = self._questions(model), self._readable(model)
        first = self._batch(model, tuple(names[:1]))
        for question in questions.values():
            self._place(question, first)
        return list(self._in_batches(model, questions, names))

    def _questions(self, model: Model) -> dict[str, Question]:
        """What is asked of each picture, by folder."""
        found: dict[str, Question] = {}
        for target in dict.fromkeys(target.resolved(model) for target in self._targets):
            for choice in self._choices:
                for layer in (self._layers or ("",)) if choice.method().movable else ("",):
                    question = Question(target, choice, layer)
                    folder = question.folder
                    while folder in found:  # of two texts that are the same as names of files
                        folder += "~"
                    found[folder] = question
        return found

    def _in_batches(self, model: Model, questions: Mapping[str, Question], names: Sequence[str]) -> Iterator[Unit]:
        for number, batch in enumerate(self._batches(model, names)):
            units = original_units(batch)
            for folder, question in questions.items():
                units += (self._with_files(unit, question) for unit in asked_units(folder, question.target, batch))
            yield from (replace(unit, batch=f"{number} {unit.batch}") for unit in units)

    def _with_files(self, unit: Unit, question: Question) -> Unit:
        """A unit that knows which files will lie beside its picture."""
        stem = unit.file.removesuffix(".png")
        extra_files = {"plain": f"{stem}-map.png", "array": f"{stem}.npy"}
        if self.box == "graph-cut":
            extra_files["thing"] = f"{stem}-thing.png"
        if self.perceive and question.choice.method().layer:
            extra_files["perceived"] = f"{stem}-perceived.png"
        return replace(unit, extra_files=extra_files)

    @cached_property
    def _batch(self) -> Callable[[Model, tuple[str, ...]], Batch]:
        """Pictures by name: only the latest are kept, as all that is asked of them comes one after the other."""
        from recipes.heatmaps.picture_batch import Batch

        return lru_cache(1)(lambda model, names: Batch(model, names, self._pictures(model, names)))

    def _place(self, question: Question, batch: Batch) -> str:
        """Address of the layer that is looked at, or ""."""
        from recipes.attribution.api import resolve_layer

        objective, size = batch.answer(question.target).objective, self.picture_size(batch.model)
        return resolve_layer(batch.model, objective, question.choice, question.layer or None, size)

    def problem(self, model: Model, units: Sequence[Unit]) -> Given:
        import torch

        from recipes.attribution import explain
        from recipes.outputs.colormap import overlay

        batch = self._batch(model, tuple(str(unit.image) for unit in units))
        if units[0].objective == ORIGINAL:
            return Given(batch.images)
        question = self._questions(model)[units[0].file.rpartition("/")[0]]
        answer, choice, started = batch.answer(question.target), question.choice, time.perf_counter()
        where = self._place(question, batch)
        maps = explain(
            model,
            batch.images,
            answer.objective,
            str(choice),
            layer=where or None,
            seed=self.seed,
            batch_size=self.batch_size,
        )
        seconds, shown = (time.perf_counter() - started) / len(units), []
        for row, (unit, heat, score) in enumerate(zip(units, maps, answer.scores, strict=True)):
            signed = choice.method().signed or bool((heat < 0).any())  # an option may keep the sign
            told = {"target": str(question.target), "method": str(choice), "at": where, "value": score}
            told |= {"signed": signed, "seconds": seconds}
            self._told[unit.file] = told | self._kept(unit, question, batch, row, heat, signed, where)
            shown.append(overlay(batch.images[row], heat, signed))
        if answer.channels:
            units = with_channels(model, question.target, units, answer.channels)
        return Given(torch.stack(shown), units)

    @cached_property
    def _told(self) -> dict[str, dict[str, Any]]:
        """What the manifest tells of a unit, by file: on its way from `problem` to `metrics`."""
        return {}

    def _kept(
        self, unit: Unit, question: Question, batch: Batch, row: int, heat: Tensor, signed: bool, where: str
    ) -> dict[str, Any]:
        """Writes the files beside a unit's picture, which is written last; what else there is to tell of its map."""
        import numpy as np

        from recipes.attribution.localization.graph_cut import box_of, find_box, graph_cut
        from recipes.heatmaps.perception import seen_where_it_looked
        from recipes.outputs.atomic import write_bytes, write_png
        from recipes.outputs.colormap import cut_out, plain

        method, picture, buffer = question.choice.method(), batch.images[row], io.BytesIO()
        files = {kind: Path(self.out) / file for kind, file in unit.extra_files.items()}
        write_png(files["plain"], plain(heat, signed))
        np.save(buffer, heat.numpy())
        write_bytes(files["array"], buffer.getvalue())
        told: dict[str, Any] = {"lowest": float(heat.min()), "highest": float(heat.max())}
        if "perceived" in files:
            found = batch.perceived(where, self.perceive or 0, self.seed)[row]
            write_png(files["perceived"], seen_where_it_looked(found, heat))
        if "thing" in files:
            thing = graph_cut(picture, heat)
            write_png(files["thing"], cut_out(picture, thing))
            told["thing"] = float(thing.float().mean())
            box = box_of(thing)
        else:
            box = find_box(self.box, heat, method.box)
        if box:
            told["box"] = list(box)
        if method.channels:
            told["channels"] = _channels(batch.model, question.target, picture, where)
        return told

    def metrics(self, model: Model, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        from recipes.activations.predictions import classifies, recognise

        if units[0].objective != ORIGINAL:
            return [self._told.pop(unit.file) for unit in units]
        found: list[dict[str, Any]] = [{"source": self._files[str(unit.image)].name} for unit in units]
        if classifies(model):
            recognise(found, "top5", model, images, None)
        return found

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.heatmaps.explain_page import render_explain

        return render_explain(manifest)


def _channels(model: Model, target: Target, picture: Tensor, layer: str) -> list[dict[str, Any]]:
    from recipes.attribution.methods.spatial import channel_attribution, strongest_channels

    image = picture[None].to(model.device)
    (shares,) = channel_attribution(model, image, target.objective(model, image), layer)
    return strongest_channels(shares.cpu())
