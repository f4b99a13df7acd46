"""What to do about something that is no model: one line for each usual mistake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from inverter.checkpoints import TORCH
from inverter.sources.huggingface import REPOSITORY
from inverter.sources.registry import forms
from inverter_errors import BadInput, BadType

EXPORT = "export the network with torch.export to a .pt2 file"
WEIGHTS = (*TORCH, ".safetensors", ".pkl", ".pickle", ".h5", ".keras")
"""Endings of files of weights, of this and other libraries."""


def no_model(spec: object) -> BadInput | BadType:
    """The error for a spec that no source takes."""
    expected = f"expected {forms()}, or from Python an nn.Module"
    if isinstance(spec, type) and issubclass(spec, nn.Module):
        return BadType(
            f"got the class {spec.__name__}, not a network: make one of it, as in load_model({spec.__name__}())"
        )
    if isinstance(spec, Mapping):
        return BadType(
            "a state dict has weights and no architecture: make the network, net.load_state_dict(...), load_model(net)"
        )
    if callable(spec):
        name = getattr(spec, "__name__", type(spec).__name__)
        return BadType(f"got the function {name}, not a network: call it, as in load_model({name}())")
    if not isinstance(spec, str | Path):
        return BadType(f"a model must be a name, an nn.Module or a Model, got {type(spec).__name__}; {expected}")
    kind = f"unknown model {str(spec)!r}"
    suffixes = Path(spec).suffixes
    if ".py" in suffixes:
        return BadInput(f"{kind}: say which function makes the network, as in {spec}:make")
    if ".onnx" in suffixes:
        return BadInput(
            f"{kind}: no converter from ONNX to torch is kept up to date; {EXPORT}, or convert it in a function of "
            "your own, FILE.py:FACTORY (see docs/networks.md)"
        )
    if any(suffix in WEIGHTS for suffix in suffixes):
        return BadInput(
            f"{kind}: a file of weights has no architecture that could be loaded safely; give the architecture "
            f"(torchvision:NAME, timm:NAME or FILE.py:FACTORY) as the model, and {Path(spec).name} as its weights"
        )
    meant = _meant(str(spec))
    return BadInput(f"{kind}; {expected}{f'; did you mean {meant}?' if meant else ''}")


def _meant(spec: str) -> str | None:
    """The full spec that is meant by a folder or by a name without its source, if that is plain."""
    if Path(spec).is_dir():
        return _folder(Path(spec))
    if spec.startswith(("hf-hub:", "local-dir:")):
        return f"timm:{spec}"
    from torchvision import models

    name = spec.rpartition(":")[2].rpartition("/")[2].lower()
    if name in models.list_models():
        return f"torchvision:{name}"
    return f"hf:{spec}" if "/" in spec and REPOSITORY.fullmatch(spec) else None


def _folder(folder: Path) -> str | None:
    if (folder / "open_clip_config.json").is_file():
        return f"open_clip:local-dir:{folder}"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return f"timm:local-dir:{folder}" if "architecture" in config else f"hf:{folder}"
