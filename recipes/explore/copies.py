"""A recipe as Python, as a command and as a TOML file, which make the same pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recipes.explore.server.access import Refused

if TYPE_CHECKING:
    from recipes.runner.base import Recipe


def copies(recipe: Recipe) -> dict[str, str]:
    """The recipe in three forms."""
    raise Refused(404, "copies come with the next version")
