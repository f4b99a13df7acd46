"""The network under inspection: the frozen module, how to feed it, and how to address its layers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

from inverter.capture.axes import AxesByPattern
from inverter.devices import as_device
from inverter.input_values import UNIT, Normalize, ShowChannels, ValueRange
from inverter.isolation.torchscript import as_layers
from inverter.isolation.wrappers import unwrap
from inverter.layer_reader import LayerReader
from inverter.network_input import GUESSED_SIZE
from inverter.text import TextTower, encoded
from inverter_errors import BadInput
from priors.base import as_size


class Model(LayerReader):
    """The network under inspection (Phi in the formula), which is never changed; `load_model` makes one.

    Args:
        module: the network; DataParallel and torch.compile are unwrapped.
        spec: how it was named, e.g. `torchvision:squeezenet1_0`.
        normalize: see `load_model`; None for that of ImageNet, or none if the network does not take three channels.
        input_size: (height, width) in pixels that it was trained for; None if that is not known.
        categories: names of the classes, () if unknown.
        weights: the file of the weights, if there is one.
        axes: of layers whose places a forward pass does not show: axes as `Axes.parse` reads them, by a pattern for
            addresses (as in `fnmatch`).
        text: the text tower whose vectors lie in the space of the network's output, if there is one (CLIP, SigLIP).
        value_range: see `load_model`.
        show_channels: see `load_model`.

    Attributes:
        module: the network itself. It comes back from every use exactly as it was: mode, requires_grad, hooks, weights.
            One in TorchScript is wrapped (`inverter.isolation.torchscript`): only its output can be read.
        spec: as given.
        input_size: as given; `GUESSED_SIZE` if it is not known.
        size_from: where the input size comes from: `network` (its source, or the user), `pictures`, or `guess`.
        mean: of each channel; a picture x in [0, 1] enters as (x - mean) / std. Their number is that of the channels
            the network takes: 3 for colours, 1 for grey pictures, or any other.
        std: standard deviation of each channel.
        value_range: (low, high), the values that the 0 and the 1 of a picture stand for in arrays.
        show_channels: channels that a picture file shows, in order; () for all.
        layout: the memory order in which pictures enter: channels last, which is the fastest to convolve, until a
            forward pass raises an error that it does not raise in row-major order (a `view` of a map, for example).
        networks: of several at once (`inverter.ensemble`), each by its name; empty for one network.
        categories: as given, a tuple.
        weights: as given.
        text: as given (`inverter.text`).
        directions: sets of directions by name, with the layers that they add (`with_directions`).

    Raises:
        BadInput: for an unknown normalisation, unknown axes, or a channel to be shown that pictures do not have.
    """

    networks: Mapping[str, Model] = MappingProxyType({})

    def __init__(
        self,
        module: nn.Module,
        spec: str = "module",
        normalize: Normalize | None = None,
        input_size: tuple[int, int] | None = None,
        categories: Sequence[str] = (),
        weights: Path | None = None,
        axes: AxesByPattern | None = None,
        text: TextTower | None = None,
        value_range: ValueRange = UNIT,
        show_channels: ShowChannels = (),
    ) -> None:
        self.module = as_layers(unwrap(module))
        self.spec = spec
        self.weights = weights
        self.input_size = input_size or GUESSED_SIZE
        self.size_from = "network" if input_size else "guess"
        self.categories, self.text = tuple(categories), text
        self.take(normalize, value_range, show_channels)
        self.declare(axes)

    def __repr__(self) -> str:
        height, width = self.input_size
        return f"Model({self.spec}, {self.parameters:,} parameters, {height}x{width}, on {self.device})"

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    def assuming(self, size: int | tuple[int, int] | None) -> Model:
        """This model, with pictures of this size as its input where its own is not known.

        Args:
            size: of the pictures in pixels, one number or (height, width); None if it is not known either.

        Returns:
            The model itself, or a copy that shares the network.
        """
        if size is None or self.size_from != "guess":
            return self
        assumed = copy.copy(self)
        assumed.input_size, assumed.size_from = as_size(size), "pictures"
        return assumed

    def on(self, device: str | torch.device | None) -> Model:
        """This model on another device; the user's module never moves.

        Args:
            device: `auto` (also None), or a torch device.

        Returns:
            The model itself if it is there already, else a copy.

        Raises:
            BadInput: for a device that is not available.
        """
        target = as_device(device)
        here = self.device
        if target.type == here.type and (target.index is None or target.index == here.index):
            return self
        moved = copy.copy(self)
        moved.module = copy.deepcopy(self.module).to(target)
        return moved

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Texts as directions in the space of the network's output.

        Args:
            texts: N of them.

        Returns:
            (N, D) float32 of length 1, on the CPU.

        Raises:
            BadInput: for a network without a text tower, no texts, an empty one, or a tower that fails.
        """
        if self.text is None:
            raise BadInput(
                f"{self.spec} has no text tower: give a network with one (CLIP, SigLIP), or a factory that returns "
                "(network, {'text': texts -> (N, D)})"
            )
        return encoded(self.text, texts, self.spec)
