"""Reading a network's layers: its activations by address, their axes and shapes, with the network left as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor

from inverter.capture.addresses import check_address, resolve
from inverter.capture.axes import Axes, AxesByPattern, as_axes
from inverter.capture.capture import Capture
from inverter.capture.derived import DerivedCapture, DerivedLayers
from inverter.capture.places import Places
from inverter.directions.directions import Directions
from inverter.failures import batched, cannot_process
from inverter.isolation.forward_errors import FORWARD_ERRORS, may_be_memory_order
from inverter.isolation.frozen import frozen
from inverter.isolation.memory import keep_memory
from inverter.isolation.own_draws import OwnDraws
from inverter.isolation.switches import normal_tensors
from inverter.isolation.weights_hash import sha256_of
from inverter.network_input import NetworkInput
from inverter_errors import BadInput, InverterError


class LayerReader(NetworkInput):
    """A network whose layers are read by their addresses; `Model` derives from this class.

    Attributes:
        directions: sets of directions by name, with the layers that they add (`inverter.capture.derived`).
    """

    directions: DerivedLayers = DerivedLayers()

    def with_directions(self, sets: Mapping[str, Directions]) -> Self:
        """This model with the layers that sets of directions add to it.

        A set named `sae`, of the layer `features.9`, adds `features.9:sae`, the map (B, N, H, W) of its latents, and
        `features.9:sae.dot`, the dot products with the decoder's rows. They can be read wherever a layer can:
        `channel("features.9:sae", 17)` is the mean activation of latent 17.

        Args:
            sets: by name, in addition to those that the model has.

        Returns:
            A copy that shares the network.

        Raises:
            BadType: for a value that is no `Directions`.
            BadInput: for another network's directions, or a name that cannot stand in an address.
            LayerNotFound: for directions of a layer that the network does not have.

        Example:
            >>> from torch import nn
            >>> from inverter import load_model
            >>> model = load_model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_size=8)
            >>> model = model.with_directions({"two": Directions("0", torch.eye(2, 4), gate="relu")})
            >>> model.shapes(["0:two"])
            {'0:two': torch.Size([1, 2, 6, 6])}
        """
        added = copy.copy(self)
        added.directions = DerivedLayers({**self.directions, **sets})
        for one in sets.values():
            self.check_directions(one)
        return added

    def derived_layers(self, dots: bool = False) -> list[str]:
        """Addresses of the layers that sets of directions add to the network.

        Args:
            dots: True for those of the dot products with decoders' rows, False for those of latents.
        """
        return self.directions.addresses(dots)

    def directions_of(self, address: str) -> Directions | None:
        """The directions that a layer has in place of channels; None for a layer of the network itself.

        Args:
            address: of the layer.
        """
        found = self.directions.derived(address)
        return None if found is None else self.directions[found.set]

    def check_directions(self, directions: Directions) -> None:
        """Checks that directions are of this network, and of one of its layers.

        Args:
            directions: to be checked.

        Raises:
            BadInput: for another network's.
            LayerNotFound: for a layer that the network does not have.
        """
        if directions.sha256:
            directions.check(self.spec, self.sha256)
        self.check_layer(directions.layer)

    def declare(self, axes: AxesByPattern | None) -> None:
        """Sets the axes of layers whose places a forward pass does not show.

        Args:
            axes: see `load_model`.

        Raises:
            BadInput: for unknown axes.
        """
        self._places = Places(as_axes(axes))

    def check_layer(self, address: str) -> None:
        """Checks that the network has a layer.

        Args:
            address: of the layer.

        Raises:
            LayerNotFound: if it does not; it shows the nearest addresses.
        """
        check_address(self.module, self.directions.base(address))

    def axes(self, address: str, size: tuple[int, int] | None = None) -> Axes | None:
        """What each axis of a layer's tensor is: pictures, channels, places (see `inverter.capture.places`).

        Args:
            address: of the layer.
            size: (height, width) in pixels at which the network is run to find out if its own size is a guess, or
                does not reach the layer; default: `input_size`.

        Returns:
            The axes; None if the layer does not run, or outputs no tensor.

        Raises:
            LayerNotFound: for an unknown layer.
        """
        own = [self.input_size] if size is None or self.size_from != "guess" else []
        where = resolve(self.module, self.directions.base(address))
        for each in dict.fromkeys([*own, size or self.input_size]):
            if (found := self._places.axes(self.module, where, self._look, each)) is not None:
                return found
        return None

    @property
    def sha256(self) -> str:
        """Hex digest of the weights as they are now (`inverter.isolation.weights_hash`); 100 MB take about 0.1 s."""
        return sha256_of(self.module)

    @torch.no_grad()
    def _look(self, count: int, size: tuple[int, int]) -> None:
        """Runs the network on `count` grey pictures, in the memory order that it takes."""
        entering = self.normalize(self._grey(count, size))
        with normal_tensors(), frozen(self.module), OwnDraws().apply(entering.device):
            try:
                self.module(entering)
            except FORWARD_ERRORS as error:
                if not may_be_memory_order(error) or entering.is_contiguous():
                    raise
                self.module(entering.contiguous())

    @contextmanager
    def capture(self, reads: Sequence[str]) -> Iterator[Callable[[Tensor], dict[str, Tensor]]]:
        """A context in which the network is frozen and `capture(x)` returns activations by address.

        An activation is a map (B, C, H, W) or a vector (B, C), whatever the order of axes in the network: tokens of
        patches lie on their grid, and those before them (the class token) are left out (see `inverter.capture.axes`).

        Args:
            reads: addresses of layers; "" is the network's output. With `@cls` or `@k` the vector of one token, with
                `@all` the tensor as the layer outputs it.

        Yields:
            A `Capture`: a function of normalised pictures (B, C, H, W).

        Raises:
            LayerNotFound: for an unknown layer.
        """
        keep_memory()
        own = list(dict.fromkeys(map(self.directions.base, reads)))
        addresses = {address: resolve(self.module, address) for address in own}
        known: dict[str, Axes] = {}

        def axes(read: str, size: tuple[int, int]) -> Axes | None:
            if read not in known and (found := self.axes(read, size)) is not None:
                known[read] = found
            return known.get(read)

        def arrange(read: str, tensor: Tensor, entering: Tensor) -> Tensor:
            size, address = (entering.shape[2], entering.shape[3]), addresses[read]
            return self._places.arrange(tensor, len(entering), size, address, lambda: axes(read, size))

        with (
            normal_tensors(),
            frozen(self.module),
            Capture(self.module, own, self._relaid, arrange) as capture,
        ):
            yield capture if own == list(reads) else DerivedCapture(capture, reads, self.directions)

    @torch.no_grad()
    def shapes(self, reads: Sequence[str], size: tuple[int, int] | None = None) -> dict[str, torch.Size]:
        """The shape of each layer's activation for one picture, by address.

        Args:
            reads: addresses of layers; "" is the network's output.
            size: (height, width) of the picture in pixels; default: `input_size`.

        Returns:
            Shapes (1, ...), in the order in which the layers run.

        Raises:
            LayerNotFound: for an unknown layer.
            BadInput: if the network cannot process a picture of this size as far as these layers.
        """
        height, width = self.size_for(size)
        try:
            seen = self._seen(reads, (height, width))
        except InverterError:
            raise
        except FORWARD_ERRORS as error:
            raise cannot_process(self, error, (height, width), reads, self._seen) from error
        for address, tensor in seen.items():
            if 0 in tensor.shape:
                raise BadInput(
                    f"layer {address!r} of {self.spec} is empty for a picture of {height}x{width} pixels; "
                    f"give a larger size (its own is {self.own_size})"
                )
        return {address: tensor.shape for address, tensor in seen.items()}

    def nearest_size(self, reads: Sequence[str], size: tuple[int, int]) -> tuple[int, int]:
        """The size at which small pictures are made: many transformers take their own size alone.

        Args:
            reads: addresses of layers.
            size: (height, width) of the picture in pixels that is requested.

        Returns:
            That size, or the input size if the network can process pictures only of that.

        Raises:
            LayerNotFound: for an unknown layer.
            BadInput: if the network can process neither.
        """
        try:
            self.shapes(reads, size)
        except BadInput:
            if size == self.input_size:
                raise
            self.shapes(reads, self.input_size)
            return self.input_size
        return size

    def _seen(self, reads: Sequence[str], size: tuple[int, int]) -> dict[str, Tensor]:
        """Activations of one grey picture of `size` (height, width)."""
        with batched(self.module), self.capture(reads) as capture:
            return capture(self.normalize(self._grey(1, size)))
