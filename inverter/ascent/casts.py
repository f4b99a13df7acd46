"""A frozen network under autocast with few casts: parameters are cast once, and normalisations keep the lower type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakIdKeyDictionary

KEEPING = frozenset((F.layer_norm, F.group_norm, F.softmax, torch.softmax, Tensor.softmax))
"""Functions whose kernels read and write the lower type and accumulate in float32; on a GPU, autocast makes all of
their arguments float32."""

MIXING = frozenset(
    (
        *(torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__),
        *(torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, Tensor.__imul__),
        *(torch.cat, torch.concat, Tensor.expand),
    )
)
"""Functions whose result is float32 if one of their arguments is: a position embedding or a class token would make all
later activations float32."""


class Casts:
    """Calls functions of a frozen network so that autocast has few casts left to do.

    A float32 parameter that meets activations is cast once and kept; a layer normalisation (group normalisation,
    softmax) of an activation in the lower type is computed in that type; an activation that several convolutions or
    linear layers read is cast once in a forward pass. The values are the same up to rounding. Without autocast it has
    no effect.

    Example:
        >>> casts, x, scale = Casts(), torch.ones(2, dtype=torch.bfloat16), nn.Parameter(torch.ones(2), False)
        >>> with torch.autocast("cpu"):
        ...     (x * scale).dtype, casts.call(Tensor.mul, (x, scale), {}).dtype
        (torch.float32, torch.bfloat16)
    """

    def __init__(self) -> None:
        self._parameters: dict[tuple[int, torch.dtype], tuple[nn.Parameter, Tensor]] = {}
        self._activations = WeakIdKeyDictionary()  # a float32 activation -> its state, its cast

    def clear(self) -> None:
        """Forgets the activations of a forward pass, at its end."""
        self._activations.clear()

    def activation(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """A float32 activation in a lower type: the same tensor again for each layer that reads it."""
        if x.dtype != torch.float32 or dtype == torch.float32:
            return x
        # Not if it has been changed in place since, or was cast where no gradients are recorded.
        state = x._version, x.requires_grad and torch.is_grad_enabled()
        known, cast = self._activations.get(x, (None, None))
        if known != state:
            cast = x.to(dtype)
            self._activations[x] = state, cast
        return cast

    def call(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """A function's result in the lower type where autocast has one and the function can keep it.

        Args:
            function: any of torch's.
            args: its arguments.
            kwargs: its arguments by name.

        Returns:
            `function(*args, **kwargs)`, the same up to rounding.
        """
        keeps = function in KEEPING
        device = _device(args) if keeps or function in MIXING else None
        if device is None or not torch.is_autocast_enabled(device):
            return function(*args, **kwargs)
        lower = torch.get_autocast_dtype(device)
        args, kwargs = tree_map(lambda value: self._parameter(value, lower), (args, kwargs))
        given = (each for each in (*args, *kwargs.values()) if isinstance(each, Tensor))
        if not keeps or not all(each.dtype == lower for each in given):
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    def _parameter(self, value: Any, dtype: torch.dtype) -> Any:
        if not isinstance(value, nn.Parameter) or value.requires_grad or value.dtype != torch.float32:
            return value
        key = id(value), dtype
        if key not in self._parameters:
            # Keeps the parameter alive, so that its id is not reused.
            self._parameters[key] = value, value.detach().to(dtype)
        return self._parameters[key][1]


def _device(args: Any) -> str | None:
    """The kind of device of the first tensor among arguments, or in a sequence of tensors that is the first."""
    flat = args[0] if args and isinstance(args[0], list | tuple) else args
    return next((each.device.type for each in flat if isinstance(each, Tensor)), None)
