"""What each unit of a site gets from the layer before its own: its strongest connections, in a file for each layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, InverterError
from recipes.circuits.wiring import Wiring
from recipes.executors.progress import RunProgress
from recipes.outputs.atomic import write_text
from recipes.outputs.file_names import safe_name

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors.progress import RunProgressCallback
    from recipes.gallery.dataset_examples import DatasetExamples

FEEDS = "feeds"
"""Folder, below that of the runs."""
COUNT = 6
"""Connections of each sign."""
TOGETHER = 128
"""Units whose kernels are in memory at a time."""


def write_feeds(
    folder: Path,
    model: Model,
    channels: Mapping[str, Sequence[int]],
    before: Mapping[str, str],
    size: tuple[int, int],
    examples: Callable[[str], DatasetExamples | None],
    fresh: bool,
    progress: RunProgressCallback | None,
) -> None:
    """Finds the inputs of all units, by expanded weights or, where a path is not linear, by attribution.

    A layer whose file has all its units is not done again.

    Args:
        folder: of the runs.
        model: the network.
        channels: layer -> its units.
        before: layer -> the one that its units get their inputs from.
        size: (height, width) of the pictures in pixels.
        examples: returns the responses of a layer to a set of pictures, for attribution; None without one.
        fresh: start over.
        progress: called with a `RunProgress`, in units.

    Raises:
        BadInput: if no layer's inputs can be found; it says why for the first.
    """
    todo = {
        layer: inputs for layer, inputs in before.items() if fresh or not _has(folder, layer, inputs, channels[layer])
    }
    every, left = sum(len(channels[layer]) for layer in before), sum(len(channels[layer]) for layer in todo)
    done, refused = 0, dict[str, InverterError]()
    for layer, inputs in todo.items():
        units, about = dict[str, Any](), dict[str, Any]()
        try:
            for start in range(0, len(channels[layer]), TOGETHER):
                some = channels[layer][start : start + TOGETHER]
                sides = _sides(model, size, examples, layer, some, inputs)
                about = {key: sides[0].get(key) for key in ("method", "depth", "reason")}
                units |= {str(channel): _short(side) for channel, side in zip(some, sides, strict=True)}
                done += len(some)
                if progress is not None:
                    progress(RunProgress(done, left, every - left, "unit"))
        except InverterError as error:
            refused[layer] = error
            continue
        found = {"layer": layer, "inputs": inputs, **about, "units": units}
        write_text(_file(folder, layer), json.dumps(found, separators=(",", ":")))
    if refused and len(refused) == len(before):
        raise BadInput(str(next(iter(refused.values()))))


def read_feeds(folder: Path, layer: str) -> dict[str, Any]:
    """What `write_feeds` wrote of a layer; empty if there is none.

    Args:
        folder: of the runs.
        layer: as manifests name it.
    """
    path = _file(folder, layer)
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _sides(
    model: Model,
    size: tuple[int, int],
    examples: Callable[[str], DatasetExamples | None],
    layer: str,
    some: Sequence[int],
    inputs: str,
) -> list[dict[str, Any]]:
    try:  # by weights alone it takes no pictures, which would measure how linear each unit is
        return Wiring(model, "auto", COUNT, size, None).inputs(layer, some, inputs)
    except BadInput:
        if (known := examples(layer)) is None:
            raise
        return Wiring(model, "auto", COUNT, size, known).inputs(layer, some, inputs)


def _short(side: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    return {
        sign: [[each["channel"], float(f"{each['weight']:.3g}")] for each in side[sign]]
        for sign in ("positive", "negative")
    }


def _has(folder: Path, layer: str, inputs: str, channels: Sequence[int]) -> bool:
    known = read_feeds(folder, layer)
    return known.get("inputs") == inputs and {str(channel) for channel in channels} <= known["units"].keys()


def _file(folder: Path, layer: str) -> Path:
    return folder / FEEDS / f"{safe_name(layer)}.json"
