"""What a site says of the network itself: its layers with their shapes and receptive fields, and its first filters."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from inverter import Model, receptive_fields
from recipes.circuits.filters import first_filters
from recipes.options.names import OUTPUT_LAYER, address
from recipes.outputs.atomic import write_png, write_text

FACTS = "network.json"
"""File, below the folder of the runs."""
FILTERS = "filters"
"""Folder there, of the first layer's filters."""


def write_facts(folder: Path, model: Model, layers: Sequence[str], size: tuple[int, int]) -> None:
    """Writes `network.json` and the pictures of the first layer's filters.

    Args:
        folder: of the runs.
        model: the network.
        layers: of the site, in order; "output" for the classes.
        size: (height, width) of the pictures in pixels.
    """
    where = [address(layer) for layer in layers]
    shapes, fields = model.shapes(where, size), receptive_fields(model, where, size)
    types = {name: part for name, part in model.module.named_modules() if name}
    rows = []
    for layer, place in zip(layers, where, strict=True):
        field, part = fields[place], types.get(layer)
        rows.append(
            {
                "layer": layer,
                "type": "classes" if layer == OUTPUT_LAYER else type(part).__name__ if part is not None else "",
                "shape": list(shapes[place][1:]),
                "field": None if field is None or not field.traced else str(field),
                "weights": part is None or any(True for _ in part.parameters()),
            }
        )
    filters = first_filters(model)
    if filters is not None:
        for number, picture in enumerate(filters.pictures()):
            path = folder / FILTERS / f"{number:04d}.png"
            if not path.is_file():
                write_png(path, picture)
    known = None if filters is None else {"layer": filters.layer, "count": len(filters.kernels)}
    facts = {"layers": rows, "filters": known, "size": list(size)}
    write_text(folder / FACTS, json.dumps(facts, indent=1))


def in_order(model: Model, layers: Sequence[str], size: tuple[int, int]) -> list[str]:
    """Layers in the order in which the network runs them.

    Args:
        model: the network.
        layers: as manifests name them.
        size: (height, width) of the pictures in pixels.
    """
    order = list(model.shapes([address(layer) for layer in layers], size))
    return sorted(dict.fromkeys(layers), key=lambda layer: order.index(address(layer)))


def seconds_of_pass(model: Model, layers: Sequence[str], size: tuple[int, int]) -> Mapping[str, float]:
    """How long a forward pass of one picture takes as far as each layer, for the time left.

    Args:
        model: the network.
        layers: as manifests name them.
        size: (height, width) of the picture in pixels.
    """
    images, found = torch.full((2, len(model.mean), *size), 0.5, device=model.device), {}
    for layer in layers:
        with model.capture([address(layer)]) as capture, torch.no_grad():
            times = []
            for _ in range(3):
                start = time.perf_counter()
                value: Any = capture(model.normalize(images))[address(layer)]
                float(value.flatten()[0])  # a GPU has finished then
                times.append(time.perf_counter() - start)
        found[layer] = min(times) / len(images)
    return found
