"""The fields of a recipe with a network under inspection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recipes.options.fields import NETWORK, option
from recipes.options.input_values import written_size, written_values

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model


@dataclass(frozen=True, kw_only=True)
class NetworkFields:
    """The fields of a recipe with a network under inspection."""

    model: str | nn.Module | Model = option(
        "builtin",
        "builtin, torchvision:NAME, timm:NAME, hf:ORG/NAME, hf:FOLDER, open_clip:ARCH/TAG, FILE.py:FACTORY, or an "
        "exported file (FILE.pt2, TorchScript)",
        group=NETWORK,
    )
    weights: str | None = option(
        None,
        "weights: .safetensors, or a checkpoint (.pt, .pth, .bin, .ckpt); random: those that an architecture "
        "starts with",
        group=NETWORK,
    )
    normalize: str | None = option(
        None, "imagenet, half, none, or 'm,m,m/s,s,s' (default: that of the model's source)", group=NETWORK
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

    def load(self) -> Model:
        """The network under inspection."""
        from recipes.runner.cuda_start import starting_gpu

        device = getattr(self, "device", None)
        with starting_gpu(device):
            from inverter import load_model

            model = load_model(
                self.model,
                self.weights,
                self.normalize,
                device,
                self.input_size,
                self.categories,
                value_range=self.value_range,
                show_channels=self.show_channels,
                axes=self.axes,
            )
        return model.assuming(self.shown_size)

    @property
    def shown_size(self) -> int | tuple[int, int] | None:
        """The size of the pictures that the network is shown, if it is given: its input size where none is known."""
        return None

    def network_settings(self) -> dict[str, Any]:
        """The fields as the manifest has them, each written in one way."""
        network = {"model": self.model_name, "input_size": written_size(self.input_size)}
        return network | written_values(self.value_range, self.show_channels)

    @property
    def model_name(self) -> str:
        """The network's name for the manifest: its spec, or `module` for one that was given from Python."""
        return self.model if isinstance(self.model, str) else str(getattr(self.model, "spec", "module"))
