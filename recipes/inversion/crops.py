"""The pictures that a learned inverter is trained on: random crops, and some pictures that are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from inverter_errors import BadInput, plural
from recipes.pictures.inputs import InputPictures

if TYPE_CHECKING:
    from inverter import Model
    from inverter.inverter_training import TrainingSettings

ROOM = 8 / 7
"""Side of a picture that crops are taken from, in sides of the network's input: 256 pixels for 224."""
CACHED = 1000
"""Pictures that are kept in memory, as bytes: 200 MB at 256 pixels."""


@dataclass
class Crops:
    """A function from a step to its pictures, the same for the same step.

    Attributes:
        pictures: all that can be read.
        names: of those to train on.
        held_names: of the others.
        side: in pixels, of a picture that crops are taken from.
        input_size: (height, width) of the network's input.
        settings: of the training.
    """

    pictures: InputPictures
    names: Sequence[str]
    held_names: Sequence[str]
    side: int
    input_size: tuple[int, int]
    settings: TrainingSettings
    _cache: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def find(cls, folder: str, model: Model, settings: TrainingSettings, held_out: int) -> Crops:
        """The pictures of a folder.

        Args:
            folder: with the pictures.
            model: that reads them.
            settings: of the training.
            held_out: every `held_out`-th picture is not trained on.

        Raises:
            MissingFile: if there is no such folder.
            BadInput: for fewer than two pictures.
        """
        pictures = InputPictures.find([folder], len(model.mean), (), model.value_range)
        names = list(pictures.files)
        if len(names) < 2:
            raise BadInput(
                f"{folder} holds {plural(len(names), 'picture')}: expected two or more, one of them held out"
            )
        size = model.size_for(None)
        side = max(settings.size, round(ROOM * min(size)))
        held = names[::held_out]
        return cls(pictures, [name for name in names if name not in set(held)], held, side, size, settings)

    @property
    def unreadable(self) -> Mapping[str, str]:
        """File -> why it cannot be read."""
        return self.pictures.unreadable

    def measured(self, most: int) -> int:
        """Number of pictures that `held` returns."""
        return min(most, len(self.held_names))

    def held(self, most: int) -> Tensor:
        """At most so many held-out pictures, (N, C, H, W) in [0, 1], spread over all of them."""
        count = self.measured(most)
        chosen = [self.held_names[i * len(self.held_names) // count] for i in range(count)]
        return self.pictures.read(chosen, self.input_size)

    def __call__(self, step: int) -> Tensor:
        """The crops of a step, (B, C, size, size) in [0, 1], half of them mirrored."""
        draws = torch.Generator("cpu").manual_seed(self.settings.seed * 1_000_003 + step)
        size, crops = self.settings.size, []
        for _ in range(self.settings.batch):
            place, top, left, mirrored = (
                int(torch.randint(end, (), generator=draws))
                for end in (len(self.names), self.side - size + 1, self.side - size + 1, 2)
            )
            crop = self._picture(self.names[place])[:, top : top + size, left : left + size].float() / 255
            crops.append(crop.flip(2) if mirrored else crop)
        return torch.stack(crops)

    def _picture(self, name: str) -> Tensor:
        """A picture as bytes, (C, side, side)."""
        if (known := self._cache.get(name)) is not None:
            return known
        picture = self.pictures.read([name], (self.side, self.side))[0].mul(255).round().byte()
        if len(self._cache) < CACHED:
            self._cache[name] = picture
        return picture
