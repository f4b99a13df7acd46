"""The fields of a recipe with a network under inspection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recipes.options.directions import HELP, with_sets
from recipes.options.directions import written as written_sets
from recipes.options.fields import NETWORK, option
from recipes.options.input_values import written_size, written_values
from recipes.options.networks import KEYS, networks, written

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model
    from recipes.options.directions import DirectionsLike

_in_memory: ContextVar[Model | None] = ContextVar("_in_memory", default=None)


@contextmanager
def in_memory(model: Model) -> Iterator[None]:
    """A context, of one thread, in which recipes take a network that is in memory in place of loading their own.

    Args:
        model: the one that they would load.
    """
    token = _in_memory.set(model)
    try:
        yield
    finally:
        _in_memory.reset(token)


@dataclass(frozen=True, kw_only=True)
class NetworkFields:
    """The fields of a recipe with a network under inspection."""

    model: str | nn.Module | Model | Mapping[str, Any] | Sequence[str] = option(
        "builtin",
        "builtin, torchvision:NAME, timm:NAME, hf:ORG/NAME, hf:FOLDER, open_clip:ARCH/TAG, FILE.py:FACTORY, or an "
        "exported file (FILE.pt2, TorchScript); several networks at once: a=..., repeated with other names",
        group=NETWORK,
        networks=True,
    )
    weights: str | Mapping[str, str] | Sequence[str] | None = option(
        None,
        "weights: .safetensors, or a checkpoint (.pt, .pth, .bin, .ckpt); random: those that an architecture "
        "starts with; of several networks: a=..., repeated",
        group=NETWORK,
        networks=True,
    )
    normalize: str | Mapping[str, str] | Sequence[str] | None = option(
        None,
        "imagenet, half, none, or 'm,m,m/s,s,s' (default: that of the model's source); of several networks: "
        "a=..., repeated",
        group=NETWORK,
        networks=True,
    )
    input_size: str | int | Sequence[int] | None = option(
        None, "H or HxW: the network's own input size (default: that of its source, else --size)", group=NETWORK
    )
    categories: str | Sequence[str] | None = option(
        None, "file with the class names: one a line, or JSON (default: those of the model's source)", group=NETWORK
    )
    axes: str | Sequence[str] | None = option(
        None,
        "PATTERN=AXES: which axes of a layer's tensor are channels and places, where they are not found, such as "
        "'blocks.*=BNC+1' (default: found; inverter layers shows them); may be repeated",
        repeat=True,
        group=NETWORK,
    )
    value_range: str | Sequence[float] | None = option(
        None, "low,high: the network's values before normalisation, in which arrays are (default: 0,1)", group=NETWORK
    )
    show_channels: str | int | Sequence[int] | None = option(
        None, "channels that picture files show: three as red,green,blue, or one (default: all)", group=NETWORK
    )

    directions: DirectionsLike | None = option(None, HELP, repeat=True, group=NETWORK)

    def load(self) -> Model:
        """The network under inspection."""
        if (model := _in_memory.get()) is not None:
            return model
        from recipes.runner.cuda_start import starting_gpu

        device, known = getattr(self, "device", None), networks({key: getattr(self, key) for key in KEYS})
        with starting_gpu(device):
            from inverter import load_model

            model = load_model(
                known["model"],
                known["weights"],
                known["normalize"],
                device,
                self.input_size,
                self.categories,
                value_range=self.value_range,
                show_channels=self.show_channels,
                axes=self.axes,
            )
        return with_sets(model.assuming(self.shown_size), self.directions)

    @property
    def shown_size(self) -> int | tuple[int, int] | None:
        """The size of the pictures that the network is shown, if it is given: its input size where none is known."""
        return None

    def network_settings(self) -> dict[str, Any]:
        """The fields as the manifest has them, each written in one way."""
        known = networks({key: getattr(self, key) for key in KEYS})
        network = {key: written(value) for key, value in known.items()}
        network["input_size"] = written_size(self.input_size)
        network["directions"] = written_sets(self.directions)
        return network | written_values(self.value_range, self.show_channels)
