"""A 2-D layout of activations, by UMAP or t-SNE; kept on disk, since nothing of an atlas takes longer."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from inverter_errors import BadInput, MissingLibrary
from recipes.outputs.atomic import write_bytes, write_text

LAYOUTS = ("umap", "tsne")
MOST = 50_000
"""Activations that are laid out together; of more, so many are drawn, and the others take their place among them."""
CHUNK = 256
"""The others are placed so many at a time: with their cosines to all that are laid out, some 150 MB."""
Array = np.ndarray[Any, Any]


class Rows(Protocol):
    """Vectors (N, C), perhaps on disk, of which some are asked for by their indices."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Array, /) -> Array: ...


def lay_out(vectors: Array, method: str, seed: int, neighbors: int = 20, distance: float = 0.01) -> Array:
    """Places (N, 2) at which activations of a small angle lie side by side, and those of one direction in one place.

    Args:
        vectors: (N, C), none of them all zero: it would have no angle.
        method: "umap" (McInnes et al. 2018) or "tsne" (van der Maaten and Hinton 2008), both on cosine distances.
        neighbors: how many count as near; the perplexity of t-SNE is a third of it. distance: UMAP's `min_dist`.

    Raises:
        BadInput: for fewer activations than neighbours, or fewer directions, or another method.
        MissingLibrary: if the library is not installed.
    """
    if method not in LAYOUTS:
        raise BadInput(f"unknown layout {method!r}; expected one of {', '.join(LAYOUTS)}")
    if len(vectors) <= neighbors + 1:
        raise BadInput(
            f"{len(vectors)} activations are too few for a layout with {neighbors} neighbors: "
            "give more pictures, or --positions all"
        )
    vectors = np.asarray(vectors, dtype=np.float32)
    first, which = directions(vectors)
    if len(first) <= neighbors + 1:
        raise BadInput(
            f"{len(vectors)} activations point in only {len(first)} directions, too few for a layout with {neighbors} "
            "neighbors: give other pictures, or another layer"
        )
    vectors = vectors[first]
    with _threads_kept():
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
    return np.asarray(layout, dtype=np.float32)[which]


def directions(vectors: Array) -> tuple[Array, Array]:
    """The first vector of each direction, and of each vector which direction it has.

    Layouts are made of distinct directions: scikit-learn's t-SNE divides by the spread of the vectors, and its tree
    splits two places that differ by one bit without end, until the process dies of it.

    Args:
        vectors: (N, C). Directions are alike that agree in float16: cosines in float32 cannot tell them apart.

    Returns:
        Rising indices (M,) of vectors, and indices (N,) into those.

    Example:
        >>> directions(np.array([[0.0, 2.0], [1.0, 1.0], [0.0, 5.0]]))
        (array([0, 1]), array([0, 1, 0]))
    """
    seen: dict[bytes, int] = {}
    first: list[int] = []
    which = np.empty(len(vectors), dtype=np.intp)
    for row, vector in enumerate(vectors):
        unit = (vector / np.linalg.norm(vector)).astype(np.float16) + np.float16(0)  # -0 is 0
        which[row] = seen.setdefault(unit.tobytes(), len(seen))
        if len(seen) > len(first):
            first.append(row)
    return np.array(first), which


@contextmanager
def _threads_kept() -> Iterator[None]:
    """UMAP sets the threads of OpenMP, and so of torch, for good: beyond a limit, icons may take ten times as long."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def lay_out_all(vectors: Rows, rows: Array, method: str, seed: int, most: int = MOST, **options: Any) -> Array:
    """Places (N, 2) of any number of activations: of a drawn part by `lay_out`, of the others beside their like.

    Args:
        vectors: (M, C), possibly on disk: memory holds `most` of them. rows: (N,) those to lay out, rising.
        most: so many are laid out together. options: of `lay_out`.
    """
    if len(rows) <= most:
        return lay_out(vectors[rows], method, seed, **options)
    drawn = np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))
    fitted = np.asarray(vectors[rows[drawn]], dtype=np.float32)
    places = np.empty((len(rows), 2), dtype=np.float32)
    places[drawn] = lay_out(fitted, method, seed, **options)
    others = np.setdiff1d(np.arange(len(rows)), drawn)
    fitted /= np.linalg.norm(fitted, axis=1, keepdims=True)
    for start in range(0, len(others), CHUNK):
        part = others[start : start + CHUNK]
        places[part] = extra_files(np.asarray(vectors[rows[part]], dtype=np.float32), fitted, places[drawn])
    return places


def extra_files(vectors: Array, fitted: Array, places: Array) -> Array:
    """The place of the nearest by angle, for activations (n, C): (n, 2).

    The mean of several would lie between regions. Measured, of 12,000 activations the half: the cosine of an activation
    and its cell's mean direction is .470 by the nearest, .412 by the mean of three, weighted, and .391 of ten.

    Args:
        vectors: (n, C). fitted: (N, C) of length 1, with their places (N, 2).

    Example:
        >>> extra_files(np.array([[0.0, 2.0]]), np.eye(2), np.array([[5.0, 6.0], [7.0, 8.0]])).tolist()
        [[7.0, 8.0]]
    """
    return np.asarray(places[(vectors @ fitted.T).argmax(axis=1)])


def kept_layout(
    folder: Path, vectors: Rows, about: Mapping[str, Any], rows: Array | None = None, **options: Any
) -> Array:
    """The layout that `folder` keeps of these activations, else a new one, which it keeps from now on.

    Args:
        about: what the activations are, as JSON: a layout of others is not taken. rows: to lay out; by default all. For
            the others see `lay_out_all`.
    """
    rows = np.arange(len(vectors)) if rows is None else rows
    made_of = dict(about) | options | {"activations": len(rows)}
    notes, file = folder / "layout.json", folder / "layout.npy"
    if notes.is_file() and file.is_file() and json.loads(notes.read_bytes()) == made_of:
        return np.asarray(np.load(file))
    layout = lay_out_all(vectors, rows, **options)
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
        raise MissingLibrary(
            f"layout {method} needs {package}, which is not installed: pip install 'inverter-vis[atlas]'"
        ) from error
