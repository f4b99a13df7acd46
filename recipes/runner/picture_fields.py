"""The field of a recipe on given pictures, and how it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from inverter_errors import BadInput
from recipes.options.fields import option, texts
from recipes.runner.context import RunContext, once

if TYPE_CHECKING:
    from recipes.pictures.inputs import InputPictures


@dataclass(frozen=True, kw_only=True)
class PictureFields:
    """A recipe on pictures that the user names.

    Attributes:
        reserved: endings that no picture's name may have, since other files of the recipe end so.
    """

    reserved: ClassVar[tuple[str, ...]] = ()

    image: str | Sequence[str] = option(
        (), "picture, or folder of pictures, to look at; may be repeated", repeat=True, grows=True
    )

    @property
    def images(self) -> tuple[str, ...]:
        """The places of the pictures."""
        return tuple(map(str, texts(self.image)))

    def check_images(self, required: bool = True) -> None:
        """Raises a BadInput for places that are no texts, or if there is none."""
        values = texts(self.image)
        if (required and not values) or not all(isinstance(each, str | Path) and str(each) for each in values):
            raise BadInput(f"image: got {self.image!r}; expected a picture, a folder of pictures, or a list of these")

    @once
    def pictures(self, context: RunContext) -> InputPictures:
        """The pictures that can be read, as the network takes them, and why the others cannot."""
        from recipes.pictures.inputs import InputPictures

        model = context.model
        return InputPictures.find(self.images, len(model.mean), self.reserved, model.value_range)

    def skipped(self, context: RunContext) -> Mapping[str, str]:
        return self.pictures(context).unreadable if self.images else {}
