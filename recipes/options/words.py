"""Texts and vocabularies as users write them: words, or files of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from inverter_errors import BadInput, MissingFile
from recipes.options.fields import texts

Measure = Literal["soft-wpmi", "wpmi", "cosine", "cosine-cubed"]
"""How a unit's responses to pictures are compared with the similarities of these pictures and a word."""

MEASURES: tuple[Measure, ...] = get_args(Measure)


def read_words(words: str | Path | Sequence[str], field: str) -> tuple[str, ...]:
    """Texts, each as it is, or from a file.

    Args:
        words: one text or several; one that ends with `.txt` is a file of texts, one a line.
        field: their name, for errors.

    Returns:
        The texts without duplicates, in the given order.

    Raises:
        MissingFile: if there is no such file.
        BadInput: for no texts, something else than text, or a file that is no text.

    Example:
        >>> read_words(["a red bird", "shoes", "shoes"], "text")
        ('a red bird', 'shoes')
    """
    found: list[str] = []
    for each in texts(words):
        if not isinstance(each, str | Path):
            raise BadInput(f"{field}: got {each!r}; expected words, or a .txt file of texts, one a line")
        found += _lines(Path(each), field) if str(each).lower().endswith(".txt") else [str(each).strip()]
    if not found or not all(found):
        raise BadInput(f"{field}: got an empty text; expected words, or a .txt file of texts, one a line")
    return tuple(dict.fromkeys(found))


def _lines(path: Path, field: str) -> list[str]:
    if not path.is_file():
        raise MissingFile(f"{field}: no file {str(path)!r}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except ValueError:
        raise BadInput(f"{field}: {path} is no text in UTF-8") from None
    return [line.strip() for line in lines if line.strip()]
