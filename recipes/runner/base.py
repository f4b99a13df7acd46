"""What every recipe says to the run: its settings, the units that it wants, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadType
from recipes.executors.machines import Machines
from recipes.options.fields import LARGEST, check_out, check_whole, key_of, option
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback
    from recipes.outputs.manifest import Record


@dataclass(frozen=True, kw_only=True)
class Plan(Machines):
    """The fields that every recipe shares, with a network or without, and what a run asks it for.

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
        raise BadType(f"{type(self).__name__} must define units()")

    def prepare(self, model: Model, units: Sequence[Unit], progress: RunProgressCallback | None) -> None:
        """What must be done before the first of the unfinished units, once the output folder is known to be good."""

    def problem(self, model: Model, units: Sequence[Unit]) -> Problem | Given:
        """One batch of them as an optimisation, or as pictures that are there already."""
        raise BadType(f"{type(self).__name__} must define problem()")

    def metrics(self, model: Model, units: Sequence[Unit], images: Tensor) -> Sequence[Mapping[str, Any]]:
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
        raise BadType(f"{type(self).__name__} must define page()")

    def settings(self) -> dict[str, Any]:
        """The fields as JSON values, for the manifest; without those that mean nothing to it."""
        unsaid = {f.name for f in fields(self) if f.metadata.get("machines") or f.metadata.get("hidden")}
        return {key_of(f): _plain(getattr(self, f.name)) for f in fields(self) if f.name not in unsaid}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple | range) else value
