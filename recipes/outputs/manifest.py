"""`manifest.json`: all that is known of a run, enough to make its page and to repeat any one of its pictures."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter import __version__
from inverter_errors import BadInput, BadType

if TYPE_CHECKING:
    from inverter import Model

LIBRARIES = ("torch", "torchvision", "kornia", "numpy", "pillow")
PASSING = frozenset({"out", "device", "batch_size", "fresh", "weights", "threads"})
"""Settings that do not change what the pictures are (the weights have a sha256), so a run may go on with others."""


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
        layer: address; "output" for classes. channel: index of the channel, or of the class; None for a whole layer.
        objective: channel, neuron, logit, ... direction: "max", or "min" for the picture that minimises the unit.
        attempt: which of several pictures of the unit. seed: of the run.
        file: path below the output folder, with `/`.
        score: the unit's own activation on the final picture, without augmentation; None if that is no number.
        steps, seconds: of its optimisation. status: "ok", or why it stopped.
        name: of the class, where one is known. image: the source picture, where there is one.
        prior: that the picture was made with, where a run has several.
        figures: what else the recipe has measured of the picture, by name.
        beside: files that were written with the picture, by what they are: paths as `file`.
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
    metrics: dict[str, Any] = field(default_factory=dict)
    extra_files: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """All that belongs to it: the picture, and what lies beside it."""
        return [self.file, *self.extra_files.values()]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Record:
        """A line of a manifest, each of its values of the right type; raises a BadInput or BadType."""
        record = cls(**data)
        for known in fields(cls):
            value, wanted = getattr(record, known.name), _TYPES[str(known.type).split(" |")[0]]
            if not (isinstance(value, wanted) or (value is None and "None" in str(known.type))):
                raise BadType(f"{known.name} is {value!r}")
        for file in record.files:
            if not isinstance(file, str):
                raise BadType(f"beside names {file!r}")
            if "\0" in file or ".." in Path(file).parts or Path(file).is_absolute():
                raise BadInput(f"the file {file!r} leads out of its folder")
        return record

    def to_json(self) -> dict[str, Any]:
        always = ("score", "channel")
        return {key: value for key, value in asdict(self).items() if value not in (None, {}) or key in always}


@dataclass
class Manifest:
    """A run: what was asked, of which model, with which libraries, and what came of it."""

    recipe: str
    settings: dict[str, Any]
    model: dict[str, Any]
    planned: int
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: dict[str, str] = field(default_factory=lambda: versions())
    units: dict[str, Record] = field(default_factory=dict)
    table: list[dict[str, Any]] = field(default_factory=list)

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
        """Raises a BadInput if the file is no manifest of this project."""
        try:
            data = json.loads(path.read_bytes())
            units = [Record.load(unit) for unit in data["units"]]
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
                "give another output folder, or --fresh to start over"
            ) from error

    def difference(self, other: Manifest) -> str | None:
        """The first thing in which two runs differ that makes their pictures different, in words; None if nothing."""
        if self.recipe != other.recipe:
            return f"recipe is {other.recipe!r}, not {self.recipe!r}"
        for key in self.settings | other.settings:
            mine, theirs = self.settings.get(key), other.settings.get(key)
            off = mine in (None, False) and theirs in (None, False)  # what an older version did not have was off
            if key not in PASSING and mine != theirs and not off:
                return f"{key} is {theirs!r}, not {mine!r}"
        if self.model.get("sha256") != other.model.get("sha256"):
            return "the model has other weights"
        return None


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose arithmetic makes the pictures, and what else its bits depend on."""
    import torch

    libraries = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | libraries | {"cpu": torch.backends.cpu.get_cpu_capability()}


def describe(model: Model) -> Mapping[str, Any]:
    """What the manifest says of a model."""
    return {
        "spec": model.spec,
        "weights": None if model.weights is None else model.weights.name,
        "sha256": model.sha256,
        "input_size": list(model.input_size),
        "parameters": model.parameters,
        "mean": list(model.mean),
        "std": list(model.std),
        "device": str(model.device),
    }
