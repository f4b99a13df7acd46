"""Files that hold a network with its code: of `torch.export` with its layers, and TorchScript as one layer."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from inverter.failures import first_line
from inverter.metadata import Known
from inverter.sources.quiet import quiet
from inverter.sources.source import Found, Source
from inverter_errors import BadInput, MissingFile

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
            node.meta.clear()  # traced shapes, which cannot be copied; a forward pass does not need them
    return module, _input(program, name)


def _input(program: torch.export.ExportedProgram, name: str) -> Known:
    """The input size that was fixed by the export.

    Raises:
        BadInput: if it takes something else than pictures, or a fixed number of them.
    """
    inputs = [node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    shape: Any = inputs[0].meta["val"].shape if inputs and "val" in inputs[0].meta else ()
    if len(inputs) != 1 or len(shape) != 4:
        raise BadInput(f"{name} takes {len(inputs)} inputs, the first of shape {tuple(shape)}; expected (B, C, H, W)")
    if isinstance(shape[0], int):
        raise BadInput(
            f"{name} was exported for batches of {shape[0]}: export it with dynamic_shapes, "
            "({0: torch.export.Dim.DYNAMIC},)"
        )
    fixed = all(isinstance(side, int) for side in shape[2:])
    return {"input_size": (shape[2], shape[3])} if fixed else {}


SOURCE = Source(name="exported", form="FILE.pt2 (torch.export or TorchScript)", takes=_takes, load=_load)
