"""Suggestions for mistyped names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
    return f"; did you mean {' or '.join(near)}?" if near else f"; expected one of {', '.join(known)}"
