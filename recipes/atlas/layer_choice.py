"""What an atlas looks at: a layer of its network, and with `--with` another, or one of another network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Union

from recipes.options.suggest import nearest

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model

HELP = "another layer, laid out on the same map; layer=L,model=M,weights=FILE,normalize=N for one of another model"

LookLike = Union[str, Mapping[str, Any], "LookChoice"]
"""How a second look may be written: `features.12`, `layer=features.13,model=torchvision:mobilenet_v2`, or a table."""


@dataclass(frozen=True, eq=False)
class Look:
    """A layer of a network, and the folder of its atlas below the output folder: "" or `with/`."""

    model: Model
    layer: str
    folder: str = ""

    def told(self, first: Look) -> dict[str, Any]:
        """What it is beside the first, as JSON: a network by its weights, wherever their file lies."""
        from recipes.outputs.manifest import describe

        if self.model is first.model:
            return {"layer": self.layer}
        return {"layer": self.layer, "model": {k: v for k, v in describe(self.model).items() if k != "weights"}}


@dataclass(frozen=True)
class LookChoice:
    """A layer, of the atlas's own network unless `model` says another; `weights` and `normalize` go with `model`.

    Raises:
        ValueError: without a layer, for unknown options (with near ones), or weights without a model.

    Example:
        >>> LookChoice.parse("features.12")
        LookChoice(layer='features.12', model=None, weights=None, normalize=None)
        >>> LookChoice.parse("model=torchvision:mobilenet_v2, layer=features.18").model
        'torchvision:mobilenet_v2'
    """

    layer: str
    model: str | nn.Module | Model | None = None
    weights: str | None = None
    normalize: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.layer, str) or not self.layer:
            raise ValueError(f"with: got layer {self.layer!r}; expected an address (inverter layers shows them)")
        for key in ("weights", "normalize"):
            if getattr(self, key) is not None and self.model is None:
                raise ValueError(f"with: {key} is given but no model: say model=NAME too, or the layer alone")

    @classmethod
    def parse(cls, given: LookLike) -> LookChoice:
        """A choice from a text or a table; a file whose name has a comma needs a table."""
        if isinstance(given, LookChoice):
            return given
        if isinstance(given, str):
            given = _table(given) if "=" in given else {"layer": given}
        if not isinstance(given, Mapping):
            raise ValueError(f"with must be text or a table with a layer, got {given!r}")
        known = [field.name for field in fields(cls)]
        for key in given:
            if key not in known:
                raise ValueError(f"with: unknown option {key!r}{nearest(str(key), known)}")
        if "layer" not in given:
            raise ValueError("with: which layer? say layer=ADDRESS (inverter layers shows them)")
        return cls(**given)

    def look(self, first: Look, device: str | None) -> Look:
        """This look beside the first one.

        Raises:
            ValueError: if it is the same again, or sees another part of each picture.
            LookupError, OSError: as `load_model`, and for a layer that is not there.
        """
        from inverter import load_model
        from recipes.atlas.page import BESIDE

        model = first.model if self.model is None else load_model(self.model, self.weights, self.normalize, device)
        seen = [(m.sha256, m.mean, m.std) for m in (first.model, model)]
        if self.layer == first.layer and seen[0] == seen[1]:
            raise ValueError(f"with: layer {self.layer!r} of {model.spec} is what the atlas shows already")
        (height, width), (high, wide) = first.model.input_size, model.input_size
        if height * wide != width * high:
            raise ValueError(
                f"with: {model.spec} sees pictures of {high}x{wide} pixels and {first.model.spec} of {height}x{width}: "
                "not of one shape, so their maps do not show the same part of each"
            )
        model.check_layer(self.layer)
        return Look(model, self.layer, BESIDE)


def _table(text: str) -> dict[str, str]:
    table = {}
    for piece in text.split(","):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or not key or not value:
            raise ValueError(f"with: {piece.strip()!r} in {text!r} is no OPTION=VALUE")
        table[key] = value
    return table
