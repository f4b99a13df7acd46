"""Activations of named layers, captured in one truncated forward pass that leaves the network unchanged."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from inverter.torchscript import Scripted
from inverter_errors import BadType, LayerNotFound


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


def check_address(module: nn.Module, address: str) -> None:
    """Checks that an address names a module of the network.

    Args:
        module: the network.
        address: a dotted name of `named_modules()`, optionally with `#k`.

    Raises:
        LayerNotFound: if it does not; it shows the nearest addresses.
    """
    name, _ = split_address(address)
    names = [known for known, _ in module.named_modules()]
    if name in names:
        return
    if isinstance(module, Scripted):
        raise LayerNotFound(
            f"no layer {address!r}: of a network in TorchScript only the output can be read; give the nn.Module that "
            "it was made from"
        )
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or [known for known in names if known][:5]
    raise LayerNotFound(f"no layer {address!r} in {type(module).__name__}; the nearest are: {', '.join(near)}")


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Holds `module` in eval mode, without parameter gradients and uncompiled; then restores every flag exactly.

    Hooks that end a forward pass early cannot run inside a compiled graph, so compiled parts run eagerly inside.
    """
    modes = [(part, part.training) for part in module.modules()]
    gradients = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    try:
        for part, _ in modes:
            part.training = False  # not .eval(): a user's override of it might change more than the flag
        for parameter, needs in gradients:
            if needs:
                parameter.requires_grad_(False)
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for part, training in modes:
            part.training = training
        for parameter, needs in gradients:
            if parameter.requires_grad != needs:
                parameter.requires_grad_(needs)


def first_tensor(output: Any) -> Tensor | None:
    """The first tensor in a module's output: the output itself, or in a tuple, list, mapping or output object."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        output = output.values()
    if isinstance(output, Iterable) and not isinstance(output, str | bytes):
        for part in output:
            if (found := first_tensor(part)) is not None:
                return found
    return None


class Capture:
    """A context in which `capture(x)` runs `module` on x just as far as the deepest requested layer.

    Hooks are removed when the context ends, whatever happens in it. A captured tensor is a copy, unless the forward
    pass ends with it: a later in-place operation (a ReLU, `x += y`) would otherwise write into it.

    Args:
        module: the network (see `unwrap`).
        reads: addresses: exact dotted `named_modules()` names, "" for the network's own output, `name#k` for the
            k-th call of a module that runs several times in one forward pass.

    Raises:
        LayerNotFound: for an address that is not in the network; when called, for one that the forward pass does not
            reach.
        BadType: when called, for a layer that returns no tensor.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4, 2))
        >>> with Capture(net, ["0"]) as capture:
        ...     capture(torch.zeros(1, 3, 3, 3))["0"].shape
        torch.Size([1, 4, 1, 1])
    """

    def __init__(self, module: nn.Module, reads: Iterable[str]) -> None:
        self.module = module
        self.reads = tuple(dict.fromkeys(reads))
        for address in self.reads:
            check_address(module, address)
        self._found: dict[str, Tensor] = {}
        self._calls: dict[str, int] = {}
        self._hooks = ExitStack()

    def __enter__(self) -> Capture:
        modules = dict(self.module.named_modules())
        requested: dict[str, dict[int, list[str]]] = {}
        for address in self.reads:
            name, call = split_address(address)
            requested.setdefault(name, {}).setdefault(call, []).append(address)
        for name, calls in requested.items():
            handle = modules[name].register_forward_hook(self._hook(name, calls))
            self._hooks.callback(handle.remove)
        return self

    def __exit__(self, *exception: object) -> None:
        self._hooks.close()
        self._found = {}

    def _hook(self, name: str, requested: Mapping[int, list[str]]) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            call = self._calls.get(name, 0)
            self._calls[name] = call + 1
            if call not in requested:
                return
            tensor = first_tensor(output)
            if tensor is None:
                raise BadType(
                    f"layer {name!r} returned {type(output).__name__}, expected a tensor or something that holds one"
                )
            last = len(self._found) + len(requested[call]) == len(self.reads)
            tensor = tensor if last else tensor.clone()
            self._found.update(dict.fromkeys(requested[call], tensor))
            if last:
                raise _StopForward

        return hook

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Activations by address, of `x` as the network takes it: (B, C, H, W), normalised."""
        self._found, self._calls = {}, {}
        if not self.reads:
            return {}
        try:
            self.module(x)
        except _StopForward:
            found, self._found = self._found, {}
            return found
        missing = [address for address in self.reads if address not in self._found]
        name, _ = split_address(missing[0])
        raise LayerNotFound(
            f"layer {missing[0]!r} was not reached: module {name!r} ran {self._calls.get(name, 0)} times in a forward "
            "pass (give another address, or name#k with a smaller k)"
        )
