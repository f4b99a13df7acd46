"""Tensors in a `.safetensors` file that says what they are: written atomically, and read with clear errors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from inverter_errors import BadInput, MissingFile


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: dict[str, str], noun: str) -> None:
    """Writes a file atomically: readers see all of it or none.

    Args:
        path: a `.safetensors` file; its folder is made if it is missing.
        tensors: by name.
        about: the metadata.
        noun: what the file holds, for errors.

    Raises:
        BadInput: if its name does not end in `.safetensors`.
        OSError: if it cannot be written.
    """
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise BadInput(f"{noun} is kept in a .safetensors file, got {str(path)!r}")
    data = save({name: tensor.contiguous() for name, tensor in tensors.items()}, about)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_tensors(path: str | Path, noun: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a file's tensors, as float32, and its metadata.

    Args:
        path: a `.safetensors` file.
        noun: what it should hold, for errors.

    Returns:
        Tensors by name, and the metadata.

    Raises:
        MissingFile: if there is no such file.
        BadInput: for a damaged file.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise MissingFile(f"no {noun} file {str(path)!r}")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            return {name: file.get_tensor(name).float() for name in file.keys()}, about  # noqa: SIM118 - no mapping
    except (SafetensorError, ValueError, OSError) as error:
        raise BadInput(f"{path} is damaged or no safetensors file ({error})") from error
