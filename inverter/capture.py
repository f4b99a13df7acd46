"""Activations of named layers, captured in one truncated forward pass that leaves the network unchanged."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from inverter.attention import Attentions, is_attention, read_attention
from inverter.device_faults import gpu_lost, out_of_memory
from inverter.outputs import first_tensor, select_tensor
from inverter.own_draws import OwnDraws
from inverter.torchscript import Scripted, named_layers
from inverter_errors import BadInput, InverterError, LayerNotFound

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


INPUT = "in"
"""In an address `name:in`: the tensor that goes into the module, not what comes out."""
ALL = "all"
"""In an address `name@all`: the tensor as the module outputs it, with all of its axes and tokens."""


class Address(NamedTuple):
    """The parts of an address.

    Attributes:
        name: of the module, as in `named_modules()`.
        call: which of the module's calls in a forward pass, from 0.
        part: name of one of several tensors in the output, or `INPUT`; "" for the main one; `attention` or `head.K` of
            a module that computes attention (see `inverter.attention`).
        token: `cls`, the index of a token, or `ALL`; "" for the maps of all places.
    """

    name: str
    call: int = 0
    part: str = ""
    token: str = ""


def resolve(module: nn.Module, address: str) -> Address:
    """The parts of an address.

    Args:
        module: the network.
        address: a dotted name of `named_modules()`, optionally with `#k` for the k-th call, then `:NAME` for one of
            several tensors in its output, `:in` for its input, `:attention` for the weights of its attention or
            `:head.K` for the output of one head, then `@cls`, `@k` for one token or `@all` for the
            tensor as it is. "" or `output` is the network itself.

    Raises:
        LayerNotFound: for a name that the network does not have; it shows the nearest addresses.

    Example:
        >>> resolve(nn.Sequential(nn.ReLU()), "0#1")
        Address(name='0', call=1, part='', token='')
        >>> resolve(nn.Sequential(nn.ReLU()), "0:in@cls")
        Address(name='0', call=0, part='in', token='cls')
    """
    names = named_layers(module)
    layer, mark, token = address.rpartition("@")
    if not mark or address in names:
        layer, token = address, ""
    first, _, tensor = layer.partition(":")
    for text, part in ((layer, ""), (first, tensor)):
        name, call = split_address(text)
        if name in names:
            return Address(name, call, part, token)
        if name == "output":
            return Address("", call, part, token)
    if isinstance(module, Scripted):
        raise LayerNotFound(
            f"no layer {address!r}: of a network in TorchScript only the output can be read; give the nn.Module that "
            "it was made from"
        )
    name, _ = split_address(first)
    if name in dict(module.named_modules()):
        raise LayerNotFound(
            f"layer {name!r} is in TorchScript, where no layer can be read: read one before or after it"
        )
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
