"""A network held still while it is read: one thread at a time, and everything of it put back afterwards."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from inverter.isolation.module_state import ModuleState
from inverter.isolation.switches import eager
from inverter_errors import BadInput


class _Turns:
    """Which thread reads which modules and tensors; networks may share some of them."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.readers: dict[int, int] = {}

    @contextmanager
    def take(self, module: nn.Module) -> Iterator[None]:
        """Waits until no other thread reads any part of a network, and keeps others away from it meanwhile."""
        me = threading.get_ident()
        parts = {id(part): part for part in (*module.modules(), *module.parameters(), *module.buffers())}
        with self.changed:
            self.changed.wait_for(lambda: all(self.readers.get(part, me) == me for part in parts))
            mine = [part for part in parts if part not in self.readers]
            self.readers.update(dict.fromkeys(mine, me))
        try:
            yield
        finally:
            with self.changed:
                for part in mine:
                    self.readers.pop(part, None)
                self.changed.notify_all()

    def forget(self) -> None:
        """In a forked process: the other threads that read are not there."""
        self.changed.release()
        self.changed, self.readers = threading.Condition(), {}


_TURNS = _Turns()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _TURNS.changed.acquire(),
        after_in_parent=lambda: _TURNS.changed.release(),
        after_in_child=_TURNS.forget,
    )


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Holds `module` in eval mode, without parameter gradients and eager; then puts everything back.

    Forward passes may change buffers and other attributes even in eval mode (see `ModuleState`). A second thread that
    enters waits until the first one has left, also with another network that shares modules, parameters or buffers.

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
    with _TURNS.take(module), eager():
        state, written = ModuleState(module), list[str]()
        try:
            state.freeze()
            yield
        finally:
            written = state.restore()
    if written:
        warnings.warn(
            f"the forward pass of {type(module).__name__} writes into its parameters ({written[0]}), which are not put "
            "back: give copy.deepcopy(module) to keep yours",
            stacklevel=1,
        )
