"""What an optimisation returns."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from inverter.settings import Settings


def to_pil(image: Tensor) -> Image.Image:
    """One picture (3, H, W) or (1, H, W) with values in [0, 1] as 8-bit RGB or grey; values are rounded, not cut."""
    pixels = (image.detach().clamp(0, 1) * 255).round().byte().cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


@dataclass(frozen=True, eq=False)
class Inversion:
    """The pictures that were found. Always of the same shape, whatever the batch.

    Attributes:
        images: (B, 3, H, W) in [0, 1], float32 on the CPU.
        scores: (B,) the objective on each final picture, without augmentation, in float32.
        history: (steps, B) the objective in each step, on the augmented picture.
        status: (B,) "ok", or "non-finite at step N" for a picture that stopped there (its last finite state is kept).
        labels: (B,) names of the targets.
        settings: that made them.
        seconds: wall-clock time of each picture's batch, divided by the batch, summed over all: of one picture.
    """

    images: Tensor
    scores: Tensor
    history: Tensor
    status: tuple[str, ...]
    labels: tuple[str, ...]
    settings: Settings
    seconds: float

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        rows = (f"{label}: {score:.4g}" for label, score in zip(self.labels, self.scores.tolist(), strict=True))
        height, width = self.images.shape[2:]
        return f"Inversion({len(self)} images {height}x{width}; {', '.join(rows)})"

    def better_of(self, other: Inversion) -> tuple[Inversion, Tensor]:
        """Of each target the picture with the higher score, and (B,) where that is the other's; a number beats NaN."""
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

    def to_pil(self) -> list[Image.Image]:
        """The pictures as 8-bit PIL images."""
        return [to_pil(image) for image in self.images]

    def save(self, folder: str | Path) -> list[Path]:
        """Writes `0000.png`, `0001.png`, ... into `folder` (made if it is missing) and returns their paths."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        paths = []
        for index, picture in enumerate(self.to_pil()):
            path = place / f"{index:04d}.png"
            partial = path.with_suffix(".png.partial")  # a crash must not leave half a picture under the real name
            picture.save(partial, format="PNG")
            partial.replace(path)
            paths.append(path)
        return paths

    def _repr_html_(self) -> str:
        """The pictures with their targets and scores, for notebooks."""
        metrics = []
        for picture, label, score, status in zip(
            self.to_pil(), self.labels, self.scores.tolist(), self.status, strict=True
        ):
            buffer = io.BytesIO()
            picture.save(buffer, format="PNG")
            data = base64.b64encode(buffer.getvalue()).decode()
            caption = html.escape(f"{label} · {score:.4g}" + ("" if status == "ok" else f" · {status}"))
            metrics.append(
                f'<figure style="display:inline-block;margin:4px"><img src="data:image/png;base64,{data}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        return "".join(metrics)
