"""The activations that support one class: the contribution of each to its logit, stored on disk, and the strongest."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inverter_errors import BadInput, plural
from recipes.activations.collect import COMMIT_EVERY, CollectedActivations
from recipes.activations.npy_writer import GrowingArray
from recipes.executors.progress import RunProgress
from recipes.options.indices import count_classes, parse_classes
from recipes.outputs.atomic import write_text
from recipes.pictures.sets import PictureSet

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors.progress import RunProgressCallback

Array = np.ndarray[Any, Any]


def collect_attributions(
    model: Model,
    pictures: PictureSet,
    found: CollectedActivations,
    layer: str,
    index: int,
    *,
    out: Path,
    batch: int | None = None,
    fresh: bool = False,
    progress: RunProgressCallback | None = None,
) -> Array:
    """The contribution of each collected activation to the logit of a class (Carter et al. 2019).

    A second pass over the images, streamed to disk like the first: `attributions` of a batch, at the collected
    positions. It resumes where it was interrupted, and runs once for a class and a set of activations.

    Args:
        model: a classifier.
        pictures: the images that were collected from.
        found: the activations that `collect` stored.
        layer: address of the layer.
        index: of the class.
        out: folder for the array.
        batch: images per forward pass; None chooses by the device.
        fresh: start over.
        progress: called with a `RunProgress`, in images.

    Returns:
        (N,) float32, memory-mapped.

    Raises:
        BadInput: if the network has no classes, or an image can no longer be read.
        KeyboardInterrupt: passes through; the same call resumes.
    """
    from inverter.engine import default_batch
    from recipes.atlas.labels.class_effects import attributions

    batch, where = batch or default_batch(model.device), found.where(layer)
    notes, file = out / f"{index}.json", out / f"{index}.npy"
    about = {
        "layer": layer,
        "class": index,
        "model": model.sha256,
        "pictures": pictures.digest,
        "rows": len(where),
        "batch": batch,
    }
    state = _PassState(about) if fresh else _PassState.of(notes, about)
    if state.done == len(pictures):
        return np.asarray(np.load(file, mmap_mode="r"))
    array, noted, start = GrowingArray(file, (), "float32", state.rows), time.monotonic(), state.done
    try:
        for part in pictures.batches(found.size, batch, start):
            first, last = np.searchsorted(where[:, 0], [part.start, part.stop])
            rows = np.asarray(where[first:last])
            if lost := set(rows[:, 0].tolist()) - set(part.indices):
                number = min(lost)
                raise BadInput(f"{found.names[number]} can no longer be read: {part.skipped[number]}")
            if len(rows):
                maps = attributions(model, layer, part.images, index).numpy()
                array.append(maps[np.searchsorted(part.indices, rows[:, 0]), rows[:, 1], rows[:, 2]])
            state.done, state.rows = part.stop, array.rows
            if progress is not None:
                progress(RunProgress(state.done - start, len(pictures) - start, start, "input picture"))
            if time.monotonic() - noted > COMMIT_EVERY:
                array.flush()
                state.save(notes)
                noted = time.monotonic()
    finally:
        array.close()
        state.save(notes)
    return np.asarray(np.load(file, mmap_mode="r"))


def class_index(given: str | int, model: Model, layer: str) -> int:
    """The index of one class.

    Args:
        given: its name or index.
        model: a classifier.
        layer: address of the layer of the atlas.

    Raises:
        BadInput: for an unknown class or several, or if the network has no classes or they do not depend on the layer.
    """
    from recipes.atlas.labels.class_effects import without_classes

    count = count_classes(model)
    if reason := without_classes(model, layer, model.input_size):
        raise BadInput(f"class {given!r}: {reason}")
    found = parse_classes(given, count, model.categories, model.spec)
    if len(found) != 1:
        raise BadInput(f"class {given!r} means {plural(len(found), 'class')}; an atlas is about one")
    return found[0]


def strongest(values: Array, share: float) -> Array:
    """Indices of the largest values, as far as they are above 0, in ascending order.

    Carter et al. 2019 keep the 3,000 of 400,000 activations that support a class most, and only positive ones.

    Args:
        values: (N,).
        share: of N that is kept, above 0 and at most 1.

    Example:
        >>> strongest(np.array([3.0, -1.0, 0.0, 1.0, 2.0]), share=0.6).tolist()
        [0, 3, 4]
        >>> strongest(np.array([3.0, -1.0, 0.0, 1.0, 2.0]), share=1).tolist()
        [0, 3, 4]
    """
    count = max(1, round(share * len(values)))
    best = np.argsort(-np.asarray(values), kind="stable")[:count]
    return np.sort(best[np.asarray(values)[best] > 0])


@dataclass
class _PassState:
    """How far a pass is: the array holds `rows` complete rows, those of the first `done` images."""

    about: dict[str, Any]
    done: int = 0
    rows: int = 0

    @classmethod
    def of(cls, path: Path, about: dict[str, Any]) -> _PassState:
        """The state that an earlier pass of the same kind left, else a new one."""
        if path.is_file() and (kept := json.loads(path.read_bytes()))["about"] == about:
            return cls(**kept)
        return cls(about)

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(asdict(self), indent=1))
