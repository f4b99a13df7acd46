"""What a file or folder of another library holds: tensors by name, and its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inverter.checkpoints import read_torch, weights_in
from inverter.tensor_files import read_tensors
from inverter_errors import BadInput, MissingFile

CONFIGS = ("cfg.json", "config.json")
"""Names of the configuration in a folder: SAELens, Prisma."""
WEIGHTS = ("sae_weights.safetensors", "weights.safetensors", "weights.pt", "model.safetensors", "state_dict.pt")
"""Names of the weights next to it."""
ALONE = ""
"""Name of a tensor that is a file's only one."""


@dataclass(frozen=True)
class Stored:
    """What a place holds.

    Attributes:
        place: the file or folder, for errors.
        tensors: by name; `ALONE` for one without a name.
        config: of the library that wrote it: plain values.
    """

    place: Path
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path) -> Stored:
        """Reads a place by its content; never runs code that it holds.

        Args:
            path: a folder with a configuration and weights, or a file: `.npy`, `.npz`, `.safetensors`, what
                `torch.save` wrote, or that after a line of JSON (saev).

        Raises:
            MissingFile: if there is no such place.
            BadInput: for a damaged place, or another kind of file.
        """
        path = Path(path)
        if path.is_dir():
            return cls._folder(path)
        if not path.is_file():
            raise MissingFile(f"no file of directions {str(path)!r}")
        if path.suffix in (".npy", ".npz"):
            return cls(path, _arrays(path))
        if path.suffix == ".safetensors":
            tensors, about = read_tensors(path, "a set of directions")
            return cls(path, tensors, about)
        with path.open("rb") as file:
            header = file.readline(2**20) if file.read(1) == b"{" else b""
        if header:
            return cls(path, _named(read_torch(path, 1 + len(header)), path), _json(path, b"{" + header))
        content = read_torch(path)
        rest = content if isinstance(content, Mapping) else {}
        config = next((rest[key] for key in ("cfg", "config") if isinstance(rest.get(key), Mapping)), None)
        plain = {str(key): value for key, value in rest.items() if not isinstance(value, Tensor)}
        return cls(path, _named(content, path), config or plain)

    @classmethod
    def _folder(cls, path: Path) -> Stored:
        config = next((path / name for name in CONFIGS if (path / name).is_file()), None)
        weights = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
        if config is None or weights is None:
            raise BadInput(
                f"folder {path} holds no directions: expected {' or '.join(CONFIGS)} and one of {', '.join(WEIGHTS)}"
            )
        return cls(path, cls.open(weights).tensors, _json(config, config.read_bytes()))


def _json(path: Path, text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: its configuration is no JSON ({error})") from error
    if not isinstance(found, Mapping):
        raise BadInput(f"{path}: its configuration is a {type(found).__name__}, expected names with values")
    return found


def _named(content: Any, path: Path) -> Mapping[str, Tensor]:
    if isinstance(content, Tensor):
        return {ALONE: content}
    found = next(weights_in(content), None) or _flat(content)
    if not found:
        raise BadInput(f"{path} holds no tensors by name, but {type(content).__name__}")
    return found


def _flat(content: Any, prefix: str = "") -> dict[str, Tensor]:
    """Tensors next to plain values, in dicts in dicts, by their names joined with dots."""
    if isinstance(content, Tensor):
        return {prefix[:-1]: content}
    found: dict[str, Tensor] = {}
    for name, value in content.items() if isinstance(content, Mapping) else ():
        found |= _flat(value, f"{prefix}{name}.")
    return found


def _arrays(path: Path) -> Mapping[str, Tensor]:
    try:
        found = np.load(path, allow_pickle=False)
        arrays = {ALONE: found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
        return {name: torch.from_numpy(np.ascontiguousarray(array, np.float32)) for name, array in arrays.items()}
    except (ValueError, TypeError, OSError, EOFError) as error:
        raise BadInput(f"{path} is damaged or no array of numbers ({error})") from error
