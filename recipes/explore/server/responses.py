"""How the units of layers respond to the pictures of `--images`: collected once a layer, and said of each unit."""

from __future__ import annotations

import hashlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from inverter_errors import InverterError
from recipes.activations.correlation import FEWEST
from recipes.outputs.file_names import safe_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from inverter import Model
    from recipes.activations.collect import CollectedActivations
    from recipes.executors.progress import RunProgressCallback
    from recipes.gallery.names import Names
    from recipes.pictures.sets import PictureSet

VIEWS = "views"
"""Folder of the runs of views, below the output folder."""
MOST = 4096
"""Pictures that scores are compared with, spread evenly over a larger set."""
BEST = 5
"""Words that a unit is described by."""


class Options(Protocol):
    """What is read of the command's options (`recipes.explore.explore.Explore`)."""

    @property
    def images(self) -> str | Sequence[str] | None: ...
    @property
    def images_count(self) -> int: ...
    @property
    def model(self) -> Any: ...
    @property
    def weights(self) -> Any: ...
    @property
    def device(self) -> str | None: ...
    @property
    def vocabulary(self) -> str | Sequence[str] | None: ...
    @property
    def naming(self) -> dict[str, Any]: ...
    @property
    def out(self) -> str: ...


@dataclass(frozen=True)
class _Layer:
    """What is known of a layer.

    Attributes:
        ranked: (N, C) the mean activations of the units in the pictures, each column from the lowest to the highest.
        comparable: whether there are enough pictures to say where a score stands among them.
        words: indices (C, BEST) of the words that describe the units; None without a vocabulary.
    """

    ranked: np.ndarray[Any, Any]
    comparable: bool
    words: list[list[int]] | None


class Responses:
    """The responses of the layers that pages show.

    Args:
        options: of the command.
        model: the network, for the thread that collects.
        size: (height, width) of the grid's pictures: scores are compared with those of pictures of the same size.
    """

    def __init__(self, options: Options, model: Model, size: tuple[int, int]) -> None:
        self._options, self._model = options, model
        self._same_size = size == model.input_size
        self._known, self._failed = dict[str, _Layer](), set[str]()
        self._names: Names | None = None
        self._similarities: Tensor | None = None
        self._words: tuple[str, ...] = ()

    def missing(self, layer: str) -> bool:
        """Whether there is something to be collected of a layer."""
        return self._options.images is not None and layer not in self._known and layer not in self._failed

    def collect(self, layer: str, progress: RunProgressCallback) -> None:
        """Collects the responses of a layer, or goes on where an earlier call was stopped.

        What fails for pictures that cannot be read, or words that cannot name them, is reported once and left out.

        Args:
            layer: its address.
            progress: called after each batch of pictures; an exception in it ends the work, and is raised.

        Raises:
            OSError: of the disk.
        """
        try:
            self._known[layer] = self._collected(layer, progress)
        except InverterError as error:
            self._failed.add(layer)
            logging.getLogger("inverter.explore").warning("pictures for %s: %s", layer, " ".join(str(error).split()))

    def of(self, layer: str, channel: int | None, score: float | None = None) -> dict[str, Any]:
        """What the pictures say of a unit, as JSON values.

        Args:
            layer: its address.
            channel: of the unit.
            score: of its picture, if it has one.

        Returns:
            `percentile`, the percentage of the pictures that activate the unit less than its own picture does, and
            `words` that describe the pictures that activate it, best first; each where it is known.
        """
        known, found = self._known.get(layer), dict[str, Any]()
        if known is None or channel is None:
            return found
        ranked = known.ranked[:, channel]
        if known.comparable and score is not None:
            found["percentile"] = 100 * float(np.searchsorted(ranked, score)) / len(ranked)
        if known.words is not None and ranked[0] < ranked[-1]:
            found["words"] = [self._words[index] for index in known.words[channel]]
        return found

    def _collected(self, layer: str, progress: RunProgressCallback) -> _Layer:
        from recipes.activations.collect import CollectedActivations, collect
        from recipes.activations.reducers import Extremes
        from recipes.options.names import address
        from recipes.pictures.sets import picture_set

        assert self._options.images is not None  # else none is missing
        pictures = picture_set(self._options.images, len(self._model.mean), self._model.value_range)
        folder = activations_of(self._options, layer)
        if not is_collected(folder):
            part = folder.with_name(folder.name + ".part")
            layers, size = [address(layer)], self._model.input_size
            collect(self._model, pictures, layers, Extremes(), out=part, size=size, progress=progress)
            keep(part, folder)
        collected = CollectedActivations.load(folder)
        means = collected.array(address(layer), "mean")
        ranked = np.sort(np.nan_to_num(means[:: -(-len(means) // MOST)].astype(np.float32)), axis=0)
        comparable = self._same_size and len(means) >= FEWEST
        return _Layer(ranked, comparable, self._named(collected, layer, pictures, progress))

    def _named(
        self, collected: CollectedActivations, layer: str, pictures: PictureSet, progress: RunProgressCallback
    ) -> list[list[int]] | None:
        from recipes.gallery.names import Names
        from recipes.options.names import address

        options = self._options
        if options.vocabulary is None:
            return None
        if self._similarities is None:
            assert options.images is not None  # a vocabulary needs them
            out = Path(options.out) / VIEWS / f"names-{_digest(options, options.naming)}"
            names = Names(images=options.images, device=options.device, out=str(out), **options.naming)
            self._similarities = names.similarities(self._model, pictures, progress)
            self._names, self._words = names, names.words
        assert self._names is not None
        scores = self._names.scores(collected, address(layer), self._similarities)
        found: list[list[int]] = scores.topk(min(BEST, len(self._words)), dim=1).indices.tolist()
        return found


def activations_of(options: Options, layer: str, recipe: str = "patches") -> Path:
    """The folder with a layer's activations over `images`, once a run has collected them.

    Args:
        options: of the command.
        layer: address.
        recipe: that collects them.
    """
    return Path(options.out) / VIEWS / f"activations-{_digest(options)}" / f"{recipe}-{safe_name(layer)}"


def is_collected(folder: Path) -> bool:
    """Whether a folder holds the activations of a pass that is finished."""
    from recipes.activations.collect import CollectedActivations

    try:
        CollectedActivations.load(folder)
    except (InverterError, OSError):
        return False
    return True


def keep(collected: Path, kept: Path) -> None:
    """Moves a finished pass to where others find it, at once and as a piece, unless another one has come first.

    Args:
        collected: folder of the pass, which is there no more afterwards.
        kept: where it is to be; whatever is there, but no finished pass, is removed.

    Raises:
        OSError: of the disk.
    """
    if not is_collected(kept):
        shutil.rmtree(kept, ignore_errors=True)
        try:
            collected.rename(kept)
        except OSError:  # another thread was quicker
            if not is_collected(kept):
                raise
    shutil.rmtree(collected, ignore_errors=True)


def _digest(options: Options, more: object = "") -> str:
    about = f"{options.images!r} {options.images_count} {options.model!r} {options.weights!r} {more!r}"
    return hashlib.blake2b(about.encode(errors="surrogatepass"), digest_size=6).hexdigest()
