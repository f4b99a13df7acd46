"""What somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` for a name that was mistyped, else all that are known.

    Example:
        >>> nearest("galery", ["gallery", "invert"])
        '; did you mean gallery?'
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; expected one of {', '.join(known)}"
