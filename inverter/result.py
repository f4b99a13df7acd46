"""The result of an optimisation."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from inverter.figure import WIDTH, draw
from inverter.notebook import grid, tile
from inverter.png import png, software
from inverter.settings import Settings
from inverter_errors import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER_FORMATS = (".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".npy", ".pdf")
"""Suffixes that no folder has by accident, and that `save` does not write."""

ACROSS = 4
"""Tiles of channels in a row, at most."""


def to_pil(image: Tensor, alpha: bool = False) -> Image.Image:
    """One picture as an 8-bit image.

    Args:
        image: (C, H, W) in [0, 1]; values are clamped and rounded.
        alpha: True if the last channel is opacity.

    Returns:
        A grey image for one channel, RGB for three; for any other number its channels as grey tiles side by side, in
        rows of at most four. With alpha, the image has its opacity.

    Raises:
        BadInput: for a tensor of another number of dimensions, or without channels.
    """
    if image.ndim != 3 or not image.numel():
        raise BadInput(f"to_pil: expected one picture (C, H, W), got shape {tuple(image.shape)}")
    colours = image[:-1] if alpha else image
    if len(colours) not in (1, 3):
        return to_pil(_tiles(colours))
    pixels = (image.detach().clamp(0, 1) * 255).round().byte().cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def tile_grid(channels: int) -> tuple[int, int]:
    """Rows and columns of the tiles in which a picture's channels are shown; one tile for a grey or coloured one."""
    if channels in (1, 3):
        return 1, 1
    rows = -(-channels // ACROSS)
    return rows, -(-channels // rows)


def _tiles(image: Tensor) -> Tensor:
    """The channels of a picture (C, H, W) in rows with white gaps, (1, H', W')."""
    (count, height, width), (rows, columns) = image.shape, tile_grid(len(image))
    gap = tile_gap(width)
    drawn = image.new_ones(rows * (height + gap) - gap, columns * (width + gap) - gap)
    for place in range(count):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        drawn[top : top + height, left : left + width] = image[place]
    return drawn[None]


def tile_gap(width: int) -> int:
    """Pixels between the tiles of channels of this width."""
    return max(1, width // 64)


@dataclass(frozen=True, eq=False)
class Inversion:
    """The optimised pictures; all batches are joined.

    Attributes:
        images: (B, C, H, W) in [0, 1], float32 on the CPU.
        scores: (B,) the objective on each final picture, without augmentation, in float32.
        history: (steps, B) the objective in each step, on the augmented picture.
        status: (B,) "ok", or "non-finite at step N" for a picture that stopped there (its last finite state is kept).
        labels: (B,) names of the targets.
        settings: of the run, with the chosen number of views.
        seconds: wall-clock time of the run divided by B.
        loop: `graph` if the steps ran as a recorded CUDA graph, else `eager: ` and why they did not.
    """

    images: Tensor
    scores: Tensor
    history: Tensor
    status: tuple[str, ...]
    labels: tuple[str, ...]
    settings: Settings
    seconds: float
    loop: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.images.shape[2:]
        best = max((score for score in self.scores.tolist() if not math.isnan(score)), default=math.nan)
        stopped = sum(status != "ok" for status in self.status)
        return (
            f"Inversion({len(self)} {'picture' if len(self) == 1 else 'pictures'} of {height}x{width}, "
            f"best score {best:.4g}, {f'{stopped} stopped' if stopped else 'ok'})"
        )

    def better_of(self, other: Inversion) -> tuple[Inversion, Tensor]:
        """Chooses the picture with the higher score for each target; any number beats NaN.

        Args:
            other: another result for the same targets.

        Returns:
            The chosen pictures, and (B,) bool, True where they are the other's.
        """
        better = (other.scores > self.scores) | (self.scores.isnan() & ~other.scores.isnan())
        pick = [(other if one else self, i) for i, one in enumerate(better.tolist())]
        chosen = replace(
            self,
            images=torch.stack([result.images[i] for result, i in pick]),
            scores=torch.where(better, other.scores, self.scores),
            history=torch.where(better, other.history, self.history),
            status=tuple(result.status[i] for result, i in pick),
            seconds=self.seconds + other.seconds,
        )
        return chosen, better

    def to_pil(self, channels: Sequence[int] = ()) -> list[Image.Image]:
        """The pictures as 8-bit PIL images.

        Args:
            channels: those to show, in order: three as red, green and blue, one as grey; default: all.
        """
        shown = self.images[:, list(channels)] if len(channels) else self.images
        return [to_pil(image) for image in shown]

    def save(self, path: str | Path, channels: Sequence[int] = ()) -> list[Path]:
        """Writes the pictures; each file says in text chunks what made it.

        Args:
            path: a `.png` file, for one picture; several are numbered, `x.png` as `x-0000.png`, `x-0001.png`, ... Any
                other path is a folder for `0000.png`, `0001.png`, ... Folders are made if they are missing.
            channels: as in `to_pil`.

        Returns:
            The paths of the pictures, in order.

        Raises:
            BadInput: for a file of another format.
            OSError: if the files cannot be written.
        """
        place = Path(path)
        if place.suffix.lower() in OTHER_FORMATS:
            raise BadInput(f"save: got {str(path)!r}; expected a .png file or a folder (to_pil() has other formats)")
        paths = [place / f"{index:04d}.png" for index in range(len(self))]
        if place.suffix.lower() == ".png" and not place.is_dir():
            one = len(self) == 1
            paths = [place if one else place.with_stem(f"{place.stem}-{index:04d}") for index in range(len(self))]
        for index, (file, picture) in enumerate(zip(paths, self.to_pil(channels), strict=True)):
            file.parent.mkdir(parents=True, exist_ok=True)
            # a crash must not leave half a picture under the real name
            partial = file.with_name(f"{file.name}.partial")
            partial.write_bytes(png(picture, self._about(index)))
            partial.replace(file)
        return paths

    def figure(self, columns: int | None = None, width: float = WIDTH) -> Figure:
        """The pictures with their targets and scores, and a scale in pixels, as a figure for a paper or notebook.

        Args:
            columns: pictures side by side; by default as many as make a sheet about as wide as it is high, at most 8.
            width: of the figure in centimetres, from 1 to 200.

        Returns:
            A matplotlib figure; `inverter.figure.save` writes it with its fonts.

        Raises:
            BadInput: for a number out of its range.
            MissingLibrary: if matplotlib is not installed.
        """
        captions = [f"{label}\n{score:.4g}" for label, score in zip(self.labels, self.scores.tolist(), strict=True)]
        return draw(self.to_pil(), captions, columns=columns, width=width)

    def _about(self, index: int) -> dict[str, str]:
        """The text chunks of a picture; those of settings that do not affect it are left out."""
        machine = ("device", "batch_size", "graph")
        settings = {key: value for key, value in asdict(self.settings).items() if key not in machine}
        return {
            "Software": software(),
            "objective": self.labels[index],
            "score": f"{self.scores[index].item():.6g}",
            "status": self.status[index],
            "seed": str(self.settings.seed),
            "settings": json.dumps(settings),
        }

    def _repr_html_(self) -> str:
        """The pictures with their targets and scores, for notebooks."""
        return grid(
            [
                tile(picture, (label, f"{score:.4g}", "" if status == "ok" else status))
                for picture, label, score, status in zip(
                    self.to_pil(), self.labels, self.scores.tolist(), self.status, strict=True
                )
            ]
        )
