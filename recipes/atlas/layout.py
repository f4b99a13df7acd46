"""A 2-D layout of activations, by UMAP or t-SNE; cached on disk, since it is the slowest step of an atlas."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from inverter_errors import BadInput, MissingLibrary, plural
from recipes.atlas.layout_names import LAYOUTS, Layout
from recipes.outputs.atomic import write_bytes, write_text

MAX_FITTED = 50_000
"""Most activations laid out by the algorithm: of more, a random sample; the others are placed at their nearest."""
CHUNK = 256
"""Activations placed at a time: with their cosines to all that are laid out, about 150 MB."""
Array = np.ndarray[Any, Any]


class Rows(Protocol):
    """Vectors (N, C), possibly on disk, indexed by rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Array, /) -> Array: ...


def lay_out(vectors: Array, method: Layout, seed: int, neighbors: int = 20, min_dist: float = 0.01) -> Array:
    """Lays out activations in two dimensions by their cosine distances.

    Args:
        vectors: (N, C), none of them all zero.
        method: "umap" (McInnes et al. 2018) or "tsne" (van der Maaten and Hinton 2008).
        seed: of the random draws.
        neighbors: UMAP's `n_neighbors`; the perplexity of t-SNE is a third of it.
        min_dist: UMAP's `min_dist`.

    Returns:
        The coordinates (N, 2), float32; activations of one direction have the same ones.

    Raises:
        BadInput: for too few activations or distinct directions for the neighbours, or an unknown method.
        MissingLibrary: if the library of the method is not installed.
    """
    if method not in LAYOUTS:
        raise BadInput(f"unknown layout {method!r}; expected one of {', '.join(LAYOUTS)}")
    if len(vectors) <= neighbors + 1:
        raise BadInput(
            f"got {plural(len(vectors), 'activation')}, too few for a layout with {plural(neighbors, 'neighbor')}: "
            "give more images, set positions to all, or set fewer neighbors"
        )
    vectors = np.asarray(vectors, dtype=np.float32)
    first, which = distinct_directions(vectors)
    if len(first) <= neighbors + 1:
        raise BadInput(
            f"{plural(len(vectors), 'activation')} point in only {plural(len(first), 'direction')}, too few for a "
            f"layout with {plural(neighbors, 'neighbor')}: give other images, or another layer"
        )
    vectors = vectors[first]
    with _torch_threads_restored():
        if method == "umap":
            umap = _library("umap", "umap-learn", method)
            # One job: with a seed, UMAP uses only one anyway, and warns about it.
            layout = umap.UMAP(
                n_neighbors=neighbors, min_dist=min_dist, metric="cosine", random_state=seed, n_jobs=1
            ).fit_transform(vectors)
        else:
            manifold = _library("sklearn.manifold", "scikit-learn", method)
            layout = manifold.TSNE(
                perplexity=max(neighbors / 3, 1), metric="cosine", init="pca", random_state=seed, n_jobs=1
            ).fit_transform(vectors)
    return np.asarray(layout, dtype=np.float32)[which]


def distinct_directions(vectors: Array) -> tuple[Array, Array]:
    """Groups vectors by direction.

    Layouts are computed of distinct directions: scikit-learn's t-SNE divides by the spread of the vectors, and its tree
    splits two points that differ by one bit endlessly, until the process crashes.

    Args:
        vectors: (N, C). Directions that agree in float16 count as equal: cosines in float32 cannot distinguish them.

    Returns:
        Indices (M,) of the first vector of each direction, in ascending order, and the direction of each vector as an
        index (N,) into those.

    Example:
        >>> distinct_directions(np.array([[0.0, 2.0], [1.0, 1.0], [0.0, 5.0]]))
        (array([0, 1]), array([0, 1, 0]))
    """
    known: dict[bytes, int] = {}
    first: list[int] = []
    which = np.empty(len(vectors), dtype=np.intp)
    for row, vector in enumerate(vectors):
        unit = (vector / np.linalg.norm(vector)).astype(np.float16) + np.float16(0)  # -0 is 0
        which[row] = known.setdefault(unit.tobytes(), len(known))
        if len(known) > len(first):
            first.append(row)
    return np.array(first), which


@contextmanager
def _torch_threads_restored() -> Iterator[None]:
    """Restores the thread count of torch, which UMAP changes: too many threads can make icons ten times as slow."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def lay_out_all(
    vectors: Rows, rows: Array, method: Layout, seed: int, max_fitted: int = MAX_FITTED, **options: Any
) -> Array:
    """Lays out any number of activations: a random sample by `lay_out`, each other one at the nearest of the sample.

    Args:
        vectors: (M, C), possibly on disk: memory holds `max_fitted` of them.
        rows: (N,), the activations to lay out, in ascending order.
        method: as in `lay_out`.
        seed: of the random draws.
        max_fitted: size of the sample.
        **options: of `lay_out`.

    Returns:
        The coordinates (N, 2), float32.
    """
    if len(rows) <= max_fitted:
        return lay_out(vectors[rows], method, seed, **options)
    sample = np.sort(np.random.default_rng(seed).choice(len(rows), max_fitted, replace=False))
    fitted = np.asarray(vectors[rows[sample]], dtype=np.float32)
    places = np.empty((len(rows), 2), dtype=np.float32)
    places[sample] = lay_out(fitted, method, seed, **options)
    others = np.setdiff1d(np.arange(len(rows)), sample)
    fitted /= np.linalg.norm(fitted, axis=1, keepdims=True)
    for start in range(0, len(others), CHUNK):
        part = others[start : start + CHUNK]
        places[part] = nearest_places(np.asarray(vectors[rows[part]], dtype=np.float32), fitted, places[sample])
    return places


def nearest_places(vectors: Array, fitted: Array, places: Array) -> Array:
    """The coordinates of the nearest laid-out activation by angle, for other activations.

    The mean of several would lie between regions. Measured on 12,000 activations, half of them laid out: the cosine of
    an activation and its cell's mean direction is .470 for the nearest, .412 for the weighted mean of three, .391 of
    ten.

    Args:
        vectors: (n, C).
        fitted: (N, C), the laid-out activations at unit length.
        places: (N, 2), their coordinates.

    Returns:
        (n, 2).

    Example:
        >>> nearest_places(np.array([[0.0, 2.0]]), np.eye(2), np.array([[5.0, 6.0], [7.0, 8.0]])).tolist()
        [[7.0, 8.0]]
    """
    return np.asarray(places[(vectors @ fitted.T).argmax(axis=1)])


def cached_layout(
    folder: Path, vectors: Rows, about: Mapping[str, Any], rows: Array | None = None, **options: Any
) -> Array:
    """The layout of these activations that is stored in `folder`; a new one is computed and stored.

    Args:
        folder: where the layout is stored, as `layout.npy` and `layout.json`.
        vectors: (M, C), possibly on disk.
        about: describes the activations, as JSON: the layout of other activations is not used.
        rows: (N,), the activations to lay out; None for all.
        **options: of `lay_out_all`.

    Returns:
        The coordinates (N, 2), float32.
    """
    rows = np.arange(len(vectors)) if rows is None else rows
    made_of = dict(about) | options | {"activations": len(rows)}
    notes, file = folder / "layout.json", folder / "layout.npy"
    if notes.is_file() and file.is_file() and json.loads(notes.read_bytes()) == made_of:
        return np.asarray(np.load(file))
    layout = lay_out_all(vectors, rows, **options)
    notes.unlink(missing_ok=True)  # an interruption must not leave it with another layout
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
