"""The network under inspection: the frozen module, how to feed it, and how to address its layers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from inverter.capture.addresses import check_address, resolve
from inverter.capture.axes import Axes, AxesByPattern, as_axes
from inverter.capture.capture import Capture
from inverter.capture.places import Places
from inverter.devices import as_device
from inverter.failures import batched, cannot_process
from inverter.input_values import (
    UNIT,
    Normalize,
    ShowChannels,
    ValueRange,
    as_normalization,
    as_show_channels,
    as_value_range,
    check_shown,
    in_unit_range,
    taken_channels,
)
from inverter.isolation.forward_errors import FORWARD_ERRORS, may_be_memory_order
from inverter.isolation.frozen import frozen
from inverter.isolation.layouts import as_channels_last, lay_out
from inverter.isolation.memory import keep_memory
from inverter.isolation.own_draws import OwnDraws
from inverter.isolation.switches import normal_tensors
from inverter.isolation.torchscript import as_layers
from inverter.isolation.weights_hash import sha256_of
from inverter.isolation.wrappers import unwrap
from inverter.text import TextTower, encoded
from inverter_errors import BadInput, GuessedSizeWarning, InverterError
from priors.base import as_size

GUESSED_SIZE = (224, 224)
"""(height, width) in pixels of a network's input where nobody says it: that of most networks."""
SizeFrom = Literal["network", "pictures", "guess"]
"""Where an input size comes from: the network's source or the user; the size of the pictures; or `GUESSED_SIZE`."""
_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""Types of weights that pictures can have as well."""


class Model:
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

    Raises:
        BadInput: for an unknown normalisation, unknown axes, or a channel to be shown that pictures do not have.
    """

    layout: torch.memory_format = torch.channels_last
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
        self.size_from: SizeFrom = "network" if input_size else "guess"
        self.categories, self.text = tuple(categories), text
        self.value_range: tuple[float, float] = UNIT
        self.show_channels: tuple[int, ...] = ()
        self.take(normalize, value_range, show_channels)
        self.declare(axes)

    def declare(self, axes: AxesByPattern | None) -> None:
        """Sets the axes of layers whose places a forward pass does not show.

        Args:
            axes: see `load_model`.

        Raises:
            BadInput: for unknown axes.
        """
        self._places = Places(as_axes(axes))

    def __repr__(self) -> str:
        height, width = self.input_size
        return f"Model({self.spec}, {self.parameters:,} parameters, {height}x{width}, on {self.device})"

    def take(
        self,
        normalize: Normalize | None = None,
        value_range: ValueRange | None = None,
        show_channels: ShowChannels | None = None,
    ) -> None:
        """Sets what pictures the network takes: see `load_model`.

        Args:
            normalize: of the network's values; None for the default.
            value_range: None for that it has.
            show_channels: None for those it has.

        Raises:
            BadInput: for a value of another form, or a channel to be shown that pictures do not have.
        """
        if value_range is not None:
            self.value_range = as_value_range(value_range)
        channels = taken_channels(self)
        photographs = channels == 3 and self.value_range == UNIT
        known = as_normalization(normalize or ("imagenet" if photographs else "none"), channels)
        self.mean, self.std = in_unit_range(*known, self.value_range)
        if show_channels is not None:
            self.show_channels = as_show_channels(show_channels) if show_channels != () else ()
        check_shown(self.show_channels, len(self.mean), self.spec)

    @property
    def device(self) -> torch.device:
        """The device of the first parameter or buffer; the CPU if there is none."""
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            return tensor.device
        return torch.device("cpu")

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def sha256(self) -> str:
        """Hex digest of the weights as they are now (`inverter.isolation.weights_hash`); 100 MB take about 0.1 s."""
        return sha256_of(self.module)

    def size_for(self, size: tuple[int, int] | None = None) -> tuple[int, int]:
        """The size at which the network is run.

        Args:
            size: (height, width) in pixels that is requested, if any.

        Returns:
            That, else the network's input size. Warns if it is a guess.
        """
        if size is None and self.size_from == "guess":
            height, width = self.input_size
            warnings.warn(
                f"the input size of {self.spec} is not known: using {height}x{width}; set input_size",
                GuessedSizeWarning,
                stacklevel=1,  # one place for all, so that it is shown once
            )
        return size or self.input_size

    @property
    def own_size(self) -> str:
        """The input size for errors, as HxW."""
        return "not known: set input_size" if self.size_from == "guess" else "{}x{}".format(*self.input_size)

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

    def check_layer(self, address: str) -> None:
        """Checks that the network has a layer.

        Args:
            address: of the layer.

        Raises:
            LayerNotFound: if it does not; it shows the nearest addresses.
        """
        check_address(self.module, address)

    def normalize(self, image: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] as the network takes them, in its type and memory order (see `layout`)."""
        mean, std = _on(image.device, self.mean, self.std)
        entering = ((image - mean) / std).to(self.dtype)
        return as_channels_last(entering) if self.layout == torch.channels_last else entering.contiguous()

    @property
    def dtype(self) -> torch.dtype:
        """The type of the first floating-point parameter or buffer; float32 if there is none."""
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            if tensor.dtype in _TYPES:
                return tensor.dtype
        return torch.float32

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

    def relay(self) -> bool:
        """Has pictures enter in row-major memory order from now on; False if they did already."""
        if self.layout == torch.contiguous_format:
            return False
        self.layout = torch.contiguous_format
        if self.spec != "module":  # `load_model` laid out the weights of all others
            lay_out(self.module, self.layout)
        return True

    def _relaid(self, entering: Tensor) -> Tensor | None:
        return entering.clone(memory_format=self.layout) if self.relay() else None

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
        where = resolve(self.module, address)
        for each in dict.fromkeys([*own, size or self.input_size]):
            if (found := self._places.axes(self.module, where, self._look, each)) is not None:
                return found
        return None

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
        addresses = {address: resolve(self.module, address) for address in reads}

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
            Capture(self.module, reads, self._relaid, arrange) as capture,
        ):
            yield capture

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

    def _grey(self, count: int, size: tuple[int, int]) -> Tensor:
        """(count, C, height, width), grey pictures."""
        return torch.full((count, len(self.mean), *size), 0.5, dtype=torch.float32, device=self.device)


@cache
def _on(device: torch.device, *numbers: tuple[float, ...]) -> tuple[Tensor, ...]:
    """Numbers of each channel as tensors (C, 1, 1), copied to the device once and not in every step."""
    with torch.inference_mode(False):  # else a first call in inference mode would break all later gradients
        return tuple(torch.tensor(each, dtype=torch.float32, device=device)[:, None, None] for each in numbers)
