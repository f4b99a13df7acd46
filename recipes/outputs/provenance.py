"""What made a picture, as text chunks of its PNG: a picture that has left its folder still says where it is from."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from inverter.png import software
from recipes.outputs.manifest import PASSING


class Described(Protocol):
    """A unit or a record."""

    @property
    def layer(self) -> str: ...
    @property
    def channel(self) -> int | None: ...
    @property
    def objective(self) -> str: ...


_ABOUT = ("layer", "channel", "name", "objective", "direction", "attempt", "image", "prior", "made_from")


def provenance(
    recipe: str, settings: Mapping[str, Any], unit: Described | None = None, growing: Collection[str] = ()
) -> dict[str, str]:
    """The text chunks of a picture.

    Settings that do not affect pictures are left out, so that equal pictures are equal files.

    Args:
        recipe: name of the recipe.
        settings: of the run, as JSON values.
        unit: what the picture shows; None for a picture of several units.
        growing: settings with which a run may grow; they do not affect a picture either.

    Returns:
        Keyword -> text; `settings` is JSON.

    Example:
        >>> provenance("gallery", {"steps": 32, "seed": 0, "out": "here"})["settings"]
        '{"steps": 32, "seed": 0}'
    """
    made = {key: value for key, value in settings.items() if key not in PASSING and key not in growing}
    found = {"Software": software(), "recipe": recipe}
    for key in _ABOUT:
        if (value := getattr(unit, key, None)) not in (None, ""):
            found[key] = str(value)
    found["seed"] = str(settings.get("seed", ""))
    found["settings"] = json.dumps(made, default=str)
    return {key: value for key, value in found.items() if value}
