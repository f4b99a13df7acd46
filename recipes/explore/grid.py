"""The grid: the gallery of an entire network, made batch by batch in the order in which somebody looks at it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, InverterError
from recipes.explore.server.coarse_pictures import CoarsePictures
from recipes.explore.server.demands import Address, Demand, Demands
from recipes.explore.server.events import Events
from recipes.explore.server.listed_files import ListedFiles
from recipes.explore.server.open_gallery import OpenGallery
from recipes.explore.server.units import made_unit, missing_unit
from recipes.explore.server.workers import Stopped, Workers

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.explore.server.responses import Responses
    from recipes.gallery.gallery import Gallery
    from recipes.outputs.manifest import Record
    from recipes.outputs.store import Store
    from recipes.runner.run import Part
    from recipes.runner.units import Unit

HALF = 0.5
"""A batch that is done to more than this share is finished, also if its units have been scrolled out of sight."""


class Grid:
    """One open run of the gallery, fed with the batches that pages show.

    Args:
        gallery: of all stages, or of a layer where the network has no stages.
        model: the network, for this alone.
        layers: address -> number of channels, of all layers that may be opened.
        responses: of the layers to photographs, which are collected once the pictures that pages show are there.
        workers: to whose foreground the grid gives way.
        events: to tell pages of pictures.
        files: that pages may fetch.

    Attributes:
        finished: records of the units whose pictures are on disk.
        failed: why a unit has no picture, where the network does not allow it.
    """

    def __init__(
        self,
        gallery: Gallery,
        model: Model,
        layers: dict[str, int],
        responses: Responses,
        workers: Workers,
        events: Events,
        files: ListedFiles,
    ) -> None:
        from recipes.outputs.rendering.showing import Showing

        self._out, self._layers = Path(gallery.out), layers
        self._responses, self._workers, self._events, self._files = responses, workers, events, files
        self._coarse = CoarsePictures(events, Showing.of(model))
        self._demands, self._closed = Demands(), False
        self._changed = self._demands.changed
        self._parts: dict[Address, Part] = {}
        self._pending: deque[tuple[Store, list[str]]] = deque()  # what the writer may still be writing
        self._part: Part | None = None
        self._seeing: str | None = None
        self._share, self._concluded = 0.0, False
        self.finished: dict[Address, Record] = {}
        self.failed: dict[Address, str] = {}
        self._picture_seconds: float | None = None  # of the last batch
        self._open = OpenGallery(gallery, model, layers, self._between_steps, self._show)
        self._opened()

    @property
    def busy(self) -> bool:
        """Whether a batch is being made, or photographs are being seen."""
        return self._part is not None or self._seeing is not None

    @property
    def waiting(self) -> int:
        """Units that pages show and that are not finished."""
        return self._demands.missing(self.finished.keys() | self.failed.keys())

    @property
    def seconds_left(self) -> float | None:
        """Seconds until these units are finished, with the others of their batches; None before the first batch."""
        if self._picture_seconds is None:
            return None
        parts = {id(part): len(part.batch) for _, unit in self._demands.turns() if (part := self._parts.get(unit))}
        return self._picture_seconds * sum(parts.values())

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
        self._demands.set(page, layer, channels)

    def forget(self, page: str) -> None:
        """A page has gone: what it alone shows is not made."""
        self._demands.drop(page)

    def work(self) -> None:
        """Makes what pages show, until `stop`.

        Raises:
            InverterError: as `Recipe.run`.
            OSError: as `Recipe.run`.
        """
        while True:
            if self._pending and self._choose() is None:
                self._pending[0][0].settle()
                self._announce()
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._choose() or self._complete() or self._unseen())
                if self._closed:
                    return
                chosen, complete, unseen = self._choose(), self._complete(), self._unseen()
            if chosen is None:
                if complete:
                    self._conclude()
                elif unseen is not None:
                    self._see(unseen)
                continue
            demand, choice = chosen
            demand.served = time.monotonic()
            if isinstance(choice, str):
                self._add(choice)
            else:
                self._make(choice)

    def stop(self) -> None:
        """Ends `work`, from any thread; the batch that is being made is given up."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Writes the manifest, the page and what sums up the pictures, after `work` has ended."""
        self._open.close()

    def unit(self, record: Record) -> dict[str, Any]:
        """A finished unit for pages."""
        from recipes.outputs.vocabulary import OK

        shown = made_unit(record, self._files.add(self._out / record.file))
        score = record.score if record.status == OK else None
        return shown | self._responses.of(record.layer, record.channel, score)

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

    def _opened(self) -> None:
        """Takes over what the open run has, and what it has still to make."""
        if (run := self._open.run) is not None:
            with self._changed:
                self._parts = {(unit.layer, unit.channel): part for part in run.parts for unit in part.batch}
            self._concluded = False
            self._learn(list(run.store.manifest.units.values()))

    def _add(self, layer: str) -> None:
        """Opens a layer that is no stage."""
        try:
            self._open.add(layer)
        except InverterError as error:
            self._give_up([(layer, channel) for channel in range(self._layers[layer])], error)
        else:
            self._opened()

    def _learn(self, records: Sequence[Record]) -> None:
        for record in records:
            self.finished[record.layer, record.channel] = record

    def _choose(self) -> tuple[Demand, Part | str] | None:
        """The next batch, or a layer to open first, and for which page."""
        for demand, unit in self._demands.turns():
            if unit[0] not in self._open.known:
                return demand, unit[0]
            if (part := self._parts.get(unit)) is not None:
                return demand, part
        return None

    def _complete(self) -> bool:
        done = not self._parts and not self._pending and bool(self.finished)
        return self._open.run is not None and done and not self._concluded

    def _conclude(self) -> None:
        """Adds what is measured of all pictures together, once there are all of them."""
        assert self._open.run is not None
        self._concluded = True
        self._open.run.conclude()
        self._open.run.store.refresh()

    def _unseen(self) -> str | None:
        """A layer that a page shows alone, whose units' responses to photographs are not known."""
        return next((layer for layer in self._demands.alone() if self._responses.missing(layer)), None)

    def _see(self, layer: str) -> None:
        """Collects the responses of a layer's units, and tells pages of them; what is to be made goes first."""

        def between_photographs(_progress: object) -> None:
            self._workers.give_way()
            if self._closed or self._unseen() != layer or self._choose() is not None:
                raise Stopped

        self._seeing = layer
        try:
            self._workers.give_way()
            self._responses.collect(layer, between_photographs)
        except Stopped:
            return
        finally:
            self._seeing = None
        self._events.broadcast("layer", {"layer": layer})

    def _make(self, part: Part) -> None:
        run = self._open.run
        assert run is not None
        self._part, self._share = part, 0.0
        try:
            run.make([part])
        except Stopped:
            return
        except InverterError as error:
            run.store.check()  # a disk that fails ends the run
            self._give_up([(unit.layer, unit.channel) for unit in part.batch], error)
            return
        finally:
            self._part = None
        with self._changed:
            for unit in part.batch:
                self._parts.pop((unit.layer, unit.channel), None)
        self._pending.append((run.store, [unit.file for unit in part.batch]))

    def _give_up(self, units: Sequence[Address], error: InverterError) -> None:
        """Reports what one layer or batch does not allow; everything else goes on."""
        reason = f"failed: {' '.join(str(error).split())}"
        with self._changed:
            for unit in units:
                self.failed[unit] = reason
                self._parts.pop(unit, None)
        for layer, channel in units:
            self._events.broadcast("unit", missing_unit(layer, channel, reason))

    def _announce(self) -> None:
        """Tells pages of the batches whose files are on disk: they are written while the next one is made."""
        while self._pending and all(map(self._pending[0][0].has, self._pending[0][1])):
            store, files = self._pending.popleft()
            records = [store.manifest.units[file] for file in files]
            self._learn(records)
            self._picture_seconds = sum(record.seconds for record in records) / len(records)
            for record in records:
                self._events.broadcast("unit", self.unit(record))

    def _between_steps(self, _progress: object) -> None:
        """Lets the foreground have its turn, and gives up a batch that nobody looks at."""
        self._workers.give_way()
        self._announce()
        if self._closed:
            raise Stopped
        if self._part is not None and not self._needed(self._part):
            raise Stopped

    def _needed(self, part: Part) -> bool:
        if not self._demands:
            return False
        return self._share > HALF or bool(self._pages_of(part.batch))

    def _pages_of(self, units: Sequence[Unit]) -> dict[str, list[int]]:
        return self._demands.shown([(unit.layer, unit.channel) for unit in units])

    def _show(self, units: Sequence[Unit], step: int, steps: int, look: Callable[[], Tensor]) -> None:
        self._share = step / steps
        self._coarse(self._pages_of(units), units, step, steps, look)
