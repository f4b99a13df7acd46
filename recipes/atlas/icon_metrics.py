"""The metrics of each icon of an atlas: how well it represents its cell, the cell's classes, and example patches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inverter import Model, receptive_fields
from recipes.atlas.cells import own_cell
from recipes.atlas.labels.class_effects import class_effects
from recipes.atlas.labels.judged_shares import class_shares
from recipes.atlas.labels.latent_labels import latent_labels
from recipes.atlas.survey import Survey
from recipes.evidence.verdict import two_patches_means
from recipes.outputs.atomic import write_jpeg
from recipes.outputs.manifest import Record
from recipes.outputs.rendering.showing import Showing

PICTURES = "pictures"
"""Folder, below the output folder, of the images as the network receives them."""
FAITHFUL = 0.8
"""The table counts the icons whose cosine is at least this."""
TOP_CLASSES = 5
"""Number of classes reported for a cell: those that it supports most."""


def metrics(
    model: Model,
    layer: str,
    survey: Survey,
    files: Sequence[str],
    images: Tensor,
    folder: Path,
) -> list[dict[str, Any]]:
    """The metrics of a batch of icons: position, size, classes and examples of the cell, and how faithful the icon is.

    `cosine` is that between the mean direction of the cell and the activation at the centre of the icon, as stored on
    disk; `own` is True if no other cell of the grid has a nearer direction; `latents` are those of `latent_labels`;
    `no_classes` is the reason if there are no classes.

    Args:
        model: the network.
        layer: address of the layer.
        survey: the map of the layer.
        files: of the icons, relative to `folder`.
        images: the icons, (B, 3, H, W) in [0, 1].
        folder: output folder of the atlas; the images of examples are written below it.
    """
    by_file = survey.by_file()
    grid = by_file[files[0]][0]
    rows = [by_file[file][1] for file in files]
    cosines, own = own_cell(centres(model, layer, images), grid.means, rows)
    examples = [survey.examples(grid.cells[row], grid.means[row]) for row in rows]
    classes = [[] for _ in rows] if survey.no_classes else _classes(model, layer, survey, examples, grid.apart[rows])
    field = receptive_fields(model, [layer], survey.found.size)[layer]
    found = []
    for i, row in enumerate(rows):
        cell = grid.cells[row]
        labels = latent_labels(model, layer, survey.vectors[cell.members])
        shown = []
        for picture, y, x in survey.where[examples[i]].tolist():
            file = f"{PICTURES}/{picture:06d}.jpg"
            if not (folder / file).exists():
                image = survey.pictures.read(picture, survey.found.size)
                write_jpeg(folder / file, Showing.of(model).picture(image))
            window = (0, 0, *survey.found.size) if field is None else field.window(y, x, survey.found.size)
            shown.append({"picture": file, "name": survey.found.names[picture], "at": [y, x], "window": list(window)})
        found.append(
            {
                "grid": grid.side,
                "row": cell.row,
                "column": cell.column,
                "count": len(cell.members),
                "direction": {"file": f"directions/{grid.side}.npy", "row": row},
                "cosine": float(cosines[i]),
                "own": bool(own[i]),
                "classes": classes[i],
                "examples": shown,
                **({"latents": labels} if labels else {}),
                **({"no_classes": survey.no_classes} if survey.no_classes else {}),
            }
        )
    return found


def table(records: Sequence[Record], several: bool) -> list[dict[str, Any]]:
    """A summary of the icons of each grid, one row per grid.

    Args:
        records: of the finished icons.
        several: True for several atlases on one map: rows then have a layer.
    """
    rows = []
    for _, icons in groupby(records, key=lambda record: record.file.rpartition("/")[0]):
        made = list(icons)
        rows.append(
            {
                **({"layer": made[0].layer} if several else {}),
                "grid": "{0}x{0}".format(made[0].metrics["grid"]),
                "cells": len(made),
                "activations": sum(record.metrics["count"] for record in made),
                "cosine": sum(record.metrics["cosine"] for record in made) / len(made),
                "cosine_above_0.8": sum(record.metrics["cosine"] >= FAITHFUL for record in made) / len(made),
                "own_cell_nearest": sum(record.metrics["own"] for record in made) / len(made),
                **two_patches_means(made),
                **class_shares(made),
                "seconds_an_icon": sum(record.seconds for record in made) / len(made),
            }
        )
    return rows


def centres(model: Model, layer: str, images: Tensor) -> np.ndarray[Any, Any]:
    """Activations (B, C) at the centre of icons, which are rounded to 8 bits as they will be on disk.

    Args:
        model: the network.
        layer: address of the layer.
        images: the icons, (B, C, H, W) in [0, 1].
    """
    shown = (images * 255).round() / 255
    with torch.no_grad(), model.capture([layer]) as capture:
        maps = capture(model.normalize(shown.to(model.device)))[layer]
    centre: np.ndarray[Any, Any] = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].float().cpu().numpy()
    return centre


def _classes(
    model: Model,
    layer: str,
    survey: Survey,
    examples: Sequence[np.ndarray[Any, Any]],
    directions: np.ndarray[Any, Any],
) -> list[list[dict[str, Any]]]:
    """The classes that each direction supports most, of what distinguishes it from the average."""
    where = [survey.where[members] for members in examples]
    effects = class_effects(model, layer, survey.pictures, survey.found.size, where, directions)
    best = np.argsort(-effects, axis=1, kind="stable")[:, :TOP_CLASSES]
    names = model.categories
    return [
        [
            {"index": int(k), "name": names[k] if k < len(names) else None, "effect": float(effects[i, k])}
            for k in best[i]
            if effects[i, k] > 0
        ]
        for i in range(len(examples))
    ]
