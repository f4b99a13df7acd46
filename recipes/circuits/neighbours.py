"""The stages before and after a layer."""

from __future__ import annotations

from inverter import Model, stages
from inverter_errors import BadInput


def stage_before(model: Model, layer: str, size: tuple[int, int]) -> str:
    """The last stage with weights before a layer.

    Args:
        model: the network.
        layer: address of a stage, or of the latents of one.
        size: (height, width) of the pictures in pixels.

    Raises:
        BadInput: if there is none, or the layer is no stage.
    """
    if (found := _neighbour(model, layer, -1, size)) is None:
        raise BadInput(
            f"layer {layer!r} is the first stage of {model.spec}, or none of them: set inputs to the address of "
            "a layer before it"
        )
    return found


def stage_after(model: Model, layer: str, size: tuple[int, int]) -> str | None:
    """The next stage with weights after a layer; None if there is none, or the layer is no stage.

    Args:
        model: the network.
        layer: address of a stage.
        size: (height, width) of the pictures in pixels.
    """
    return _neighbour(model, layer, 1, size)


def _neighbour(model: Model, layer: str, step: int, size: tuple[int, int]) -> str | None:
    if (directions := model.directions_of(layer)) is not None:
        layer = directions.layer
    known = [
        stage
        for stage in stages(model, size) or stages(model)  # a small picture leaves no maps in the last ones
        if stage == layer or any(True for _ in model.module.get_submodule(stage).parameters())
    ]
    place = known.index(layer) + step if layer in known else -1
    return known[place] if 0 <= place < len(known) else None
