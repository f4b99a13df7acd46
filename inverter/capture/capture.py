"""Activations of named layers, captured in one truncated forward pass that leaves the network unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from inverter.capture.addresses import INPUT, resolve
from inverter.capture.attention import Attentions, is_attention, read_attention
from inverter.capture.outputs import first_tensor, select_tensor
from inverter.isolation.forward_errors import FORWARD_ERRORS, may_be_memory_order
from inverter.isolation.own_draws import OwnDraws
from inverter.isolation.torchscript import named_layers
from inverter_errors import BadInput, LayerNotFound


class _StopForward(BaseException):
    """Ends a forward pass once every requested layer has run; no `except Exception` of a network catches it."""


def _exactly(device: str) -> AbstractContextManager[Any]:
    """A context without autocast."""
    return torch.autocast(device, enabled=False)


class Capture:
    """A context in which `capture(x)` runs `module` on x just as far as the deepest requested layer.

    Hooks are removed when the context ends, whatever happens in it, and pass over calls from other threads. A captured
    tensor is a copy, unless the forward pass ends with it: a later in-place operation (a ReLU, `x += y`) would
    otherwise write into it.

    Args:
        module: the network (see `unwrap`).
        reads: addresses (see `resolve`).
        relaid: where a forward pass raises an error, it is tried once more on what this function makes of the input;
            None: it is not. Under autocast it is first tried without.
        arrange: makes of (address, tensor of the layer, input) what a call returns; None returns the tensor.

    Raises:
        LayerNotFound: for an address that is not in the network; when called, for one that the forward pass does not
            reach.
        BadType: when called, for a layer that returns no tensor.
        BadInput: when called, for a layer that returns several tensors if the address chooses none of them, or a module
            without a tensor as its input.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4, 2))
        >>> with Capture(net, ["0"]) as capture:
        ...     capture(torch.zeros(1, 3, 3, 3))["0"].shape
        torch.Size([1, 4, 1, 1])
    """

    def __init__(
        self,
        module: nn.Module,
        reads: Iterable[str],
        relaid: Callable[[Tensor], Tensor | None] | None = None,
        arrange: Callable[[str, Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.module, self.relaid, self.arrange = module, relaid, arrange
        self.reads = tuple(dict.fromkeys(reads))
        self._requested: dict[tuple[str, bool], dict[int, list[tuple[str, str]]]] = {}
        for address in self.reads:
            found = resolve(module, address)
            calls = self._requested.setdefault((found.name, found.part == INPUT), {})
            calls.setdefault(found.call, []).append((address, found.part))
        self._found: dict[str, Tensor] = {}
        self._calls: dict[tuple[str, bool], int] = {}
        self._thread, self._ends, self._hooks = 0, True, ExitStack()
        self._attention: Attentions | None = None
        self._exact = False  # the network raises errors under autocast
        self._draws = OwnDraws()

    def __enter__(self) -> Capture:
        modules = named_layers(self.module)
        if any(is_attention(part) for calls in self._requested.values() for each in calls.values() for _, part in each):
            self._attention = self._hooks.enter_context(read_attention(self.module))
        for (name, entering), calls in self._requested.items():
            record = self._recorder((name, entering), calls)
            if entering:
                handle = modules[name].register_forward_pre_hook(
                    lambda _module, inputs, named, record=record: record([*inputs, *named.values()]), with_kwargs=True
                )
            else:
                handle = modules[name].register_forward_hook(
                    lambda _module, _inputs, output, record=record: record(output)
                )
            self._hooks.callback(handle.remove)
        return self

    def __exit__(self, *exception: object) -> None:
        self._hooks.close()
        self._found = {}

    def _recorder(
        self, source: tuple[str, bool], requested: Mapping[int, list[tuple[str, str]]]
    ) -> Callable[[Any], None]:
        """Keeps the requested tensors of what goes into or comes out of a module."""

        def record(held: Any) -> None:
            if threading.get_ident() != self._thread:
                return
            call = self._calls.get(source, 0)
            self._calls[source] = call + 1
            if call not in requested:
                return
            ends = self._ends and len(self._found) + len(requested[call]) == len(self.reads)
            for address, part in requested[call]:
                tensor: Tensor | None
                if self._attention is not None and is_attention(part):
                    tensor = self._attention.tensor(source[0], call, part)
                else:
                    tensor = first_tensor(held) if part == INPUT else select_tensor(held, part, source[0])
                if tensor is None:
                    raise BadInput(f"no tensor goes into module {source[0]!r}: choose another layer than {address!r}")
                self._found[address] = tensor if ends else tensor.clone()
            if ends:
                raise _StopForward

        return record

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Activations by address, of `x` as the network takes it: (B, C, H, W), normalised."""
        found = self._run_somehow(x)
        if self.arrange is None:
            return found
        return {address: self.arrange(address, tensor, x) for address, tensor in found.items()}

    def _run_somehow(self, x: Tensor) -> dict[str, Tensor]:
        """As it is; if that raises an error, in the type of the weights; if that does too, in another memory order."""
        try:
            return self._run(x)
        except FORWARD_ERRORS as error:
            if not may_be_memory_order(error):
                raise
            if torch.is_autocast_enabled(x.device.type) and not self._exact:
                self._exact = True
                try:
                    return self._run(x)
                except FORWARD_ERRORS:
                    self._exact = False
            again = self.relaid(x) if self.relaid is not None else None
            if again is None:
                raise
        return self._run_somehow(again)

    def _run(self, x: Tensor) -> dict[str, Tensor]:
        self._found, self._calls, self._thread = {}, {}, threading.get_ident()
        if not self.reads:
            return {}
        try:
            with self._draws.apply(x.device), _exactly(x.device.type) if self._exact else nullcontext():
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
    def drew(self) -> bool:
        """True if the network has drawn random numbers in a pass on a GPU."""
        return self._draws.drew

    @property
    def _complete(self) -> bool:
        return len(self._found) == len(self.reads)

    def _take(self) -> dict[str, Tensor]:
        found, self._found = self._found, {}
        return found

    def _unreached(self) -> LayerNotFound:
        missing = next(address for address in self.reads if address not in self._found)
        found = resolve(self.module, missing)
        ran = self._calls.get((found.name, found.part == INPUT), 0)
        return LayerNotFound(
            f"layer {missing!r} was not reached: module {found.name!r} ran {ran} times in a forward "
            "pass (give another address, or name#k with a smaller k)"
        )
