"""Attribution as a recipe: where in real pictures lies what excites a target, by several methods side by side."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.attribution.registry import MethodChoice
from recipes.heatmaps.shared import HeatMapRecipe, map_units, original_units, with_channels
from recipes.options.fields import check_integer, option, texts
from recipes.options.suggest import nearest
from recipes.options.targets import Target
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import ORIGINAL
from recipes.runner.context import RunContext, latest, once
from recipes.runner.units import Given, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.heatmaps.picture_batch import PictureBatch

BOXES = ("auto", "threshold", "graph-cut", "none")
MOST_STEPS = 100_000
"""Of `perceive`."""


@dataclass(frozen=True)
class MapRequest:
    """One kind of heat map: a target, a method, and the layer that it looks at ("" for the default)."""

    target: Target
    choice: MethodChoice
    layer: str

    @property
    def folder(self) -> str:
        """Where its files lie."""
        at = f"@{self.layer}" if self.layer else ""
        return f"images/{safe_name(str(self.target))}/{safe_name(str(self.choice) + at)}"


@dataclass(frozen=True, kw_only=True)
class Explain(HeatMapRecipe):
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
            check_integer("perceive", self.perceive, 1, MOST_STEPS)

    @property
    def _layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(texts(self.layer)))

    def settings(self) -> dict[str, Any]:
        target = [str(target) for target in self._targets]
        return super().settings() | {"target": target, "layer": list(self._layers)}

    def units(self, context: RunContext) -> list[Unit]:
        from recipes.attribution.localization.graph_cut import open_cv

        if self.box == "graph-cut":
            open_cv()  # missing libraries are reported before anything is written
        if self._layers and not any(choice.method().movable for choice in self._choices):
            raise BadInput(
                f"layer {self._layers[0]!r} is given, but no method looks at a layer of your choice: leave it out"
            )
        requests, names = self._requests(context), list(self.pictures(context).files)
        first = self._batch(context, tuple(names[:1]))
        for request in requests.values():
            self._place(request, first)
        return list(self._in_batches(context.model, requests, names))

    @once
    def _requests(self, context: RunContext) -> dict[str, MapRequest]:
        """The heat maps to make of each picture, by folder."""
        found: dict[str, MapRequest] = {}
        for target in dict.fromkeys(target.resolved(context.model) for target in self._targets):
            for choice in self._choices:
                for layer in (self._layers or ("",)) if choice.method().movable else ("",):
                    request = MapRequest(target, choice, layer)
                    folder = request.folder
                    while folder in found:  # of two texts that are the same as names of files
                        folder += "~"
                    found[folder] = request
        return found

    def _in_batches(self, model: Model, requests: Mapping[str, MapRequest], names: Sequence[str]) -> Iterator[Unit]:
        for number, batch in enumerate(self._batches(model, names)):
            units = original_units(batch)
            for folder, request in requests.items():
                units += (self._with_files(unit, request) for unit in map_units(folder, request.target, batch))
            yield from (replace(unit, batch=f"{number} {unit.batch}") for unit in units)

    def _with_files(self, unit: Unit, request: MapRequest) -> Unit:
        """A unit that knows which files will lie beside its picture."""
        stem = unit.file.removesuffix(".png")
        extra_files = {"plain": f"{stem}-map.png", "array": f"{stem}.npy"}
        if self.box == "graph-cut":
            extra_files["thing"] = f"{stem}-thing.png"
        if self.perceive and request.choice.method().layer:
            extra_files["perceived"] = f"{stem}-perceived.png"
        return replace(unit, extra_files=extra_files)

    @latest
    def _batch(self, context: RunContext, names: tuple[str, ...]) -> PictureBatch:
        """Pictures by name, with what has been computed for them: units of the same pictures follow each other."""
        from recipes.heatmaps.picture_batch import PictureBatch

        return PictureBatch(context.model, names, self._read(context, names))

    def _place(self, request: MapRequest, batch: PictureBatch) -> str:
        """Address of the layer that is looked at, or ""."""
        from recipes.attribution.api import resolve_layer

        objective, size = batch.scores_of(request.target).objective, self.picture_size(batch.model)
        return resolve_layer(batch.model, objective, request.choice, request.layer or None, size)

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Given:
        import torch

        from recipes.attribution import explain
        from recipes.outputs.colormap import overlay

        model = context.model
        batch = self._batch(context, tuple(str(unit.image) for unit in units))
        if units[0].objective == ORIGINAL:
            return Given(batch.images)
        request = self._requests(context)[units[0].file.rpartition("/")[0]]
        answer, choice, started = batch.scores_of(request.target), request.choice, time.perf_counter()
        where = self._place(request, batch)
        maps = explain(
            model,
            batch.images,
            answer.objective,
            str(choice),
            layer=where or None,
            seed=self.seed,
            batch_size=self.batch_size,
        )
        seconds, shown, metrics = (time.perf_counter() - started) / len(units), [], []
        for row, (unit, heat, score) in enumerate(zip(units, maps, answer.scores, strict=True)):
            signed = choice.method().signed or bool((heat < 0).any())  # an option may keep the sign
            found = {"target": str(request.target), "method": str(choice), "at": where, "value": score}
            found |= {"signed": signed, "seconds": seconds}
            metrics.append(found | self._write_extra_files(unit, request, batch, row, heat, signed, where))
            shown.append(overlay(batch.images[row], heat, signed))
        if answer.channels:
            units = with_channels(model, request.target, units, answer.channels)
        return Given(torch.stack(shown), units, metrics)

    def _write_extra_files(
        self, unit: Unit, request: MapRequest, batch: PictureBatch, row: int, heat: Tensor, signed: bool, where: str
    ) -> dict[str, Any]:
        """Writes the extra files of a unit, whose picture is written last; the metrics of its map."""
        import numpy as np

        from recipes.attribution.localization.graph_cut import box_of, find_box, graph_cut
        from recipes.heatmaps.perception import seen_where_it_looked
        from recipes.outputs.atomic import write_bytes, write_png
        from recipes.outputs.colormap import cut_out, plain

        method, picture, buffer = request.choice.method(), batch.images[row], io.BytesIO()
        files = {kind: Path(self.out) / file for kind, file in unit.extra_files.items()}
        write_png(files["plain"], plain(heat, signed))
        np.save(buffer, heat.numpy())
        write_bytes(files["array"], buffer.getvalue())
        metrics: dict[str, Any] = {"lowest": float(heat.min()), "highest": float(heat.max())}
        if "perceived" in files:
            found = batch.perceived(where, self.perceive or 0, self.seed)[row]
            write_png(files["perceived"], seen_where_it_looked(found, heat))
        if "thing" in files:
            thing = graph_cut(picture, heat)
            write_png(files["thing"], cut_out(picture, thing))
            metrics["thing"] = float(thing.float().mean())
            box = box_of(thing)
        else:
            box = find_box(self.box, heat, method.box)
        if box:
            metrics["box"] = list(box)
        if method.channels:
            metrics["channels"] = _channels(batch.model, request.target, picture, where)
        return metrics

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """Of the input pictures: file name and, for a classifier, the likeliest classes; maps bring their own."""
        from recipes.activations.predictions import classifies, recognise

        files = self.pictures(context).files
        found: list[dict[str, Any]] = [{"source": files[str(unit.image)].name} for unit in units]
        size = self.picture_size(context.model)  # one preprocessing for the maps and for what the network names
        if classifies(context.model, size):
            recognise(found, "top5", context.model, images, None, size)
        return found

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.heatmaps.explain_page import render_explain

        return render_explain(manifest)


def _channels(model: Model, target: Target, picture: Tensor, layer: str) -> list[dict[str, Any]]:
    from recipes.attribution.methods.spatial import channel_attribution, strongest_channels

    image = picture[None].to(model.device)
    (shares,) = channel_attribution(model, image, target.objective(model, image), layer)
    return strongest_channels(shares.cpu())
