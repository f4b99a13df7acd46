"""The grid: the gallery of an entire network, made batch by batch in the order in which somebody looks at it."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.explore.server.events import Events
from recipes.explore.server.listed_files import ListedFiles
from recipes.explore.server.workers import Stopped, Workers

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.gallery.gallery import Gallery
    from recipes.outputs.manifest import Record
    from recipes.runner.run import OpenRun, Part
    from recipes.runner.units import Unit

SIDE, QUALITY = 160, 70
"""Longer side in pixels, and JPEG quality, of a coarse picture."""
MOST_OF_A_PAGE = 1000
"""Units that a page may wait for."""
HALF = 0.5
"""A batch that is done to more than this share is finished, also if its units have been scrolled out of sight."""

Address = tuple[str, int]
"""A layer and a channel."""


@dataclass
class _Demand:
    """What a page shows.

    Attributes:
        units: in the order in which it wishes for them.
        asked: when it last said so.
        served: when a batch was last made for it.
    """

    units: dict[Address, None] = field(default_factory=dict)
    asked: float = 0.0
    served: float = 0.0


class Grid:
    """One open run of the gallery, fed with the batches that pages show.

    Args:
        gallery: of all stages, or of a layer where the network has no stages.
        model: the network, for this alone.
        layers: address -> number of channels, of all layers that may be opened.
        workers: to whose foreground the grid gives way.
        events: to tell pages of pictures.
        files: that pages may fetch.

    Attributes:
        finished: records of the units whose pictures are on disk.
    """

    def __init__(
        self,
        gallery: Gallery,
        model: Model,
        layers: dict[str, int],
        workers: Workers,
        events: Events,
        files: ListedFiles,
    ) -> None:
        from inverter import stages
        from recipes.outputs.rendering.showing import Showing

        self._gallery, self._model, self._layers = gallery, model, layers
        self._workers, self._events, self._files = workers, events, files
        self._showing = Showing.of(model)
        self._changed, self._closed = threading.Condition(), False
        self._demands: dict[str, _Demand] = {}
        self._parts: dict[Address, Part] = {}
        self._part: Part | None = None
        self._share, self._concluded = 0.0, False
        self._run: OpenRun | None = None
        self.finished: dict[Address, Record] = {}
        self.picture_seconds: float | None = None
        every = ("all",) if stages(model, gallery.picture_size(model)) else ()
        self._opened = tuple(dict.fromkeys([*every, *_layers_in(Path(gallery.out), layers)]))
        self._known: set[str] = set()
        if self._opened:
            self._open()

    @property
    def recipe(self) -> Gallery:
        """The recipe of the folder as it is now."""
        return replace(self._gallery, layer=self._opened or ("all",))

    @property
    def busy(self) -> bool:
        """Whether a batch is being made."""
        return self._part is not None

    @property
    def waiting(self) -> int:
        """Units that pages show and that are not finished."""
        with self._changed:
            return len({unit for demand in self._demands.values() for unit in demand.units} - self.finished.keys())

    def show(self, page: str, layer: str, channels: Sequence[int]) -> None:
        """A page says which units of a layer it shows; they are made next, those of its other layers after them.

        Args:
            page: its id.
            layer: address.
            channels: in the order in which it wishes for them.

        Raises:
            BadInput: for channels that the layer does not have.
        """
        count = self._layers[layer]
        if bad := [channel for channel in channels if not 0 <= channel < count]:
            raise BadInput(f"layer {layer!r} has {count} channels, from 0 to {count - 1}; got {bad[0]}")
        with self._changed:
            demand = self._demands.setdefault(page, _Demand())
            others = (unit for unit in demand.units if unit[0] != layer)
            units = ((layer, channel) for channel in channels)
            demand.units = dict.fromkeys(islice(chain(units, others), MOST_OF_A_PAGE))
            demand.asked = time.monotonic()
            self._changed.notify_all()

    def forget(self, page: str) -> None:
        """A page has gone: what it alone shows is not made."""
        with self._changed:
            self._demands.pop(page, None)
            self._changed.notify_all()

    def work(self) -> None:
        """Makes what pages show, until `stop`.

        Raises:
            InverterError: as `Recipe.run`.
            OSError: as `Recipe.run`.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._choose() or self._complete())
                if self._closed:
                    return
                chosen = self._choose()
            if chosen is None:
                self._conclude()
                continue
            demand, choice = chosen
            demand.served = time.monotonic()
            if isinstance(choice, str):
                self._opened = (*self._opened, choice)
                self._open()
            else:
                self._make(choice)

    def stop(self) -> None:
        """Ends `work`, from any thread; the batch that is being made is given up."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Writes the manifest, the page and what sums up the pictures, after `work` has ended."""
        if self._run is not None:
            self._run.close()

    def unit(self, layer: str, record: Record) -> dict[str, Any]:
        """A finished unit for pages.

        Args:
            layer: address.
            record: of the unit.
        """
        return {
            "layer": layer,
            "channel": record.channel,
            "url": self._files.add(Path(self._gallery.out) / record.file),
            "score": record.score,
            "percentile": record.metrics.get("percentile"),
            "status": record.status,
            "name": record.name,
        }

    def together(self, layer: str, channel: int) -> str:
        """The channels that are made in one batch with a unit, as `channels` names them.

        Args:
            layer: address.
            channel: of the unit.
        """
        record, part = self.finished.get((layer, channel)), self._parts.get((layer, channel))
        if record is not None and record.batch is not None:
            alike = [one for one in list(self.finished.values()) if (one.layer, one.batch) == (layer, record.batch)]
            return ",".join(str(one.channel) for one in sorted(alike, key=lambda one: one.place or 0))
        return str(channel) if part is None else ",".join(str(unit.channel) for unit in part.batch)

    def _open(self) -> None:
        """Opens the run with all layers so far; those that are finished stay as they are."""
        from recipes.runner.run import OpenRun

        if self._run is not None:
            self._run.store.write_page()
        self._run = run = OpenRun(self.recipe, self._between_steps, model=self._model, on_images=self._show)
        self._known |= {unit.layer for unit in run.units}
        with self._changed:
            self._parts = {
                (unit.layer, unit.channel): part
                for part in run.parts
                for unit in part.batch
                if unit.channel is not None
            }
        self._concluded = False
        self._learn(list(run.store.manifest.units.values()))

    def _learn(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.channel is not None:
                self.finished[record.layer, record.channel] = record

    def _choose(self) -> tuple[_Demand, Part | str] | None:
        """The next batch, or a layer to open first: pages take turns, and each has its units in its own order."""
        for demand in sorted(self._demands.values(), key=lambda each: (each.served, -each.asked)):
            for layer, channel in demand.units:
                if layer not in self._known:
                    return demand, layer
                if (part := self._parts.get((layer, channel))) is not None:
                    return demand, part
        return None

    def _complete(self) -> bool:
        return self._run is not None and not self._parts and not self._concluded and bool(self.finished)

    def _conclude(self) -> None:
        """Adds what is measured of all pictures together, once there are all of them."""
        assert self._run is not None
        self._concluded = True
        self._run.conclude()
        self._run.store.refresh()

    def _make(self, part: Part) -> None:
        assert self._run is not None
        self._part, self._share = part, 0.0
        try:
            self._run.make([part])
            self._run.store.settle()
        except Stopped:
            return
        finally:
            self._part = None
        units = self._run.store.manifest.units
        records = [units[unit.file] for unit in part.batch]
        self._learn(records)
        with self._changed:
            for unit in part.batch:
                self._parts.pop((unit.layer, unit.channel or 0), None)
        self.picture_seconds = sum(record.seconds for record in records) / len(records)
        for record in records:
            self._events.broadcast("unit", self.unit(record.layer, record))

    def _between_steps(self, _progress: object) -> None:
        """Lets the foreground have its turn, and gives up a batch that nobody looks at."""
        self._workers.give_way()
        if self._closed:
            raise Stopped
        if self._part is not None and not self._needed(self._part):
            raise Stopped

    def _needed(self, part: Part) -> bool:
        if not self._demands:
            return False
        return self._share > HALF or bool(self._pages_of(part.batch))

    def _pages_of(self, units: Sequence[Unit]) -> dict[str, list[int]]:
        """The pages that show some units -> the places of these units."""
        with self._changed:
            demands = [(page, demand.units) for page, demand in self._demands.items()]
        shown = {
            page: [place for place, unit in enumerate(units) if (unit.layer, unit.channel) in wish]
            for page, wish in demands
        }
        return {page: places for page, places in shown.items() if places}

    def _show(self, units: Sequence[Unit], step: int, steps: int, look: Callable[[], Tensor]) -> None:
        """Sends coarse pictures after 2, 4, 8, ... steps to the pages that show them."""
        self._share = step / steps
        if step < 2 or step == steps or step & (step - 1) or not (pages := self._pages_of(units)):
            return
        pictures = look()
        sources = {place: self._coarse(pictures[place]) for place in {p for places in pages.values() for p in places}}
        for page, places in pages.items():
            for place in places:
                unit = units[place]
                about = {"layer": unit.layer, "channel": unit.channel, "step": step, "steps": steps}
                self._events.send(page, "coarse", {**about, "src": sources[place]})

    def _coarse(self, image: Tensor) -> str:
        return as_jpeg(self._showing.picture(image), SIDE, QUALITY)


def _layers_in(folder: Path, known: Collection[str]) -> list[str]:
    """The layers of an earlier run in a folder, which the run goes on with."""
    from recipes.outputs.manifest import Manifest

    path = folder / "manifest.json"
    given = Manifest.load(path).settings.get("layer") if path.exists() else None
    return [layer for layer in given if layer in known] if isinstance(given, list) else []


def as_jpeg(image: Tensor, side: int, quality: int) -> str:
    """A picture as a `data:` URL, small enough to be sent while it is made.

    Args:
        image: (C, H, W) in [0, 1].
        side: pixels of the longer side, at most.
        quality: of the JPEG, from 1 to 95.
    """
    from inverter.result import to_pil

    shown = to_pil(image).convert("RGB")
    shown.thumbnail((side, side))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
