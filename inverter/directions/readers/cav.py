"""Concept activation vectors of captum: its files, and its objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inverter.directions.directions import Directions
from inverter.directions.readers.reader import Reader, Said
from inverter.directions.readers.stored import Stored
from inverter_errors import BadInput

WEIGHTS = "stats.weights"


def _takes(stored: Stored) -> bool:
    return WEIGHTS in stored.tensors and "concept_names" in stored.config


def _read(stored: Stored, said: Said) -> Directions:
    config = stored.config
    names = dict(zip(config.get("concept_ids", ()), config["concept_names"], strict=False))
    layer = said.layer or str(config.get("layer", ""))
    return _directions(stored.tensors[WEIGHTS], names, config["stats"].get("classes"), layer)


def _takes_value(value: Any) -> bool:
    stats = getattr(value, "stats", None)
    return type(value).__module__.startswith("captum.") and isinstance(stats, dict) and "weights" in stats


def _read_value(value: Any, said: Said) -> Directions:
    names = {each.id: each.name for each in value.concepts}
    return _directions(value.stats["weights"], names, value.stats.get("classes"), said.layer or str(value.layer))


def _directions(weights: Any, names: Mapping[int, str], classes: Sequence[Any] | None, layer: str) -> Directions:
    rows: Tensor = torch.atleast_2d(torch.as_tensor(weights).float())
    ids = list(names) if classes is None else [int(each) for each in classes]
    if len(ids) != len(rows) or any(each not in names for each in ids):
        raise BadInput(f"a CAV with {len(rows)} rows of weights for the concepts {', '.join(names.values())}")
    return Directions(layer, rows, names=[str(names[each]) for each in ids], method="cav", source="captum CAV")


READER = Reader("a CAV of captum", _takes, _read, _takes_value, _read_value)
