"""`manifest.json`: the complete record of a run, enough to render its page and to repeat any one of its pictures."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter import __version__
from inverter_errors import BadInput, BadType

if TYPE_CHECKING:
    from inverter import Model

LIBRARIES = ("torch", "torchvision", "kornia", "numpy", "pillow")
PASSING = frozenset({"out", "device", "batch_size", "fresh", "weights", "threads", "video"})
"""Settings that do not affect the pictures (the weights are compared by SHA-256): a run may resume with others."""


_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "dict[str, Any]": dict,
    "dict[str, str]": dict,
}


@dataclass(frozen=True)
class Record:
    """One finished picture.

    Attributes:
        layer: address; "output" for classes.
        channel: index of the channel, or of the class; None for an entire layer.
        objective: channel, neuron, logit, ...; one of `vocabulary.INPUTS` for an input image.
        attempt: index among several pictures of the same unit.
        seed: of the run.
        file: path below the output folder, with `/`.
        score: the unit's activation on the final picture, without augmentation; None if it is not finite.
        steps: number of optimisation steps.
        seconds: duration of the optimisation.
        status: "ok", or why it stopped.
        direction: "max", or "min" for a picture that minimises the unit.
        name: of the class, if known.
        image: name of the input image, if there is one.
        prior: name of the prior, if a run uses several.
        made_from: what it was made from, where its file's name does not say all of it.
        batch: number of the batch in which the picture was made, and
        place: its place there; its last bits depend on the others in its batch.
        loop: on a GPU, whether its steps ran as a CUDA graph, or why not (`Inversion.loop`).
        metrics: other measurements of the picture, by name.
        extra_files: other files that belong to the picture, by kind: paths like `file`.
    """

    layer: str
    channel: int | None
    objective: str
    attempt: int
    seed: int
    file: str
    score: float | None
    steps: int
    seconds: float
    status: str
    direction: str = "max"
    name: str | None = None
    image: str | None = None
    prior: str | None = None
    made_from: str | None = None
    batch: int | None = None
    place: int | None = None
    loop: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    extra_files: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """All files of the unit: the picture and the extra files."""
        return [self.file, *self.extra_files.values()]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Record:
        """Reads one unit of a manifest.

        Args:
            data: the unit, as JSON.

        Raises:
            BadType: for a value of the wrong type.
            BadInput: for a file outside the output folder.
        """
        record = cls(**data)
        for known in fields(cls):
            value, expected = getattr(record, known.name), _TYPES[str(known.type).split(" |")[0]]
            if not (isinstance(value, expected) or (value is None and "None" in str(known.type))):
                raise BadType(f"{known.name} is {value!r}")
        for file in record.files:
            if not isinstance(file, str):
                raise BadType(f"extra_files has {file!r}, expected a path")
            if "\0" in file or ".." in Path(file).parts or Path(file).is_absolute():
                raise BadInput(f"the file {file!r} leads out of its folder")
        return record

    def to_json(self) -> dict[str, Any]:
        always = ("score", "channel")
        return {key: value for key, value in asdict(self).items() if value not in (None, {}) or key in always}


@dataclass
class Manifest:
    """A run: its settings, its model, the versions of the libraries, and its units.

    Attributes:
        recipe: name of the recipe.
        settings: fields of the recipe.
        model: description of the network, from `describe`.
        planned: number of units that the complete run has.
        created: time when the run began, ISO 8601 in UTC.
        versions: of Python and the libraries.
        units: finished units, by file.
        table: the summary of the finished units, a dict per row.
        growing: settings that may differ from an earlier run's, as long as none of its units is lost.
    """

    recipe: str
    settings: dict[str, Any]
    model: dict[str, Any]
    planned: int
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: dict[str, str] = field(default_factory=lambda: versions())
    units: dict[str, Record] = field(default_factory=dict)
    table: list[dict[str, Any]] = field(default_factory=list)
    growing: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        table = {"table": self.table} if self.table else {}
        return {
            "inverter": __version__,
            "recipe": self.recipe,
            "created": self.created,
            "settings": self.settings,
            "model": self.model,
            "versions": self.versions,
            "planned": self.planned,
            **table,
            "units": [record.to_json() for record in self.units.values()],
        }

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Reads `manifest.json`.

        Args:
            path: the file.

        Raises:
            BadInput: if it is not a manifest of this version.
        """
        try:
            data = json.loads(path.read_bytes())
            units = [Record.load(unit) for unit in data["units"]]
            if not isinstance(data["recipe"], str):
                raise BadType(f"recipe is {data['recipe']!r}")
            return cls(
                recipe=data["recipe"],
                settings=dict(data["settings"]),
                model=dict(data["model"]),
                planned=int(data["planned"]),
                created=data["created"],
                versions=dict(data["versions"]),
                units={unit.file: unit for unit in units},
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise BadInput(
                f"{path} is no manifest of this version ({type(error).__name__}: {error}); "
                "give another output folder, or set fresh to start over"
            ) from error

    def difference(self, other: Manifest) -> str | None:
        """The first difference between two runs that affects their pictures, in words; None if there is none.

        Args:
            other: the earlier run. It may differ in the settings that are `growing`: `lost` says whether it just grew.
        """
        if self.recipe != other.recipe:
            return f"recipe is {other.recipe!r}, not {self.recipe!r}"
        for key in self.settings | other.settings:
            mine, theirs = self.settings.get(key), other.settings.get(key)
            off = mine in (None, False) and theirs in (None, False)  # a setting that an older version lacks is off
            if key not in PASSING | self.growing and mine != theirs and not off:
                return f"{key} is {theirs!r}, not {mine!r}"
        return other_network(self.model, other.model)

    def lost(self, other: Manifest, sources: Mapping[str, str | None]) -> str | None:
        """What of an earlier run's finished units this run leaves out or changes, in words; None if it grew or stays.

        Args:
            other: the earlier run.
            sources: file of each unit that this run will have -> what it is made from.
        """
        for file, unit in other.units.items():
            if unit.made_from and (now := sources.get(file)) and now != unit.made_from:
                return f"{file} is made from {unit.made_from}, not from {now}"
        gone = [file for file in other.units if file not in sources]
        changed = [
            key for key in self.settings if key in self.growing and self.settings[key] != other.settings.get(key)
        ]
        if not gone or not changed:
            return None
        key = changed[0]
        return (
            f"{key} is {other.settings.get(key)!r}, not {self.settings[key]!r}; a run may grow, but this leaves out "
            f"{len(gone)} of its finished units, as {gone[0]}"
        )


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the pictures depend on numerically, and the CPU's capability."""
    import torch

    libraries = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | libraries | {"cpu": torch.backends.cpu.get_cpu_capability()}


def other_network(model: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first difference between two descriptions of a network that affects its pictures, in words.

    Args:
        model: from `describe`.
        other: what to compare it with.

    Returns:
        None if there is no difference.
    """
    if model.get("sha256") != other.get("sha256"):
        return "the model has other weights"
    for key, what in (
        ("input_size", "input size"),
        ("mean", "mean"),
        ("std", "standard deviation"),
        ("value_range", "value range"),
    ):
        if key in model and key in other and model[key] != other[key]:
            return f"the model's {what} is {other[key]}, not {model[key]}"
    mine, theirs = model.get("directions", {}), other.get("directions", {})
    for layer in mine | theirs:
        if mine.get(layer) != theirs.get(layer):
            return f"the directions of {layer} have changed"
    for name, one in model.get("networks", {}).items():
        if changed := other_network(one, other.get("networks", {}).get(name, {})):
            return f"{changed} (network {name})"
    return None


def describe(model: Model) -> Mapping[str, Any]:
    """Describes a model, as it is now, for the manifest: source, weights, input size and normalisation.

    Its `tiles` are the rows and columns in which a picture file shows the channels; its `networks`, each of several.
    """
    from inverter.result import tile_grid

    return {
        "spec": model.spec,
        "weights": None if model.weights is None else model.weights.name,
        "sha256": model.sha256,
        "input_size": list(model.input_size),
        "input_size_from": model.size_from,
        "parameters": model.parameters,
        "mean": list(model.mean),
        "std": list(model.std),
        "value_range": list(model.value_range),
        "show_channels": list(model.show_channels),
        "tiles": list(tile_grid(len(model.show_channels or model.mean))),
        "device": str(model.device),
        **digests(model, model.derived_layers()),
        **({"networks": {name: describe(one) for name, one in model.networks.items()}} if model.networks else {}),
    }


def digests(model: Model, layers: Sequence[str]) -> dict[str, dict[str, str]]:
    """The digests of the directions that some layers are made of: `directions`, by address; empty if there are none.

    Args:
        model: the network.
        layers: addresses.
    """
    from inverter.directions.digest import digest

    found = {layer: digest(one) for layer in layers if (one := model.directions_of(layer)) is not None}
    return {"directions": found} if found else {}
