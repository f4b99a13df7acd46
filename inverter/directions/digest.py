"""The digest of a set of directions: so that a run notices that its file has changed."""

from __future__ import annotations

import hashlib
import json

from inverter.directions.directions import TENSORS, Directions


def digest(directions: Directions) -> str:
    """Hex digest of all that latents, their reconstructions and their names depend on.

    Args:
        directions: on any device.
    """
    about = [directions.layer, directions.gate, directions.k, directions.input_norm, list(directions.names)]
    found = hashlib.sha256(json.dumps(about).encode())
    for name in TENSORS:
        value = getattr(directions, name)
        if value is not None:
            found.update(f"{name} {tuple(value.shape)}".encode())
            found.update(value.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
