"""SAELens's and Prisma's autoencoders: a folder with a configuration and weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inverter.directions.directions import Directions
from inverter.directions.readers.linear import is_linear, linear_autoencoder
from inverter.directions.readers.reader import Reader, Said
from inverter.directions.readers.stored import Stored
from inverter_errors import BadInput

GATES = {"standard": "relu", "topk": "topk", "jumprelu": "jumprelu", "gated": "gated"}
"""Architecture -> gate."""
NORMS = {"layer_norm": "layer", "constant_norm_rescale": "length"}
"""Normalisation of the input that is done whenever it runs; the others are in the weights."""


def _takes(stored: Stored) -> bool:
    return is_linear(stored) and ("architecture" in stored.config or "d_in" in stored.config)


def _read(stored: Stored, said: Said) -> Directions:
    config = stored.config
    metadata = config.get("metadata") if isinstance(config.get("metadata"), Mapping) else config
    architecture, k = config.get("architecture", "standard"), config.get("k")
    # Before version 6, and in Prisma, the function stands next to the architecture.
    options = config.get("activation_fn_kwargs") or {}
    if architecture == "standard" and "topk" in (config.get("activation_fn_str"), config.get("activation_fn")):
        architecture, k = "topk", options.get("k")
    if architecture not in GATES:
        raise BadInput(
            f"{stored.place}: an autoencoder of architecture {architecture!r} is none that can be read: "
            f"{', '.join(GATES)}"
        )
    return linear_autoencoder(
        stored,
        said.layer,
        GATES[architecture],
        k=said.k or k,
        centred=bool(config.get("apply_b_dec_to_input", True)),
        by_length=architecture == "topk" and bool(config.get("rescale_acts_by_decoder_norm", False)),
        input_norm=NORMS.get(str(config.get("normalize_activations")), "none"),
        source=_source(metadata, architecture),
    )


def _source(metadata: Any, architecture: str) -> str:
    layer, model = (metadata.get(key) for key in ("hook_name", "model_name"))
    return f"SAELens {architecture}{f', {layer}' if layer else ''}{f' of {model}' if model else ''}"


READER = Reader("a folder of SAELens or Prisma (cfg.json and sae_weights.safetensors)", _takes, _read)
