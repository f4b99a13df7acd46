"""Components of activation vectors by scikit-learn: NMF, PCA, k-means and ICA."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from inverter.directions.directions import Directions
from inverter_errors import BadInput, MissingLibrary, plural

METHODS: Final = ("nmf", "pca", "kmeans", "ica")
ITERATIONS: Final = 300


def components(method: str, vectors: Tensor, count: int, seed: int, layer: str) -> Directions:
    """Components of activation vectors, each of length 1.

    "nmf" (Lee and Seung 1999): no number is below 0, and latents are those that reconstruct best. "pca": orthogonal
    directions of most variance. "kmeans": the vectors less their mean are clustered by their directions, and the
    nearest is the only latent. "ica": FastICA (Hyvarinen 1999). Those of "pca" and "ica" point to the heavier tail.

    Args:
        method: one of `METHODS`.
        vectors: (n, C), in float32 on the CPU.
        count: N, components.
        seed: of the random draws.
        layer: address.

    Returns:
        The directions (N, C).

    Raises:
        BadInput: for more components than the method can find, or "nmf" of vectors with negative numbers.
        MissingLibrary: without scikit-learn.
    """
    most = len(vectors) if method in ("kmeans", "nmf") else min(vectors.shape)
    if count > most:
        raise BadInput(
            f"count {count}: {method} finds at most {plural(most, 'direction')} of {plural(len(vectors), 'vector')} of "
            f"{plural(vectors.shape[1], 'channel')}"
        )
    try:
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.decomposition import NMF, PCA, FastICA
        from sklearn.exceptions import ConvergenceWarning
    except ModuleNotFoundError:
        raise MissingLibrary(f"{method} needs scikit-learn: pip install 'inverter-vis[atlas]'") from None
    array = vectors.numpy()
    if method == "nmf":
        if (lowest := float(array.min())) < 0:
            raise BadInput(
                f"layer {layer!r} has activations below 0 (the lowest is {lowest:.3g}), which NMF cannot take: set "
                "method to sae, pca, kmeans or ica, or layer to one after a ReLU"
            )
        start = "nndsvda" if count <= min(array.shape) else "random"
        found: Any = NMF(count, init=start, max_iter=ITERATIONS, random_state=seed)
    elif method == "kmeans":
        found = MiniBatchKMeans(count, n_init=3, batch_size=4096, random_state=seed)
        middle = vectors.mean(0)
        array = torch.nn.functional.normalize(vectors - middle, dim=1).numpy()
    elif method == "pca":
        found = PCA(count, random_state=seed)
    else:
        found = FastICA(count, whiten="unit-variance", max_iter=ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the explained variance says how good they are
        found.fit(array)
    if method == "kmeans":
        centers = torch.from_numpy(np.array(found.cluster_centers_, np.float32))
        rows = torch.nn.functional.normalize(centers, dim=1)
        return Directions(layer, rows, center=middle, gate="topk", k=1, method=method)
    return _standard(Directions.read(found, layer), vectors)


def _standard(directions: Directions, vectors: Tensor) -> Directions:
    """The same with rows of length 1 that point to the heavier tail of their latents."""
    length = directions.decoder.norm(dim=1, keepdim=True).clamp_min(1e-12)
    if directions.gate == "none":
        latents = directions.encode(vectors)
        length = torch.where(((latents - latents.mean(0)) ** 3).mean(0)[:, None] < 0, -length, length)
    encoder = None if directions.encoder is None else directions.encoder * length
    return replace(directions, decoder=directions.decoder / length, encoder=encoder, source="")
