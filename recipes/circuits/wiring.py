"""The strongest connections of units to the layers before and after them, as a manifest records them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inverter import Model
from inverter_errors import BadInput
from recipes.activations.responses import responses
from recipes.circuits.attributions import centred, input_attributions, output_attributions
from recipes.circuits.weights import Path, expanded_weights, linearity
from recipes.options.names import OUTPUT_LAYER, address

if TYPE_CHECKING:
    from recipes.gallery.dataset_examples import DatasetExamples

PATCHES = 8
"""Top patches over which attributions are averaged."""
CHECKED = 32
"""Pictures on which a linear path is compared with the real one."""
DIGITS = 4
"""Significant digits of a kernel's values."""
Sides = dict[str, Any]
"""What a manifest has of one side of a unit: `layer`, `method`, `depth`, `reason`, `linearity` where it was measured,
and lists of connections `positive` and `negative`, each of them `channel`, `weight`, `norm` and `kernel`."""


class Wiring:
    """Finds the connections of units.

    Args:
        model: the network.
        method: weights, attribution, or auto: weights where the path is nearly linear.
        count: connections of each sign.
        size: (height, width) of the pictures in pixels.
        examples: the responses of all layers to a set of pictures; None without one.
    """

    def __init__(
        self, model: Model, method: str, count: int, size: tuple[int, int], examples: DatasetExamples | None
    ) -> None:
        self.model, self.method, self.count, self.size, self.examples = model, method, count, size, examples

    def inputs(self, layer: str, channels: Sequence[int], inputs: str) -> list[Sides]:
        """What drives each unit of a layer.

        Args:
            layer: the units' layer, as manifests name it.
            channels: of the units.
            inputs: the earlier layer.

        Raises:
            BadInput: for a path without a kernel where no pictures are given for attribution.
        """
        found = expanded_weights(self.model, address(layer), channels, inputs, self.size)
        about = self._about(found.path, inputs)
        if about["method"] == "attribution":
            return [about | self._attributed(layer, channel, inputs) for channel in channels]
        kernels = found.kernels
        sides = [about | self._strongest(each.sum((1, 2)), each) for each in kernels]
        for side, r in zip(sides, self._linearity(layer, channels, inputs), strict=False):
            side["linearity"] = r
        return sides

    def outputs(self, layer: str, channels: Sequence[int], outputs: str) -> list[Sides]:
        """What each unit of a layer drives in a later one.

        Args:
            layer: the units' layer.
            channels: of the units.
            outputs: the later layer, as manifests name it.

        Raises:
            BadInput: as `inputs`.
        """
        shape = self.model.shapes([address(outputs)], self.size)[address(outputs)]
        every = range(shape[1])
        found = expanded_weights(self.model, address(outputs), every, layer, self.size)
        about = self._about(found.path, outputs)
        if about["method"] == "weights":
            towards = found.kernels[:, list(channels)].transpose(0, 1)
            return [about | self._strongest(each.sum((1, 2)), each) for each in towards]
        sides = []
        for channel in channels:
            images, _ = self._top(layer, channel)
            total = output_attributions(self.model, images, layer, channel, address(outputs))
            sides.append(about | self._strongest(total, None))
        return sides

    def _about(self, path: Path, other: str) -> Sides:
        """How the units of a path are connected, and why."""
        kernel = not path.obstacles and (self.method == "weights" or (self.method == "auto" and path.linear))
        names, functions = ", ".join(path.obstacles), f"{path.depth} activation functions"
        where = f"the path from {path.inputs!r} to {path.layer or OUTPUT_LAYER!r}"
        if path.obstacles:
            reason = f"{where} has no kernel: {names} {'are' if len(path.obstacles) > 1 else 'is'} not linear"
        else:
            reason = f"{where} has {functions}"
        if not kernel and (self.examples is None or self.method == "weights"):
            to_do = (
                "set method to attribution, and images" if self.method == "weights" else "set images, for attribution"
            )
            if not path.obstacles:
                to_do += ", or method to weights"
            raise BadInput(f"{reason}: {to_do}")
        method = "weights" if kernel else "attribution"
        return {"layer": other, "method": method, "depth": path.depth, "reason": reason}

    def _strongest(self, weights: Tensor, kernels: Tensor | None) -> Sides:
        """The connections with the largest norms, by the sign of their weights.

        Args:
            weights: of all channels, (C,).
            kernels: of all channels, (C, h, w); None where they are numbers.
        """
        norms = weights.abs() if kernels is None else kernels.flatten(1).norm(dim=1)
        sides: Sides = {"total": float(norms.square().sum().sqrt())}
        for name, mine in (("positive", weights > 0), ("negative", weights < 0)):
            order = torch.where(mine, norms, -1.0).argsort(descending=True, stable=True)[: self.count].tolist()
            sides[name] = [
                {
                    "channel": channel,
                    "weight": float(weights[channel]),
                    "norm": float(norms[channel]),
                    "kernel": None if kernels is None else _rounded(kernels[channel]),
                }
                for channel in order
                if mine[channel]
            ]
        return sides

    def _attributed(self, layer: str, channel: int, inputs: str) -> Sides:
        images, places = self._top(layer, channel)
        where = address(layer)
        read = ((image, [(channel, place)]) for image, place in zip(images, places, strict=True))
        maps = torch.cat(list(input_attributions(self.model, read, where, inputs)))
        assert self.examples is not None
        shape = self.examples.collected.shapes[where]
        windows = centred(maps, places, shape[1:] if len(shape) == 3 else (1, 1)).mean(0)
        return self._strongest(maps.sum((2, 3)).mean(0), windows) | {"patches": len(images)}

    def _top(self, layer: str, channel: int) -> tuple[Tensor, list[tuple[int, int] | None]]:
        """The pictures that activate a unit most, (N, C, H, W), and where."""
        assert self.examples is not None
        where = address(layer)
        most = responses(self.examples.collected, where, [channel], "channel", PATCHES)[0].most
        if not most:
            raise BadInput(f"channel {channel} of layer {layer!r} is constant over all images: choose another")
        read = [self.examples.pictures.read(each.picture, self.size) for each in most]
        return torch.stack(read), [each.at for each in most]

    def _linearity(self, layer: str, channels: Sequence[int], inputs: str) -> list[float | None]:
        if self.examples is None:
            return []
        collected = self.examples.collected
        known = collected.array(address(layer), "picture")
        chosen = known[:: -(-len(known) // CHECKED)]
        images = torch.stack([self.examples.pictures.read(int(index), self.size) for index in chosen])
        found = linearity(self.model, address(layer), channels, inputs, images)
        return [None if math.isnan(r) else r for r in found]


def _rounded(kernel: Tensor) -> list[list[float]]:
    return [[float(f"{value:.{DIGITS}g}") for value in row] for row in kernel.tolist()]
