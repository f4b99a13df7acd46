"""Recipes: a user's question as a frozen value with `run()`; each writes pictures, a manifest and a page."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.atlas.atlas import Atlas
    from recipes.deepdream.deepdream import DeepDream
    from recipes.gallery.class_model import ClassModel
    from recipes.gallery.gallery import Gallery
    from recipes.gallery.patches import Patches
    from recipes.heatmaps.explain import Explain
    from recipes.heatmaps.judge_maps import JudgeMaps
    from recipes.inpainting.inpaint import Inpaint
    from recipes.inversion.invert import Invert
    from recipes.photo.dictionary import Dictionary
    from recipes.photo.grid import Grid
    from recipes.pictures.statistics import Statistics

_HOMES = {
    "Atlas": "recipes.atlas.atlas",
    "ClassModel": "recipes.gallery.class_model",
    "DeepDream": "recipes.deepdream.deepdream",
    "Dictionary": "recipes.photo.dictionary",
    "Explain": "recipes.heatmaps.explain",
    "Gallery": "recipes.gallery.gallery",
    "Grid": "recipes.photo.grid",
    "Inpaint": "recipes.inpainting.inpaint",
    "Invert": "recipes.inversion.invert",
    "JudgeMaps": "recipes.heatmaps.judge_maps",
    "Patches": "recipes.gallery.patches",
    "Statistics": "recipes.pictures.statistics",
}

__all__ = [
    "Atlas",
    "ClassModel",
    "DeepDream",
    "Dictionary",
    "Explain",
    "Gallery",
    "Grid",
    "Inpaint",
    "Invert",
    "JudgeMaps",
    "Patches",
    "Statistics",
]


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that the command line's help does not wait for torch.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'recipes' has no attribute {name!r}")
