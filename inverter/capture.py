"""Activations of named layers, captured in one truncated forward pass that leaves the network unchanged."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from inverter.device_faults import gpu_lost, out_of_memory
from inverter.outputs import select_tensor
from inverter.own_draws import OwnDraws
from inverter.torchscript import Scripted, named_layers
from inverter_errors import InverterError, LayerNotFound

FORWARD_ERRORS = (
    RuntimeError,
    AssertionError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What networks raise for a picture that they cannot process; some check its size with `assert`."""


def may_be_memory_order(error: Exception) -> bool:
    """True if a forward pass may have failed because of the memory order of its input: at a `view`, say.

    Example:
        >>> may_be_memory_order(RuntimeError("view size is not compatible with input tensor's size and stride"))
        True
    """
    return not (isinstance(error, InverterError) or out_of_memory(error) or gpu_lost(error))


class _StopForward(BaseException):
    """Ends a forward pass once every requested layer has run; no `except Exception` of a network catches it."""


def unwrap(module: nn.Module) -> nn.Module:
    """The network inside `DataParallel`, `DistributedDataParallel` and `torch.compile` wrappers."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
            module = inner
        else:
            return module


def split_address(address: str) -> tuple[str, int]:
    """`layer1.0.relu#1` as (`layer1.0.relu`, 1): the module's name, and the index of its call in one forward pass."""
    name, mark, call = address.rpartition("#")
    return (name, int(call)) if mark and call.isdecimal() else (address, 0)


def resolve(module: nn.Module, address: str) -> tuple[str, int, str]:
    """The parts of an address: the module's name, the index of its call, and the name of a tensor in its output.

    Args:
        module: the network.
        address: a dotted name of `named_modules()`, optionally with `#k` for the k-th call, then `:NAME` for one of
            several tensors in its output. "" or `output` is the network itself.

    Returns:
        (name, call, tensor); the tensor is "" where the address names none.

    Raises:
        LayerNotFound: for a name that the network does not have; it shows the nearest addresses.

    Example:
        >>> resolve(nn.Sequential(nn.ReLU()), "0#1"), resolve(nn.Sequential(), "output:aux")
        (('0', 1, ''), ('', 0, 'aux'))
    """
    names = named_layers(module)
    layer, _, tensor = address.partition(":")
    for text, part in ((address, ""), (layer, tensor)):
        name, call = split_address(text)
        if name in names:
            return name, call, part
        if name == "output":
            return "", call, part
    if isinstance(module, Scripted):
        raise LayerNotFound(
            f"no layer {address!r}: of a network in TorchScript only the output can be read; give the nn.Module that "
            "it was made from"
        )
    name, _ = split_address(layer)
    if name in dict(module.named_modules()):
        raise LayerNotFound(f"layer {name!r} is in TorchScript, where no layer can be read: read one before or after it")
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or [known for known in names if known][:5]
    raise LayerNotFound(f"no layer {address!r} in {type(module).__name__}; the nearest are: {', '.join(near)}")


def check_address(module: nn.Module, address: str) -> None:
    """Checks that an address names a module of the network.

    Args:
        module: the network.
        address: see `resolve`.

    Raises:
        LayerNotFound: if it does not; it shows the nearest addresses.
    """
    resolve(module, address)


class Capture:
    """A context in which `capture(x)` runs `module` on x just as far as the deepest requested layer.

    Hooks are removed when the context ends, whatever happens in it, and pass over calls from other threads. A captured
    tensor is a copy, unless the forward pass ends with it: a later in-place operation (a ReLU, `x += y`) would
    otherwise write into it.

    Args:
        module: the network (see `unwrap`).
        reads: addresses (see `resolve`).
        relaid: where a forward pass raises an error, it is tried once more on what this function makes of the input;
            None: it is not.

    Raises:
        LayerNotFound: for an address that is not in the network; when called, for one that the forward pass does not
            reach.
        BadType: when called, for a layer that returns no tensor.
        BadInput: when called, for a layer that returns several tensors if the address chooses none of them.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4, 2))
        >>> with Capture(net, ["0"]) as capture:
        ...     capture(torch.zeros(1, 3, 3, 3))["0"].shape
        torch.Size([1, 4, 1, 1])
    """

    def __init__(
        self, module: nn.Module, reads: Iterable[str], relaid: Callable[[Tensor], Tensor | None] | None = None
    ) -> None:
        self.module, self.relaid = module, relaid
        self.reads = tuple(dict.fromkeys(reads))
        self._requested: dict[str, dict[int, list[tuple[str, str]]]] = {}
        for address in self.reads:
            name, call, part = resolve(module, address)
            self._requested.setdefault(name, {}).setdefault(call, []).append((address, part))
        self._found: dict[str, Tensor] = {}
        self._calls: dict[str, int] = {}
        self._thread, self._ends, self._hooks = 0, True, ExitStack()
        self._draws = OwnDraws()

    def __enter__(self) -> Capture:
        modules = named_layers(self.module)
        for name, calls in self._requested.items():
            handle = modules[name].register_forward_hook(self._hook(name, calls))
            self._hooks.callback(handle.remove)
        return self

    def __exit__(self, *exception: object) -> None:
        self._hooks.close()
        self._found = {}

    def _hook(self, name: str, requested: Mapping[int, list[tuple[str, str]]]) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if threading.get_ident() != self._thread:
                return
            call = self._calls.get(name, 0)
            self._calls[name] = call + 1
            if call not in requested:
                return
            ends = self._ends and len(self._found) + len(requested[call]) == len(self.reads)
            for address, part in requested[call]:
                tensor = select_tensor(output, part, name)
                self._found[address] = tensor if ends else tensor.clone()
            if ends:
                raise _StopForward

        return hook

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Activations by address, of `x` as the network takes it: (B, C, H, W), normalised."""
        try:
            return self._run(x)
        except FORWARD_ERRORS as error:
            again = self.relaid(x) if self.relaid is not None and may_be_memory_order(error) else None
            if again is None:
                raise
        return self._run(again)

    def _run(self, x: Tensor) -> dict[str, Tensor]:
        self._found, self._calls, self._thread = {}, {}, threading.get_ident()
        if not self.reads:
            return {}
        try:
            with self._draws.apply(x.device):
                self.module(x)
        except _StopForward:
            return self._take()
        except Exception:
            if not (self._ends and self._complete):
                raise
        finally:
            self._thread = 0
        if not self._complete:
            raise self._unreached()
        if not self._ends:
            return self._take()
        # The network caught our exception (a bare `except:`) and ran on: from now on it runs to its own end.
        self._ends = False
        return self._run(x)

    @property
    def _complete(self) -> bool:
        return len(self._found) == len(self.reads)

    def _take(self) -> dict[str, Tensor]:
        found, self._found = self._found, {}
        return found

    def _unreached(self) -> LayerNotFound:
        missing = next(address for address in self.reads if address not in self._found)
        name, _, _ = resolve(self.module, missing)
        return LayerNotFound(
            f"layer {missing!r} was not reached: module {name!r} ran {self._calls.get(name, 0)} times in a forward "
            "pass (give another address, or name#k with a smaller k)"
        )
