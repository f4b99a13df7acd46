"""CUDA graphs of the pretended GPU: operations are written down with their tensors, and run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

NumbersOf = Callable[[Any], Any]
"""The numbers of a pretended tensor; any other value as it is."""


class RecordedGraph:
    """`torch.cuda.CUDAGraph`: as there, recording runs no kernel, and what it made has no values until a replay."""

    current: RecordedGraph | None = None
    """The graph that is being recorded."""

    def __init__(self) -> None:
        self.replays = 0
        self._operations: list[tuple[Any, Any, Any, Any]] = []
        self._made: dict[int, Tensor] = {}
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def pool(self) -> tuple[int, int]:
        return (0, 1)

    def compute(self, func: Any, args: Any, kwargs: dict[str, Any], numbers: NumbersOf) -> Any:
        """Runs an operation on the numbers of its arguments, and writes it down."""
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                self._save(numbers(value))
        for value in (kwargs.get("out"), kwargs.get("grad_input")):
            if isinstance(value, Tensor):
                self._save(numbers(value))
        given, named = tree_map(numbers, args), tree_map(numbers, kwargs)
        result = _resolved(func(*given, **named))
        known = {_place(leaf) for leaf in tree_leaves((given, named)) if isinstance(leaf, Tensor)}
        fresh = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and _place(leaf) not in known]
        self._made |= {_place(leaf): leaf for leaf in fresh}
        self._operations.append((func, given, named, result))
        return result

    def _save(self, tensor: Tensor) -> None:
        place = _place(tensor)
        if place not in self._made and place not in self._before:
            self._before[place] = tensor.untyped_storage(), tensor.untyped_storage().clone()

    def end(self) -> None:
        """Puts back what recording has changed, and takes away the values that it made."""
        for storage, before in self._before.values():
            storage.copy_(before)
        for made in self._made.values():
            made.fill_(float("nan") if made.is_floating_point() or made.is_complex() else 1)

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, result in self._operations:
            known = {_place(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
            for old, new in zip(tree_leaves(result), tree_leaves(_resolved(func(*args, **kwargs))), strict=True):
                if not isinstance(old, Tensor) or _place(old) in known:
                    continue
                if (old.shape, old.dtype) != (new.shape, new.dtype):
                    raise RuntimeError(f"{func} allocates {tuple(new.shape)} and not {tuple(old.shape)} as recorded")
                old.copy_(new)


class Recording:
    """`torch.cuda.graph`: a context in which a graph is recorded."""

    def __init__(
        self, graph: RecordedGraph, pool: object = None, stream: object = None, capture_error_mode: str = "global"
    ) -> None:
        self.graph = graph

    def __enter__(self) -> None:
        if RecordedGraph.current is not None:
            raise RuntimeError("a graph is being recorded")
        RecordedGraph.current = self.graph

    def __exit__(self, *exception: object) -> None:
        RecordedGraph.current = None
        self.graph.end()


def refuse(what: str) -> None:
    """Raises the error of an operation that cannot be recorded, while a graph is."""
    if RecordedGraph.current is not None:
        raise RuntimeError(f"operation not permitted when stream is capturing: {what}")


def _resolved(result: Any) -> Any:
    # Below autograd, torch would overlook that numbers are to be conjugated or negated when read.
    return tree_map(lambda leaf: leaf.resolve_conj().resolve_neg() if isinstance(leaf, Tensor) else leaf, result)


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
