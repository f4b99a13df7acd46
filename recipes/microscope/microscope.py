"""The microscope: everything that other recipes find out about the units of a network, as a site."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.executors.machines import Machines
from recipes.options.fields import MACHINE, OPTIMISATION, OUTPUT, option, texts
from recipes.options.input_values import checked_size
from recipes.options.naming import NamingFields
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.runner.base import Recipe
from recipes.runner.context import RunContext
from recipes.runner.network_fields import NetworkFields

if TYPE_CHECKING:
    from inverter import Model
    from inverter.settings import Precision
    from recipes.executors.progress import RunProgressCallback
    from recipes.gallery.gallery import Gallery
    from recipes.runner.report import Report

ALL, NONE, AUTO = "all", "none", "auto"


@dataclass(frozen=True, kw_only=True)
class Microscope(Machines, NamingFields, NetworkFields, Recipe):
    """A complete network as a site: a page for each layer and a link for each unit (OpenAI Microscope, 2020).

    It runs other recipes, each in a folder of its own below `OUT/runs`, and makes the pages from what they left there:
    a picture of each unit (`Gallery`) and class (`ClassModel`), top patches (`Patches`) or names (`Names`), what each
    unit gets from the layer before (`recipes.circuits`), the units that respond to the same pictures, an `Atlas`. What
    a network or the options do not allow is left out, and the site says why. The site is made anew after each part, and
    stands when the run is stopped; without `OUT/runs` it can be put on any static host.

    Raises:
        BadInput: for a value out of its range, or (in `run`) an unknown layer, channel or class.
        MissingFile: in `run`, for pictures that are not there.

    Example:
        >>> Microscope(model="builtin", layers="features.stem", channels="0-3", out="SITE").name
        'microscope'
    """

    name: ClassVar[str] = "microscope"
    noun: ClassVar[str] = "unit"

    images: str | Sequence[str] | None = option(
        None, "picture or folder to search for top patches, names and units alike; may be repeated", repeat=True
    )
    layers: str | Sequence[str] = option(
        ALL, "address of a layer, or all (every stage); may be repeated", repeat=True, grows=True
    )
    channels: str | int | Sequence[int] = option(
        ALL, "channels of each layer: all, or 0-7 for a quick look", grows=True
    )
    classes: str | int | Sequence[int | str] = option(
        ALL, "classes with a picture: all, none, names, indices or ranges; may be repeated", repeat=True, grows=True
    )
    atlas: str | Sequence[str] = option(
        AUTO,
        "address of a layer with an atlas, none, or auto (the last stage); may be repeated",
        repeat=True,
        grows=True,
    )
    prior: PriorLike = option("fourier", HELP, group=OPTIMISATION)
    natural: str | None = option(
        None,
        "hold the features to those of natural images: a file of inverter statistics --model, bn or own",
        group=OPTIMISATION,
    )
    steps: int | None = option(None, "optimisation steps for each picture (default: as of inverter gallery)")
    size: str | int | Sequence[int] | None = option(
        None, "side of the pictures in pixels, or HxW (default: the model's input size)", group=OPTIMISATION
    )
    seed: int = option(0, "seed of all random draws", group=OPTIMISATION)
    precision: Precision = option("auto", "auto, float32 or bfloat16", group=MACHINE)
    batch_size: int | None = option(None, "pictures optimised together (default: chosen for the device)", group=MACHINE)
    out: str = option("microscope", "output folder: the site")
    fresh: bool = option(False, "start over: remove what an earlier run left in the output folder", group=OUTPUT)

    def __post_init__(self) -> None:
        Machines.__post_init__(self)
        Recipe.__post_init__(self)
        object.__setattr__(self, "size", checked_size(self.size))
        self.check_naming(self.images)
        for key in ("layers", "atlas"):
            addresses = texts(getattr(self, key))
            if not addresses or not all(isinstance(each, str) and each for each in addresses):
                raise BadInput(f"{key}: got {getattr(self, key)!r}; expected addresses (inverter layers lists them)")
        _ = self.gallery(texts(self.layers)[0])

    def settings(self) -> dict[str, Any]:
        from recipes.pictures.sets import dataset_paths

        channels = self.channels if isinstance(self.channels, str | int) else ",".join(map(str, self.channels))
        return (
            super().settings()
            | self.network_settings()
            | {
                "images": None if self.images is None else dataset_paths(self.images),
                "layers": list(texts(self.layers)),
                "channels": str(channels),
                "atlas": list(texts(self.atlas)),
                "vocabulary": None if self.vocabulary is None else list(texts(self.vocabulary)),
                "prior": str(PriorChoice.parse(self.prior)),
            }
        )

    @property
    def shown_size(self) -> int | tuple[int, int] | None:
        return checked_size(self.size)

    def shared(self, *names: str) -> dict[str, Any]:
        """The values of the fields that all parts share, and of those that are named."""
        common = [*(field.name for part in (NetworkFields, Machines) for field in fields(part)), "device", "fresh"]
        return {name: getattr(self, name) for name in (*common, *names)}

    def gallery(self, layer: str, channels: Sequence[int] | None = None) -> Gallery:
        """The gallery of one layer, or of all of them.

        Args:
            layer: its address, or "all".
            channels: of its units; by default those of the site.
        """
        from recipes.gallery.gallery import Gallery

        options = self.shared("prior", "natural", "steps", "size", "seed", "precision", "batch_size")
        return Gallery(layer=layer, channels=self.channels if channels is None else channels, out=self.out, **options)

    def chosen(self, model: Model) -> dict[str, list[int]]:
        """The site's layers, in the order in which the network runs them, with their channels.

        Args:
            model: the network.

        Raises:
            BadInput: for channels that none of the layers has.
            NotFound: for an unknown layer.
        """
        from recipes.microscope.network_facts import in_order

        found: dict[str, dict[int, None]] = {}
        for layer in texts(self.layers):
            gallery = self.gallery(layer)
            for unit in gallery.units(RunContext(gallery, model)):
                if unit.channel is not None:
                    found.setdefault(unit.layer, {})[unit.channel] = None
        return {layer: list(found[layer]) for layer in in_order(model, list(found), self.picture_size(model))}

    def chosen_classes(self, model: Model) -> list[int] | str:
        """Indices of the classes with a picture, or why there are none.

        Args:
            model: the network.

        Raises:
            NotFound: for an unknown class.
        """
        from recipes.options.indices import count_classes, parse_classes

        chosen = texts(self.classes) if isinstance(self.classes, str | list | tuple) else (self.classes,)
        if chosen == (NONE,):
            return "classes is none"
        try:
            count = count_classes(model)
        except BadInput as error:
            if chosen != (ALL,):
                raise
            return str(error)
        return list(parse_classes(self.classes, count, model.categories, model.spec))

    def picture_size(self, model: Model) -> tuple[int, int]:
        """(height, width) of the pictures in pixels."""
        return self.gallery(ALL).picture_size(model)

    def _run(self, progress: RunProgressCallback | None) -> Report:
        from inverter import Settings
        from recipes.microscope.composition import Composition
        from recipes.microscope.parts import Outcome, run_parts
        from recipes.microscope.site import build_site
        from recipes.outputs.earlier_run import same_run
        from recipes.outputs.manifest import Manifest, describe
        from recipes.runner.report import Report

        started, out, steps = time.perf_counter(), Path(self.out), Settings.steps if self.steps is None else self.steps
        Settings(steps, precision=self.precision, batch_size=self.batch_size, seed=self.seed)  # refused before the work
        model = self.load()
        composition = Composition.plan(self, model)
        manifest = Manifest(
            self.name, self.settings(), dict(describe(model)), composition.planned, growing=self.growing
        )
        earlier = None if self.fresh else same_run(out, manifest)
        manifest.created = manifest.created if earlier is None else earlier.created
        composition.write_facts()
        outcome = Outcome(left_out=dict(composition.left_out))

        def assemble() -> None:
            build_site(out, manifest, outcome.left_out)

        run_parts(composition.parts, progress, outcome, assemble)
        return Report(
            out,
            manifest,
            len(manifest.units) - (0 if earlier is None else len(earlier.units)),
            time.perf_counter() - started,
            page=out / "index.html",
            skipped=outcome.skipped,
        )
