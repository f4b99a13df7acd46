"""The open run of the gallery: of all stages, and of the other layers that somebody has opened."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inverter_errors import InverterError

if TYPE_CHECKING:
    from inverter import Model
    from recipes.gallery.gallery import Gallery
    from recipes.runner.run import OpenRun, UnitsCallback


class OpenGallery:
    """A run in the folder of the gallery, which grows by a layer at a time.

    Args:
        gallery: of all stages, or of a layer where the network has no stages.
        model: the network.
        layers: addresses of all layers that may be opened.
        progress: as in `OpenRun`.
        on_images: as in `OpenRun`.

    Attributes:
        run: the open run; None before there is a layer.
        known: addresses of the layers that the run has, or that cannot be opened.
    """

    def __init__(
        self,
        gallery: Gallery,
        model: Model,
        layers: Container[str],
        progress: Callable[[object], None],
        on_images: UnitsCallback,
    ) -> None:
        from inverter import stages

        self._gallery, self._model, self._progress, self._on_images = gallery, model, progress, on_images
        every = ("all",) if stages(model, gallery.picture_size(model)) else ()
        earlier = (layer for layer in _earlier(Path(gallery.out)) if layer in layers)
        self._opened: tuple[str, ...] = tuple(dict.fromkeys([*every, *earlier]))
        self.run: OpenRun | None = None
        self.known = set[str]()
        if self._opened:
            self._open()

    def add(self, layer: str) -> None:
        """Opens a layer that is no stage.

        Args:
            layer: its address.

        Raises:
            InverterError: for one that the network does not allow; the others stay open.
        """
        before = self._opened
        self._opened = (*before, layer)
        self.known.add(layer)
        try:
            self._open()
        except InverterError:
            self._opened = before
            raise

    def close(self) -> None:
        """Writes the manifest, the page and what sums up the pictures."""
        if self.run is not None:
            self.run.close()

    def _open(self) -> None:
        """Opens the run with all layers so far; those that are finished stay as they are."""
        from recipes.runner.run import OpenRun

        if self.run is not None:
            self.run.store.write_page()
        recipe = replace(self._gallery, layer=self._opened)
        self.run = OpenRun(recipe, self._progress, model=self._model, on_images=self._on_images)
        self.known |= {unit.layer for unit in self.run.units}


def _earlier(folder: Path) -> list[str]:
    """The layers of an earlier run in a folder, which the run goes on with."""
    from recipes.outputs.manifest import Manifest

    path = folder / "manifest.json"
    given = Manifest.load(path).settings.get("layer") if path.exists() else None
    return given if isinstance(given, list) else []
