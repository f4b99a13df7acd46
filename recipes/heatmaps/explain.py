"""Attribution as a recipe: heat maps of what drives a target in input images, by several methods side by side."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from inverter_errors import BadInput
from recipes.attribution.registry import MethodChoice
from recipes.heatmaps.shared import HeatMapRecipe, map_units, original_units, with_channels
from recipes.options.fields import check_integer, option, texts
from recipes.options.targets import Target
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import ORIGINAL
from recipes.runner.context import RunContext, latest, once
from recipes.runner.units import Given, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.heatmaps.picture_batch import PictureBatch

BoxMode = Literal["auto", "threshold", "graph-cut", "none"]
BOX_MODES: tuple[BoxMode, ...] = get_args(BoxMode)
MOST_STEPS = 100_000
"""Largest value of `perceive`."""


@dataclass(frozen=True)
class MapRequest:
    """One kind of heat map.

    Attributes:
        target: the target that it explains.
        choice: the method.
        layer: the layer that the user named for the method; "" for the default.
        address: the layer that the method takes; "" for methods that take none.
    """

    target: Target
    choice: MethodChoice
    layer: str
    address: str

    @property
    def method(self) -> str:
        """The method, with the layer where one was named."""
        return f"{self.choice}@{self.layer}" if self.layer else str(self.choice)

    @property
    def folder(self) -> str:
        """The folder of its files, below the output folder."""
        return f"images/{safe_name(str(self.target))}/{safe_name(self.method)}"


@dataclass(frozen=True, kw_only=True)
class Explain(HeatMapRecipe):
    """Attribution heat maps of targets in input images, by several methods side by side.

    For each image, target and method the output folder has the map over the image (`NAME.png`), alone (`NAME-map.png`),
    and as an array (`NAME.npy`, (H, W) float32: values above 0 support the target, values below 0 oppose it). With
    `box="graph-cut"` it also has the segmented object (`NAME-cutout.png`, transparent elsewhere; Simonyan et al. 2014),
    with `perceive` the perception visualization (`NAME-perception.png`; Giulivi et al. 2021).

    Raises:
        BadInput: for a missing image or target, text of another form, or (in `run`) an option that does not fit the
            model.

    Example:
        >>> Explain(image="photo.jpg", target="logit:207", method=["grad-cam", "saliency"], out="OUT").name
        'explain'
    """

    name: ClassVar[str] = "explain"

    layer: str | Sequence[str] = option(
        (),
        "layer of methods that need one (default: the last feature maps before the target); may be repeated",
        repeat=True,
        grows=True,
    )
    box: BoxMode = option(
        "auto",
        "bounding box of the object: auto (threshold, for class activation maps only), threshold (20 % of the "
        "maximum), graph-cut (segments by colour, seeded by the map's highest 5 % and lowest 30 %) or none",
        choices=BOX_MODES,
    )
    perceive: int | None = option(
        None, "also write perception visualizations: the image reconstructed from the layer in this many steps, e.g. 60"
    )
    out: str = option("explained", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(layer, str) and layer for layer in self._layers):
            raise BadInput(f"layer: got {self.layer!r}; expected addresses of layers (inverter layers lists them)")
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
            open_cv()  # report a missing library before anything is written
        if self._layers and not any(choice.method().movable for choice in self._choices):
            raise BadInput(f"layer {self._layers[0]!r} is given, but none of the methods takes a layer: leave it out")
        return list(self._in_batches(context))

    @once
    def _requests(self, context: RunContext) -> dict[str, MapRequest]:
        """The heat maps to make of each image, by folder. What does not fit the network shows at the first image."""
        from recipes.attribution.api import resolve_layer

        model, size = context.model, self.picture_size(context.model)
        first = self._batch(context, tuple(self.pictures(context).files)[:1])
        found: dict[str, MapRequest] = {}
        for target in dict.fromkeys(target.resolved(model) for target in self._targets):
            for choice in self._choices:
                for layer in (self._layers or ("",)) if choice.method().movable else ("",):
                    objective = first.scores_of(target).objective
                    address = resolve_layer(model, objective, choice, layer or None, size)
                    request = MapRequest(target, choice, layer, address)
                    folder = request.folder
                    while folder in found:  # two texts may have the same file name
                        folder += "~"
                    found[folder] = request
        return found

    def _in_batches(self, context: RunContext) -> Iterator[Unit]:
        for number, batch in enumerate(self._batches(context)):
            units = original_units(batch)
            for folder, request in self._requests(context).items():
                maps = map_units(folder, request.target, request.method, batch)
                units += (self._with_files(unit, request) for unit in maps)
            yield from (replace(unit, batch=f"{number} {unit.batch}") for unit in units)

    def _with_files(self, unit: Unit, request: MapRequest) -> Unit:
        """The unit with its extra files."""
        stem = unit.file.removesuffix(".png")
        extra_files = {"plain": f"{stem}-map.png", "array": f"{stem}.npy"}
        if self.box == "graph-cut":
            extra_files["cutout"] = f"{stem}-cutout.png"
        if self.perceive and request.choice.method().layer:
            extra_files["perception"] = f"{stem}-perception.png"
        return replace(unit, extra_files=extra_files)

    @latest
    def _batch(self, context: RunContext, names: tuple[str, ...]) -> PictureBatch:
        """Images by name, with the results that methods share: units of the same images follow each other."""
        from recipes.heatmaps.picture_batch import PictureBatch

        return PictureBatch(context.model, names, self._read(context, names))

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Given:
        import torch

        from recipes.attribution import explain
        from recipes.outputs.rendering.colormap import overlay
        from recipes.outputs.rendering.showing import Showing

        model, names = context.model, tuple(str(unit.image) for unit in units)
        showing = Showing.of(model)
        if units[0].objective == ORIGINAL:
            return Given(self._batch(context, names).images)
        request = self._requests(context)[units[0].file.rpartition("/")[0]]
        batch = self._batch(context, names)
        target, choice, started = batch.scores_of(request.target), request.choice, time.perf_counter()
        maps = explain(
            model,
            batch.images,
            target.objective,
            str(choice),
            layer=request.address or None,
            seed=self.seed,
            batch_size=self.batch_size,
        )
        seconds, shown, metrics = (time.perf_counter() - started) / len(units), [], []
        for row, (unit, heat, score) in enumerate(zip(units, maps, target.scores, strict=True)):
            signed = choice.method().signed or bool((heat < 0).any())  # an option may keep the sign
            found = {"target": str(request.target), "method": str(choice), "at": request.address, "value": score}
            found |= {"signed": signed, "seconds": seconds}
            metrics.append(found | self._write_extra_files(unit, request, batch, row, heat, signed))
            shown.append(overlay(showing.picture(batch.images[row]), heat, signed))
        if target.channels:
            units = with_channels(model, request.target, units, target.channels)
        return Given(torch.stack(shown), units, metrics, drawn=True)

    def _write_extra_files(
        self, unit: Unit, request: MapRequest, batch: PictureBatch, row: int, heat: Tensor, signed: bool
    ) -> dict[str, Any]:
        """Writes the extra files of a unit, whose picture is written last; returns the metrics of its map."""
        import numpy as np

        from recipes.attribution.localization.graph_cut import box_of, find_box, graph_cut
        from recipes.heatmaps.perception import perception_visualization
        from recipes.outputs.atomic import write_bytes, write_png
        from recipes.outputs.provenance import provenance
        from recipes.outputs.rendering.colormap import cut_out, plain
        from recipes.outputs.rendering.showing import Showing

        about = provenance(self.name, self.settings(), unit, self.growing) | {"method": str(request.choice)}
        method, picture, buffer = request.choice.method(), batch.images[row], io.BytesIO()
        files = {kind: Path(self.out) / file for kind, file in unit.extra_files.items()}
        write_png(files["plain"], plain(heat, signed), about)
        np.save(buffer, heat.numpy())
        write_bytes(files["array"], buffer.getvalue())
        metrics: dict[str, Any] = {"lowest": float(heat.min()), "highest": float(heat.max())}
        if "perception" in files:
            preimage = batch.preimages(request.address, self.perceive or 0, self.seed)[row]
            write_png(files["perception"], perception_visualization(preimage, heat), about)
        if self.box == "graph-cut":
            mask = graph_cut(picture, heat)
            write_png(files["cutout"], cut_out(Showing.of(batch.model).picture(picture), mask), about, alpha=True)
            metrics["cutout"] = float(mask.float().mean())
            box = box_of(mask)
        else:
            box = find_box(self.box, heat, method.box)
        if box:
            metrics["box"] = list(box)
        if method.channels:
            metrics["channels"] = _channels(batch.model, request.target, picture, request.address)
        return metrics

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """The metrics of the input images: file name and, for a classifier, the top classes."""
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
