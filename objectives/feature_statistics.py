"""Statistics of a network's features over natural images: what its channels do on photographs, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from inverter_errors import BadInput, MissingFile, NotFound

FORMAT: Final = "feature statistics 1"


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What the channels of one layer do on natural images. All tensors are float32 on the CPU.

    Attributes:
        mean: (C,), each channel's mean over positions, averaged over the pictures.
        std: (C,), each channel's standard deviation over positions, averaged over the pictures; zeros for vectors.
        mean_spread: (C,), the standard deviation of the channel's mean between pictures.
        std_spread: (C,), the standard deviation of the channel's standard deviation between pictures.
        sorted_values: (C, Q), each channel's values at evenly spaced ranks of its positions, rising, averaged over the
            pictures; None if they were not measured.
        covariance: (C, C), covariance of the channels' means between pictures; None if it was not measured.

    Raises:
        BadInput: if shapes do not fit, a number is not finite, or a spread or standard deviation is negative.
    """

    mean: Tensor
    std: Tensor
    mean_spread: Tensor
    std_spread: Tensor
    sorted_values: Tensor | None = None
    covariance: Tensor | None = None

    def __post_init__(self) -> None:
        width = self.mean.numel()
        for name, value in self.tensors().items():
            value = value.detach().cpu().float()
            object.__setattr__(self, name, value)
            expected = {"sorted_values": (width, value.shape[-1]), "covariance": (width, width)}.get(name, (width,))
            if tuple(value.shape) != expected or not width:
                raise BadInput(f"{name} of {width} channels has shape {tuple(value.shape)}, expected {expected}")
            if not bool(value.isfinite().all()):
                raise BadInput(f"{name} is not finite")
            if name in ("std", "mean_spread", "std_spread") and bool((value < 0).any()):
                raise BadInput(f"{name} has negative numbers")

    @property
    def channels(self) -> int:
        """Number of channels, C."""
        return self.mean.numel()

    def tensors(self) -> dict[str, Tensor]:
        """Those of the attributes that are not None, by name."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """What a network's layers do on natural images: the reference of `objectives.natural`.

    `inverter statistics --model ... --images ...` measures them; `inverter.batch_norm_statistics` reads those that a
    network with batch normalisation carries.

    Attributes:
        layers: address -> statistics, in the order in which the layers run.
        model: spec of the network.
        sha256: of its weights (`Model.sha256`); "" fits any network.
        images: number of pictures measured; 0 for running statistics of batch normalisation.
        size: (height, width) of the pictures in pixels.
        source: a description of the pictures, for people.

    Raises:
        BadInput: if there is no layer.

    Example:
        >>> import torch
        >>> one = LayerStatistics(*torch.ones(4, 8))
        >>> FeatureStatistics({"conv": one}, "module", "", 400, (224, 224), "photographs")["conv"].channels
        8
    """

    layers: Mapping[str, LayerStatistics]
    model: str
    sha256: str
    images: int
    size: tuple[int, int]
    source: str

    def __post_init__(self) -> None:
        if not self.layers:
            raise BadInput("feature statistics without a layer; expected at least one")

    def __getitem__(self, layer: str) -> LayerStatistics:
        try:
            return self.layers[layer]
        except KeyError:
            raise NotFound(
                f"the feature statistics of {self.model} have no layer {layer!r}; they have "
                f"{', '.join(map(repr, self.layers))}: measure it with inverter statistics --layers"
            ) from None

    def check(self, model: str, sha256: str) -> None:
        """Checks that these are a network's own statistics.

        Args:
            model: spec of the network, for the error.
            sha256: of its weights.

        Raises:
            BadInput: for another network's.
        """
        if self.sha256 not in ("", sha256):
            raise BadInput(
                f"these are feature statistics of {self.model} with weights {self.sha256[:12]}, not of {model} with "
                f"{sha256[:12]}: measure its own with inverter statistics --model"
            )

    def save(self, path: str | Path) -> None:
        """Writes a safetensors file, atomically: it is complete or not there at all.

        Args:
            path: of the file; its folder is made if it is missing.

        Raises:
            BadInput: if its name does not end in `.safetensors`.
            OSError: if it cannot be written.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise BadInput(f"feature statistics are kept in a .safetensors file, got {str(path)!r}")
        about = {
            "format": FORMAT,
            "model": self.model,
            "sha256": self.sha256,
            "layers": json.dumps(list(self.layers)),
            "images": str(self.images),
            "size": "{}x{}".format(*self.size),
            "source": self.source,
        }
        tensors = {
            f"{layer}/{name}": value.clone()
            for layer, statistics in self.layers.items()
            for name, value in statistics.tensors().items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(save(tensors, about))
        partial.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> FeatureStatistics:
        """Reads a file of `save`, with exactly the same numbers.

        Args:
            path: of the file.

        Raises:
            MissingFile: if there is no such file.
            BadInput: for a damaged file, or one without feature statistics; the message names the file.
        """
        if not Path(path).is_file():
            raise MissingFile(f"no feature statistics {str(path)!r}: inverter statistics --model writes them")
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError, ValueError) as error:
            raise BadInput(f"{path} is damaged or no safetensors file ({error})") from None
        if about.get("format") != FORMAT:
            raise BadInput(
                f"{path} holds no feature statistics: expected a file that inverter statistics --model wrote"
            )
        try:
            names = LayerStatistics.__dataclass_fields__
            layers = {
                layer: LayerStatistics(**{n: tensors[f"{layer}/{n}"] for n in names if f"{layer}/{n}" in tensors})
                for layer in json.loads(about["layers"])
            }
            height, width = map(int, about["size"].split("x"))
            fields = about["model"], about["sha256"], int(about["images"]), (height, width), about["source"]
            return cls(layers, *fields)
        except (KeyError, ValueError, TypeError) as error:
            raise BadInput(f"{path} holds damaged feature statistics ({error})") from None
