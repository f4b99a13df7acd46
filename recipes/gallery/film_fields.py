"""The field of a recipe whose units may be filmed while they are optimised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from recipes.options.fields import OUTPUT, option
from recipes.outputs.vocabulary import VIDEO
from recipes.runner.units import Unit

VideoFormat = Literal["gif", "mp4"]


@dataclass(frozen=True, kw_only=True)
class FilmFields:
    """A recipe of optimised units, each with a film next to its picture if `video` is set.

    The pictures are the same without. A finished unit without a film is made again, to the same picture, when its
    folder is continued with `video`.
    """

    video: VideoFormat | None = option(
        None,
        "film each picture's optimisation, as a file next to it: gif (the flag alone), or mp4, a sixth of the size "
        "(pip install 'inverter-vis[video]')",
        choices=get_args(VideoFormat),
        alone="gif",
        group=OUTPUT,
    )

    def with_films(self, units: Sequence[Unit]) -> list[Unit]:
        """Units that plan their films.

        Args:
            units: of the recipe.

        Raises:
            MissingLibrary: if no encoder for .mp4 is installed.
        """
        if self.video is None:
            return list(units)
        from recipes.outputs.rendering.video import check_video

        names = [f"{unit.file.removesuffix('.png')}.{self.video}" for unit in units]
        for name in names[:1]:
            check_video(Path(name))
        return [replace(unit, extra_files={VIDEO: name}) for unit, name in zip(units, names, strict=True)]
