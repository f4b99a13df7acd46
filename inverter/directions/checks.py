"""What the fields of a set of directions must be, so that its latents are defined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inverter.directions.gates import GATES, INPUT_NORMS
from inverter_errors import BadInput, plural

if TYPE_CHECKING:
    from inverter.directions.directions import Directions


def check_fields(directions: Directions) -> None:
    """Checks a set of directions.

    Args:
        directions: whose tensors are in float32.

    Raises:
        BadInput: if shapes do not fit, a number is not finite, or the gate or input norm is unknown or incomplete.
    """
    if directions.decoder.ndim != 2 or not directions.decoder.numel():
        raise BadInput(f"directions: expected rows (N, C), got a tensor of shape {tuple(directions.decoder.shape)}")
    count, channels = directions.decoder.shape
    expected = {
        "decoder": (count, channels),
        "encoder": (count, channels),
        "encoder_bias": (count,),
        "center": (channels,),
        "scale": (channels,),
        "thresholds": (count,),
    }
    for name, shape in expected.items():
        if (value := getattr(directions, name)) is None:
            continue
        if tuple(value.shape) != shape:
            raise BadInput(
                f"directions: {name} of {plural(count, 'direction')} of {plural(channels, 'channel')} has shape "
                f"{tuple(value.shape)}, expected {shape}"
            )
        if not bool(value.isfinite().all()):
            raise BadInput(f"directions: {name} is not finite")
    if directions.scale is not None and not bool((directions.scale > 0).all()):
        raise BadInput("directions: every scale must be above 0")
    if directions.gate not in GATES:
        raise BadInput(f"directions: unknown gate {directions.gate!r}; known: {', '.join(GATES)}")
    if directions.gate == "topk" and not (isinstance(directions.k, int) and 1 <= directions.k <= count):
        raise BadInput(f"directions: the gate topk needs a k from 1 to {count}, got {directions.k!r}")
    if directions.gate == "jumprelu" and directions.thresholds is None:
        raise BadInput("directions: the gate jumprelu needs thresholds (N,)")
    if directions.input_norm not in INPUT_NORMS:
        raise BadInput(f"directions: unknown input_norm {directions.input_norm!r}; known: {', '.join(INPUT_NORMS)}")
    if directions.names and len(directions.names) != count:
        raise BadInput(f"directions: {plural(len(directions.names), 'name')} for {plural(count, 'direction')}")
