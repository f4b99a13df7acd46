"""A unit as pages know it, with its picture or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.outputs.manifest import Record


def missing_unit(layer: str, channel: int | None, status: str | None = None, name: str | None = None) -> dict[str, Any]:
    """A unit without a picture, as JSON values.

    Args:
        layer: address.
        channel: of the unit.
        status: why there is none, if there will not be one.
        name: of the class or latent.
    """
    known: dict[str, Any] = {"layer": layer, "channel": channel, "url": None, "score": None, "percentile": None}
    return known | {"status": status, "name": name, "words": []}


def made_unit(record: Record, url: str) -> dict[str, Any]:
    """A unit with its picture, as JSON values.

    Args:
        record: of the unit.
        url: of its picture.
    """
    measured = {"score": record.score, "percentile": record.metrics.get("percentile"), "status": record.status}
    return {"layer": record.layer, "channel": record.channel, "url": url, **measured, "name": record.name, "words": []}
