"""What a reader takes along of a run: a picture, a figure, a film."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recipes.explore.server.access import Refused

if TYPE_CHECKING:
    from recipes.explore.session import Session


def download(session: Session, run: str, form: str) -> tuple[bytes, str, str]:
    """Content, media type and file name."""
    raise Refused(404, f"there is no run {run[:64]!r}")
