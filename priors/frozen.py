"""Modules and functions that a prior computes with but does not own: trained networks and user functions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class Frozen:
    """A frozen copy of a module: in eval mode, its weights without gradients.

    It is deliberately not an `nn.Module`: its weights are not parameters of the prior that holds it, are shared by all
    copies of that prior, and follow the device of the input.

    Example:
        >>> frozen = Frozen(nn.Linear(2, 3))
        >>> copy.deepcopy(frozen) is frozen, frozen(torch.zeros(1, 2)).requires_grad
        (True, False)
    """

    def __init__(self, module: nn.Module) -> None:
        with torch.inference_mode(False):  # what is made in inference mode takes no part in gradients
            self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._there: dict[torch.device, nn.Module] = {}

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __call__(self, x: Tensor, *arguments: int) -> Tensor:
        if x.device not in self._there:
            with torch.inference_mode(False):
                self._there[x.device] = copy.deepcopy(self.module).to(x.device)
        return self._there[x.device](x, *arguments)


class Shared:
    """A user function, called as it is: copies of the prior that holds it share it, and the object it is bound to."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)
