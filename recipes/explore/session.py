"""What one server has at hand: the network, its copy, the grid, the files, and the pages that are open."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.explore.server.access import Access, Refused
from recipes.explore.server.events import Events
from recipes.explore.server.listed_files import ListedFiles
from recipes.explore.server.units import missing_unit
from recipes.explore.server.workers import Workers

if TYPE_CHECKING:
    from inverter import Model
    from recipes.explore.explore import Explore
    from recipes.explore.grid import Grid
    from recipes.explore.server.responses import Responses
    from recipes.gallery.gallery import Gallery


class Session:
    """One server. Pages may come before the network is loaded: `ready` says whether it is.

    Args:
        options: of the command.

    Attributes:
        options: as given.
        out: the output folder.
        access: who may come in.
        events: the open pages.
        workers: the foreground.
        files: that pages may fetch.
        model: the network, for the grid alone.
        foreground: a copy of it, for jobs in the foreground: one thread at a time reads a network.
        glance: another copy, for answers that take a forward pass or two.
        responses: of the layers that pages show, to `images`.
        grid: the pictures of the units.
        layers: address -> number of channels, of all layers.
        natural: the feature statistics of natural images that views may use, as `--natural` names them.
        runs: of views, by their id (`recipes.explore.views`).
        photos: that were dropped, by their id (`recipes.explore.photos`).
        ended: True once the server goes.
    """

    model: Model
    foreground: Model
    glance: Model
    responses: Responses
    grid: Grid
    layers: dict[str, int]
    natural: str | None

    def __init__(self, options: Explore) -> None:
        self.options, self.out = options, Path(options.out)
        self.access = Access(options.token, options.host)
        self.workers = Workers()
        self.events = Events(self.forget)
        self.files = ListedFiles(self.out)
        self.runs: dict[str, Any] = {}
        self.photos: dict[str, Any] = {}
        self.ended = False
        self._ready, self._network = threading.Event(), dict[str, Any]()

    @property
    def ready(self) -> bool:
        """Whether the network is loaded."""
        return self._ready.is_set()

    def load(self) -> None:
        """Loads the network and opens the output folder.

        Raises:
            InverterError: as `Recipe.run`.
            OSError: as `Recipe.run`.
        """
        from inverter import layers
        from recipes.explore.grid import Grid
        from recipes.explore.network_map import choices, natural_statistics_of, network_map
        from recipes.explore.server.responses import Responses
        from recipes.explore.server.served_model import served

        gallery = self.options.gallery
        self.model = gallery.load()
        rows = layers(self.model)  # at the network's own input size, in which photographs are read
        self.layers = {row.name: row.channels for row in rows if row.channels}
        self.natural = self.options.natural or natural_statistics_of(self.model)
        replace(gallery, natural=self.options.natural).feature_statistics(self.model)  # a bad file is said now
        self.foreground, self.glance = served(self.model), served(self.model)
        self._network = network_map(self.model, rows) | {"options": choices()}
        self.responses = Responses(self.options, self.model, gallery.picture_size(self.model))
        self.grid = Grid(gallery, self.model, self.layers, self.responses, self.workers, self.events, self.files)
        self._ready.set()

    def work(self) -> None:
        """Makes what pages show, until `close` or an exception."""
        from inverter.isolation.switches import recording

        with recording():
            self.grid.work()

    def end(self) -> None:
        """Lets all pages go; no work is begun any more."""
        self.ended = True
        self.events.close()
        if self.ready:
            self.grid.stop()

    def close(self) -> None:
        """Stops all work; what is finished is kept, and the folder is a page."""
        self.end()
        self.workers.close()
        if self.ready:
            self.grid.close()

    def forget(self, page: str) -> None:
        """A page has gone: its work ends."""
        if self.ready:
            self.grid.forget(page)
        self.workers.stop(lambda job: job.page == page)

    def layer(self, address: str) -> int:
        """The number of channels of a layer.

        Raises:
            Refused: if there is no such layer.
        """
        if address not in self.layers:
            raise Refused(404, f"the network has no layer {address[:100]!r} with channels")
        return self.layers[address]

    def check_unit(self, address: str, channel: int) -> None:
        """Checks that there is a unit.

        Raises:
            Refused: if there is none.
        """
        if channel >= self.layer(address):
            raise Refused(404, f"layer {address!r} has {self.layers[address]} channels; got {channel}")

    def network(self) -> dict[str, Any]:
        """The network for pages."""
        from inverter import __version__
        from recipes.gallery.posed import FOURIER_STEPS

        options, gallery = self.options, self.options.gallery
        height, width = gallery.picture_size(self.model)
        defaults = {
            "size": height if height == width else f"{height}x{width}",
            "steps": options.steps or FOURIER_STEPS,
            "prior": str(options.prior),
            "augment": options.augment,
        }
        return self._network | {
            "version": __version__,
            "images": None if not options.images else {"count": options.images_count, "name": options.images_name},
            "natural": self.natural is not None,
            "out": self.out.resolve().name,
            "options": self._network["options"] | {"defaults": defaults},
        }

    def units(self, address: str) -> dict[str, Any]:
        """All units of a layer for pages.

        Raises:
            Refused: if there is no such layer.
        """
        count, finished, failed = self.layer(address), self.grid.finished, self.grid.failed
        directions = self.model.directions_of(address)
        names = list(directions.names) if directions is not None else []
        units = []
        for channel in range(count):
            record = finished.get((address, channel))
            name = names[channel] if channel < len(names) else None
            blank = missing_unit(address, channel, failed.get((address, channel)), name)
            known = blank | self.responses.of(address, channel)
            units.append(known if record is None else self.grid.unit(record))
        return {"layer": address, "count": count, "names": names, "units": units}

    def recipe_of(self, address: str, channel: int) -> Gallery:
        """The recipe that makes the picture of one unit as the grid does: with the others of its batch, bit for bit.

        Raises:
            Refused: if there is no such unit.
        """
        self.check_unit(address, channel)
        return replace(self.options.gallery, layer=address, channels=self.grid.together(address, channel))

    def status(self) -> dict[str, Any]:
        """What the server does now, for pages."""
        if not self.ready:
            return {"busy": True, "waiting": 0, "pages": len(self.events), "seconds_left": None}
        seconds = self.grid.seconds_left
        return {
            "busy": self.grid.busy or self.workers.busy,
            "waiting": self.grid.waiting + self.workers.waiting,
            "pages": len(self.events),
            "seconds_left": None if seconds is None else round(seconds, 1),
        }
