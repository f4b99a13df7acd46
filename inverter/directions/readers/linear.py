"""Autoencoders with a linear encoder, in the names that SAELens, Prisma and saev share: W_enc, b_enc, W_dec, b_dec."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from inverter.directions.directions import Directions
from inverter.directions.readers.stored import Stored
from inverter_errors import BadInput

NAMES = ("W_enc", "W_dec", "b_dec")


def is_linear(stored: Stored) -> bool:
    """Whether a place holds tensors of these names."""
    return all(name in stored.tensors for name in NAMES)


def linear_autoencoder(
    stored: Stored,
    layer: str,
    gate: str,
    *,
    k: int | None = None,
    centred: bool = True,
    by_length: bool = False,
    input_norm: str = "none",
    source: str = "",
) -> Directions:
    """The directions of a linear autoencoder.

    Args:
        stored: with `W_enc` (C, N), `W_dec` (N, C), `b_dec` (C,) and by gate `b_enc`, `threshold` (N,), or `b_gate`,
            `b_mag` and `r_mag` (N,).
        layer: address.
        gate: "relu", "topk", "jumprelu" or "gated".
        k: of the gate "topk".
        centred: `b_dec` is subtracted before encoding, and not only added after decoding.
        by_length: preactivations are multiplied by the lengths of the decoder's rows.
        input_norm: as `Directions.input_norm`.
        source: description.

    Raises:
        BadInput: if a tensor is missing, or of another shape.
    """
    tensors: Mapping[str, Tensor] = {name: value.float() for name, value in stored.tensors.items()}
    bias = "b_mag" if gate == "gated" else "b_enc"
    needed = {"jumprelu": ["threshold"], "gated": ["b_gate", "r_mag"]}.get(gate, [])
    if missing := [name for name in [*NAMES, bias, *needed] if name not in tensors]:
        raise BadInput(f"{stored.place} lacks {', '.join(missing)} of a {gate} autoencoder")
    decoder, encoder, b_dec = tensors["W_dec"], tensors["W_enc"].T, tensors["b_dec"]
    offset, thresholds = tensors[bias], tensors.get("threshold")
    if encoder.shape != decoder.shape:
        raise BadInput(
            f"{stored.place}: W_enc {tuple(tensors['W_enc'].shape)} is no encoder for W_dec {tuple(decoder.shape)}"
        )
    if gate == "gated":  # active where its gate is open; with shared weights, a threshold (Rajamanoharan et al. 2024)
        encoder = encoder * tensors["r_mag"].exp()[:, None]
        thresholds, gate = offset - tensors["b_gate"] * tensors["r_mag"].exp(), "jumprelu"
    if by_length:
        length = decoder.norm(dim=1)
        encoder, offset, decoder = encoder * length[:, None], offset * length, decoder / length[:, None]
    if not centred:  # what the centre takes from the preactivations, the bias gives back
        offset = offset + encoder @ b_dec
    return Directions(
        layer,
        decoder,
        encoder,
        offset,
        b_dec,
        gate=gate,
        k=k if gate == "topk" else None,
        thresholds=torch.as_tensor(thresholds).clamp_min(0) if gate == "jumprelu" else None,
        input_norm=input_norm,
        method="sae",
        source=source,
    )
