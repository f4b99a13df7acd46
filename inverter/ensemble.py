"""Several networks as one: a picture that all of them agree on is seldom a texture that fools one."""

from __future__ import annotations

import copy
import difflib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter.capture.axes import Axes
from inverter.directions.directions import Directions
from inverter.input_values import Normalize, ShowChannels, ValueRange, as_show_channels, check_shown
from inverter.models import Model
from inverter_errors import BadInput, InverterError, LayerNotFound

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Ensemble(Model):
    """Several networks that see the same picture; `load_model({"a": one, "b": other})` makes one.

    `a:features.9` is the layer `features.9` of network `a`, and `a:` its output. The ensemble's own output, "", is the
    mean of the networks' outputs: a class index then stands for that class in all of them, and its softmax is the
    normalised product of their probabilities (Hinton 2002, "product of experts", with equal weights).

    Each network gets the picture with its own normalisation, in its own type and memory order. Where input sizes
    differ, the largest is the ensemble's; for the other networks a picture is scaled down in proportion, with
    antialiasing.

    Args:
        networks: by name; each name a word of letters, digits and `_`.
        categories: names of the classes; default: those of the first network that has some.

    Attributes:
        networks: as given, all on the device of the first.

    Raises:
        BadInput: for no networks, another name, or networks whose pictures differ in channels or range of values.

    Example:
        >>> parts = {"a": Model(nn.Conv2d(3, 4, 1), input_size=(8, 8)), "b": Model(nn.Conv2d(3, 4, 3))}
        >>> Ensemble(parts).shapes(["a:", "b:"])
        {'a:': torch.Size([1, 4, 8, 8]), 'b:': torch.Size([1, 4, 6, 6])}
    """

    def __init__(self, networks: Mapping[str, Model], categories: Sequence[str] = ()) -> None:
        if not networks:
            raise BadInput("several networks: got none; expected a network by each name, {'a': one, 'b': other}")
        for name in networks:
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                raise BadInput(f"network {name!r}: expected a name of letters, digits and _, such as a in 'a:LAYER'")
        first = next(iter(networks.values()))
        self.networks = {name: network.on(first.device) for name, network in networks.items()}
        for name, network in self.networks.items():
            if (len(network.mean), network.value_range) != (len(first.mean), first.value_range):
                raise BadInput(
                    f"network {name} takes pictures of {len(network.mean)} channels in {network.value_range}, and "
                    f"{next(iter(networks))} of {len(first.mean)} in {first.value_range}: all must take the same"
                )
        named = (network.categories for network in self.networks.values() if network.categories)
        super().__init__(
            nn.ModuleList(network.module for network in self.networks.values()),
            spec=" + ".join(f"{name}={network.spec}" for name, network in self.networks.items()),
            categories=categories or next(named, ()),
            value_range=first.value_range,
            show_channels=first.show_channels,
        )
        self._measure()

    def _measure(self) -> None:
        """Takes over the largest input size that is known."""
        known = [network for network in self.networks.values() if network.size_from != "guess"]
        if known:
            largest = max(known, key=lambda network: network.input_size[0] * network.input_size[1])
            self.input_size, self.size_from = largest.input_size, largest.size_from

    def take(
        self,
        normalize: Normalize | None = None,
        value_range: ValueRange | None = None,
        show_channels: ShowChannels | None = None,
    ) -> None:
        """Takes over what pictures the networks take: each normalises for itself.

        Args:
            normalize: must be None.
            value_range: that of the networks, or None.
            show_channels: None for those it has.

        Raises:
            BadInput: for a normalisation or a range of values: they are given where each network is loaded.
        """
        first = next(iter(self.networks.values()))
        if normalize is not None or value_range not in (None, first.value_range):
            raise BadInput(
                f"{self.spec}: each network has its own normalisation and values; give them where it is loaded"
            )
        self.value_range, channels = first.value_range, len(first.mean)
        self.mean, self.std = (0.0,) * channels, (1.0,) * channels
        if show_channels is not None:
            self.show_channels = as_show_channels(show_channels) if show_channels != () else ()
        check_shown(self.show_channels, channels, self.spec)

    @property
    def sha256(self) -> str:
        """Hex digest of the networks' names and weights."""
        parts = (f"{name} {network.sha256}\n" for name, network in self.networks.items())
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def _with(self, change: Callable[[Model], Model]) -> Ensemble:
        """This ensemble with every network changed; itself if none is."""
        networks = {name: change(network) for name, network in self.networks.items()}
        if all(networks[name] is network for name, network in self.networks.items()):
            return self
        changed = copy.copy(self)
        changed.networks = networks
        changed.module = nn.ModuleList(network.module for network in networks.values())
        changed._measure()
        return changed

    def on(self, device: str | torch.device | None) -> Ensemble:
        """This ensemble with all networks on another device: see `Model.on`."""
        return self._with(lambda network: network.on(device))

    def assuming(self, size: int | tuple[int, int] | None) -> Ensemble:
        """This ensemble, with this input size for the networks whose own is not known: see `Model.assuming`."""
        return self._with(lambda network: network.assuming(size))

    def with_directions(self, sets: Mapping[str, Directions]) -> Ensemble:
        """This ensemble with the layers that sets of directions add to its networks: see `Model.with_directions`.

        A set belongs to the first network whose weights it was made with: its latents are `a:features.9:sae`.

        Args:
            sets: by name.

        Raises:
            BadInput: for directions of none of the networks.
        """
        added = copy.copy(self)
        added.networks = dict(self.networks)
        for set_name, one in sets.items():
            for name, network in self.networks.items():
                try:
                    network.check_directions(one)
                except InverterError as found:
                    error = found
                    continue
                added.networks[name] = added.networks[name].with_directions({set_name: one})
                break
            else:
                raise error
        return added

    def derived_layers(self, dots: bool = False) -> list[str]:
        """Addresses of the layers that sets of directions add to the networks: see `Model.derived_layers`."""
        return [f"{name}:{own}" for name, network in self.networks.items() for own in network.derived_layers(dots)]

    def directions_of(self, address: str) -> Directions | None:
        """The directions that a layer has in place of channels: see `Model.directions_of`."""
        if address in ("", "output"):
            return None
        name, own = self.owner(address)
        return self.networks[name].directions_of(own)

    def owner(self, address: str) -> tuple[str, str]:
        """The network that a layer is of.

        Args:
            address: `NAME:LAYER`; `NAME:` or `NAME:output` for a network's output.

        Returns:
            The network's name, and the layer's address in it.

        Raises:
            LayerNotFound: for an address without the name of a network.
        """
        name, mark, own = address.partition(":")
        if mark and name in self.networks:
            return name, own
        near = difflib.get_close_matches(name, self.networks, n=1) or list(self.networks)
        layer = own if mark else address
        raise LayerNotFound(
            f"no network for layer {address!r}; expected NAME:LAYER with NAME of {', '.join(self.networks)}, "
            f"e.g. {near[0]}:{layer}"
        )

    def check_layer(self, address: str) -> None:
        """Checks that one of the networks has a layer: see `Model.check_layer`."""
        if address in ("", "output"):
            return
        name, own = self.owner(address)
        with _of(name):
            self.networks[name].check_layer(own)

    def normalize(self, image: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] as they are: `capture` normalises for each network."""
        return image

    def axes(self, address: str, size: tuple[int, int] | None = None) -> Axes | None:
        """What each axis of a layer's tensor is: see `Model.axes`; of the ensemble's own output, as the first's."""
        name, own = (next(iter(self.networks)), "") if address in ("", "output") else self.owner(address)
        return self.networks[name].axes(own, None if size is None else self.size_of(name, size))

    def size_of(self, name: str, size: tuple[int, int]) -> tuple[int, int]:
        """The size at which a network is shown a picture.

        Args:
            name: of the network.
            size: (height, width) of the picture in pixels.

        Returns:
            (height, width) in pixels, in the proportion of the network's input size to the ensemble's.
        """
        network = self.networks[name]
        if network.size_from == "guess" or network.input_size == self.input_size:
            return size
        height, width = (
            max(1, round(side * own / full))
            for side, own, full in zip(size, network.input_size, self.input_size, strict=True)
        )
        return height, width

    @contextmanager
    def capture(self, reads: Sequence[str]) -> Iterator[Callable[[Tensor], dict[str, Tensor]]]:
        """A context in which all networks are frozen and `capture(x)` returns activations by address.

        Each network runs as far as its deepest requested layer.

        Args:
            reads: addresses `NAME:LAYER`; "" is the mean of the networks' outputs.

        Yields:
            A function of pictures (B, C, H, W) in [0, 1].

        Raises:
            LayerNotFound: for an unknown network or layer.
        """
        means = [address for address in reads if address in ("", "output")]
        owned: dict[str, list[str]] = {name: [""] for name in self.networks} if means else {}
        for address in reads:
            if address not in means:
                name, own = self.owner(address)
                owned.setdefault(name, []).append(own)
        with ExitStack() as stack:
            passes: dict[str, Callable[[Tensor], dict[str, Tensor]]] = {}
            for name, layers in owned.items():
                with _of(name):
                    passes[name] = stack.enter_context(self.networks[name].capture(layers))

            def capture(image: Tensor) -> dict[str, Tensor]:
                seen: dict[str, Tensor] = {}
                for name, run in passes.items():
                    entering = self.networks[name].normalize(_resized(image, self.size_of(name, _size(image))))
                    seen |= {f"{name}:{own}": tensor for own, tensor in run(entering).items()}
                if means:
                    seen |= dict.fromkeys(means, self._mean([seen[f"{name}:"] for name in self.networks]))
                return {address: seen[address] for address in reads}

            yield capture

    def _mean(self, outputs: Sequence[Tensor]) -> Tensor:
        """The mean of the networks' outputs."""
        if len({output.shape for output in outputs}) > 1:
            shapes = ", ".join(f"{name} {tuple(o.shape[1:])}" for name, o in zip(self.networks, outputs, strict=True))
            raise BadInput(f"outputs of different shapes have no mean ({shapes}): read that of one network, e.g. "
                           f"{next(iter(self.networks))}:output")  # fmt: skip
        return torch.stack([output.float() for output in outputs]).mean(0)


@contextmanager
def _of(name: str) -> Iterator[None]:
    """A context in which the error for an unknown layer says which network does not have it."""
    try:
        yield
    except LayerNotFound as error:
        raise LayerNotFound(f"network {name}: {error}") from error


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[2], image.shape[3]


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    if _size(image) == size:
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
