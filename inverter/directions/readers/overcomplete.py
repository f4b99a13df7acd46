"""Overcomplete's autoencoders with a linear encoder: state dicts, and modules as Python values."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from inverter.directions.directions import Directions
from inverter.directions.readers.reader import Reader, Said
from inverter.directions.readers.stored import Stored
from inverter_errors import BadInput

DECODER = "dictionary._weights"
BLOCK = "encoder.final_block"
EPSILON = 1e-5


def _takes(stored: Stored) -> bool:
    return DECODER in stored.tensors


def _read(stored: Stored, said: Said) -> Directions:
    tensors = stored.tensors
    # The file does not say how rows are normalised: by their length, unless the library was set otherwise.
    decoder = tensors[DECODER].float()
    decoder = decoder / (decoder.norm(dim=1, keepdim=True) + 1e-8)
    if (multiplier := tensors.get("dictionary.multiplier")) is not None:
        decoder = decoder * multiplier.float().exp()
    if "thresholds" in tensors:
        return _directions(str(stored.place), tensors, decoder, said, "jumprelu", None, tensors["thresholds"].exp())
    if said.implied is None:
        raise BadInput(
            f"{stored.place} is a state dict of Overcomplete, which does not say how many latents are active: give k "
            "(TopKSAE), threshold (the running_threshold of BatchTopKSAE) or gate='relu' (SAE)"
        )
    thresholds = None if said.threshold is None else torch.full((len(decoder),), said.threshold)
    return _directions(str(stored.place), tensors, decoder, said, said.implied, said.k, thresholds)


def _takes_value(value: Any) -> bool:
    return isinstance(value, nn.Module) and hasattr(value, "get_dictionary") and hasattr(value, "encoder")


def _read_value(value: Any, said: Said) -> Directions:
    module = copy.deepcopy(value).eval()  # in training, it would normalise the dictionary of the original
    decoder, kind = module.get_dictionary().detach(), type(module).__name__
    tensors = module.state_dict()
    if "thresholds" in tensors:
        return _directions(kind, tensors, decoder, said, "jumprelu", None, tensors["thresholds"].exp())
    if (threshold := getattr(module, "running_threshold", None)) is not None:
        every = torch.full((len(decoder),), max(0.0, float(threshold)))
        return _directions(kind, tensors, decoder, said, "jumprelu", None, every)
    if kind == "BatchTopKSAE":
        raise BadInput("this BatchTopKSAE has no running_threshold yet: train it first")
    if kind not in ("SAE", "TopKSAE"):
        raise BadInput(f"a {kind} of Overcomplete cannot be read; expected SAE, TopKSAE, BatchTopKSAE or JumpSAE")
    k = getattr(module, "top_k", None)
    return _directions(kind, tensors, decoder, said, "relu" if k is None else "topk", k, None)


def _directions(
    what: str, tensors: Any, decoder: Tensor, said: Said, gate: str, k: int | None, thresholds: Tensor | None
) -> Directions:
    encoder, bias = _encoder(what, tensors, decoder)
    return Directions(
        said.layer, decoder, encoder, bias, gate=gate, k=k, thresholds=thresholds, method="sae", source="Overcomplete"
    )


def _encoder(what: str, tensors: Any, decoder: Tensor) -> tuple[Tensor, Tensor | None]:
    """The rows (N, C) and bias of the encoder, with a batch norm after it folded in."""
    names = [name for name in tensors if name.startswith("encoder.")]
    own = [name for name in names if name.startswith(f"{BLOCK}.")]
    if f"{BLOCK}.0.weight" not in names:  # tied to the dictionary, or with a matrix of its own
        if any(name not in ("encoder.weight", "encoder.bias") and ".tied_to." not in name for name in names):
            raise BadInput(f"{what}: its encoder is not linear ({names[0]}, ...): only linear encoders can be read")
        return tensors.get("encoder.weight", decoder).float(), tensors.get("encoder.bias")
    weight, bias = tensors[f"{BLOCK}.0.weight"].float(), tensors[f"{BLOCK}.0.bias"].float()
    if len(own) < len(names) or (f"{BLOCK}.1.weight" in names and f"{BLOCK}.1.running_mean" not in names):
        raise BadInput(f"{what}: its encoder is not linear (blocks, or a LayerNorm): only linear encoders can be read")
    if f"{BLOCK}.1.running_mean" in names:
        mean, variance, gain, shift = (
            tensors[f"{BLOCK}.1.{name}"].float() for name in ("running_mean", "running_var", "weight", "bias")
        )
        factor = gain / (variance + EPSILON).sqrt()
        weight, bias = weight * factor[:, None], (bias - mean) * factor + shift
    return weight, bias


READER = Reader(
    "an autoencoder of Overcomplete (its state_dict, or the module)", _takes, _read, _takes_value, _read_value
)
