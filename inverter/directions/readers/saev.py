"""saev's checkpoints: a line of JSON, and the weights that torch wrote."""

from __future__ import annotations

from collections.abc import Mapping

from inverter.directions.directions import Directions
from inverter.directions.readers.linear import is_linear, linear_autoencoder
from inverter.directions.readers.reader import Reader, Said
from inverter.directions.readers.stored import Stored
from inverter_errors import BadInput

GATES = {"Relu": "relu", "TopK": "topk", "BatchTopK": "topk"}
"""Activation -> gate: its BatchTopK leaves the largest of each vector too."""


def _takes(stored: Stored) -> bool:
    return is_linear(stored) and ("schema" in stored.config or "d_vit" in stored.config)


def _read(stored: Stored, said: Said) -> Directions:
    header = stored.config
    inner = header.get("cfg", header)
    config = inner if isinstance(inner, Mapping) else {}
    activation = config.get("activation", {"cls": header.get("cls", "Relu"), "params": config})
    name, params = activation.get("cls"), activation.get("params") or {}
    if name not in GATES and "activation" not in config:
        name = "Relu"  # schema 1 may have the class of the configuration here
    if name not in GATES:
        raise BadInput(f"{stored.place}: an autoencoder with {name!r} is none that can be read: {', '.join(GATES)}")
    return linear_autoencoder(
        stored,
        said.layer,
        GATES[name],
        k=said.k or params.get("top_k"),
        centred="schema" not in header,  # the first releases subtracted b_dec
        source=f"saev {name}",
    )


READER = Reader("a checkpoint of saev (sae.pt with a line of JSON)", _takes, _read)
