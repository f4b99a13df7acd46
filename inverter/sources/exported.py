"""Files that hold a network with its code: of `torch.export` with its layers, and TorchScript as one layer."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inverter.isolation.forward_errors import first_line
from inverter.sources.quiet import quiet
from inverter.sources.source import Found, Source
from inverter_errors import BadInput, MissingFile, plural

EXPORTED = ".pt2"
SCRIPTED = (".pt", ".pth", ".ts", ".torchscript", ".jit", ".zip")
"""Endings that files in TorchScript have; some are also those of weights, so the file is looked into."""


def _is_script(path: Path) -> bool:
    """True for an archive in TorchScript: weights that `torch.save` wrote have no code in them."""
    if path.suffix.lower() not in SCRIPTED or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _takes(spec: str) -> str | None:
    path = Path(spec)
    return spec if path.suffix.lower() == EXPORTED or _is_script(path) else None


def _load(name: str, pretrained: bool) -> Found:
    path = Path(name)
    if not path.is_file():
        raise MissingFile(f"no file {name!r} of an exported network")
    try:
        with quiet():
            if path.suffix.lower() != EXPORTED:
                return torch.jit.load(path, map_location="cpu"), {}
            program = torch.export.load(path)
            module = torch.export.unflatten(program)
    except Exception as error:  # torch raises many types for a damaged archive, or one of another version
        raise BadInput(f"{name} could not be loaded as an exported network ({first_line(error)})") from error
    for part in module.modules():
        for node in getattr(getattr(part, "graph", None), "nodes", ()):
            node.meta.clear()  # traced shapes, which cannot be copied; instead of torch by these, `_check` checks
    sides = _sides(program, name)
    module.register_forward_pre_hook(partial(_check, sides))
    return module, {"input_size": sides} if None not in sides else {}


def _check(sides: tuple[int | None, int | None], module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Refuses pictures of another size than the exported one: their layers may have it in their code."""
    height, width = inputs[0].shape[2:]
    if any(side not in (None, given) for side, given in zip(sides, (height, width), strict=True)):
        raise ValueError(f"it was exported for {sides[0] or 'any'}x{sides[1] or 'any'}: export it with dynamic sides")


def _sides(program: torch.export.ExportedProgram, name: str) -> tuple[int | None, int | None]:
    """(height, width) that were fixed by the export, None for one that was not.

    Raises:
        BadInput: if it takes something else than pictures, or a fixed number of them.
    """
    inputs = [node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    shape: Any = inputs[0].meta["val"].shape if inputs and "val" in inputs[0].meta else ()
    if len(inputs) != 1 or len(shape) != 4:
        raise BadInput(
            f"{name} takes {plural(len(inputs), 'input')}, the first of shape {tuple(shape)}; expected (B, C, H, W)"
        )
    if isinstance(shape[0], int):
        raise BadInput(
            f"{name} was exported for batches of {shape[0]}: export it with dynamic_shapes, "
            "({0: torch.export.Dim.DYNAMIC},)"
        )
    height, width = (side if isinstance(side, int) else None for side in shape[2:])
    return height, width


SOURCE = Source(name="exported", form="FILE.pt2 (torch.export or TorchScript)", takes=_takes, load=_load)
