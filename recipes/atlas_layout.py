"""A 2-D layout of activations, by UMAP or t-SNE; kept on disk, since nothing of an atlas takes longer."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recipes.outputs.media import write_bytes, write_text

LAYOUTS = ("umap", "tsne")
Array = np.ndarray[Any, Any]


def lay_out(vectors: Array, method: str, seed: int, neighbors: int = 20, distance: float = 0.01) -> Array:
    """Places (N, 2) at which activations of a small angle lie side by side.

    Args:
        vectors: (N, C), none of them all zero: it would have no angle.
        method: "umap" (McInnes et al. 2018) or "tsne" (van der Maaten and Hinton 2008), both on cosine distances.
        neighbors: how many count as near; the perplexity of t-SNE is a third of it. distance: UMAP's `min_dist`.

    Raises:
        ValueError: for fewer activations than neighbours, or another method.
        ModuleNotFoundError: if the library is not installed.
    """
    if method not in LAYOUTS:
        raise ValueError(f"unknown layout {method!r}; expected one of {', '.join(LAYOUTS)}")
    if len(vectors) <= neighbors + 1:
        raise ValueError(
            f"{len(vectors)} activations are too few for a layout with {neighbors} neighbors: "
            "give more pictures, or --positions all"
        )
    vectors = np.asarray(vectors, dtype=np.float32)
    if method == "umap":
        umap = _library("umap", "umap-learn", method)
        # One job: with a seed, UMAP runs on one anyway, and says so in a warning.
        layout = umap.UMAP(
            n_neighbors=neighbors, min_dist=distance, metric="cosine", random_state=seed, n_jobs=1
        ).fit_transform(vectors)
    else:
        manifold = _library("sklearn.manifold", "scikit-learn", method)
        layout = manifold.TSNE(
            perplexity=max(neighbors / 3, 1), metric="cosine", init="pca", random_state=seed, n_jobs=1
        ).fit_transform(vectors)
    return np.asarray(layout, dtype=np.float32)


def kept_layout(folder: Path, vectors: Array, about: Mapping[str, Any], **options: Any) -> Array:
    """The layout that `folder` keeps of these activations, else a new one, which it keeps from now on.

    Args:
        about: what the activations are, as JSON: a layout of others is not taken. options: those of `lay_out`.
    """
    made_of = dict(about) | options | {"activations": len(vectors)}
    notes, file = folder / "layout.json", folder / "layout.npy"
    if notes.is_file() and file.is_file() and json.loads(notes.read_bytes()) == made_of:
        return np.asarray(np.load(file))
    layout = lay_out(vectors, **options)
    notes.unlink(missing_ok=True)  # it must not speak for another file, whenever this stops
    buffer = io.BytesIO()
    np.save(buffer, layout)
    write_bytes(file, buffer.getvalue())
    write_text(notes, json.dumps(made_of, indent=1))
    return layout


def _library(module: str, package: str, method: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"layout {method} needs {package}, which is not installed: pip install 'inverter[atlas]'"
        ) from error
