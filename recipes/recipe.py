"""What every recipe has: the model's and the run's settings, a way to say which units it wants, and `run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from recipes.executors.machines import Machines
from recipes.guard import guarded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inverter import Model
    from objectives import Objective
    from priors import Prior
    from recipes.executors import Executor
    from recipes.outputs.manifest import Record
    from recipes.run import Report, RunProgress


LARGEST = 16384
"""Pixels of a picture's side, at most: more are a mistake, which should not end in a machine without memory."""
MOST = 1000
"""Pictures of one unit, at most."""


def option(default: Any, help: str, **more: Any) -> Any:
    """A recipe's field with the sentence that the command line shows for it.

    Args:
        more: `repeat`: it may be given several times; `choices`: all that it may be; `hidden`: a field that every
            recipe has and that means nothing to this one, kept from users and from the manifest.
    """
    return field(default=default, metadata={"help": help, **more})


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Raises a ValueError for what is no whole number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if value > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")


def check_out(out: str | Path) -> None:
    """Raises a ValueError for what can be the name of no folder and no file."""
    if not str(out) or "\0" in str(out):
        raise ValueError(f"out is {str(out)!r}; expected a folder" if str(out) else "out is empty; expected a folder")


def key_of(field: Field[Any]) -> str:
    """A field's name as TOML key and flag: without the underscore that Python wants after a keyword (`class_`)."""
    return field.name.removesuffix("_")


@dataclass(frozen=True)
class Unit:
    """One picture that a recipe wants.

    Attributes:
        layer, channel, objective, attempt, direction, name, image, prior: as in the manifest's `Record`.
        file: where it goes, relative to the output folder: also its identity.
        batch: units with the same value may be optimised in one batch.
        group: consecutive units with the same value must be (several attempts that repel each other).
        beside: files that the recipe writes with the picture, by what they are, relative to the output folder.
    """

    layer: str
    channel: int | None
    objective: str
    file: str
    attempt: int = 0
    direction: str = "max"
    name: str | None = None
    image: str | None = None
    prior: str | None = None
    batch: str = ""
    group: str = ""
    beside: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Problem:
    """A batch of units as an optimisation: what to climb, on which pictures, and what to report as their score.

    Attributes:
        stages: fields of `inverter.Settings` in which this batch differs from the run's; one stage after the other.
        finish: makes of the finished pictures (B, 3, H, W) those that are written, where they are others.
        model: that looks at them, where it is not the run's.
    """

    objective: Objective
    prior: Prior
    measure: Objective
    stages: Sequence[Mapping[str, Any]] = ({},)
    finish: Callable[[Tensor], Tensor] | None = None
    model: Model | None = None


@dataclass(frozen=True)
class Given:
    """A batch of units that need no optimisation: pictures (B, 3, H, W) in [0, 1] to be kept as they are.

    Attributes:
        units: as they turned out, where a picture has to be looked at to know (its class); None: as they were asked.
    """

    images: Tensor
    units: Sequence[Unit] | None = None


@dataclass(frozen=True, kw_only=True)
class _Network:
    """The fields of a recipe that looks into a network."""

    model: str | nn.Module | Model = option("builtin", "torchvision:NAME, timm:NAME, FILE.py:FACTORY or builtin")
    weights: str | None = option(None, "weights file: .safetensors, .pt or .pth")
    normalize: str | None = option(
        None, "imagenet, half, none, or 'm,m,m/s,s,s' (default: what the model's source says)"
    )
    augment: str = option("standard", "none, light, standard, strong or wide")


@dataclass(frozen=True, kw_only=True)
class AnyRecipe(Machines):
    """The fields that every recipe shares, with a network or without.

    A field is a TOML key and a flag of the command line, under one name.
    """

    name: ClassVar[str]

    out: str = option("gallery", "output folder")
    steps: int | None = option(64, "optimisation steps for each picture")
    size: int | None = option(None, "side of the pictures in pixels (default: the model's input size)")
    seed: int = option(0, "of all random draws")
    device: str | None = option(None, "auto, cpu, cuda, cuda:N or mps (default: auto)")
    precision: str = option("auto", "auto, float32 or bfloat16")
    batch_size: int | None = option(None, "pictures optimised together (default: chosen for the device)")
    learning_rate: float | None = option(None, "peak step of the optimiser (default: the prior's)")
    deterministic: bool = option(False, "the same bytes from the same GPU too, which takes longer (a CPU always gives)")
    fresh: bool = option(False, "start over: remove what an earlier run left in the output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None:
            check_whole("size", self.size, 1, LARGEST)
        check_out(self.out)

    def load(self) -> Model:
        """The network that is looked into: none, where a recipe does not say which."""
        from inverter.models import no_network

        return no_network(self.device)

    def executor(self, model: Model) -> Executor:
        """Where the work is done with this model."""
        from recipes.executors import executor

        return executor(self, self.load, model, self.device)

    def __getstate__(self) -> dict[str, Any]:
        # To other processes, a recipe goes as its fields alone: what it has made of them is made there again, or found
        # on disk. There it neither starts over nor employs others.
        alone = {"fresh": False} | dict.fromkeys((field.name for field in fields(Machines)), None)
        return {field.name: getattr(self, field.name) for field in fields(self)} | alone

    @property
    def transforms(self) -> str:
        """The random transforms that the network sees the pictures through: a name of `inverter.augment`."""
        return "none"

    def units(self, model: Model) -> Sequence[Unit]:
        """The pictures that the recipe wants from this model, in the order in which they are shown."""
        raise TypeError(f"{type(self).__name__} must define units()")

    def prepare(self, model: Model, units: Sequence[Unit], progress: RunProgress | None) -> None:
        """What must be done before the first of the unfinished units, once the output folder is known to be good."""

    def problem(self, model: Model, units: Sequence[Unit]) -> Problem | Given:
        """One batch of them as an optimisation, or as pictures that are there already."""
        raise TypeError(f"{type(self).__name__} must define problem()")

    def figures(self, model: Model, units: Sequence[Unit], images: Tensor) -> Sequence[Mapping[str, Any]]:
        """What else is to be told of one batch's finished pictures (B, 3, H, W): JSON values by name, for each unit.

        It may be asked in another process. A file that it writes must be whole at once, and the same from everywhere.
        """
        return [{} for _ in units]

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """What the finished pictures say together, as rows of one form, for the manifest, the page and the terminal."""
        return []

    def closing(self, records: Sequence[Record]) -> str | None:
        """One line for the terminal on what all finished pictures say together."""
        return None

    def skipped(self) -> Mapping[str, str]:
        """Pictures that could not be read, with the reason: known once it ran."""
        return {}

    def page(self, manifest: Mapping[str, Any]) -> str:
        """`index.html` of a manifest."""
        raise TypeError(f"{type(self).__name__} must define page()")

    def settings(self) -> dict[str, Any]:
        """The fields as JSON values, for the manifest; without those that mean nothing to it."""
        unsaid = {f.name for f in fields(self) if f.metadata.get("machines") or f.metadata.get("hidden")}
        return {key_of(f): _plain(getattr(self, f.name)) for f in fields(self) if f.name not in unsaid}

    @guarded
    def run(self, progress: RunProgress | None = None) -> Report:
        """Makes all pictures that are not finished yet, and the page.

        Args:
            progress: called with an `Update` as the work goes on.

        Raises:
            ValueError, LookupError, OSError: bad input, in one line, before anything is written.
            KeyboardInterrupt: passes through; what is finished is on disk, and the same call continues.
        """
        from recipes.run import run

        return run(self, progress)


@dataclass(frozen=True, kw_only=True)
class Recipe(AnyRecipe, _Network):
    """A recipe that looks into a network."""

    def load(self) -> Model:
        from inverter import load_model

        return load_model(self.model, self.weights, self.normalize, self.device)

    @property
    def transforms(self) -> str:
        return self.augment

    def settings(self) -> dict[str, Any]:
        """The fields as JSON values, for the manifest; a model that is no text is named `module`."""
        named = self.model if isinstance(self.model, str) else getattr(self.model, "spec", "module")
        return super().settings() | {"model": named}

    def picture_size(self, model: Model) -> tuple[int, int]:
        """(height, width) of the pictures in pixels: as asked for, else the model's own."""
        return (self.size, self.size) if self.size else model.input_size


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple | range) else value
