"""The options of what names units by words: a vocabulary, and a network that knows pictures and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from inverter_errors import BadInput
from recipes.options.fields import option
from recipes.options.words import read_words


@dataclass(frozen=True, kw_only=True)
class NamingFields:
    """The fields of what names units by the words that describe their pictures, if it is to (`inverter names`)."""

    vocabulary: str | Sequence[str] | None = option(
        None, "words that name units: a .txt file, one a line, or words; may be repeated", repeat=True, grows=True
    )
    text_model: str | None = option(
        None, "network with an image and a text tower for names (default: the network itself)", grows=True
    )
    text_weights: str | None = option(None, "weights file of the text model", grows=True)
    text_normalize: str | None = option(None, "input normalisation of the text model", grows=True)

    def check_naming(self, images: object) -> None:
        """Checks the fields.

        Args:
            images: pictures by which units are named; None for none.

        Raises:
            BadInput: for words without pictures, options of a text model without it, or a bad vocabulary.
            MissingFile: for a vocabulary that is not there.
        """
        if self.vocabulary is None:
            if self.text_model is not None:
                raise BadInput("text_model is given but no words: set vocabulary to a file of them")
        elif images is None:
            raise BadInput("vocabulary names units by pictures: set images to a folder of them")
        else:
            read_words(self.vocabulary, "vocabulary")
        for key in ("text_weights", "text_normalize"):
            if self.text_model is None and getattr(self, key) is not None:
                raise BadInput(f"{key} is given but no text_model: set text_model to a network with a text tower")

    @property
    def naming(self) -> dict[str, Any]:
        """The fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(NamingFields)}
