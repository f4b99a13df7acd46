"""Atomic writing of checkpoints, weights and records."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor


def temporary_for(path: Path) -> Path:
    """A temporary name next to `path`; once written, `.replace(path)` moves the complete file into place atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    temporary = temporary_for(path)
    torch.save(state, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None if there is none. Raises a ValueError if it was made with other settings."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if state["settings"] != settings:
        changed = sorted(k for k in settings if settings[k] != state["settings"].get(k))
        raise ValueError(
            f"{path} was made with other settings ({', '.join(changed)}): delete it, or use those settings"
        )
    return state


def save_weights(path: Path, weights: dict[str, Tensor]) -> str:
    """Store tensors as float16 safetensors; returns the file's sha256."""
    temporary = temporary_for(path)
    temporary.write_bytes(save({name: value.detach().cpu().half().contiguous() for name, value in weights.items()}))
    temporary.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_json(path: Path, record: dict[str, Any]) -> None:
    temporary = temporary_for(path)
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
