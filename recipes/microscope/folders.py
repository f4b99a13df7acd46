"""What the runs below a site's folder have made so far: its layers and units, read from their manifests alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.microscope.feeds import read_feeds
from recipes.microscope.network_facts import FACTS
from recipes.options.names import OUTPUT_LAYER
from recipes.outputs.file_names import safe_name
from recipes.outputs.manifest import Manifest, Record

RUNS = "runs"
"""Folder of a site that holds the runs."""
GALLERY, CLASSES, PATCHES, CLASS_PATCHES = "gallery", "classes", "patches", "class-patches"
NAMES, ACTIVATIONS, ATLAS = "names", "activations", "atlas"


@dataclass(frozen=True)
class Made:
    """A record with the folder of its run."""

    record: Record
    folder: Path


@dataclass
class SiteUnit:
    """A unit of a site.

    Attributes:
        channel: its index, or that of a class.
        picture: that maximises it, None if it is not made yet.
        responses: its top patches and distribution; None without photographs.
    """

    channel: int
    picture: Made | None = None
    responses: Made | None = None

    @property
    def name(self) -> str | None:
        """Of the class, or the first of the words that describe the unit."""
        known = [made.record.name for made in (self.responses, self.picture) if made is not None]
        return next((name for name in known if name), None)


@dataclass
class SiteLayer:
    """A layer of a site, with its page.

    Attributes:
        address: of the layer, "output" for the classes.
        facts: `type`, `shape`, `field` and `weights`, as `write_facts` describes them.
        units: by channel.
        feeds: as `read_feeds` returns them.
        responses: folder of the activations that units are compared by; None without photographs.
        atlas: folder of the layer's atlas; None without one.
    """

    address: str
    facts: Mapping[str, Any]
    units: list[SiteUnit] = field(default_factory=list)
    feeds: Mapping[str, Any] = field(default_factory=dict)
    responses: Path | None = None
    atlas: Path | None = None

    @property
    def stem(self) -> str:
        """Of the names of its page and folder."""
        return safe_name(self.address)

    @property
    def channels(self) -> list[int]:
        """Of its units."""
        return [unit.channel for unit in self.units]


@dataclass(frozen=True)
class FoundRuns:
    """What a site is made of.

    Attributes:
        layers: those that have units, in the order of the network.
        filters: layer and number of the first layer's filters; None without them.
        size: (height, width) in pixels at which the network reads photographs.
        folder: of the runs.
    """

    layers: list[SiteLayer]
    filters: Mapping[str, Any] | None
    size: tuple[int, int]
    folder: Path


def read_runs(out: Path) -> FoundRuns:
    """Reads what the runs of a site have made so far.

    Args:
        out: the site.

    Raises:
        BadInput: for a manifest that is damaged.
    """
    folder = out / RUNS
    facts = json.loads((folder / FACTS).read_bytes())
    known = {run: _records(folder / run) for run in (PATCHES, NAMES, CLASS_PATCHES, CLASSES)}
    layers = []
    for row in facts["layers"]:
        layer = SiteLayer(row["layer"], row, feeds=read_feeds(folder, row["layer"]))
        units: dict[int, SiteUnit] = {}
        classes = layer.address == OUTPUT_LAYER
        for run in (CLASS_PATCHES,) if classes else (PATCHES, NAMES):
            for made in known[run].get(layer.address, ()):
                units.setdefault(made.record.channel or 0, SiteUnit(made.record.channel or 0)).responses = made
            if (folder / run / "activations" / "activations.json").is_file():
                layer.responses = folder / run / "activations"
        pictures = known[CLASSES] if classes else _records(folder / GALLERY / layer.stem)
        for made in pictures.get(layer.address, ()):
            units.setdefault(made.record.channel or 0, SiteUnit(made.record.channel or 0)).picture = made
        if (folder / ATLAS / layer.stem / "manifest.json").is_file():
            layer.atlas = folder / ATLAS / layer.stem
        layer.units = [units[channel] for channel in sorted(units)]
        layers.append(layer)
    return FoundRuns([layer for layer in layers if layer.units], facts["filters"], tuple(facts["size"]), folder)


def _records(folder: Path) -> dict[str, list[Made]]:
    """The records of units in the manifest of a run, by layer; empty if there is none."""
    path, found = folder / "manifest.json", dict[str, list[Made]]()
    for record in Manifest.load(path).units.values() if path.is_file() else ():
        if record.channel is not None:
            found.setdefault(record.layer, []).append(Made(record, folder))
    return found
