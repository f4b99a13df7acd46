"""A frozen network computed in fewer passes over its activations: what the first pass shows to belong together."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_SIZES = (int, torch.Size, torch.dtype, torch.device, torch.layout)
"""What a function returns that has only asked for a tensor's form, not for its values."""


class Folding(TorchFunctionMode):
    """A context for one forward pass of a frozen network, entered again and again: the first pass is watched.

    From then on a convolution whose output only a batch normalisation with fixed statistics read is computed with
    weights that contain it, y = (w f) * x + (b - mean) f + shift with f = scale / sqrt(variance + eps); and weights are
    cast to the type of autocast once, instead of in every pass. The values are the same up to rounding. The network
    itself is not changed; if it takes another course than the one that was watched, it is watched again.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval().requires_grad_(False)
        >>> x, folding, found = torch.randn(1, 3, 8, 8), Folding(), []
        >>> for _ in range(2):
        ...     with folding:
        ...         found.append(net(x))
        >>> torch.allclose(*found, atol=1e-6)
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self._watching = True
        self._watched: list[_Watched] = []
        self._outputs: dict[int, _Watched] = {}  # the last of them whose output has this identity
        self._folds: dict[int, tuple[Any, ...]] = {}  # a normalisation's arguments, by the identity of the weight
        self._ready: dict[Any, Any] = {}
        self._folded: dict[int, Tensor] = {}  # outputs that are normalised already, and wait to be asked to be

    def __enter__(self) -> Any:
        if self._watched:
            self._decide()
        return super().__enter__()

    def __exit__(self, *exception: Any) -> Any:
        if self._folded:
            self._watching, self._folded = True, {}
        return super().__exit__(*exception)

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._watching:
            result = function(*args, **kwargs)
            self._watch(function, args, kwargs, result)
            return result
        if function is F.batch_norm and args and id(args[0]) in self._folded:
            return self._folded.pop(id(args[0]))
        if function in (F.conv2d, F.linear) and len(args) > 1 and not kwargs and _is_frozen(args[1]):
            x, weight, bias = (*args, None)[:3]
            result = function(x, *self._prepared(x, weight, bias), *args[3:])
            if id(weight) in self._folds:
                self._folded[id(result)] = result
            return result
        return function(*args, **kwargs)

    def _watch(self, function: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        if not isinstance(result, _SIZES):
            reader = _fixed(*args, **kwargs) if function is F.batch_norm else None
            for tensor in _tensors((*args, *kwargs.values())):
                seen = self._outputs.get(id(tensor))
                if seen is not None and seen.output() is tensor:
                    seen.readers.append(reader)
        if function is F.conv2d and len(args) > 1 and not kwargs and _is_frozen(args[1]) and not _learns(args[2:3]):
            self._outputs[id(result)] = _Watched(weakref.ref(result), args[1])
            self._watched.append(self._outputs[id(result)])

    def _decide(self) -> None:
        """Which convolutions to fold from now on."""
        calls: dict[int, list[_Watched]] = {}
        for seen in self._watched:
            calls.setdefault(id(seen.weight), []).append(seen)
        # The weights are kept, so that their identities do not pass to others.
        self._ready = {id(seen.weight): seen.weight for seen in self._watched}
        # A module that runs twice: both times alike, or not at all.
        self._folds = {
            key: first
            for key, all_of_it in calls.items()
            if (first := all_of_it[0].only_reader) and all(_same(seen.only_reader, first) for seen in all_of_it)
        }
        self._watching, self._watched, self._outputs = False, [], {}

    def _prepared(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Weight and bias, cast, with the normalisation folded in where there is one."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        key = (id(weight), id(bias), dtype)
        if key not in self._ready:
            new, offset = weight, bias
            if (after := self._folds.get(id(weight))) is not None:
                mean, variance, scale, shift, eps = after
                factor = (variance + eps).rsqrt() * (1 if scale is None else scale)
                new = weight * factor[:, None, None, None]
                offset = (0 if bias is None else bias) - mean
                offset = offset * factor + (0 if shift is None else shift)
            made = tuple(
                None if part is None else nn.Parameter(part.detach().to(dtype), requires_grad=False)
                for part in (new, offset)
            )
            self._ready[key] = made, weight, bias
        (new, offset), _, _ = self._ready[key]
        return new, offset


class _Watched:
    """A convolution's output, and what has read it: the arguments of a normalisation, or None for anything else."""

    def __init__(self, output: weakref.ref[Tensor], weight: Tensor) -> None:
        self.output, self.weight = output, weight
        self.readers: list[tuple[Any, ...] | None] = []

    @property
    def only_reader(self) -> tuple[Any, ...] | None:
        return self.readers[0] if len(self.readers) == 1 else None


def _learns(tensors: Any) -> bool:
    return any(tensor.requires_grad for tensor in _tensors(tensors))


def _is_frozen(weight: Any) -> bool:
    # A weight that is made anew in every forward pass is no parameter, and not worth being prepared.
    return isinstance(weight, nn.Parameter) and not weight.requires_grad


def _fixed(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Any, ...] | None:
    """(mean, variance, scale, shift, eps) of `batch_norm`'s arguments if its statistics are fixed."""
    if training or running_mean is None or running_var is None or _learns((weight, bias)):
        return None
    return running_mean, running_var, weight, bias, eps


def _same(one: tuple[Any, ...] | None, other: tuple[Any, ...]) -> bool:
    return one is not None and all(a is b for a, b in zip(one[:4], other[:4], strict=True)) and one[4] == other[4]


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
