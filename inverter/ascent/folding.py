"""A frozen network computed in fewer passes over its activations: batch normalisations folded into convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from inverter.ascent.casts import Casts

Fixed = tuple[Tensor, Tensor, Tensor | None, Tensor | None, float]
"""A batch normalisation with fixed statistics: mean, variance, scale, shift, eps."""

_FORM = (int, torch.Size, torch.dtype, torch.device, torch.layout)
"""Results of functions that read a tensor's form only, not its values."""


class Folding(TorchFunctionMode):
    """A context for one forward pass of a frozen network, entered repeatedly: the first pass is traced.

    From then on a convolution whose output is read only by a batch normalisation with fixed statistics is computed with
    folded weights, y = (w f) * x + (b - mean) f + shift with f = scale / sqrt(variance + eps); and weights are cast to
    the type of autocast once, instead of in every pass, as are other parameters and activations (`Casts`). The values
    are the same up to rounding. The network itself is not changed; if a pass takes another path than the traced one,
    the next one is traced again.

    Args:
        layout: memory order of the pictures (`Model.layout`); weights are prepared in it, so that no convolution has to
            convert them.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval().requires_grad_(False)
        >>> x, folding, found = torch.randn(1, 3, 8, 8), Folding(), []
        >>> for _ in range(2):
        ...     with folding:
        ...         found.append(net(x))
        >>> torch.allclose(*found, atol=1e-6)
        True
    """

    def __init__(self, layout: torch.memory_format = torch.channels_last) -> None:
        super().__init__()
        self.layout = layout
        self._watching, self._traced = True, False
        self._readers = WeakIdKeyDictionary()  # a convolution's output -> the normalisations that read it, or None
        self._outputs: dict[int, tuple[Tensor, list[list[Fixed | None]]]] = {}  # id of a weight -> it, its readers
        self._folds: dict[int, Fixed] = {}  # id of a weight -> the normalisation after it
        self._ready: dict[Any, tuple[Tensor, Tensor | None, Tensor, Tensor | None]] = {}
        self._casts = Casts()
        self._folded: dict[int, Tensor] = {}  # outputs normalised already, before their `batch_norm` runs

    def __enter__(self) -> Any:
        if self._traced:
            self._decide()
            self._traced = False
        return super().__enter__()

    def __exit__(self, *exception: Any) -> Any:
        self._traced = self._watching
        if self._folded:
            self._watching, self._outputs, self._folded = True, {}, {}
        self._casts.clear()
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
            weights = self._prepared(x, weight, bias)
            result = function(self._casts.activation(x, weights[0].dtype), *weights, *args[3:])
            if id(weight) in self._folds:
                self._folded[id(result)] = result
            return result
        return self._casts.call(function, args, kwargs)

    def _watch(self, function: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        if not isinstance(result, _FORM):
            reader = fixed_statistics(*args, **kwargs) if function is F.batch_norm else None
            for tensor in tree_leaves((args, kwargs)):
                if isinstance(tensor, Tensor) and tensor in self._readers:
                    self._readers[tensor].append(reader)
        if function is F.conv2d and len(args) > 1 and not kwargs and _is_frozen(args[1]) and not _learns(args[2:3]):
            self._readers[result] = readers = list[Fixed | None]()
            self._outputs.setdefault(id(args[1]), (args[1], []))[1].append(readers)

    def _decide(self) -> None:
        """Chooses the convolutions to fold from now on."""
        self._folds, self._ready = {}, {}
        for key, (_, outputs) in self._outputs.items():
            first = outputs[0][0] if outputs[0] else None
            # A module that runs twice is folded both times, or not at all.
            if first is not None and all(len(readers) == 1 and _same(readers[0], first) for readers in outputs):
                self._folds[key] = first
        self._watching = False

    def _prepared(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Weight and bias, cast, with the normalisation folded in where there is one."""
        dtype = computed_type(x.device.type, weight.dtype)
        key = (id(weight), id(bias), dtype)
        if key not in self._ready:
            new, offset = weight, bias
            if (after := self._folds.get(id(weight))) is not None:
                mean, variance, scale, shift, eps = after
                factor = (variance + eps).rsqrt() * (1 if scale is None else scale)
                new = weight * factor[:, None, None, None]
                offset = ((0 if bias is None else bias) - mean) * factor + (0 if shift is None else shift)
            # Keeps the tensors of the key alive, so that their ids are not reused.
            self._ready[key] = (
                self._cast(new, dtype),
                None if offset is None else self._cast(offset, dtype),
                weight,
                bias,
            )
        return self._ready[key][:2]

    def _cast(self, tensor: Tensor, dtype: torch.dtype) -> nn.Parameter:
        memory = self.layout if tensor.ndim == 4 else torch.preserve_format
        return nn.Parameter(tensor.detach().to(dtype, memory_format=memory), requires_grad=False)


def computed_type(device: str, dtype: torch.dtype) -> torch.dtype:
    """The type that convolutions of tensors of a `dtype` compute in now: that of autocast, which spares float64."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) and dtype != torch.float64 else dtype


def _learns(tensors: Any) -> bool:
    return any(tensor.requires_grad for tensor in tensors if isinstance(tensor, Tensor))


def _is_frozen(weight: Any) -> bool:
    # A weight that is computed in every forward pass is no parameter, and not worth preparing.
    return isinstance(weight, nn.Parameter) and not weight.requires_grad


def fixed_statistics(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool | None = None,
) -> Fixed | None:
    """Mean, variance, scale, shift and eps of a `batch_norm` with these arguments; None if its statistics change."""
    if cudnn_enabled is not None:  # `torch.batch_norm`, as in exported networks: weight and bias come first
        running_mean, running_var, weight, bias = weight, bias, running_mean, running_var
    if training or running_mean is None or running_var is None or _learns((weight, bias)):
        return None
    return running_mean, running_var, weight, bias, eps


def _same(one: Fixed | None, other: Fixed) -> bool:
    return one is not None and all(a is b for a, b in zip(one[:4], other[:4], strict=True)) and one[4] == other[4]
