"""A set of directions of a layer, and the latents that it makes of activation vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from inverter.directions.checks import check_fields
from inverter.directions.gates import input_moments, opened
from inverter.tensor_files import read_tensors, write_tensors
from inverter_errors import BadInput, plural

FORMAT: Final = "directions 1"
NOUN: Final = "a set of directions"
TEXTS: Final = ("layer", "gate", "input_norm", "method", "model", "sha256", "source")
TENSORS: Final = ("decoder", "encoder", "encoder_bias", "center", "scale", "thresholds")


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions of a layer's activation space: latents of a sparse autoencoder, components, concept vectors.

    An activation vector x (C,) has the preactivations `encoder @ ((x - center) / scale) + encoder_bias`; `gate` turns
    them into latents z (N,); `z @ decoder * scale + center` is the reconstruction of x. With an `input_norm`, x is
    normalised by its own numbers before all this.

    Attributes:
        layer: address of the layer.
        decoder: (N, C), a direction of the layer in each row.
        encoder: (N, C); None reads by dot products with the decoder's rows.
        encoder_bias: (N,); None for zeros.
        center: (C,), subtracted before encoding and added after decoding; None for zeros.
        scale: (C,), above 0; None for ones.
        gate: "none", "relu", "topk", "jumprelu" or "nnls" (see `inverter.directions.gates`).
        k: latents of one place that "topk" leaves.
        thresholds: (N,) of "jumprelu".
        input_norm: "none", "layer" (less its mean, by its standard deviation) or "length" (to the length sqrt(C)).
        names: of the directions, for people; empty if they have none.
        method: how they were made, such as "sae", "nmf" or "cav".
        model: spec of the network.
        sha256: of its weights (`Model.sha256`); "" fits any network.
        source: a description of what they were made from, for people.

    Raises:
        BadInput: if shapes do not fit, a number is not finite, or the gate is unknown or
            lacks its k or thresholds.

    Example:
        >>> two = Directions("conv", torch.eye(2, 3), gate="relu")
        >>> two.encode(torch.tensor([[4.0, -1.0, 7.0]]))
        tensor([[4., 0.]])
    """

    layer: str
    decoder: Tensor
    encoder: Tensor | None = None
    encoder_bias: Tensor | None = None
    center: Tensor | None = None
    scale: Tensor | None = None
    gate: str = "none"
    k: int | None = None
    thresholds: Tensor | None = None
    input_norm: str = "none"
    names: Sequence[str] = ()
    method: str = ""
    model: str = ""
    sha256: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        for name in TENSORS:
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, torch.as_tensor(value).detach().float())
        check_fields(self)

    @property
    def count(self) -> int:
        """Number of directions, N."""
        return self.decoder.shape[0]

    @property
    def channels(self) -> int:
        """Number of channels of the layer, C."""
        return self.decoder.shape[1]

    def preactivations(self, vectors: Tensor, axis: int = -1) -> Tensor:
        """What the encoder reads off activations, before the gate.

        Args:
            vectors: activations on the device of the directions, C long along `axis`.
            axis: of the channels: -1 for rows of vectors, 1 for maps (B, C, H, W).

        Returns:
            The same with N instead of C along that axis; float32.

        Raises:
            BadInput: for another number of channels.
        """
        if vectors.shape[axis] != self.channels:
            raise BadInput(
                f"these are directions of {plural(self.channels, 'channel')} (layer {self.layer!r}), but the "
                f"activations have {vectors.shape[axis]}"
            )
        values = vectors.float().movedim(axis, -1)
        mean, spread = input_moments(values, self.input_norm)
        values = (values - mean) / spread
        if self.center is not None:
            values = values - self.center
        if self.scale is not None:
            values = values / self.scale
        encoder = self.decoder if self.encoder is None else self.encoder
        return torch.nn.functional.linear(values, encoder, self.encoder_bias).movedim(-1, axis)

    def encode(self, vectors: Tensor, axis: int = -1) -> Tensor:
        """The latents of activations.

        Args:
            vectors: as in `preactivations`.
            axis: as in `preactivations`.

        Returns:
            The same with N instead of C along that axis; float32.

        Raises:
            BadInput: for another number of channels.
        """
        values = self.preactivations(vectors, axis)
        gram = self.decoder @ self.decoder.T if self.gate == "nnls" else None
        return opened(values, self.gate, axis, self.k, self.thresholds, gram)

    def decode(self, latents: Tensor, axis: int = -1) -> Tensor:
        """The activations that latents stand for; with an `input_norm`, normalised ones.

        Args:
            latents: N long along `axis`.
            axis: of the latents.

        Returns:
            The same with C instead of N along that axis; float32.
        """
        values = latents.float().movedim(axis, -1) @ self.decoder
        if self.scale is not None:
            values = values * self.scale
        if self.center is not None:
            values = values + self.center
        return values.movedim(-1, axis)

    def reconstruct(self, vectors: Tensor, axis: int = -1) -> Tensor:
        """Activations as their latents stand for them, at their own level and spread.

        Args:
            vectors: as in `preactivations`.
            axis: as in `preactivations`.

        Returns:
            (like `vectors`) in float32.

        Raises:
            BadInput: for another number of channels.
        """
        mean, spread = input_moments(vectors.float().movedim(axis, -1), self.input_norm)
        found = self.decode(self.encode(vectors, axis), axis).movedim(axis, -1)
        return (found * spread + mean).movedim(-1, axis)

    def to(self, device: torch.device | str) -> Directions:
        """The same directions on a device."""
        there = {name: value.to(device) for name in TENSORS if (value := getattr(self, name)) is not None}
        return replace(self, **there)

    def label(self, index: int) -> str:
        """The name of a direction, "" if it has none."""
        return self.names[index] if self.names else ""

    def check(self, model: str, sha256: str) -> None:
        """Checks that these are directions of a network.

        Args:
            model: spec of the network, for the error.
            sha256: of its weights.

        Raises:
            BadInput: for another network's.
        """
        if self.sha256 not in ("", sha256):
            raise BadInput(
                f"these are directions of {self.model} with weights {self.sha256[:12]}, not of {model} with "
                f"{sha256[:12]}: learn its own with inverter learn-directions --model"
            )

    def save(self, path: str | Path) -> None:
        """Writes a safetensors file, atomically: it is complete or not there at all.

        Args:
            path: of the file; its folder is made if it is missing.

        Raises:
            BadInput: if its name does not end in `.safetensors`.
            OSError: if it cannot be written.
        """
        about = {
            "format": FORMAT,
            "layer": self.layer,
            "gate": self.gate,
            "k": json.dumps(self.k),
            "input_norm": self.input_norm,
            "names": json.dumps(list(self.names)),
            "method": self.method,
            "model": self.model,
            "sha256": self.sha256,
            "source": self.source,
        }
        tensors = {name: value.cpu() for name in TENSORS if (value := getattr(self, name)) is not None}
        write_tensors(Path(path), tensors, about, NOUN)

    @classmethod
    def load(cls, path: str | Path) -> Directions:
        """Reads a file of `save`, with exactly the same numbers.

        Args:
            path: of the file.

        Raises:
            MissingFile: if there is no such file.
            BadInput: for a damaged file, or one without directions.
        """
        path = Path(path)
        other = BadInput(
            f"{path} is no file of inverter learn-directions: convert another library's once in Python, by "
            "Directions.read(PLACE, LAYER).save(FILE)"
        )
        if path.is_dir() or (path.is_file() and path.suffix != ".safetensors"):
            raise other
        tensors, about = read_tensors(path, "directions")
        if about.get("format") != FORMAT:
            raise other
        try:
            fields: dict[str, Any] = {name: tensors[name] for name in TENSORS if name in tensors}
            fields |= {name: about[name] for name in TEXTS}
            return cls(**fields, k=json.loads(about["k"]), names=json.loads(about["names"]))
        except (KeyError, ValueError, TypeError) as error:
            raise BadInput(f"{path} holds damaged directions ({error})") from None

    @classmethod
    def read(
        cls,
        source: str | Path | Any,
        layer: str = "",
        *,
        gate: str | None = None,
        k: int | None = None,
        threshold: float | None = None,
    ) -> Directions:
        """Reads directions in any known form (`inverter.directions.readers`); never runs code that a file holds.

        Args:
            source: a file or folder, found by its content, or a Python value: an array (N, C), a module of
                Overcomplete, what scikit-learn fitted, a CAV of captum.
            layer: address, where the source does not have it.
            gate: of the latents, where the source does not have it.
            k: latents of one place that are active, likewise: the gate "topk".
            threshold: above which latents are active, likewise: the gate "jumprelu".

        Raises:
            MissingFile: if there is no such place.
            BadInput: for a form that is not known, or a damaged file.
        """
        from inverter.directions.readers.reader import Said
        from inverter.directions.readers.registry import read_directions

        return read_directions(source, Said(layer, gate, k, threshold))
