"""One pass over a set of pictures: what a network's layers make of them, streamed to disk, resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from inverter import Model, load_model
from inverter.engine import default_batch
from inverter_errors import BadInput, MissingFile, NotFound
from priors.base import as_size
from recipes.activations.forward_pass import BatchRows, ForwardPass
from recipes.activations.npy_writer import GrowingArray
from recipes.activations.reducers import Positions, Reducer
from recipes.executors import Executor
from recipes.executors.in_process import InProcess
from recipes.executors.progress import RunProgress
from recipes.options.names import safe_name
from recipes.outputs.atomic import write_text
from recipes.pictures.sets import Pictures, PictureSet, picture_set

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgressCallback

COMMIT_EVERY = 2.0
"""Seconds between two notes of how far a pass is; what is done after the last one is done again."""
STATE, NAMES = "activations.json", "pictures.json"


@dataclass(frozen=True)
class CollectedActivations:
    """What a pass has kept, on disk.

    Attributes:
        folder: with a folder for each layer, and in it an `.npy` file for each array.
        shapes: layer -> shape of its activation of one picture, (C, H, W) or (C,).
        size: (height, width) in pixels at which the network saw the pictures.
        names: of all pictures of the set, by index.
        skipped: name -> why it could not be read.
    """

    folder: Path
    shapes: Mapping[str, tuple[int, ...]]
    size: tuple[int, int]
    names: Sequence[str]
    skipped: Mapping[str, str]

    def array(self, layer: str, name: str) -> np.ndarray[Any, Any]:
        """One array of a layer, memory-mapped: see `Positions` and `Extremes` for their names.

        Raises:
            NotFound: for a layer or an array that was not kept.
        """
        path = _path(self.folder, layer, name)
        if layer not in self.shapes or not path.exists():
            raise NotFound(f"{self.folder} keeps no {name} of layer {layer!r}; it has {', '.join(self.shapes)}")
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r")
        return array

    def vectors(self, layer: str) -> np.ndarray[Any, Any]:
        """Activation vectors (N, C) of a layer."""
        return self.array(layer, "vectors")

    def where(self, layer: str) -> np.ndarray[Any, Any]:
        """Where each vector is from, (N, 3): index of the picture, y, x in the map."""
        return self.array(layer, "where")

    @classmethod
    def load(cls, folder: str | Path) -> CollectedActivations:
        """What `collect` left in a folder.

        Raises:
            MissingFile: if there is nothing.
            BadInput: if it is not finished, or damaged.
        """
        folder = Path(folder)
        if not (folder / STATE).is_file():
            raise MissingFile(f"{folder} holds no activations (no {STATE})")
        state = _State.load(folder / STATE)
        if not state.finished:
            raise BadInput(f"{folder} is not finished: {state.done} pictures are done; the same call continues")
        names = json.loads((folder / NAMES).read_bytes())
        shapes = {layer: tuple(shape) for layer, shape in state.shapes.items()}
        size = (state.asked["size"][0], state.asked["size"][1])
        return cls(folder, shapes, size, names, {names[int(i)]: reason for i, reason in state.skipped.items()})


@dataclass
class _State:
    """How far a pass is. `rows` counts what is whole in each layer's arrays, after the first `done` pictures."""

    asked: dict[str, Any]
    shapes: dict[str, list[int]]
    rows: dict[str, int]
    done: int = 0
    finished: bool = False
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> _State:
        try:
            return cls(**json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            raise BadInput(f"{path} is damaged ({error}); start over (fresh), or give another folder") from error

    def save(self, folder: Path) -> None:
        write_text(folder / STATE, json.dumps(asdict(self), indent=1))


def collect(
    model: Model | nn.Module | str,
    pictures: Pictures,
    layers: str | Sequence[str],
    reducer: Reducer | None = None,
    *,
    out: str | Path,
    size: int | tuple[int, int] | None = None,
    batch: int | None = None,
    fresh: bool = False,
    progress: RunProgressCallback | None = None,
    executor: Executor | None = None,
) -> CollectedActivations:
    """Phi(x) for every picture x of a set, at several layers in one truncated pass; what is kept goes to disk at once.

    Memory holds two batches of pictures and one of activations, however many there are. A pass that was stopped goes on
    where it was, and leaves the same bytes as one that was not.

    Args:
        model: from `load_model`, or what `load_model` takes.
        pictures: a folder, files, or a Dataset: see `picture_set`. Pictures of any size and mode; each is scaled to
            cover `size` and the centre cut out. What cannot be read is named in `skipped`.
        layers: addresses; "" is the model's output.
        keep: what to keep: `Positions("one" | k | "all")`, by default one inner position a picture, or `Extremes()`.
        out: folder for the arrays.
        size: of the pictures for the network, in pixels; by default its own.
        batch: pictures in one forward pass (default: chosen for the device). A pass goes on only with the same: in
            other company, a picture's activations differ in their last bits.
        fresh: start over where the folder holds something else.
        progress: called with an `RunProgress`, in pictures.
        executor: shares the work out, by default to this process alone: the bytes are the same.

    Raises:
        MissingFile, BadInput, NotFound: places without pictures, a layer that is not there or of which
            nothing can be kept, a folder that holds a pass with other settings, no picture that can be read.
        KeyboardInterrupt: passes through; the same call continues.

    Example:
        >>> found = collect("builtin", "photos", ["features.stage3"], out="activations")  # doctest: +SKIP
        >>> found.vectors("features.stage3").shape  # doctest: +SKIP
        (400, 64)
    """
    model = load_model(model)
    reducer = reducer or Positions()
    addresses = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not addresses:
        raise BadInput("collect: got no layers; expected at least one address")
    if batch is not None and (not isinstance(batch, int) or batch < 1):
        raise BadInput(f"batch must be a whole number of at least 1, got {batch!r}")
    found = picture_set(pictures, len(model.mean))
    sides = model.input_size if size is None else as_size(size)
    shapes = {address: list(shape[1:]) for address, shape in model.shapes(addresses, sides).items()}
    arrays = {address: reducer.arrays(address, shapes[address]) for address in addresses}
    executor = executor or InProcess(model)
    together = batch or default_batch(executor.device)
    asked = {
        **reducer.about(),
        "layers": addresses,
        "size": list(sides),
        "batch": together,
        "pictures": len(found),
        "names": found.digest,
        "model": model.spec,
        "weights": model.sha256,
        "normalization": [list(model.mean), list(model.std)],
    }
    folder = Path(out)
    state = _begin(folder, asked, shapes, found, fresh)
    if not state.finished:
        with ExitStack() as stack:
            files: dict[str, dict[str, GrowingArray]] = {}
            for layer, wanted in arrays.items():
                files[layer] = {}
                for name, (shape, dtype) in wanted.items():
                    array = GrowingArray(_path(folder, layer, name), shape, dtype, state.rows[layer])
                    files[layer][name] = array
                    stack.callback(array.close)
            look = ForwardPass(found, reducer, tuple(addresses), sides, together)
            _Pass(look, executor, state, files, folder).run(progress)
    if len(state.skipped) == len(found):
        reason = next(iter(state.skipped.values()))
        raise BadInput(f"none of the {len(found)} pictures can be read; the first: {reason}")
    return CollectedActivations.load(folder)


def _begin(folder: Path, asked: dict[str, Any], shapes: dict[str, Any], pictures: PictureSet, fresh: bool) -> _State:
    """The state that an earlier pass left for this one, or a new one."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"output {str(folder)!r} is a file; expected a folder")
    if (folder / STATE).exists() and not fresh:
        state = _State.load(folder / STATE)
        for key in state.asked | asked:
            if state.asked.get(key) != asked.get(key):
                raise BadInput(
                    f"{folder} holds activations of other settings: its {key} is {state.asked.get(key)!r}, not "
                    f"{asked.get(key)!r}; give another folder, or fresh to start over"
                )
        return state
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATE).unlink(missing_ok=True)
    write_text(folder / NAMES, json.dumps(list(pictures.names)))
    state = _State(asked, shapes, dict.fromkeys(shapes, 0))
    state.save(folder)
    return state


@dataclass
class _Pass:
    """The pass itself, from `state.done` to the end of the set: the one writer of what is seen, in order."""

    look: ForwardPass
    executor: Executor
    state: _State
    files: dict[str, dict[str, GrowingArray]]
    folder: Path

    def run(self, progress: RunProgressCallback | None) -> None:
        start, total, noted = self.state.done, len(self.look.pictures), time.monotonic()

        def update() -> None:
            if progress is not None:
                progress(RunProgress(self.state.done - start, total - start, start, "picture"))

        update()
        try:
            with closing(self.look.everywhere(self.executor, start)) as found:
                for seen in found:
                    self._add(seen)
                    update()
                    if time.monotonic() - noted > COMMIT_EVERY:
                        self._commit()
                        noted = time.monotonic()
            self.state.finished = True
        finally:
            self._commit()

    def _add(self, seen: BatchRows) -> None:
        for layer, rows in seen.kept.items():
            for name, array in self.files[layer].items():
                array.append(rows[name])
        # Only now is the batch whole. What an interruption leaves of it lies behind these rows, and is cut off.
        for layer, rows in seen.kept.items():
            self.state.rows[layer] += len(next(iter(rows.values())))
        self.state.skipped |= {str(index): reason for index, reason in seen.skipped.items()}
        self.state.done = seen.stop

    def _commit(self) -> None:
        for arrays in self.files.values():
            for array in arrays.values():
                array.flush()
        self.state.save(self.folder)


def _path(folder: Path, layer: str, name: str) -> Path:
    return folder / safe_name(layer) / f"{name}.npy"
