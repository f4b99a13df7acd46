"""What a prior computes with and does not own: a trained module, or a user's function."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn


class Frozen:
    """A module that only computes: in eval mode, without gradients of its own, a copy of what the user gave.

    It is deliberately no `nn.Module`: its weights are no parameters of the prior that holds it, are shared by all
    copies of that prior, and follow the device of what they compute.

    Example:
        >>> frozen = Frozen(nn.Linear(2, 3))
        >>> copy.deepcopy(frozen) is frozen, frozen(torch.zeros(1, 2)).requires_grad
        (True, False)
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._there: dict[torch.device, nn.Module] = {}

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __call__(self, x: Tensor, *arguments: int) -> Tensor:
        if x.device not in self._there:
            self._there[x.device] = copy.deepcopy(self.module).to(x.device)
        return self._there[x.device](x, *arguments)


class Shared:
    """A function of the user, called as it is: a copy of the prior that holds it shares it, and what it is bound to."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)
