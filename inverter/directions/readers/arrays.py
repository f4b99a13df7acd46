"""Plain arrays: a direction in each row, or one concept vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inverter.directions.directions import Directions
from inverter.directions.readers.reader import Reader, Said
from inverter.directions.readers.stored import ALONE, Stored
from inverter_errors import BadInput

NAMES = ("directions", "components", "components_", "decoder", "coef_", "cav", "vectors")
"""Names of the rows, where a file has several arrays."""


def _rows(tensors: Mapping[str, Tensor]) -> Tensor | None:
    """The array (N, C) or (C,) of a file; None if it is none, or not clear which."""
    named = next((name for name in NAMES if name in tensors), next(iter(tensors), ALONE) if len(tensors) == 1 else None)
    rows = None if named is None else tensors[named]
    return rows if rows is not None and rows.ndim in (1, 2) and rows.numel() else None


def _takes(stored: Stored) -> bool:
    return _rows(stored.tensors) is not None


def _read(stored: Stored, said: Said) -> Directions:
    rows = _rows(stored.tensors)
    assert rows is not None
    return _directions(rows, said, stored.place.name)


def _takes_value(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _read_value(value: Any, said: Said) -> Directions:
    rows = torch.as_tensor(value)
    if rows.ndim not in (1, 2):
        raise BadInput(f"expected directions (N, C) or one (C,), got an array of shape {tuple(rows.shape)}")
    return _directions(rows, said, "")


def _directions(rows: Tensor, said: Said, source: str) -> Directions:
    rows = torch.atleast_2d(rows.float())
    thresholds = None if said.threshold is None else torch.full((len(rows),), said.threshold)
    return Directions(said.layer, rows, gate=said.implied or "none", k=said.k, thresholds=thresholds, source=source)


READER = Reader("an array (N, C) in .npy, .npz, .pt or .safetensors", _takes, _read, _takes_value, _read_value)
