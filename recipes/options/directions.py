"""Sets of directions as users give them: files, whose names become the names of layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, BadType, InverterError

if TYPE_CHECKING:
    from inverter import Directions, Model

    DirectionsLike = str | Path | Directions | Mapping[str, str | Path | Directions] | Sequence[str | Path]
    """A file of directions or several, a set in memory, or either by names."""

HELP = (
    "file with a set of directions, such as the latents of a sparse autoencoder (docs/directions.md): they become a "
    "layer of their own, LAYER:NAME after the set's layer and the file's name; may be repeated"
)
LATENTS_HELP = "with directions: their indices, all (the default), a list 3,17,42, or ranges 0-99"


def set_name(file: str | Path) -> str:
    """The name of the set of directions in a file: the file's name, with `-` for what cannot stand in an address.

    Example:
        >>> set_name("sets/sae k=16.safetensors"), set_name("7.safetensors")
        ('sae-k-16', '_7')
    """
    stem = re.sub(r"[^\w.-]+", "-", Path(file).stem, flags=re.ASCII).strip("-.")
    return stem if re.match(r"[A-Za-z_]", stem) else f"_{stem}"


def by_name(given: DirectionsLike | None) -> dict[str, Any]:
    """Sets of directions by name, each a file or a value.

    Args:
        given: one or several.

    Raises:
        BadInput: for two files of one name.
        BadType: for a value of another type.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    several = list(given) if isinstance(given, list | tuple) else [given]
    found: dict[str, Any] = {}
    for one in several:
        if not isinstance(one, str | Path) and not hasattr(one, "decoder"):
            raise BadType(f"directions: expected a file or a set of directions, got {type(one).__name__}")
        name = set_name(one) if isinstance(one, str | Path) else "directions"
        if found.get(name, one) != one:
            raise BadInput(f"directions: {one} and {found[name]} have one name, {name}: rename one of them")
        found[name] = one
    return found


def with_sets(model: Model, given: DirectionsLike | None) -> Model:
    """A model with the layers of sets of directions.

    Args:
        model: the network.
        given: files or values.

    Returns:
        The model itself if no set is given, else a copy that shares the network.

    Raises:
        MissingFile: for a missing file.
        BadInput: for a file without directions, or directions of another network or layer; it names the file.
    """
    from inverter import Directions

    for name, one in by_name(given).items():
        if not isinstance(one, str | Path):
            model = model.with_directions({name: one})
            continue
        directions = Directions.load(one)
        try:
            model = model.with_directions({name: directions})
        except InverterError as error:
            raise BadInput(f"directions {one}: {error}") from error
    return model


def layer_of(given: DirectionsLike | None) -> str:
    """The layer that a set of directions is of; of several, the first; "" without directions.

    Args:
        given: files or values.

    Raises:
        MissingFile: for a missing file.
        BadInput: for a file without directions.
    """
    from inverter import Directions

    if not (sets := by_name(given)):
        return ""
    first = next(iter(sets.values()))
    layer: str = (Directions.load(first) if isinstance(first, str | Path) else first).layer
    return layer


def written(given: DirectionsLike | None) -> list[str] | None:
    """Sets of directions as the manifest has them: files, and the names of sets that were given from Python."""
    return [str(one) if isinstance(one, str | Path) else name for name, one in by_name(given).items()] or None


def check_latents(latents: object, channels: object, given: DirectionsLike | None) -> None:
    """Raises a BadInput for latents without directions, or latents along with channels: they are the same indices."""
    if latents is None:
        return
    if not given:
        raise BadInput("latents is given but no directions: set directions to the file of the set")
    if channels is not None:
        raise BadInput("latents and channels are both given: leave out channels")


def chosen_layers(model: Model, layers: Sequence[str], given: DirectionsLike | None, dots: bool = False) -> list[str]:
    """The layers of a recipe with directions: by default those of their latents.

    Args:
        model: the network, with the directions.
        layers: addresses that the user named; () for none.
        given: the recipe's directions.
        dots: True for the dot products with directions by default, not their latents.

    Returns:
        The addresses.

    Raises:
        BadInput: if directions are given, and layers without any of theirs.
    """
    if not given:
        return list(layers)
    own = model.derived_layers(dots)
    if layers and not any(model.directions_of(layer) for layer in layers):
        raise BadInput(
            f"layer {layers[0]!r} is given with directions of {own[0].rpartition(':')[0]!r}: leave out layer, or name "
            f"that of the directions, {own[0]}"
        )
    return list(layers) or own
