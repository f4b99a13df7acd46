"""Several runs as one: what each makes, how long it takes, and the progress of all of them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from inverter_errors import InverterError, OutOfMemory, RunFailed
from recipes.executors.progress import RunProgress

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgressCallback
    from recipes.runner.report import Report


@dataclass(frozen=True)
class Part:
    """A run that is part of another.

    Attributes:
        title: what it makes, for readers.
        make: runs it, or what is missing of it.
        work: what its progress counts (None: its own units) -> the seconds expected for all of it; "" is what comes
            after the last unit.
        needed: True if the others are of no use without it: its errors are those of the run.
    """

    title: str
    make: Callable[[RunProgressCallback | None], Report | None]
    work: Mapping[str | None, float]
    needed: bool = False


@dataclass
class Outcome:
    """What the parts came to.

    Attributes:
        skipped: input pictures that could not be read -> why.
        left_out: title of a part -> why it could not be made.
    """

    skipped: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def run_parts(
    parts: Sequence[Part], progress: RunProgressCallback | None, outcome: Outcome, after: Callable[[], object]
) -> None:
    """Runs the parts in order; one that this network, or these options, do not allow is left out.

    Args:
        parts: of the run.
        progress: called with the progress of all parts together.
        outcome: is filled in as the parts are finished.
        after: called after each part that made something, when one is interrupted, and at the end.

    Raises:
        InverterError: of a part that is needed, or of a machine that fails.
    """
    counted = _Counted(progress, parts)
    for part in parts:
        report = None
        try:
            report = part.make(None if progress is None else counted.of(part))
        except (OutOfMemory, RunFailed):
            raise
        except InverterError as error:
            if part.needed:
                raise
            outcome.left_out[part.title] = " ".join(str(error).split())
        finally:
            if report is None or report.made or part is parts[-1]:
                after()
        counted.finish(part)
        if report is not None:
            outcome.skipped |= report.skipped


class _Counted:
    """The progress of all parts together. What an earlier run has finished is no work of this one.

    Args:
        progress: of the run.
        parts: in the order in which they run.
    """

    def __init__(self, progress: RunProgressCallback | None, parts: Sequence[Part]) -> None:
        self.progress, self.parts = progress, list(parts)
        self.left = sum(sum(part.work.values()) for part in parts)  # in seconds, as expected
        self.done = 0.0
        self.share = 0.0

    def of(self, part: Part) -> RunProgressCallback:
        """The callback of a part."""
        self.here, self.before = dict[str | None, float](), dict[str | None, float]()
        name = f"part {self.parts.index(part) + 1} of {len(self.parts)}, {part.title}"

        def callback(update: RunProgress) -> None:
            noun, every = update.noun if update.noun in part.work else None, update.units + update.finished
            seconds = part.work.get(noun, 0.0)
            self.here[noun] = seconds * update.done / every if every else 0.0
            self.before[noun] = seconds * update.finished / every if every else seconds
            done = self.done + sum(self.here.values())
            total = self.done + self.left - sum(self.before.values())
            self.share = max(self.share, min(1.0, done / max(total, 1e-9)))
            assert self.progress is not None  # else there is no such callback
            self.progress(replace(update, share=self.share, part=name, noun=update.noun or "picture"))

        return callback

    def finish(self, part: Part) -> None:
        """Counts a part as done, if this run did some of it."""
        work = sum(part.work.values())
        self.left -= work
        if self.progress is not None and any(self.here.values()):
            self.done += work - sum(self.before.values())
