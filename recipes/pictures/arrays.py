"""Arrays as pictures: `.npy` and `.npz` files, and what their values stand for."""

from __future__ import annotations

import math
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from inverter.input_values import UNIT
from inverter_errors import BadInput

ARRAYS = (".npy", ".npz")
"""Suffixes of files of arrays."""
NO_ARRAY = (BadZipFile, EOFError, OverflowError, SyntaxError, TokenError, TypeError, ValueError)
"""What NumPy may raise for a damaged `.npy` file."""


def load_array(path: Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray[Any, Any]:
    """An array from an `.npy` file, which is never unpickled.

    Args:
        path: the file.
        mmap_mode: as in `numpy.load`.

    Raises:
        BadInput: for a file that is not a NumPy array.
        OSError: if the file cannot be read.
    """
    try:
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode, allow_pickle=False)
    except NO_ARRAY as error:
        raise BadInput(f"{path} is not a NumPy array ({error})") from error
    if not isinstance(array, np.ndarray):
        raise BadInput(f"{path} is not a NumPy array but an archive of several")
    return array


def load_archived(path: Path, channels: int | None) -> np.ndarray[Any, Any]:
    """The array of an `.npz` file that holds pictures.

    Args:
        path: the file.
        channels: of the pictures; None for any number.

    Raises:
        BadInput: for a file that is no archive, or one without, or with several, arrays of that shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except NO_ARRAY as error:
        raise BadInput(f"{path} is not an archive of NumPy arrays ({error})") from error
    fitting = [array for array in arrays.values() if array.ndim in (3, 4) and channels in (None, array.shape[-3])]
    if len(arrays) == 1:
        fitting = list(arrays.values())
    if len(fitting) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise BadInput(f"expected one array ({channels or 'C'}, H, W), got {found or 'none'}: save it as .npy")
    return fitting[0]


def from_values(array: np.ndarray[Any, Any], value_range: tuple[float, float]) -> Tensor:
    """An array of values as a picture in [0, 1], float32.

    Args:
        array: of any shape.
        value_range: (low, high): see `read_pictures`.

    Raises:
        BadInput: for values outside of the range, or of a type that is no number.
    """
    if array.dtype.kind != "f" and (value_range == UNIT or array.dtype.kind not in "ui"):
        return as_unit(array)
    low, high = value_range
    if not array.size:
        raise BadInput(f"expected a picture (C, H, W), got shape {array.shape}")
    lowest, highest = float(array.min()), float(array.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise BadInput("expected finite values, got NaN or infinity")
    if lowest < low or highest > high:
        raise BadInput(
            f"expected values in [{low:g}, {high:g}], got some from {lowest:.4g} to {highest:.4g}: set "
            "value_range low,high to the range of the network's values"
        )
    return torch.from_numpy((array.astype(np.float32) - np.float32(low)) / np.float32(high - low)).clamp(0, 1)


def as_unit(array: np.ndarray[Any, Any]) -> Tensor:
    """An array of unsigned integers, 0 to the largest of their type, or of floats in [0, 1], as float32 in [0, 1].

    Raises:
        BadInput: for an array of another type.
    """
    if array.dtype.kind == "u":
        return torch.from_numpy(array.astype(np.float32) / np.iinfo(array.dtype).max)
    if array.dtype.kind != "f":
        raise BadInput(f"expected unsigned integers or floats in [0, 1], got an array of {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))
