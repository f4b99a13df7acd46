"""What is known of a unit without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.explore.session import Session


def facts(session: Session, layer: str, channel: int) -> dict[str, Any]:
    """Units like it, and the classes that it matters for."""
    return {"neighbours": [], "classes": []}
