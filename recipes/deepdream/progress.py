"""The progress of a dream, counted in what the user gets: octaves of a picture, or frames of a zoom."""

from __future__ import annotations

from collections.abc import Sequence

from recipes.executors.progress import RunProgress, RunProgressCallback


class DreamProgress:
    """Counts steps, and reports octaves or frames; the share of the work goes by pixels: later octaves are larger.

    Args:
        callback: called after every step.
        sizes: (height, width) of the octaves, in order.
        frame_steps: gradient steps for each octave of each frame; one frame is a picture.

    Example:
        >>> progress = DreamProgress(lambda at: print(at.done, at.units, at.noun, at.share), [(1, 1), (1, 3)], [2])
        0.0 2 octave 0.0
        >>> for _ in range(4):
        ...     progress.step()
        0.5 2 octave 0.125
        1.0 2 octave 0.25
        1.5 2 octave 0.625
        2.0 2 octave 1.0
    """

    def __init__(
        self, callback: RunProgressCallback | None, sizes: Sequence[tuple[int, int]], frame_steps: Sequence[int]
    ) -> None:
        self.callback, self.frame_steps = callback, frame_steps
        self.pixels = [height * width for height, width in sizes]
        self.frame = self.octave = self.steps = self.spent = 0
        self._report()

    def step(self) -> None:
        """Counts one gradient step, on all tiles."""
        self.steps += 1
        self.spent += self.pixels[self.octave]
        if self.steps == self.frame_steps[self.frame]:
            self.steps, self.octave = 0, self.octave + 1
        if self.octave == len(self.pixels):
            self.octave, self.frame = 0, self.frame + 1
        self._report()

    def _report(self) -> None:
        if self.callback is None:
            return
        octaves, frames = len(self.pixels), len(self.frame_steps)
        begun = self.octave + (self.steps / self.frame_steps[self.frame] if self.steps else 0)  # octaves of this frame
        work = sum(self.pixels) * sum(self.frame_steps)
        if frames > 1:
            update = RunProgress(self.frame + begun / octaves, frames, 0, "frame", self.spent / work)
        else:
            update = RunProgress(float(self.frame * octaves + begun), octaves, 0, "octave", self.spent / work)
        self.callback(update)
