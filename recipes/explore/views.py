"""The runs that pages start: which recipes and settings they may, and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recipes.explore.server.access import Refused

if TYPE_CHECKING:
    from recipes.explore.session import Session


def start(session: Session, page: str, body: dict[str, Any]) -> dict[str, Any]:
    """Starts a run for a page."""
    raise Refused(404, "runs of views come with the next version")


def describe(session: Session, run: str) -> dict[str, Any]:
    """A run with its pictures."""
    raise Refused(404, f"there is no run {run[:64]!r}")


def stop(session: Session, run: str) -> None:
    """Stops a run."""
    raise Refused(404, f"there is no run {run[:64]!r}")
