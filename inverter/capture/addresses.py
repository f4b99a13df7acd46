"""The addresses of layers: `blocks.6.attn.proj:in@cls` and the like, as users write them."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from torch import nn

from inverter.isolation.torchscript import Scripted, named_layers
from inverter_errors import LayerNotFound

INPUT = "in"
"""In an address `name:in`: the tensor that goes into the module, not what comes out."""
ALL = "all"
"""In an address `name@all`: the tensor as the module outputs it, with all of its axes and tokens."""


def split_address(address: str) -> tuple[str, int]:
    """`layer1.0.relu#1` as (`layer1.0.relu`, 1): the module's name, and the index of its call in one forward pass."""
    name, mark, call = address.rpartition("#")
    return (name, int(call)) if mark and call.isdecimal() else (address, 0)


class Address(NamedTuple):
    """The parts of an address.

    Attributes:
        name: of the module, as in `named_modules()`.
        call: which of the module's calls in a forward pass, from 0.
        part: name of one of several tensors in the output, or `INPUT`; "" for the main one; `attention` or `head.K` of
            a module that computes attention (see `inverter.capture.attention`).
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
