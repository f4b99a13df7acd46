"""One resumable pass over a set of pictures: the activations of several layers, reduced and streamed to disk."""

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
from inverter.batching import pictures_at_once
from inverter_errors import BadInput, MissingFile, NotFound, plural
from priors.base import as_size
from recipes.activations.forward_pass import BatchRows, ForwardPass
from recipes.activations.npy_writer import GrowingArray
from recipes.activations.reducers import Positions, Reducer
from recipes.executors import Executor
from recipes.executors.in_process import InProcess
from recipes.executors.progress import RunProgress
from recipes.outputs.atomic import write_text
from recipes.outputs.file_names import safe_name
from recipes.outputs.manifest import digests
from recipes.pictures.sets import Pictures, PictureSet, picture_set

if TYPE_CHECKING:
    from recipes.executors.progress import RunProgressCallback

COMMIT_EVERY = 2.0
"""Seconds between two checkpoints of a pass; an interrupted pass repeats what came after the last one."""
STATE, NAMES = "activations.json", "pictures.json"


@dataclass(frozen=True)
class CollectedActivations:
    """The reduced activations of a set of pictures, on disk.

    Attributes:
        folder: contains a folder for each layer, with an `.npy` file for each array.
        shapes: layer -> shape of its activation of one picture, (C, H, W) or (C,).
        size: (height, width) of the network's input, in pixels.
        names: names of all pictures of the set, by index.
        skipped: name -> why the picture could not be read.
    """

    folder: Path
    shapes: Mapping[str, tuple[int, ...]]
    size: tuple[int, int]
    names: Sequence[str]
    skipped: Mapping[str, str]

    def array(self, layer: str, name: str) -> np.ndarray[Any, Any]:
        """One array of a layer, memory-mapped.

        Args:
            layer: address.
            name: of the array; `Positions` and `Extremes` list the names.

        Raises:
            NotFound: for a layer or an array that was not collected.
        """
        path = _path(self.folder, layer, name)
        if layer not in self.shapes or not path.exists():
            raise NotFound(f"{self.folder} holds no {name} of layer {layer!r}; it has {', '.join(self.shapes)}")
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r")
        return array

    def vectors(self, layer: str) -> np.ndarray[Any, Any]:
        """Activation vectors (N, C) of a layer."""
        return self.array(layer, "vectors")

    def where(self, layer: str) -> np.ndarray[Any, Any]:
        """Origin of each vector, (N, 3): index of the picture, y and x in the map."""
        return self.array(layer, "where")

    @classmethod
    def load(cls, folder: str | Path) -> CollectedActivations:
        """Loads what `collect` wrote to a folder.

        Args:
            folder: the `out` of the pass.

        Raises:
            MissingFile: if the folder holds no activations.
            BadInput: if they are not finished, or damaged.
        """
        folder = Path(folder)
        if not (folder / STATE).is_file():
            raise MissingFile(f"{folder} holds no activations (no {STATE})")
        state = _State.load(folder / STATE)
        if not state.finished:
            raise BadInput(f"{folder} is not finished, at {plural(state.done, 'picture')}; the same call resumes")
        names = json.loads((folder / NAMES).read_bytes())
        shapes = {layer: tuple(shape) for layer, shape in state.shapes.items()}
        size = (state.options["size"][0], state.options["size"][1])
        return cls(folder, shapes, size, names, {names[int(i)]: reason for i, reason in state.skipped.items()})


@dataclass
class _State:
    """Progress of a pass: the rows of the `pending` layers' arrays are complete up to the first `done` pictures."""

    options: dict[str, Any]
    shapes: dict[str, list[int]]
    rows: dict[str, int]
    done: int = 0
    finished: bool = False
    pending: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> _State:
        try:
            state = cls(**json.loads(path.read_bytes()))
            state.pending = state.pending or list(state.shapes)  # an earlier release took all layers in one pass
            return state
        except (ValueError, TypeError) as error:
            raise BadInput(f"{path} is damaged ({error}); set fresh to start over, or give another folder") from error

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
    """Collects the activations of a set of pictures at several layers, in one truncated pass that streams to disk.

    Memory holds two batches of pictures and one of activations, however large the set is. An interrupted pass resumes
    from its last checkpoint, and leaves the same bytes as an uninterrupted one. More layers than an earlier pass into
    the folder had take a pass of their own; what is there stays.

    Args:
        model: from `load_model`, or what `load_model` accepts.
        pictures: a folder, files, or a Dataset: see `picture_set`. Pictures may have any size and mode; each is scaled
            to cover `size` and centre-cropped. Unreadable pictures are listed in `skipped`.
        layers: addresses; "" is the model's output.
        reducer: what to keep: `Positions("one" | k | "all")`, by default one inner position per picture, or
            `Extremes()`.
        out: folder for the arrays.
        size: of the network's input, in pixels, one number or (height, width); by default the model's own.
        batch: pictures per forward pass; by default that with which an earlier part of the pass began, else chosen for
            the device's memory. A pass resumes only with the same value: in another batch, a picture's activations
            differ in their last bits.
        fresh: start over if the folder holds a pass with other settings.
        progress: called with a `RunProgress`, in pictures.
        executor: distributes the work; by default this process does it. The bytes are the same.

    Returns:
        The activations on disk.

    Raises:
        MissingFile: for a place that does not exist.
        BadInput: for places without a readable picture, a layer that the reducer cannot reduce, or a folder that holds
            a pass with other settings.
        NotFound: for an unknown layer.
        KeyboardInterrupt: passes through; the same call resumes.

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
        raise BadInput(f"batch must be an integer of at least 1, got {batch!r}")
    found = picture_set(pictures, len(model.mean), model.value_range)
    sides = model.size_for(None if size is None else as_size(size))
    shapes = {address: list(shape[1:]) for address, shape in model.shapes(addresses, sides).items()}
    arrays = {address: reducer.arrays(address, shapes[address]) for address in addresses}
    executor = executor or InProcess(model)
    folder = Path(out)
    begun = None if fresh or not (folder / STATE).is_file() else _State.load(folder / STATE).options.get("batch")
    batch = batch or begun or pictures_at_once(model, addresses, sides)
    options = {
        **reducer.about(),
        "layers": addresses,
        "size": list(sides),
        "batch": batch,
        "pictures": len(found),
        "names": found.digest,
        "model": model.spec,
        "weights": model.sha256,
        **digests(model, addresses),
        "normalization": [list(model.mean), list(model.std)],
    }
    state = _begin(folder, options, shapes, found, fresh)
    while not state.finished:  # twice where an unfinished pass comes before that of more layers
        with ExitStack() as stack:
            files: dict[str, dict[str, GrowingArray]] = {}
            for layer in state.pending:
                files[layer] = {}
                for name, (shape, dtype) in arrays[layer].items():
                    array = GrowingArray(_path(folder, layer, name), shape, dtype, state.rows[layer])
                    files[layer][name] = array
                    stack.callback(array.close)
            forward = ForwardPass(found, reducer, tuple(state.pending), sides, batch)
            _Pass(forward, executor, state, files, folder).run(progress)
        state = _begin(folder, options, shapes, found, False)
    if len(state.skipped) == len(found):
        reason = next(iter(state.skipped.values()))
        raise BadInput(f"none of the {plural(len(found), 'picture')} can be read; the first: {reason}")
    return CollectedActivations.load(folder)


def _begin(folder: Path, options: dict[str, Any], shapes: dict[str, Any], pictures: PictureSet, fresh: bool) -> _State:
    """The state that an earlier run of this pass left, or a new one."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"output {str(folder)!r} is a file; expected a folder")
    if (folder / STATE).exists() and not fresh:
        state = _State.load(folder / STATE)
        for key in state.options | options:
            grown = key == "layers" and set(state.options.get(key, ())) <= set(options[key])
            if state.options.get(key) != options.get(key) and not grown:
                raise BadInput(
                    f"{folder} holds activations with other settings: its {key} is {state.options.get(key)!r}, not "
                    f"{options.get(key)!r}; give another folder, or set fresh to start over"
                )
        more = [layer for layer in shapes if layer not in state.shapes]
        if state.finished and more:
            shapes, rows = state.shapes | shapes, state.rows | dict.fromkeys(more, 0)
            state = _State(options, shapes, rows, pending=more, skipped=state.skipped)
            state.save(folder)
        return state
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATE).unlink(missing_ok=True)
    write_text(folder / NAMES, json.dumps(list(pictures.names)))
    state = _State(options, shapes, dict.fromkeys(shapes, 0), pending=list(shapes))
    state.save(folder)
    return state


@dataclass
class _Pass:
    """The pass itself, from `state.done` to the end of the set: the only writer of the rows, in order."""

    forward: ForwardPass
    executor: Executor
    state: _State
    files: dict[str, dict[str, GrowingArray]]
    folder: Path

    def run(self, progress: RunProgressCallback | None) -> None:
        start, total, committed = self.state.done, len(self.forward.pictures), time.monotonic()

        def update() -> None:
            if progress is not None:
                progress(RunProgress(self.state.done - start, total - start, start, "input picture"))

        update()
        try:
            with closing(self.forward.run(self.executor, start)) as batches:
                for batch in batches:
                    self._add(batch)
                    update()
                    if time.monotonic() - committed > COMMIT_EVERY:
                        self._commit()
                        committed = time.monotonic()
            self.state.finished = True
        finally:
            self._commit()

    def _add(self, batch: BatchRows) -> None:
        for layer, rows in batch.kept.items():
            for name, array in self.files[layer].items():
                array.append(rows[name])
        # Only now is the batch complete. What an interruption leaves of it comes after these rows, and is truncated.
        for layer, rows in batch.kept.items():
            self.state.rows[layer] += len(next(iter(rows.values())))
        self.state.skipped |= {str(index): reason for index, reason in batch.skipped.items()}
        self.state.done = batch.stop

    def _commit(self) -> None:
        for arrays in self.files.values():
            for array in arrays.values():
                array.flush()
        self.state.save(self.folder)


def _path(folder: Path, layer: str, name: str) -> Path:
    return folder / safe_name(layer) / f"{name}.npy"
