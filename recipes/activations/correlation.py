"""Units alike: those whose activations go up and down over the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes.activations.collect import CollectedActivations

LEAST = 0.3
"""Pearson's r, below which units are not called alike."""
FEWEST = 16
"""Pictures, below which a correlation is left out."""
MOST = 4096
"""Pictures that are compared, spread evenly over a larger set."""


def standardised(folder: Path | None, layer: str, channels: Sequence[int]) -> np.ndarray[Any, Any] | None:
    """The mean activations of units over the pictures of a set, so that their products are Pearson's correlations.

    Args:
        folder: with the extremes of a pass over the set (`recipes.activations.collect`); None for none.
        layer: address.
        channels: of the units.

    Returns:
        (N, C) float32 with mean 0 and length 1 over N pictures; 0 for a unit that is constant. None if the pass is not
        finished, or of fewer than `FEWEST` pictures.
    """
    if folder is None:
        return None
    try:
        means = CollectedActivations.load(folder).array(layer, "mean")
    except (ValueError, LookupError, OSError):  # not finished
        return None
    chosen = means[:: -(-len(means) // MOST)][:, list(channels)]
    if len(chosen) < FEWEST:
        return None
    values = np.nan_to_num(np.asarray(chosen, np.float32))
    values = values - values.mean(0)
    lengths = np.linalg.norm(values, axis=0)
    standard: np.ndarray[Any, Any] = np.where(lengths > 1e-6, values / np.maximum(lengths, 1e-12), 0)
    return standard
