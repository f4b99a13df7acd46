"""Recipes: a user's question as a frozen value with `run()`; each writes pictures, a manifest and a page."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.atlas import Atlas
    from recipes.class_model import ClassModel
    from recipes.deepdream import DeepDream
    from recipes.dictionary import Dictionary
    from recipes.explain import Explain
    from recipes.gallery import Gallery
    from recipes.grid import Grid
    from recipes.inpaint import Inpaint
    from recipes.invert import Invert
    from recipes.judge_maps import JudgeMaps
    from recipes.statistics import Statistics
    from recipes.top_patches import Patches

_HOMES = {
    "Atlas": "recipes.atlas",
    "ClassModel": "recipes.class_model",
    "DeepDream": "recipes.deepdream",
    "Dictionary": "recipes.dictionary",
    "Explain": "recipes.explain",
    "Gallery": "recipes.gallery",
    "Grid": "recipes.grid",
    "Inpaint": "recipes.inpaint",
    "Invert": "recipes.invert",
    "JudgeMaps": "recipes.judge_maps",
    "Patches": "recipes.top_patches",
    "Statistics": "recipes.statistics",
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
