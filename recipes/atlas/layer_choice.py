"""The layers of an atlas: one of its network, and with `with_` a second one, of the same or another network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Union

from inverter_errors import BadInput
from recipes.options.suggest import nearest

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model

SECOND_FOLDER = "with/"
"""Folder, below the output folder, of the second atlas; its files are named as those of the first."""

HELP = "second layer on the same map: ADDRESS; of another model: layer=ADDRESS,model=M,weights=FILE,normalize=N"

LayerLike = Union[str, Mapping[str, Any], "LayerChoice"]
"""How a second layer may be written: `features.12`, `layer=features.13,model=torchvision:mobilenet_v2`, or a table."""


@dataclass(frozen=True, eq=False)
class AtlasLayer:
    """A layer of a network, and the folder of its atlas.

    Attributes:
        model: the network.
        address: of the layer.
        folder: below the output folder: "" or `with/`.
    """

    model: Model
    address: str
    folder: str = ""

    def to_json(self, first: AtlasLayer) -> dict[str, Any]:
        """Its differences from the first layer, as JSON: a network by its weights, wherever their file is stored."""
        from recipes.outputs.manifest import describe

        if self.model is first.model:
            return {"layer": self.address}
        return {"layer": self.address, "model": {k: v for k, v in describe(self.model).items() if k != "weights"}}


@dataclass(frozen=True)
class LayerChoice:
    """A second layer, of the same network or of another one.

    Attributes:
        layer: its address.
        model: another network, as in `load_model`; None for that of the atlas.
        weights: weights file of `model`.
        normalize: normalisation of `model`.

    Raises:
        BadInput: without a layer, for an unknown option (it suggests similar ones), or for weights or a normalisation
            without a model.

    Example:
        >>> LayerChoice.parse("features.12")
        LayerChoice(layer='features.12', model=None, weights=None, normalize=None)
        >>> LayerChoice.parse("model=torchvision:mobilenet_v2, layer=features.18").model
        'torchvision:mobilenet_v2'
    """

    layer: str
    model: str | nn.Module | Model | None = None
    weights: str | None = None
    normalize: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.layer, str) or not self.layer:
            raise BadInput(f"with: got layer {self.layer!r}; expected an address (inverter layers lists them)")
        for key in ("weights", "normalize"):
            if getattr(self, key) is not None and self.model is None:
                raise BadInput(f"with: {key} is given but no model: set model as well, or give the layer alone")

    @classmethod
    def parse(cls, given: LayerLike) -> LayerChoice:
        """The choice of a text or a table; a file whose name has a comma needs a table."""
        if isinstance(given, LayerChoice):
            return given
        if isinstance(given, str):
            given = _table(given) if "=" in given else {"layer": given}
        if not isinstance(given, Mapping):
            raise BadInput(f"with must be text or a table with a layer, got {given!r}")
        known = [field.name for field in fields(cls)]
        for key in given:
            if key not in known:
                raise BadInput(f"with: unknown option {key!r}{nearest(str(key), known)}")
        if "layer" not in given:
            raise BadInput("with: which layer? set layer to an address (inverter layers lists them)")
        return cls(**given)

    def load(self, first: AtlasLayer, device: str | None) -> AtlasLayer:
        """Loads the network of the layer.

        Args:
            first: the first layer of the atlas.
            device: as in `load_model`.

        Raises:
            BadInput: if it is the first layer again, or if the networks take images of different aspect ratios.
            NotFound: as `load_model`, and for an unknown layer.
            OSError: as `load_model`.
        """
        from inverter import load_model

        model = first.model if self.model is None else load_model(self.model, self.weights, self.normalize, device)
        same = (model.sha256, model.mean, model.std) == (first.model.sha256, first.model.mean, first.model.std)
        if self.layer == first.address and same:
            raise BadInput(f"with: layer {self.layer!r} of {model.spec} is the atlas layer itself: choose another")
        (height, width), (high, wide) = first.model.input_size, model.input_size
        if height * wide != width * high:
            raise BadInput(
                f"with: {model.spec} takes images of {high}x{wide} pixels and {first.model.spec} of {height}x{width}; "
                "expected one aspect ratio, so that both see the same part of each image"
            )
        model.check_layer(self.layer)
        return AtlasLayer(model, self.layer, SECOND_FOLDER)


def _table(text: str) -> dict[str, str]:
    table = {}
    for piece in text.split(","):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or not key or not value:
            raise BadInput(f"with: {piece.strip()!r} in {text!r} is not OPTION=VALUE")
        table[key] = value
    return table
