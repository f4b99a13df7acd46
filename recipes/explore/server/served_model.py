"""A copy of the network that nobody changes while the server lives."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from inverter import Model


def served(model: Model) -> Model:
    """A copy of a network, for one thread.

    Args:
        model: the network; of several at once, a plain copy.
    """
    copied = copy.deepcopy(model)
    return _Served(copied) if type(model) is Model else copied


class _Served(Model):
    """A network whose digest and shapes are found out once: each run of a view asks for them again."""

    def __init__(self, model: Model) -> None:
        self.__dict__ = model.__dict__
        self._digest = model.sha256
        self._known: dict[tuple[Any, ...], dict[str, torch.Size]] = {}

    @property
    def sha256(self) -> str:
        return self._digest

    def shapes(self, reads: Sequence[str], size: tuple[int, int] | None = None) -> dict[str, torch.Size]:
        key = (tuple(reads), size)
        if key not in self._known:
            self._known[key] = super().shapes(reads, size)
        return dict(self._known[key])
