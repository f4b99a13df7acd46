"""Suggestions for mistyped names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST = 60
"""Known names in an error, at most."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: similar names, or else all known ones.

    Args:
        name: the unknown name.
        known: all known names.

    Example:
        >>> nearest("galery", ["gallery", "invert"])
        '; did you mean gallery?'
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    more = f", ... ({len(known):,} in all)" if len(known) > MOST else ""
    return f"; expected one of {', '.join(known[:MOST])}{more}"
