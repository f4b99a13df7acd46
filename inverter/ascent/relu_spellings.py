"""The ways to write a ReLU: which call of a torch function computes clamp(x, 0, ceiling), and of which x."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class SpelledReLU(NamedTuple):
    """A call that computes clamp(x, 0, ceiling).

    Attributes:
        x: the tensor that is clamped, of any shape.
        ceiling: 6 for a ReLU6, `inf` for a ReLU.
        inplace: whether x is overwritten.
    """

    x: Tensor
    ceiling: float
    inplace: bool


_BOUNDS = {
    "clamp": ("min", "max"),
    "clip": ("min", "max"),
    "clamp_min": ("min",),
    "hardtanh": ("min_val", "max_val"),
    "threshold": ("threshold", "value"),
    "leaky_relu": ("negative_slope",),
}
"""Function -> names of its arguments after the input, in the order of their positions."""


def function_name(function: Callable[..., Any]) -> str:
    """The name of a torch function, as `relu_` for the functional, the method and the operator of an exported graph."""
    packet = getattr(function, "overloadpacket", function)
    name = getattr(packet, "__name__", "")
    return "threshold" if name in ("_threshold", "_threshold_") else name


def spelled_relu(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> SpelledReLU | None:
    """The ReLU that a call of a torch function is, or None.

    Known are relu, relu6, hardtanh, clamp, clip, clamp_min, threshold and leaky_relu with the bounds of a ReLU; the
    maximum of x and 0; `where(x > 0, x, 0)`, `masked_fill(x, x < 0, 0)`, `x[x < 0] = 0` and `x * (x > 0)`, in place or
    not. A mask is identified by its values, however it was computed.

    Args:
        function: as a `TorchFunctionMode` receives it.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Example:
        >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
        >>> spelled_relu(torch.mul, (x > 0, x), {}).x is x
        True
        >>> spelled_relu(torch.clamp, (x, -1), {}) is None
        True
    """
    raw = function_name(function)
    name = raw.removeprefix("__").removesuffix("__") if raw.startswith("__") else raw.rstrip("_")
    find = _SPELLINGS.get(name)
    if find is None:
        return None
    kwargs = dict(kwargs)
    if "input" in kwargs:
        args = (kwargs.pop("input"), *args)
    with torch.no_grad():
        found = find(name, tuple(args), kwargs)
    if found is None or not found[0].is_floating_point():
        return None
    own = raw.endswith("_") and not raw.endswith("__")
    inplace = own or raw in ("__imul__", "__setitem__") or bool(kwargs.get("inplace"))
    return SpelledReLU(found[0], found[1], inplace)


Found = tuple[Tensor, float] | None


def _plain(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
    _take_inplace(args, kwargs, 1)
    return (args[0], 6.0 if name == "relu6" else math.inf) if args and isinstance(args[0], Tensor) else None


def _bounded(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
    names = _BOUNDS[name]
    _take_inplace(args, kwargs, 1 + len(names))
    given = dict(zip(names, args[1:], strict=False)) | {key: kwargs[key] for key in names if key in kwargs}
    values = [_number(given.get(key)) for key in names]
    if not args or not isinstance(args[0], Tensor) or values[0] != 0:
        return None
    if name == "threshold":  # x where x > 0, else the value
        return (args[0], math.inf) if values[1] == 0 else None
    if len(names) == 1:
        return args[0], math.inf
    absent = 1.0 if name == "hardtanh" and "max_val" not in given else math.inf
    ceiling = absent if given.get(names[1]) is None else values[1]
    return (args[0], ceiling) if ceiling is not None and ceiling > 0 else None


def _larger(_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
    pair = [*args, *(kwargs[key] for key in ("other",) if key in kwargs)]
    if len(pair) != 2 or not all(isinstance(each, Tensor) for each in pair):
        return None
    for x, zero in (pair, pair[::-1]):
        if not zero.requires_grad and zero.numel() <= x.numel() and not bool(zero.any()):
            return x, math.inf
    return None


def _chosen(_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
    if len(args) < 3 or not isinstance(args[0], Tensor):
        return None
    # The method's own tensor comes first: `x.where(condition, other)` and `Tensor.where(condition, x, other)` differ.
    condition, x, other = args if args[0].dtype == torch.bool else (args[1], args[0], args[2])
    if isinstance(x, Tensor) and _number(other) == 0:
        return (x, math.inf) if _is_positive(condition, x) else None
    if isinstance(other, Tensor) and _number(x) == 0:
        return (other, math.inf) if _is_positive(condition, other, negated=True) else None
    return None


def _filled(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
    rest = dict(zip(("mask", "value"), args[1:], strict=False)) | kwargs
    if not args or not isinstance(args[0], Tensor) or _number(rest.get("value")) != 0:
        return None
    return (args[0], math.inf) if _is_positive(rest.get("mask"), args[0], negated=True) else None


def _masked(_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
    pair = [*args, *(kwargs[key] for key in ("other",) if key in kwargs)]
    if len(pair) != 2 or not all(isinstance(each, Tensor) for each in pair):
        return None
    for x, mask in (pair, pair[::-1]):
        if not mask.requires_grad and _is_positive(mask, x):
            return x, math.inf
    return None


def _take_inplace(args: tuple[Any, ...], kwargs: dict[str, Any], place: int) -> None:
    """Reads `inplace` from its position."""
    if len(args) > place and isinstance(args[place], bool):
        kwargs["inplace"] = args[place]


def _number(value: Any) -> float | None:
    """A number, or the one value that all elements of a tensor without gradient have; None for all else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, Tensor):
        if value.requires_grad or not value.numel() or value.is_complex():
            return None
        first = value.flatten()[0]
        return float(first) if bool((value == first).all()) else None
    return float(value) if isinstance(value, int | float) else None


def _is_positive(mask: Any, x: Tensor, negated: bool = False) -> bool:
    """Whether a mask is x > 0; where x is 0, it may be either."""
    if not isinstance(mask, Tensor) or mask.shape != x.shape or not x.is_floating_point():
        return False
    expected = x <= 0 if negated else x > 0
    return bool(((mask == expected) | (x == 0)).all())


_SPELLINGS: dict[str, Callable[[str, tuple[Any, ...], dict[str, Any]], Found]] = {
    **dict.fromkeys(("relu", "relu6"), _plain),
    **dict.fromkeys(_BOUNDS, _bounded),
    **dict.fromkeys(("maximum", "max", "fmax"), _larger),
    **dict.fromkeys(("mul", "rmul", "imul", "multiply"), _masked),
    **dict.fromkeys(("masked_fill", "setitem"), _filled),
    "where": _chosen,
}
"""Name of a function, without the underscores of its in-place form -> what finds the ReLU in its arguments."""
