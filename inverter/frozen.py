"""A network held still while it is read: one thread at a time, and everything of it put back afterwards."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from inverter.switches import eager
from inverter_errors import BadInput

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_GUARD = threading.Lock()


def _forget_locks() -> None:
    """In a forked process: the threads that held the locks are not there."""
    _LOCKS.clear()
    _GUARD.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_GUARD.acquire, after_in_parent=_GUARD.release, after_in_child=_forget_locks)


def _lock(module: nn.Module) -> threading.RLock:
    with _GUARD:
        return _LOCKS.setdefault(module, threading.RLock())


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Holds `module` in eval mode, without parameter gradients and eager; then restores every flag and buffer exactly.

    Forward passes may change buffers even in eval mode (observers, running statistics, power iterations). A second
    thread that enters waits until the first one has left.

    Args:
        module: the network.

    Raises:
        BadInput: for a network whose weights were made in inference mode.
    """
    if any(parameter.is_inference() for parameter in module.parameters()):
        raise BadInput(
            f"{type(module).__name__} was made in torch.inference_mode(), so no gradient passes through its weights: "
            "give copy.deepcopy(module), copied outside of it"
        )
    with _lock(module), eager():
        modes = [(part, part.training) for part in module.modules()]
        gradients = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
        buffers = _Buffers(module)
        try:
            for part, _ in modes:
                part.training = False  # not .eval(): a user's override of it might change more than the flag
            for parameter, needs in gradients:
                if needs:
                    parameter.requires_grad_(False)
            yield
        finally:
            for part, training in modes:
                part.training = training
            for parameter, needs in gradients:
                if parameter.requires_grad != needs:
                    parameter.requires_grad_(needs)
            buffers.restore()


class _Buffers:
    """The buffers of a module as they are now."""

    def __init__(self, module: nn.Module) -> None:
        self.parts = [(part, dict(part.named_buffers(recurse=False))) for part in module.modules()]
        tensors = {id(tensor): tensor for _, known in self.parts for tensor in known.values()}
        self.kept = [(tensor, _version(tensor), tensor.detach().clone()) for tensor in tensors.values()]

    @torch.no_grad()
    def restore(self) -> None:
        for part, known in self.parts:
            for name, tensor in known.items():
                # A script module returns another object for the same buffer each time, and can replace none.
                if not isinstance(part, torch.jit.ScriptModule) and part._buffers.get(name) is not tensor:
                    part._buffers[name] = tensor
        for tensor, version, before in self.kept:
            if _version(tensor) != version or _differs(tensor, before):
                with torch.inference_mode(tensor.is_inference()):
                    tensor.resize_(before.shape).copy_(before)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _differs(tensor: Tensor, before: Tensor) -> bool:
    """True for a change that torch does not count; on other devices, to look for it would make the host wait."""
    readable = tensor.device.type == "cpu" and tensor.layout == torch.strided
    return readable and not torch.equal(tensor, before)
