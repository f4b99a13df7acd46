"""The axes of a network's layers, found when they are first needed, and tensors arranged by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from torch import Tensor, nn

from inverter.capture.addresses import ALL, Address
from inverter.capture.attention import WEIGHTS, attended, is_attention
from inverter.capture.axes import Axes
from inverter.capture.axes_finder import ForwardPass, Size, find_axes, outputs_maps
from inverter.isolation.frozen import frozen


class Places:
    """The axes of a network's layers, found when they are first needed.

    Args:
        given: axes by a pattern for addresses (`*`, `?`, `[...]` as in `fnmatch`), which count before what is found.
    """

    def __init__(self, given: Mapping[str, Axes] | None = None) -> None:
        self.given = dict(given or {})
        self._known: dict[Address, Axes] = {}
        self._looked: set[Size] = set()

    def axes(self, module: nn.Module, address: Address, run: ForwardPass, size: Size) -> Axes | None:
        """The axes of a layer's tensor; None if it did not run.

        Args:
            module: the network.
            address: of the layer.
            run: runs the network.
            size: (height, width) in pixels that it takes.
        """
        if is_attention(address.part):
            tokens = self.axes(module, address._replace(part=""), run, size)
            return None if tokens is None else Axes("BNC", prefix=tokens.prefix, ordered=tokens.ordered)
        address = address._replace(token="")
        found = self._find(module, address, run, size)
        given = next((axes for pattern, axes in self.given.items() if fnmatchcase(address.name, pattern)), None)
        return given if given and (found is None or found.rank == given.rank) else found

    def _find(self, module: nn.Module, address: Address, run: ForwardPass, size: Size) -> Axes | None:
        if address not in self._known and not address.part and outputs_maps(module.get_submodule(address.name)):
            return Axes("BCHW")
        if address not in self._known and size not in self._looked:
            self._looked.add(size)
            with frozen(module):  # other threads wait while there are hooks
                self._known = find_axes(module, run, size) | self._known
        return self._known.get(address)

    def arrange(
        self, tensor: Tensor, batch: int, size: Size, address: Address, find: Callable[[], Axes | None]
    ) -> Tensor:
        """The tensor of a layer as maps (B, C, h, w), or as it is if it holds vectors or numbers.

        Args:
            tensor: of the layer.
            batch: number of pictures B.
            size: (height, width) of the pictures in pixels.
            address: of the layer; with a token, the result is (B, C).
            find: returns the layer's axes.
        """
        if address.token == ALL or (not address.token and (tensor.ndim < 2 or tensor.shape[:-1] == (batch,))):
            return tensor
        axes = find()
        if address.part == WEIGHTS:
            return attended(tensor, axes, size, address.token, address.name)
        if axes is None or axes.rank != tensor.ndim:
            return tensor
        if address.token:
            return axes.token(tensor, batch, address.token, address.name)
        return axes.maps(tensor, batch, size)
