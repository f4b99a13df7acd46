"""Files of weights, as training scripts and hubs write them: read without running any code that they hold."""

from __future__ import annotations

import io
import json
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path, PosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inverter.isolation.forward_errors import first_line
from inverter.isolation.wrappers import unwrap
from inverter_errors import BadInput, MissingFile, plural

TORCH = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".th", ".pyth")
"""Endings of files that `torch.save` wrote."""
INDEX = ".index.json"
"""Ending of the file that names the shards of a checkpoint in several files (Hugging Face)."""
IN_FOLDER = ("model.safetensors", f"model.safetensors{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}")
"""Names of the weights in a folder, the first that is there (Hugging Face)."""
KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params")
"""Where training scripts keep the weights in a checkpoint; averaged ones (`ema`) count where there are no others."""
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "student.")
"""Prefixes that wrappers add to names: DataParallel, torch.compile, Lightning modules; next to them a checkpoint may
hold tensors of others, such as a loss."""
DEEPEST = 3
"""Levels of dicts in a checkpoint that are searched for weights."""
_HARMLESS = (PosixPath, np.dtype, np.ndarray, *{type(np.dtype(kind)) for kind in "?bBhHiIlLqQefdU"})
"""What checkpoints hold next to tensors, and what runs no code: options of a script, paths, numbers of NumPy."""


def find_weights(place: str | Path) -> Path:
    """The file of weights at a place.

    Args:
        place: a file, or a folder as Hugging Face writes it.

    Raises:
        MissingFile: if there is none.
    """
    path = Path(place)
    if path.is_dir():
        path = next((path / name for name in IN_FOLDER if (path / name).is_file()), path)
    if not path.is_file():
        hint = f"; expected one of {', '.join(IN_FOLDER)} in the folder" if path.is_dir() else ""
        raise MissingFile(f"no weights file {str(place)!r}{hint}")
    return path


def read_state(path: Path) -> Mapping[str, Tensor]:
    """Reads the tensors of a file of weights; never runs code that the file holds.

    Args:
        path: a `.safetensors` file, one that `torch.save` wrote (`.pt`, `.pth`, `.bin`, `.ckpt`, `.pth.tar`), or the
            `.index.json` of one in several files.

    Returns:
        Tensors on the CPU, by name: of a checkpoint with several sets of weights, the first (see `KEYS`).

    Raises:
        BadInput: for a damaged file, another kind of file, or one that holds no tensors by name.
        MissingFile: if a shard is missing.
    """
    return next(_states(path))


def load_weights(module: nn.Module, path: Path) -> None:
    """Copies a file's tensors into `module`, all of them or none.

    Names may have the prefixes of wrappers (`module.`, `_orig_mod.`, that of a Lightning module). Of a checkpoint with
    several sets of weights, the first that fits is taken. Half-precision tensors are converted.

    Args:
        module: the network.
        path: as for `read_state`.

    Raises:
        BadInput: if names or shapes do not fit (it shows the first few), or the file is damaged.
        MissingFile: if a shard is missing.
    """
    module = unwrap(module)
    own = module.state_dict()
    closest: tuple[int, str] | None = None
    for found in _states(path):
        state = _unprefixed(found, own)
        problems = _problems(state, own)
        if not problems:
            module.load_state_dict(state, strict=False)
            return
        fitting = sum(name in own for name in state)
        if closest is None or fitting > closest[0]:
            closest = fitting, "; ".join(problems)
    assert closest is not None  # there is at least one state, or an error
    raise BadInput(f"{path} does not fit {type(module).__name__}: {closest[1]}")


def _unprefixed(state: Mapping[str, Tensor], own: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors by the network's own names: without a prefix that all names have, or that a wrapper is known to add.

    Tensors that lack a wrapper's prefix belong to other modules of the same training, and are left out.
    """
    if not own or any(name in state for name in own):
        return dict(state)
    last = max(own, key=lambda name: (name.count("."), len(name)))  # the longest name says most about a prefix
    prefixes = sorted((name.removesuffix(last) for name in state if name.endswith(f".{last}")), key=len)
    for prefix in prefixes:
        inside = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if len(inside) == len(state) or (_of_wrappers(prefix) and not _problems(inside, own)):
            return inside
    return dict(state)


def _of_wrappers(prefix: str) -> bool:
    return re.fullmatch("(" + "|".join(map(re.escape, WRAPPERS)) + ")+", prefix) is not None


def _problems(state: Mapping[str, Tensor], own: Mapping[str, Any]) -> list[str]:
    """What keeps tensors from being those of a network with these, in words; none if they fit."""
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    other = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    return [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
        if names
    ]


def _states(path: Path) -> Iterator[Mapping[str, Tensor]]:
    """All sets of weights in a file, at least one, in the order of preference."""
    if path.name.endswith(INDEX):
        yield _sharded(path)
        return
    if path.suffix == ".safetensors":
        yield _safetensors(path)
        return
    if path.suffix not in TORCH:
        raise BadInput(
            f"{path}: weights must be .safetensors, .safetensors{INDEX}, or {', '.join(TORCH)}; "
            f"got {path.suffix or 'no suffix'!r}"
        )
    content = read_torch(path)
    found = list(weights_in(content))
    if not found:
        what = f"a dict with the keys {', '.join(map(str, list(content)[:5]))}" if isinstance(content, dict) else None
        raise BadInput(f"{path} holds no state_dict: expected tensors by name, got {what or type(content).__name__}")
    yield from found


def weights_in(content: Any, depth: int = 0) -> Iterator[Mapping[str, Tensor]]:
    """The dicts of tensors in a checkpoint: itself, else by the usual keys, else (averaged weights) by any.

    Args:
        content: what `read_torch` returned.
        depth: levels of dicts above it.
    """
    if not isinstance(content, Mapping) or not content or depth > DEEPEST:
        return
    if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        yield content
        return
    usual = [key for key in KEYS if key in content]
    for key in [*usual, *(key for key in content if key not in usual and not str(key).startswith("optim"))]:
        yield from weights_in(content[key], depth + 1)


def read_torch(path: Path, start: int = 0) -> Any:
    """Everything in a file that `torch.save` wrote; never runs code that the file holds.

    Args:
        path: of the file.
        start: bytes before what torch wrote.

    Raises:
        BadInput: for a damaged file, another kind of file, or one that holds more than tensors and plain values.
    """
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_safe()):
            warnings.simplefilter("ignore")  # files that torch warns about are refused here, or harmless
            file = io.BytesIO(path.read_bytes()[start:]) if start else path
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise BadInput(
            f"{path} holds more than tensors{f' ({what[1]})' if what else ''} and was refused: save a state_dict() "
            "(loading code from it could run anything)"
        ) from error
    except Exception as error:  # torch raises many types for a damaged archive
        if "TorchScript" in str(error):
            raise BadInput(
                f"{path} is a network in TorchScript, not a file of weights: give it from Python, or as "
                "FILE.py:FACTORY with a function that returns torch.jit.load(...)"
            ) from error
        raise BadInput(f"{path} is damaged or no torch file ({first_line(error)})") from error


def _safe() -> list[Any]:
    """What is harmless; NumPy's numbers and arrays also under the names that their makers have in old files."""
    makers: dict[str, Any] = {"scalar": np.float64(0).__reduce__()[0], "_reconstruct": np.zeros(1).__reduce__()[0]}
    old = [(maker, f"numpy.core.multiarray.{name}") for name, maker in makers.items()]
    return [*_HARMLESS, (SimpleNamespace, "argparse.Namespace"), *makers.values(), *old]


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise BadInput(f"{path} is damaged or no safetensors file ({error})") from error


def _sharded(path: Path) -> Mapping[str, Tensor]:
    try:
        where: dict[str, str] = json.loads(path.read_bytes())["weight_map"]
        shards = {file: path.parent / file for file in where.values()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path} is no index of shards: expected a JSON file with a weight_map") from error
    state: dict[str, Tensor] = {}
    for file, shard in shards.items():
        if Path(file).name != file or file.endswith(INDEX):
            raise BadInput(f"{path}: the shard {file!r} is not the name of a file next to it")
        if not shard.is_file():
            raise MissingFile(f"no shard {str(shard)!r} of {path.name}: all files of the checkpoint are needed")
        state |= read_state(shard)
    if absent := [name for name in where if name not in state]:
        raise BadInput(f"{path}: its shards lack {plural(len(absent), 'tensor')} ({', '.join(absent[:3])})")
    return state
