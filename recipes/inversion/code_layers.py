"""The layers of a run on codes, checked against the network and the file of codes."""

from __future__ import annotations

from collections.abc import Sequence

from inverter import Code, Model, stages
from inverter_errors import BadInput, NotFound
from recipes.options.names import OUTPUT_LAYER, address


def code_shapes(
    model: Model, layers: Sequence[str], size: tuple[int, int], code: Code | None, file: str | None
) -> dict[str, Sequence[int]]:
    """The requested layers with the shapes (1, ...) of their codes.

    Args:
        model: the network under inspection.
        layers: addresses, `output`, or `all`: every stage, or all in the file.
        size: (height, width) of the pictures in pixels.
        code: of the file; None where pictures are given.
        file: its name, for errors.

    Raises:
        LayerNotFound: for a layer that the network does not have.
        NotFound: for one that the file does not have.
        BadInput: for codes of another shape, or `all` of a network without stages.
    """
    named = list[str]()
    for layer in layers:
        if layer != "all":
            named.append(layer)
        elif code is not None:
            named += [known or OUTPUT_LAYER for known in code.layers]
        elif known := stages(model, size):
            named += known
        else:
            raise BadInput(f"{model.spec} has no stages that output maps: set layer to addresses of its layers")
    shapes: dict[str, Sequence[int]] = {}
    for layer in dict.fromkeys(named):
        where = address(layer)
        if code is not None and where not in code.layers:
            known_layers = ", ".join(known or OUTPUT_LAYER for known in code.layers)
            raise NotFound(f"{file} holds no code of layer {layer!r}; it has {known_layers}")
        shape = tuple(model.shapes([where], size)[where])
        if code is not None and tuple(code.layers[where].shape[1:]) != shape[1:]:
            raise BadInput(
                f"{file}: the code of layer {layer!r} has shape {tuple(code.layers[where].shape[1:])}, but "
                f"{model.spec} outputs {shape[1:]} there for a picture of {size[0]}x{size[1]} pixels"
            )
        shapes[layer] = shape
    return shapes
