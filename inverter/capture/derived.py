"""Layers that sets of directions make of a network's own: `features.9:sae` is the latents' map of `features.9`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from inverter.capture.addresses import ALL, INPUT
from inverter.capture.attention import is_attention
from inverter.directions.directions import Directions
from inverter.directions.gates import input_moments
from inverter_errors import BadInput, BadType, LayerNotFound

DOTS: Final = ".dot"
"""In an address `layer:NAME.dot`: the dot products with the decoder's rows, whatever the encoder and the gate are."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


class Derived(NamedTuple):
    """A layer that directions make of another.

    Attributes:
        base: address of that other layer.
        set: name of the set of directions.
        dots: True for dot products with the decoder's rows, False for latents.
    """

    base: str
    set: str
    dots: bool


class DerivedLayers(Mapping[str, Directions]):
    """Sets of directions by name, with the layers that they add to a network.

    A set `sae` of the layer `features.9` adds two layers: `features.9:sae`, its latents, and `features.9:sae.dot`, the
    dot products with its decoder's rows. Both have the places of `features.9`, and a channel for each direction. A
    token stands at the end: `blocks.6:sae@cls` are the latents of the class token.

    Args:
        sets: by name; each name of letters, digits, `_`, `-` and `.`.

    Raises:
        BadType: for a value that is no `Directions`.
        BadInput: for another name, or one that has a meaning of its own in addresses.

    Example:
        >>> layers = DerivedLayers({"sae": Directions("features.9", torch.eye(2, 3))})
        >>> layers.address("sae"), layers.derived("features.9:sae"), layers.derived("features.9")
        ('features.9:sae', Derived(base='features.9', set='sae', dots=False), None)
    """

    def __init__(self, sets: Mapping[str, Directions] = MappingProxyType({})) -> None:
        for name, one in sets.items():
            if not isinstance(one, Directions):
                raise BadType(f"directions {name!r}: expected a set of directions, got {type(one).__name__}")
            if not _NAME.fullmatch(name) or name == INPUT or is_attention(name) or name.endswith(DOTS):
                raise BadInput(
                    f"directions {name!r}: expected a name of letters, digits, _, - and ., which stands in the address "
                    f"of its layer: {one.layer}:NAME"
                )
        self._sets = dict(sets)
        self._there: dict[tuple[str, bool, torch.device], Directions] = {}

    def __getitem__(self, name: str) -> Directions:
        return self._sets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def address(self, name: str, dots: bool = False) -> str:
        """The address of the layer that a set adds.

        Args:
            name: of the set.
            dots: True for that of the dot products.
        """
        layer, mark, token = self[name].layer.partition("@")
        return f"{layer or 'output'}:{name}{DOTS if dots else ''}{mark}{token}"

    def addresses(self, dots: bool = False) -> list[str]:
        """The addresses of the layers that all sets add: see `address`."""
        return [self.address(name, dots) for name in self]

    def derived(self, address: str) -> Derived | None:
        """What a layer is derived from; None for a layer of the network itself.

        Args:
            address: of any layer.

        Raises:
            LayerNotFound: for a set of another layer, or all tokens of one.
        """
        front, mark, token = address.partition("@")
        layer, _, name = front.rpartition(":")
        dots = name.endswith(DOTS) and name not in self
        name = name.removesuffix(DOTS) if dots else name
        if not layer or name not in self:
            return None
        own = self[name].layer.partition("@")[0]
        if _same(layer) != _same(own) or token == ALL:
            raise LayerNotFound(
                f"no layer {address!r}: {name!r} are directions of {own!r}, read as {self.address(name)!r}"
            )
        return Derived(f"{_same(layer)}{mark}{token}", name, dots)

    def base(self, address: str) -> str:
        """The address of the network's own layer that a layer is, or is derived from."""
        found = self.derived(address)
        return address if found is None else found.base

    def read(self, derived: Derived, activation: Tensor) -> Tensor:
        """The tensor of a derived layer.

        Args:
            derived: from `derived`.
            activation: of its base, (B, C, H, W), (B, C) or (B,).

        Returns:
            (B, N, H, W) or (B, N), float32.

        Raises:
            BadInput: for another number of channels than that of the directions.
        """
        vectors = activation[:, None] if activation.ndim == 1 else activation
        with torch.autocast(vectors.device.type, enabled=False):  # a gate decides on small differences
            return self.on(derived.set, vectors.device, derived.dots).encode(vectors, axis=1)

    def exchange(self, derived: Derived, replace: Callable[[Tensor], Tensor], activation: Tensor) -> Tensor:
        """A base with other latents: activation + decode(replace(latents)) - decode(latents).

        What the latents do not hold, the error of the reconstruction, stays as it is (Marks et al. 2024, "Sparse
        feature circuits": the error node).

        Args:
            derived: from `derived`.
            replace: latents -> a tensor of the same shape.
            activation: of its base.

        Returns:
            The same shape and type as the activation, with gradients to what `replace` returns.
        """
        directions, latents = self.on(derived.set, activation.device, derived.dots), self.read(derived, activation)
        change = directions.decode(replace(latents), axis=1) - directions.decode(latents, axis=1)
        _, spread = input_moments(activation.float().movedim(1, -1), directions.input_norm)
        return activation + (change.movedim(1, -1) * spread).movedim(-1, 1).to(activation.dtype)

    def on(self, name: str, device: torch.device, dots: bool = False) -> Directions:
        """A set on a device, copied once: a recorded step reads it where it is.

        Args:
            name: of the set.
            device: where it is read.
            dots: True for one that reads by dot products with the decoder's rows alone.
        """
        key = name, dots, device
        if key not in self._there:
            one = self[name]
            if dots:
                reading = ("encoder", "encoder_bias", "center", "scale", "thresholds", "k")
                one = dataclasses.replace(one, gate="none", input_norm="none", **dict.fromkeys(reading))  # type: ignore[arg-type]
            with torch.inference_mode(False):  # else a first call in inference mode would break all later gradients
                self._there[key] = one.to(device)
        return self._there[key]


def _same(layer: str) -> str:
    """One spelling of a layer: the network's output has two."""
    return "" if layer == "output" else layer


class DerivedCapture:
    """A `Capture` that returns derived layers as well.

    Args:
        capture: of the network's own layers, among them the bases.
        reads: addresses, derived or not.
        layers: the derived ones.
    """

    def __init__(self, capture: Any, reads: Sequence[str], layers: DerivedLayers) -> None:
        self._capture, self._layers = capture, layers
        self._reads = {read: layers.derived(read) for read in reads}

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Activations by address, in the order in which the layers run: see `Capture`."""
        return {
            read: activation if found is None else self._layers.read(found, activation)
            for layer, activation in self._capture(x).items()
            for read, found in self._reads.items()
            if layer == (read if found is None else found.base)
        }

    @property
    def drew(self) -> bool:
        """True if the network has drawn random numbers: see `Capture`."""
        drew: bool = self._capture.drew
        return drew
