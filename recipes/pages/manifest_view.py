"""What all pages take from their manifest: heading, notices and stats. Missing keys are left out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from inverter_errors import plural
from recipes.outputs.vocabulary import OK, SILENT

RELOAD = "Reload the page to see more while it is running."
RESUMES = "Running it again resumes it."
MARKED = "each is marked with its status."


class Stat(NamedTuple):
    """One stat in the header of a page.

    Attributes:
        label: short name.
        value: formatted value.
        hint: tooltip.
    """

    label: str
    value: str
    hint: str = ""


class ManifestView:
    """A manifest, prepared for a page.

    Args:
        manifest: the content of `manifest.json`; any key may be missing.

    Example:
        >>> view = ManifestView({"units": [{"status": "ok"}], "planned": 2, "settings": {"seed": 3, "steps": None}})
        >>> view.count, view.notices("unit")
        ('1 of 2', ['This run is not finished: 1 of 2 units. Reload the page to see more while it is running.'])
        >>> view.settings_stats("seed", "steps")
        [Stat(label='Seed', value='3', hint='')]
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
    def latents(self) -> list[str]:
        """Addresses of the layers whose channels are latents of a set of directions."""
        known = self.model.get("directions") or {}
        return [address for layer in known for address in (layer, _of_dots(layer))]

    @property
    def count(self) -> str:
        """The number of units; `3 of 8` if the run is not finished."""
        made = f"{len(self.units):,}"
        return made if self.planned is None else f"{made} of {self.planned:,}"

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width) of the pictures, in pixels; None if it is unknown."""
        return picture_shape(self.settings.get("size")) or picture_shape(self.model.get("input_size"))

    @property
    def aspect(self) -> float:
        """Width / height of the pictures as they are shown: channels that are no colours are tiles in rows."""
        height, width = self.shape or (1, 1)
        rows, columns = self.model.get("tiles") or (1, 1)
        return columns * width / (rows * height)

    def notices(self, noun: str, then: str = RELOAD, why: str = MARKED, of: int | None = None) -> list[str]:
        """Notices about a run that is not finished, and about units that did not complete normally.

        Args:
            noun: what a unit is called, in the singular.
            then: what to do about an unfinished run.
            why: where to find the reasons.
            of: total to count against, if it is not the number of units.
        """
        found = []
        if self.planned is not None:
            found.append(f"This run is not finished: {len(self.units):,} of {plural(self.planned, noun)}. {then}")
        if stopped := sum(unit.get("status", OK) not in (OK, SILENT) for unit in self.units):
            total = len(self.units) if of is None else of
            found.append(f"{stopped:,} of {plural(total, noun)} did not complete normally; {why}")
        if silent := sum(unit.get("status") == SILENT for unit in self.units):
            are = "are" if silent > 1 else "is"
            found.append(f"{plural(silent, noun)} {are} silent: no picture activated {'them' if silent > 1 else 'it'}.")
        return found

    def settings_stats(self, *names: str) -> list[Stat]:
        """Settings as stats, those that are set."""
        return [
            Stat(name.capitalize(), as_text(value)) for name in names if (value := self.settings.get(name)) is not None
        ]

    def weights(self) -> list[Stat]:
        """The SHA-256 of the network's weights, if it is known."""
        if not (digest := str(self.model.get("sha256") or "")):
            return []
        hint = f"{self.model.get('weights') or ''} {digest}".strip()
        return [Stat("Weights SHA-256", f"{digest[:10]}…", hint)]


def _of_dots(layer: str) -> str:
    """The address of the dot products with the directions whose latents are a layer."""
    name, mark, token = layer.partition("@")
    return f"{name}.dot{mark}{token}"


def named(label: str, names: Sequence[str], plural: str) -> Stat:
    """A single name, or the number of names with a list of them as the hint.

    Args:
        label: for a single name.
        names: the names.
        plural: label for several names.

    Example:
        >>> named("Layer", ["a", "b"], "Layers")
        Stat(label='Layers', value='2', hint='a, b')
    """
    return Stat(label, names[0]) if len(names) == 1 else Stat(plural, f"{len(names):,}", ", ".join(names))


def took(seconds: Iterable[object], each: str | None = None) -> list[Stat]:
    """The total time, and the mean time per unit.

    Args:
        seconds: of each unit; what is not a finite number is ignored.
        each: what a unit is called; None leaves the mean out.

    Example:
        >>> took([2.0, None, 4.0], "unit")
        [Stat(label='Time', value='6 s', hint=''), Stat(label='Time per unit', value='3 s', hint='')]
    """
    known = [value for value in seconds if isinstance(value, int | float) and math.isfinite(value)]
    if not known:
        return []
    total = Stat("Time", duration(sum(known)))
    return [total] if each is None else [total, Stat(f"Time per {each}", duration(sum(known) / len(known)))]


def picture_shape(size: object) -> tuple[int, int] | None:
    """(height, width) of a size given as one number or as a pair; None if it is neither."""
    pair = [size, size] if isinstance(size, int) else size
    if isinstance(pair, Sequence) and len(pair) == 2 and all(isinstance(side, int) and side > 0 for side in pair):
        return pair[0], pair[1]
    return None


def duration(seconds: float) -> str:
    """Formats a time: `9.4 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def as_text(value: object) -> str:
    """Formats a setting for readers."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(as_text(item) for item in value)
    return json.dumps(value, default=str) if isinstance(value, Mapping) else str(value)
