"""The SHA-256 of a network as it is now: what it has learned, and of TorchScript also its code."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from inverter.isolation.torchscript import script_of

_MANGLED = re.compile(r"___torch_mangle_\d+\.")
"""What TorchScript adds to the names of classes: it depends on what the process compiled before."""


def sha256_of(module: nn.Module) -> str:
    """Digest of names, shapes, types and bytes of all parameters and buffers, and of extra state (packed weights).

    TorchScript adds its code and the constants in it: a frozen network has no parameters left. It is computed anew each
    time: writes through `.data`, NumPy or another process leave no trace that a cache could look at.

    Args:
        module: the network, on any device.

    Returns:
        Hex digest. It does not depend on device or memory order, nor on which tensors are trained.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> before = sha256_of(net)
        >>> _ = net.weight.data.add_(1)
        >>> sha256_of(net) == before
        False
    """
    digest = hashlib.sha256()
    script = script_of(module)
    for name, value in _state(module if script is None else script):
        _add(digest, name, value)
    if script is not None:
        for name, value in _program(script):
            _add(digest, name, value)
    return digest.hexdigest()


def _state(module: nn.Module) -> Iterator[tuple[str, Any]]:
    tensors: dict[str, Any] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    extra = {name: value for name, value in module.state_dict().items() if not isinstance(value, Tensor)}
    yield from (tensors | extra).items()


def _program(script: torch.jit.ScriptModule) -> Iterator[tuple[str, Any]]:
    for name, part in script.named_modules():
        try:
            code, constants = part.code_with_constants
        except (AttributeError, RuntimeError):  # a part without a forward function
            continue
        yield f"{name} code", _MANGLED.sub("", code)
        yield f"{name} constants", dict(constants.const_mapping)


def _add(digest: Any, name: str, value: Any) -> None:
    """Adds a value; its parts, if it is a collection."""
    if isinstance(value, Mapping):
        for key in value:
            _add(digest, f"{name}/{key}", value[key])
    elif isinstance(value, tuple | list):
        for index, part in enumerate(value):
            _add(digest, f"{name}/{index}", part)
    elif isinstance(value, UninitializedTensorMixin):
        digest.update(f"{name} uninitialised\n".encode())
    elif isinstance(value, Tensor):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(_bytes(value.detach()))
    else:
        plain = isinstance(value, str | int | float | bool | None | bytes | torch.dtype)
        digest.update(f"{name} {value!r}\n".encode() if plain else f"{name} {type(value).__name__}\n".encode())


def _bytes(tensor: Tensor) -> Any:
    if tensor.is_meta:
        return b""
    if tensor.layout != torch.strided or tensor.is_quantized:
        saved = io.BytesIO()
        torch.save(tensor.cpu(), saved)
        return saved.getvalue()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
