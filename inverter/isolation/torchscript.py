"""TorchScript: a network whose layers run inside its own interpreter, so that only its output can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


class Scripted(nn.Module):
    """A network in TorchScript (scripted, traced or frozen), as one layer: its output has the address "".

    Hooks do not run inside TorchScript, so its modules are no layers here. They still have parameters, and modes.

    Args:
        script: the network.
    """

    def __init__(self, script: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.script = script
        self.training = False

    def forward(self, x: Any) -> Any:
        return self.script(x)

    def named_modules(self, *_: Any, **__: Any) -> Iterator[tuple[str, nn.Module]]:
        """The network alone."""
        yield "", self

    def modules(self, *_: Any, **__: Any) -> Iterator[nn.Module]:
        """The network, and those of its modules that have a mode; frozen ones have none."""
        yield self
        yield from (part for part in self.script.modules() if hasattr(part, "training"))


def as_layers(module: nn.Module) -> nn.Module:
    """A network whose forward hooks run: TorchScript as `Scripted`, any other as it is."""
    return Scripted(module) if isinstance(module, torch.jit.ScriptModule) else module


def named_layers(module: nn.Module) -> dict[str, nn.Module]:
    """The modules of a network whose forward hooks run, by name: all but those in TorchScript."""
    return {name: part for name, part in module.named_modules() if not isinstance(part, torch.jit.ScriptModule)}


def script_of(module: nn.Module) -> torch.jit.ScriptModule | None:
    """The TorchScript network in a `Scripted`, or as it is; None for any other network."""
    module = module.script if isinstance(module, Scripted) else module
    return module if isinstance(module, torch.jit.ScriptModule) else None
