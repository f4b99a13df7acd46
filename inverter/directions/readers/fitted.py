"""What scikit-learn fitted, as Python values: components, centres of clusters, and linear classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from inverter.directions.directions import Directions
from inverter.directions.readers.reader import Reader, Said


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


def _is_fitted(value: Any) -> bool:
    names = ("components_", "cluster_centers_", "coef_")
    return type(value).__module__.startswith("sklearn.") and any(hasattr(value, name) for name in names)


def _read_fitted(value: Any, said: Said) -> Directions:
    kind = type(value).__name__
    made: dict[str, Any] = {"layer": said.layer, "source": f"scikit-learn {kind}"}
    if hasattr(value, "coef_"):  # the decision function is the latent
        rows = torch.atleast_2d(_tensor(value.coef_))
        bias = _tensor(np.broadcast_to(value.intercept_, len(rows)))
        classes = [str(name) for name in getattr(value, "classes_", ())]
        names = classes if len(classes) == len(rows) else classes[1:] if len(rows) == 1 else ()
        return Directions(
            decoder=torch.nn.functional.normalize(rows, dim=1), encoder=rows, encoder_bias=bias, names=names,
            method="classifier", **made,
        )  # fmt: skip
    if hasattr(value, "cluster_centers_"):  # the largest latent is that of the nearest centre
        centers = _tensor(value.cluster_centers_)
        middle = centers.mean(0)
        apart = centers - middle
        bias = -apart.square().sum(1) / 2
        return Directions(decoder=apart, encoder_bias=bias, center=middle, method="kmeans", **made)
    rows = _tensor(value.components_)
    if "NMF" in kind:
        return Directions(decoder=rows, gate="nnls", method="nmf", **made)
    if hasattr(value, "mixing_"):
        center = _tensor(value.mean_) if hasattr(value, "mean_") else None
        return Directions(decoder=_tensor(value.mixing_.T), encoder=rows, center=center, method="ica", **made)
    if kind in ("PCA", "IncrementalPCA"):
        # Whitened components are divided by their standard deviation when they are read, and multiplied when written.
        spread = _tensor(value.explained_variance_).sqrt()[:, None] if value.whiten else torch.ones(len(rows), 1)
        return Directions(
            decoder=rows * spread, encoder=rows / spread, center=_tensor(value.mean_), method="pca", **made
        )
    return Directions(decoder=rows, method=kind, **made)


READER = Reader("what scikit-learn fitted, as a Python value", takes_value=_is_fitted, read_value=_read_fitted)
