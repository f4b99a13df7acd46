"""Films: what the pictures of an optimisation look like on the way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from inverter.loop.progress import Progress
from inverter_errors import BadInput, NotFound

FRAMES = 24


class Film:
    """Keeps frames of each picture while it is optimised: the `progress` of `optimize`.

    Frames are close together at first, where pictures change most: the k-th of n is taken after step
    (k / n)^2 * steps. They are kept as bytes, and taking them does not change the pictures.

    Args:
        frames: of each picture at most, from 2; fewer where there are fewer steps.
        progress: called after every step as well.

    Raises:
        BadInput: for fewer than 2 frames.

    Example:
        >>> from inverter import Settings, optimize
        >>> from objectives import channel
        >>> from priors import Fourier
        >>> net, film = torch.nn.Conv2d(3, 8, 3), Film(4)
        >>> found = optimize(net, channel("", [1, 5]), Fourier(2, size=16), Settings(steps=9), progress=film)
        >>> film.of(1, found.images[1]).shape
        torch.Size([4, 3, 16, 16])
    """

    def __init__(self, frames: int = FRAMES, progress: Callable[[Progress], None] | None = None) -> None:
        if not isinstance(frames, int) or frames < 2:
            raise BadInput(f"frames must be an integer of at least 2, got {frames!r}")
        self.frames, self.progress = frames, progress
        self._kept: dict[int, list[list[Tensor]]] = {}  # of each picture, by try

    def __call__(self, at: Progress) -> None:
        steps = at.steps // at.tries
        number, step = divmod(at.step - 1, steps)
        if at.step == 1 and at.done == 0:
            self._kept.clear()  # another call, or the same once more in smaller batches
        if step + 1 in _moments(steps, self.frames):
            for place, image in enumerate((at.images * 255).round().byte(), at.done):
                tries = self._kept.setdefault(place, [])
                if len(tries) == number:
                    tries.append([])
                tries[number].append(image)
        if self.progress is not None:
            self.progress(at)

    def of(self, index: int, image: Tensor) -> Tensor:
        """The film of a picture: of several tries, the one that it is the result of.

        Args:
            index: of the picture.
            image: (C, H, W) in [0, 1], what the optimisation returned for it, which is the last frame.

        Returns:
            (frames, C, H, W) in [0, 1].

        Raises:
            NotFound: for a picture that this film has no frames of.
        """
        if index not in self._kept:
            raise NotFound(f"the film has no picture {index}: it has {len(self._kept)} of the last optimisation")
        distances = [(tried[-1] / 255 - image).abs().mean() for tried in self._kept[index]]
        best = self._kept[index][int(torch.stack(distances).argmin())]
        return torch.cat([torch.stack(best[:-1]) / 255, image[None]]) if len(best) > 1 else image[None]


def _moments(steps: int, frames: int) -> set[int]:
    """The steps after which frames are taken: the first and the last among them.

    Example:
        >>> sorted(_moments(32, 8))
        [1, 2, 4, 8, 12, 18, 24, 32]
        >>> sorted(_moments(3, 24))
        [1, 2, 3]
    """
    return {max(1, round(steps * (k / frames) ** 2)) for k in range(1, frames + 1)}
