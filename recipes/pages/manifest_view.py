"""What every page takes from its manifest in the same way: heading, sentences and figures, left out where a key is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

GOES_ON = "While it goes on, reload to see more."
CONTINUES = "The same command continues."
MARKED = "each is marked with its status."


class Stat(NamedTuple):
    """One figure of the header: a label, a value, and a longer text that shows on hover."""

    label: str
    value: str
    hint: str = ""


class ManifestView:
    """A manifest as a page reads it.

    Args:
        manifest: the content of `manifest.json`; any key may be missing.

    Example:
        >>> view = ManifestView({"units": [{"status": "ok"}], "planned": 2, "settings": {"seed": 3, "steps": None}})
        >>> view.count, view.notices("units")
        ('1 of 2', ['This run is not finished: 1 of 2 units. While it goes on, reload to see more.'])
        >>> view.asked("seed", "steps")
        [Figure(label='Seed', value='3', hint='')]
    """

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self.settings: Mapping[str, Any] = manifest.get("settings") or {}
        self.model: Mapping[str, Any] = manifest.get("model") or {}
        self.units: Sequence[Mapping[str, Any]] = manifest.get("units") or []
        self.rows = [row for row in manifest.get("table") or [] if isinstance(row, Mapping)]
        self.spec = str(self.model.get("spec") or self.settings.get("model") or "network")
        self.named = str(manifest.get("title") or "")
        self.title = self.named or self.spec
        self.origin = f"{manifest.get('created', '')} · inverter {manifest.get('inverter', '')}".strip(" ·")
        self.details = {"Settings": self.settings, "Model": self.model, "Versions": manifest.get("versions") or {}}
        planned = manifest.get("planned")
        self.planned = planned if isinstance(planned, int) and planned > len(self.units) else None

    @property
    def count(self) -> str:
        """The number of units, `3 of 8` while a run is not finished."""
        made = f"{len(self.units):,}"
        return made if self.planned is None else f"{made} of {self.planned:,}"

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width) of its pictures."""
        return picture_shape(self.settings.get("size")) or picture_shape(self.model.get("input_size"))

    def notices(self, noun: str, then: str = GOES_ON, why: str = MARKED, of: int | None = None) -> list[str]:
        """Sentences on a run that is not finished, and on units that did not end well.

        Args:
            noun: what a unit is. then: what to do about a run that is not finished. why: where to see what went wrong.
            of: how many there are to count by, where they are not the units.
        """
        found = [] if self.planned is None else [f"This run is not finished: {self.count} {noun}. {then}"]
        if stopped := sum(unit.get("status", "ok") != "ok" for unit in self.units):
            found.append(f"{stopped:,} of {len(self.units) if of is None else of:,} {noun} did not end well; {why}")
        return found

    def asked(self, *names: str) -> list[Stat]:
        """Settings as figures."""
        return [
            Stat(name.capitalize(), as_text(value)) for name in names if (value := self.settings.get(name)) is not None
        ]

    def weights(self) -> list[Stat]:
        """Which weights the network had."""
        if not (digest := str(self.model.get("sha256") or "")):
            return []
        hint = f"{self.model.get('weights') or ''} {digest}".strip()
        return [Stat("Weights sha256", f"{digest[:10]}…", hint)]


def named(label: str, names: Sequence[str], plural: str) -> Stat:
    """One name, or how many there are and which.

    Example:
        >>> named("Layer", ["a", "b"], "Layers")
        Figure(label='Layers', value='2', hint='a, b')
    """
    return Stat(label, names[0]) if len(names) == 1 else Stat(plural, f"{len(names):,}", ", ".join(names))


def took(seconds: Iterable[object], each: str | None = None) -> list[Stat]:
    """How long it took, of units that say so, and for `each` of them.

    Example:
        >>> took([2.0, None, 4.0], "a unit")
        [Figure(label='Time', value='6 s', hint=''), Figure(label='Time a unit', value='3 s', hint='')]
    """
    known = [value for value in seconds if isinstance(value, int | float) and math.isfinite(value)]
    if not known:
        return []
    total = Stat("Time", duration(sum(known)))
    return [total] if each is None else [total, Stat(f"Time {each}", duration(sum(known) / len(known)))]


def picture_shape(size: object) -> tuple[int, int] | None:
    """Return (height, width) of a size given as one number or as a pair; None where it is neither."""
    pair = [size, size] if isinstance(size, int) else size
    if isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(side, int) and side > 0 for side in pair):
        return pair[0], pair[1]
    return None


def duration(seconds: float) -> str:
    """Return a time as a person says it: `9.4 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def as_text(value: object) -> str:
    """Return a setting as a reader wants it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(as_text(item) for item in value)
    return json.dumps(value, default=str) if isinstance(value, Mapping) else str(value)
