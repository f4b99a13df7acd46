"""What the page of a layer shows of its units, as JSON: short, for there may be thousands of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.evidence.verdict import TWO_PATCHES
from recipes.microscope.alike import Found
from recipes.microscope.folders import RUNS, FoundRuns, Made, SiteLayer, SiteUnit
from recipes.pages.html import picture_url

MOST, LEAST = 8, 4
"""Top patches of a unit, and those that activate it least."""
EVIDENCE = ("percentile", "dataset_highest", "dataset_pictures", "path", "path_departs", "fails")
DIGITS = 4


def layer_data(runs: FoundRuns, place: int, likes: tuple[Found, Found], drives: Mapping[int, Any]) -> dict[str, Any]:
    """The data of one layer's page.

    Args:
        runs: what the site is made of.
        place: of the layer.
        likes: of its units, within it and across layers, as `alike` finds them.
        drives: channel -> the units that it drives, as [place of the layer, channel, weight].
    """
    layer, places = runs.layers[place], {each.address: index for index, each in enumerate(runs.layers)}
    feeds, filters = layer.feeds, runs.filters
    return {
        "place": place,
        "inputs": places.get(str(feeds.get("inputs")), -1),
        "method": feeds.get("method"),
        "filters": filters["count"] if filters is not None and filters["layer"] == layer.address else 0,
        "pictures": _pictures(layer),
        "units": [_unit(runs.folder, unit, layer, likes, drives) for unit in layer.units],
    }


def short(value: Any) -> Any:
    """Numbers with four significant digits, at any depth of JSON."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: short(each) for key, each in value.items()}
    return [short(each) for each in value] if isinstance(value, list | tuple) else value


def driven(runs: FoundRuns) -> list[dict[int, list[list[float]]]]:
    """The other direction of the inputs: for each layer, channel -> [place, channel, weight] of what it drives most.

    Args:
        runs: what the site is made of.
    """
    places = {each.address: index for index, each in enumerate(runs.layers)}
    found: list[dict[int, list[list[float]]]] = [{} for _ in runs.layers]
    for place, layer in enumerate(runs.layers):
        source = places.get(str(layer.feeds.get("inputs")))
        if source is None:
            continue
        shown = set(layer.channels)
        for channel, sides in layer.feeds["units"].items():
            for inputs in (sides["positive"], sides["negative"]) if int(channel) in shown else ():
                for index, weight in inputs:
                    found[source].setdefault(int(index), []).append([place, int(channel), weight])
    for each in found:
        for channel, targets in each.items():
            each[channel] = sorted(targets, key=lambda target: -abs(target[2]))[:MOST]
    return found


def patches_of(made: Made | None) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """The patches of a unit that a site shows: those that activate it most, and least.

    Args:
        made: its responses.
    """
    if made is None:
        return (), ()
    metrics = made.record.metrics
    return metrics.get("most", [])[:MOST], metrics.get("least", [])[:LEAST]


def _unit(
    runs: Path, unit: SiteUnit, layer: SiteLayer, likes: tuple[Found, Found], drives: Mapping[int, Any]
) -> dict[str, Any]:
    within, across = (found.get(unit.channel, []) for found in likes)
    feeds = layer.feeds.get("units", {}).get(str(unit.channel))
    found = {
        "channel": unit.channel,
        "name": unit.name,
        "feeds": None if feeds is None else [*feeds["positive"], *feeds["negative"]],
        "drives": drives.get(unit.channel),
        "within": [list(each) for each in within],
        "across": [list(each) for each in across],
    }
    if unit.picture is not None:
        record = unit.picture.record
        file = "/".join([RUNS, unit.picture.folder.relative_to(runs).as_posix(), record.file])
        kept = {key: value for key, value in record.metrics.items() if key in EVIDENCE or key.startswith(TWO_PATCHES)}
        found |= {
            "score": record.score,
            "status": None if record.status == "ok" else record.status,
            "source": f"../{picture_url(file)}",
            "evidence": kept,
        }
    if unit.responses is not None:
        metrics = unit.responses.record.metrics
        most, least = patches_of(unit.responses)
        found |= {
            "most": [patch["value"] for patch in most],
            "least": [patch["value"] for patch in least],
            "words": [[word["text"], word["score"]] for word in metrics.get("words", [])],
            **{key: metrics.get(key) for key in ("counts", "quantiles", "fires", "active")},
        }
    return {key: short(value) for key, value in found.items() if value not in (None, [], {})}


def _pictures(layer: SiteLayer) -> int:
    """Photographs over which units were compared."""
    responses = next((unit.responses for unit in layer.units if unit.responses is not None), None)
    return 0 if responses is None else sum(responses.record.metrics.get("counts", ()))
