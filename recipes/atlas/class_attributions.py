"""The activations that matter for one class: what each contributes to its logit, kept on disk, and the strongest."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inverter_errors import BadInput
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
    """What each collected activation contributes to the logit of a class, (N,) float32, memory-mapped.

    A second pass over the pictures, streamed to disk as the first: `attributions` of a batch, at the positions that
    were kept. It goes on where it was stopped, and is made once for a class and a set of activations.

    Args:
        found: what `collect` has kept of `layer`. index: of the class. out: folder for the array. fresh: start over.
        progress: called with an `RunProgress`, in pictures.

    Raises:
        BadInput: if the network has no classes, or a picture can no longer be read.
        KeyboardInterrupt: passes through; the same call continues.
    """
    from inverter.engine import default_batch
    from recipes.atlas.class_effects import attributions

    together, where = batch or default_batch(model.device), found.where(layer)
    notes, file = out / f"{index}.json", out / f"{index}.npy"
    about = {
        "layer": layer,
        "class": index,
        "model": model.sha256,
        "pictures": pictures.digest,
        "rows": len(where),
        "batch": together,
    }
    state = _State(about) if fresh else _State.of(notes, about)
    if state.done == len(pictures):
        return np.asarray(np.load(file, mmap_mode="r"))
    array, noted, start = GrowingArray(file, (), "float32", state.rows), time.monotonic(), state.done
    try:
        for part in pictures.batches(found.size, together, start):
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
                progress(RunProgress(state.done - start, len(pictures) - start, start, "picture"))
            if time.monotonic() - noted > COMMIT_EVERY:
                array.flush()
                state.save(notes)
                noted = time.monotonic()
    finally:
        array.close()
        state.save(notes)
    return np.asarray(np.load(file, mmap_mode="r"))


def one_class(given: str | int, model: Model, layer: str) -> int:
    """Index of the one class that is meant, by name or index.

    Raises:
        BadInput: for an unknown class or several, or where the network, or what follows the layer, has none.
    """
    from recipes.atlas.class_effects import without_classes

    count = count_classes(model)
    if reason := without_classes(model, layer, model.input_size):
        raise BadInput(f"class {given!r}: {reason}")
    found = parse_classes(given, count, model.categories, model.spec)
    if len(found) != 1:
        raise BadInput(f"class {given!r} means {len(found)} classes; an atlas is about one")
    return found[0]


def strongest(values: Array, share: float) -> Array:
    """Indices, rising, of the `share` of numbers (N,) that are largest, as far as they are above 0.

    Carter et al. 2019 keep the 3,000 of 400,000 activations that support a class most, and only positive ones.

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
class _State:
    """How far a pass is: `rows` are whole in the array, after the first `done` pictures."""

    about: dict[str, Any]
    done: int = 0
    rows: int = 0

    @classmethod
    def of(cls, path: Path, about: dict[str, Any]) -> _State:
        """What an earlier pass of the same kind left, else a new one."""
        if path.is_file() and (kept := json.loads(path.read_bytes()))["about"] == about:
            return cls(**kept)
        return cls(about)

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(asdict(self), indent=1))
