"""Comparing representations: layers and networks with each other, and each layer with itself under warps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.compare.warps import HELP as WARPS
from recipes.compare.warps import Warp
from recipes.executors.machines import Machines
from recipes.options.fields import MACHINE, MOST, OUTPUT, check_integer, option, texts
from recipes.options.input_values import checked_size
from recipes.options.names import address
from recipes.runner.base import Recipe
from recipes.runner.network_fields import NetworkFields

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from inverter import Model
    from recipes.executors.progress import RunProgressCallback
    from recipes.runner.report import Report

NO_WARP = "none"


@dataclass(frozen=True, kw_only=True)
class Compare(Machines, NetworkFields, Recipe):
    """How alike layers represent pictures, and how each of them represents warped pictures.

    For each pair of layers, of one network or of several: linear CKA (Kornblith et al. 2019), also without its bias
    (Nguyen et al. 2021); a linear map in both directions with the variance that it explains of held-out pictures
    (Lenc and Vedaldi 2015, equivalence); and the units that match best (Li et al. 2016), with their top patches. For
    each warp of the pictures, how well a linear map predicts the activations of the warped picture (equivariance).

    Raises:
        BadInput: for an unknown warp, a number out of range, or one layer and no warp.

    Example:
        >>> Compare(images="photos", layer=["features.stage1", "features.stage2"], out="OUT").name
        'compare'
    """

    name: ClassVar[str] = "compare"
    noun: ClassVar[str] = "match"

    images: str | Sequence[str] | Dataset[Any] = option(
        MISSING, "picture or folder to compare on, at least 8 pictures, better hundreds; may be repeated", repeat=True
    )
    layer: str | Sequence[str] = option(
        "all", "address of a layer, or all (every stage); of several networks NAME:LAYER; may be repeated", repeat=True
    )
    warp: str | Sequence[str] = option(
        ("hflip", "rotate:90", "scale:1.25"), f"warp of the pictures: {WARPS}; may be repeated", repeat=True
    )
    positions: int = option(16, "places that are drawn at random in each picture, the same in all layers")
    pooled: bool = option(False, "compare layers by the mean over each map instead of by places")
    neighbourhood: int = option(
        1, "side of the square of places from which that of a warped picture is predicted: 1, 3"
    )
    matches: int = option(6, "pairs of matching units that are shown for a layer and the layer most like it; 0: none")
    count: int = option(6, "top patches of each unit that is shown")
    seed: int = option(0, "seed of the places that are drawn")
    out: str = option("comparison", "output folder")
    size: str | int | Sequence[int] | None = option(
        None, "side of the pictures in pixels, or HxW (default: the model's input size)"
    )
    batch_size: int | None = option(
        None, "pictures in one forward pass (default: chosen for the device)", group=MACHINE
    )
    fresh: bool = option(False, "start over: remove what an earlier run left in the output folder", group=OUTPUT)

    def __post_init__(self) -> None:
        Machines.__post_init__(self)
        Recipe.__post_init__(self)
        object.__setattr__(self, "size", checked_size(self.size))
        for key, least, most in (("positions", 1, 4096), ("matches", 0, MOST), ("count", 1, 32), ("seed", 0, 2**32)):
            check_integer(key, getattr(self, key), least, most)
        if self.neighbourhood not in (1, 3):
            raise BadInput(f"neighbourhood must be 1 or 3, got {self.neighbourhood!r}")
        if not self._layers or not all(isinstance(layer, str) and layer for layer in self._layers):
            raise BadInput(f"layer: got {self.layer!r}; expected addresses (inverter layers lists them), or all")
        _ = self._warps

    @property
    def _layers(self) -> tuple[str, ...]:
        return texts(self.layer)

    @property
    def _warps(self) -> list[Warp]:
        named = [text for text in texts(self.warp) if text != NO_WARP]
        return list({warp.name: warp for warp in map(Warp.parse, named)}.values())

    @property
    def shown_size(self) -> int | tuple[int, int] | None:
        return checked_size(self.size)

    def settings(self) -> dict[str, Any]:
        from recipes.pictures.sets import dataset_paths

        own = {"layer": list(self._layers), "warp": [warp.name for warp in self._warps]}
        return super().settings() | self.network_settings() | own | {"images": dataset_paths(self.images)}

    def _run(self, progress: RunProgressCallback | None) -> Report:
        from recipes.compare.analysis import Pairs, equivariance, nearest_pairs
        from recipes.compare.collected import Plan, check_enough
        from recipes.compare.match_pictures import MatchPictures, match_unit
        from recipes.executors import executor
        from recipes.executors.progress import RunProgress
        from recipes.outputs.manifest import Manifest, describe
        from recipes.outputs.store import Store
        from recipes.pictures.sets import picture_set
        from recipes.runner.report import Report

        started, model = time.perf_counter(), self.load()
        size = model.size_for(self._size)
        layers = self._addresses(model, size)
        pictures = picture_set(self.images, len(model.mean), model.value_range)
        check_enough(len(pictures))
        manifest = Manifest(self.name, self.settings(), dict(describe(model)), 0, growing=self.growing)
        rows = list[dict[str, Any]]()
        store = Store.open(Path(self.out), manifest, self.page, {}, self.fresh, lambda _records: rows)
        plan = Plan(layers, size, self.positions, self.pooled, self._warps, self.neighbourhood, self.seed)
        work = executor(self, self.load, model, self.device)
        folder = Path(self.out) / "activations"
        collected = plan.collect(model, pictures, folder, self.batch_size, self.fresh, progress, work)
        done, todo = 0, len(layers) * (len(layers) - 1) // 2 + len(layers) * len(self._warps)

        def report() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(RunProgress(done, todo, 0, "comparison"))

        pairs, matchings = Pairs(collected.plain, layers)(report)
        rows += pairs + equivariance(collected, layers, report)
        shown = {pair: matchings[pair].best[: self.matches] for pair in nearest_pairs(pairs, list(model.networks))}
        files = [match_unit(*pair, match).file for pair, matches in shown.items() for match in matches]
        manifest.planned, store.order = len(files), {file: place for place, file in enumerate(files)}
        made = sum(not store.has(file) for file in files)
        match_pictures = MatchPictures(model, pictures, collected, self.count, Path(self.out))
        try:
            for pair, matches in shown.items():
                missing = [match for match in matches if not store.has(match_unit(*pair, match).file)]
                store.add(match_pictures(pair, missing))
        finally:
            page = store.finish()
        seconds = time.perf_counter() - started
        skipped = collected.plain.skipped
        return Report(Path(self.out), store.manifest, made, seconds, page=page, skipped=skipped)

    @property
    def _size(self) -> tuple[int, int] | None:
        from priors.base import as_size

        size = checked_size(self.size)
        return None if size is None else as_size(size)

    def _addresses(self, model: Model, size: tuple[int, int]) -> list[str]:
        """The layers, `all` replaced by every stage.

        Raises:
            BadInput: for `all` of a network without stages, or if there are no two layers to compare.
            LayerNotFound: for an unknown layer.
        """
        from inverter import stages

        found: list[str] = []
        for layer in self._layers:
            if layer != "all":
                model.check_layer(address(layer))
                found.append(address(layer))
            elif known := stages(model, size):
                found += known
            else:
                raise BadInput(f"{model.spec} has no stages that output maps: set layer to addresses of its layers")
        found = list(dict.fromkeys(found))
        if len(found) < 2 and not self._warps:
            raise BadInput(f"layer: got {found[0]!r} alone and no warp; expected two layers or more, or a warp")
        return found

    def page(self, manifest: Mapping[str, Any]) -> str:
        """`index.html` of a manifest."""
        from recipes.compare.page import render_compare

        return render_compare(manifest)
