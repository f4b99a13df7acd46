"""The components of `inverter craft`: found in crops, weighed in photographs, and shown on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from inverter import Directions, ReceptiveField, receptive_fields
from inverter.devices import sent
from inverter_errors import BadInput, plural
from objectives import logit
from objectives.units import as_map
from recipes.activations.collect import CollectedActivations, collect
from recipes.activations.map_geometry import laid_over, overlay
from recipes.activations.predictions import class_name
from recipes.activations.reducers import Extremes
from recipes.concepts.craft.components import amounts, concept_bank
from recipes.concepts.craft.crops import Crops
from recipes.concepts.craft.drawing import composite, strip
from recipes.concepts.craft.importance import importance, runs_alone
from recipes.concepts.craft.sobol import masks
from recipes.options.targets import TOP, Target
from recipes.outputs.atomic import write_png
from recipes.outputs.rendering.colormap import overlay as heat_over
from recipes.outputs.rendering.showing import Showing
from recipes.pictures.inputs import InputPictures
from recipes.runner.context import RunContext
from recipes.runner.units import Given

if TYPE_CHECKING:
    from recipes.concepts.craft.craft import Craft

Array = np.ndarray[Any, Any]

CROPS, MAPS = 8, 6
"""Crops and photographs that a component is shown with."""
OF_ONE = 2
"""Crops of one photograph among these, at most."""


@dataclass(frozen=True, eq=False)
class ConceptBank:
    """The components of a run; each part is made when it is needed, and activations and components are kept on disk.

    Attributes:
        context: of the run.
        photographs: of the class.
        layer: address.
        count: number K of components.
        size: (height, width) of the photographs, in pixels.
        side: height of a crop in pixels.
        recipe: of the run.
    """

    context: RunContext
    photographs: InputPictures
    layer: str
    count: int
    size: tuple[int, int]
    side: int
    recipe: Craft

    @property
    def crops(self) -> Crops:
        """The crops of the photographs."""
        return Crops(self.photographs, self.size, self.side)

    def check(self) -> None:
        """Checks what can be known before the network runs.

        Raises:
            BadInput: for a crop larger than the photographs, more components than crops or channels, or a layer of
                another shape.
            LayerNotFound: for an unknown layer.
        """
        model, crops = self.context.model, self.crops
        model.check_layer(self.layer)
        if not crops.corners:
            raise BadInput(f"crop {self.side} is larger than the photographs, which are {self.size[0]}x{self.size[1]}")
        shape = model.shapes([self.layer], self.size)[self.layer]
        if len(shape) not in (2, 4):
            raise BadInput(
                f"layer {self.layer!r} outputs a tensor of shape {tuple(shape)}, expected a map (B, C, H, W) or a "
                "vector (B, C): choose another layer"
            )
        number = len(crops.corners) * len(self.photographs.files)
        if self.count > (most := min(number, shape[1])):
            raise BadInput(
                f"count {self.count}: there are {plural(number, 'crop')} and {plural(shape[1], 'channel')}; expected "
                f"at most {most}"
            )

    @cached_property
    def collected(self) -> CollectedActivations:
        """The activations of the crops, averaged over places."""
        recipe, context = self.recipe, self.context
        return collect(
            context.model,
            self.crops.pictures(),
            [self.layer],
            Extremes(),
            out=Path(recipe.out) / "activations",
            size=self.size,
            fresh=recipe.fresh,
            progress=context.progress,
            executor=context.executor,
        )

    @cached_property
    def means(self) -> Array:
        """The crops' activations A, (N, C)."""
        lowest = float(self.collected.array(self.layer, "low").min())
        if lowest < 0:
            raise BadInput(
                f"the activations of layer {self.layer!r} reach {lowest:.3g}, and components are of activations of 0 "
                "and above: choose a layer after a ReLU"
            )
        return np.asarray(self.collected.array(self.layer, "mean"))

    @cached_property
    def directions(self) -> Directions:
        """The components W, found now or by an earlier part of the run."""
        model, file = self.context.model, self.recipe.directions_file
        source = f"crops of {self.side} pixels, {self.crops.pictures().digest[:16]}, seed {self.recipe.seed}"
        if file.is_file() and not self.recipe.fresh:
            found = Directions.load(file)
            if (found.source, found.sha256, found.layer, found.count) == (source, model.sha256, self.layer, self.count):
                return found
        found = Directions(
            self.layer,
            torch.from_numpy(concept_bank(self.means, self.count, self.recipe.seed)),
            names=[f"component {index}" for index in range(self.count)],
            method="craft",
            model=model.spec,
            sha256=model.sha256,
            source=source,
        )
        found.save(file)
        return found

    @property
    def bank(self) -> Array:
        """The components W, (K, C)."""
        return self.directions.decoder.numpy()

    @cached_property
    def of_crops(self) -> Array:
        """The amounts U of the components in the crops, (N, K)."""
        return amounts(self.means, self.bank)

    @cached_property
    def error(self) -> float:
        """The relative error |A - U W| / |A| over the crops."""
        return float(np.linalg.norm(self.means - self.of_crops @ self.bank) / np.linalg.norm(self.means))

    def best_crops(self, index: int) -> list[int]:
        """The crops with the most of a component, at most two of one photograph, most first."""
        found, taken = list[int](), dict[int, int]()
        for crop in np.argsort(-self.of_crops[:, index], kind="stable").tolist():
            number = int(self.collected.array(self.layer, "picture")[crop])
            photograph = number // len(self.crops.corners)
            if self.of_crops[crop, index] <= 0 or len(found) == CROPS:
                break
            if taken.get(photograph, 0) < OF_ONE:
                found.append(number)
                taken[photograph] = taken.get(photograph, 0) + 1
        return found

    def activation(self, images: Tensor) -> Tensor:
        """The layer's activations (B, C, h, w) for photographs (B, C, H, W) in [0, 1], on the model's device."""
        model = self.context.model
        with model.capture([self.layer]) as capture, torch.no_grad():
            return as_map(capture(model.normalize(sent(images, model.device)))[self.layer], self.layer).float()

    def maps(self, activation: Tensor) -> Tensor:
        """The amounts of the components at each place, (K, h, w), of one photograph's activation (C, h, w)."""
        channels, height, width = activation.shape
        found = amounts(activation.reshape(channels, -1).T.cpu().numpy(), self.bank)
        return torch.from_numpy(found.T.reshape(self.count, height, width).copy())

    @cached_property
    def _field(self) -> ReceptiveField | None:
        return receptive_fields(self.context.model, [self.layer], self.size)[self.layer]

    def over(self, maps: Tensor) -> Tensor:
        """Maps (K, h, w) of the layer at the pixels of a photograph."""
        return laid_over(maps, overlay(self._field, maps.shape, self.size), self.size)

    @cached_property
    def _alone(self) -> bool:
        """Whether a photograph may run up to the layer once for all masks, by the first of them."""
        model, first = self.context.model, list(self.photographs.files)[:1]
        image = sent(self.photographs.read(first, self.size), model.device)
        return runs_alone(model, self.layer, logit(0), image, self.activation(image))

    def drawn(self, names: Sequence[str], target: Target) -> Given:
        """Photographs with their components in colours over them, and the components' importance as metrics.

        Args:
            names: of the photographs.
            target: the class.
        """
        from inverter import evaluate

        model, layer, known = self.context.model, self.layer, target.resolved(self.context.model)
        design, pictures, metrics = masks(self.count, self.recipe.designs), list[Tensor](), list[dict[str, Any]]()
        top, showing = Target.parse(f"logit:{TOP}"), Showing.of(model)
        for name in names:
            image = sent(self.photographs.read([name], self.size), model.device)
            activation, objective = self.activation(image), known.objective(model, image)
            maps = self.maps(activation[0])
            found = importance(model, layer, objective, image, maps, self.directions.decoder, design, self._alone)
            (predicted,), (index,) = top.channels(model, image), known.channels(model, image)
            metrics.append(
                {
                    "class": class_name(model.categories, index),
                    "value": float(evaluate(model, objective, image)),
                    "reconstructed": found.score,
                    "predicted": class_name(model.categories, predicted),
                    "same_class": found.predicted == predicted,
                    "importance": found.indices.tolist(),
                    "amounts": maps.mean((1, 2)).tolist(),
                }
            )
            weights = torch.from_numpy(np.linalg.norm(self.bank, axis=1))[:, None, None]
            pictures.append(composite(showing.picture(image[0].cpu()), self.over(weights * maps)))
        return Given(torch.stack(pictures), metrics=metrics, drawn=True)

    def examples(self, index: int, files: Mapping[str, Path]) -> dict[str, Any]:
        """Writes a component's best crops and its maps over their photographs, each as a strip.

        Args:
            index: of the component.
            files: of the strips, `crops` and `maps`.

        Returns:
            JSON values: `crops` and `maps`, with the photograph of each tile and the component's amount, and `error`.
        """
        showing, crops, best = Showing.of(self.context.model), self.crops, self.best_crops(index)
        names = list(dict.fromkeys(crops.origin(crop)[0] for crop in best))[:MAPS]
        tiles, highest = list[Tensor](), list[float]()
        for name in names:
            image = self.photographs.read([name], self.size)
            heat = self.maps(self.activation(image)[0])[index]
            highest.append(float(heat.max()))
            tiles.append(heat_over(showing.picture(image[0]), self.over(heat[None])[0], signed=False))
        write_png(files["crops"], strip([showing.picture(crops.read(crop)) for crop in best], crops.shape))
        write_png(files["maps"], strip(tiles, self.size))
        rows = dict(zip(self.collected.array(self.layer, "picture").tolist(), self.of_crops[:, index], strict=True))
        return {
            "crops": [
                {"photograph": crops.origin(crop)[0], "at": list(crops.origin(crop)[1]), "value": float(rows[crop])}
                for crop in best
            ],
            "maps": [{"photograph": name, "value": value} for name, value in zip(names, highest, strict=True)],
            "error": self.error,
        }
