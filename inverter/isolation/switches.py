"""Switches of torch that hold for a complete process or thread, set while networks are read and then put back."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.utils import checkpoint

_HERE = threading.local()
_COMPILER = "torch._dynamo"
_CHECKPOINTS = ("_checkpoint_without_reentrant_generator", "_checkpoint_without_reentrant_generator_impl")
"""The parts of `torch.utils.checkpoint` that a call without reentrant autograd runs through, by torch's version."""


class Shared:
    """A context for something that a process has once: the first thread to enter sets it, the last one puts it back.

    Args:
        make: makes the context.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[Any]]) -> None:
        self._make, self._lock, self._users, self._stack = make, threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._stack.enter_context(self._make())
            self._users += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._stack.close()


@contextmanager
def _uncompiled() -> Iterator[None]:
    """A context in which what is compiled runs as it was written.

    The compiler takes seconds to import, so it is left alone until there is something compiled: in a process that has
    not imported it, the context takes effect with the first call of `torch.compile`.
    """
    with ExitStack() as stack:
        if _COMPILER in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        else:
            real, lock = torch.compile, threading.Lock()

            @functools.wraps(real)
            def first(*args: Any, **kwargs: Any) -> Any:
                with lock:
                    if torch.compile is first:
                        stack.enter_context(torch.compiler.set_stance("force_eager"))
                        setattr(torch, "compile", real)  # noqa: B010 - a plain assignment has another type
                return real(*args, **kwargs)

            stack.enter_context(patch.object(torch, "compile", first))
        yield


@contextmanager
def _eager() -> Iterator[None]:
    with ExitStack() as stack:
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(_uncompiled())
        for name in filter(checkpoint.__dict__.__contains__, _CHECKPOINTS):
            stack.enter_context(patch.object(checkpoint, name, _direct(getattr(checkpoint, name))))
        stack.enter_context(patch.object(checkpoint, "CheckpointFunction", _Direct))
        yield


def _direct(generator: Callable[..., Iterator[None]]) -> Callable[..., Iterator[None]]:
    """The two halves around a checkpointed call: in threads that read a network, they are empty."""

    def around(*args: Any, **kwargs: Any) -> Iterator[None]:
        return iter((None,)) if getattr(_HERE, "depth", 0) else generator(*args, **kwargs)

    return around


_REENTRANT = checkpoint.CheckpointFunction


class _Direct:
    @staticmethod
    def apply(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        return function(*args) if getattr(_HERE, "depth", 0) else _REENTRANT.apply(function, preserve, *args)


_EAGER = Shared(_eager)


@contextmanager
def eager() -> Iterator[None]:
    """A context in which networks run eagerly: neither compiled, nor checkpointed, nor by a fused layer.

    Hooks that end a forward pass early cannot run inside a compiled graph, and a checkpointed part would run again in
    the backward pass, without the contexts of its first run. The fast path of `nn.MultiheadAttention` and
    `nn.TransformerEncoder`, one kernel for a complete layer, runs neither the modules in it nor their hooks, and has no
    gradient; `scaled_dot_product_attention` stays fused. Compilation and the fast path are off in all threads,
    checkpointing in this one.
    """
    with _EAGER:
        _HERE.depth = getattr(_HERE, "depth", 0) + 1
        try:
            yield
        finally:
            _HERE.depth -= 1


@contextmanager
def recording() -> Iterator[None]:
    """A context in which gradients are recorded and numbers keep their type, wherever it is entered.

    `torch.no_grad`, `torch.inference_mode` and autocast of the caller do not hold inside.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.enable_grad())
        yield


@contextmanager
def normal_tensors() -> Iterator[None]:
    """A context in which no inference tensors are made; whether gradients are recorded stays as it is."""
    if not torch.is_inference_mode_enabled():
        yield
        return
    with torch.inference_mode(False), torch.set_grad_enabled(False):
        yield
