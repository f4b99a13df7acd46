"""The base of all recipes: a user's question as a frozen value, the fields that recipes share, and what a run calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from recipes.executors.machines import Machines
from recipes.options.fields import (
    MACHINE,
    OPTIMISATION,
    OUTPUT,
    check_choice,
    check_out,
    key_of,
    option,
)
from recipes.options.input_values import checked_size
from recipes.runner.context import RunContext
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from inverter.settings import Precision
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback
    from recipes.outputs.manifest import Record
    from recipes.runner.report import Report


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """A user's question as a frozen value. A field is a TOML key and a flag of the command line, under one name."""

    name: ClassVar[str]
    noun: ClassVar[str] = "picture"  # what a run counts

    out: str = option("gallery", "output folder", group=OUTPUT)
    device: str | None = option(None, "auto, cpu, cuda, cuda:N or mps (default: auto)", group=MACHINE)

    def __post_init__(self) -> None:
        check_out(self.out)
        for field in fields(self):
            check_choice(field, getattr(self, field.name))

    def run(self, progress: RunProgressCallback | Literal["auto"] | None = "auto") -> Report:
        """Makes everything that is not finished yet.

        Args:
            progress: called with a `RunProgress` as the work goes on; "auto" shows a bar in a terminal or notebook, and
                plain lines elsewhere; None is silent.

        Returns:
            What the run left behind, with the pictures.

        Raises:
            InverterError: bad input, in one line, before anything is written.
            OSError: a file that cannot be read or written.
            KeyboardInterrupt: passes through; what is finished is on disk, and the same call continues.
        """
        from recipes.runner.progress_bar import shown

        with self._exclusive(), shown(self.name, progress, self.noun) as callback:
            return self._run(callback)

    @abstractmethod
    def _run(self, progress: RunProgressCallback | None) -> Report:
        """The work of `run`."""

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """The context of a run: its output folder is locked, its arithmetic as repeatable as the recipe says."""
        from inverter.isolation.determinism import deterministic
        from inverter.isolation.switches import recording
        from recipes.outputs.folder_lock import held

        exact = bool(getattr(self, "deterministic", False))
        with held(Path(self.out)), recording(), deterministic(exact):
            yield

    @property
    def growing(self) -> frozenset[str]:
        """Settings with which a run may grow: an output folder is continued with more of them, but not with less."""
        return frozenset(key_of(f) for f in fields(self) if f.metadata.get("grows"))

    def settings(self) -> dict[str, Any]:
        """The fields as JSON values, for the manifest; without those that do not change what is made."""
        unsaid = {f.name for f in fields(self) if f.metadata.get("machines") or f.metadata.get("hidden")}
        return {key_of(f): _plain(getattr(self, f.name)) for f in fields(self) if f.name not in unsaid}


@dataclass(frozen=True, kw_only=True)
class UnitPlan(Machines, Recipe):
    """What a run needs to know of a recipe that makes one picture for each of its units, batch by batch.

    `UnitRecipe` adds the run itself. What a recipe finds out while it runs is kept in the `RunContext` that its methods
    receive, by `once` and `latest`.

    Attributes:
        merged: True if a picture must be shown as one tile, however many channels it has
            (`recipes.outputs.rendering.showing`).
    """

    merged: ClassVar[bool] = False

    steps: int | None = option(64, "optimisation steps for each picture", group=OPTIMISATION)
    size: str | int | Sequence[int] | None = option(
        None, "side of the pictures in pixels, or HxW (default: the model's input size)", group=OPTIMISATION
    )
    seed: int = option(0, "seed of all random draws", group=OPTIMISATION)
    precision: Precision = option("auto", "auto, float32 or bfloat16", group=MACHINE)
    batch_size: int | None = option(None, "pictures optimised together (default: chosen for the device)", group=MACHINE)
    learning_rate: float | None = option(
        None, "peak learning rate of the optimiser (default: the prior's)", group=OPTIMISATION
    )
    deterministic: bool = option(
        False, "bit-identical results on a GPU too, at some cost in time (a CPU's always are)", group=MACHINE
    )
    fresh: bool = option(False, "start over: remove what an earlier run left in the output folder", group=OUTPUT)

    def __post_init__(self) -> None:
        Machines.__post_init__(self)
        Recipe.__post_init__(self)
        object.__setattr__(self, "size", checked_size(self.size))

    def load(self) -> Model:
        """The network under inspection; by default none, for recipes about the picture itself."""
        from inverter.identity import no_network

        return no_network(self.device)

    def executor(self, model: Model) -> Executor:
        """Where the work with this network is done."""
        from recipes.executors import executor

        return executor(self, self.load, model, self.device)

    def for_worker(self) -> UnitPlan:
        """This recipe as another process gets it: there it neither starts over nor employs other processes."""
        return replace(self, fresh=False, workers=None, threads=None, ray=None, ray_gpus=None)

    def transforms(self, context: RunContext) -> str:
        """The random transforms of the pictures on their way to the network: a name of `inverter.augment`."""
        return "none"

    @abstractmethod
    def units(self, context: RunContext) -> Sequence[Unit]:
        """The pictures to make, in the order in which they are shown."""

    def recorded_settings(self, context: RunContext) -> dict[str, Any]:
        """The settings as the manifest records them, with what only loaded inputs say (a second network's weights)."""
        return self.settings()

    def together(self, context: RunContext, units: Sequence[Unit]) -> int:
        """How many units are made together where `batch_size` does not say it."""
        from inverter.engine import default_batch

        return default_batch(context.executor.device)

    def prepare(self, context: RunContext, units: Sequence[Unit]) -> None:
        """What must be done before the first of the unfinished units, once the output folder is known to be good."""

    @abstractmethod
    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem | Given:
        """One batch of units as an optimisation, or as pictures that exist already."""

    def again(self, context: RunContext, units: Sequence[Unit]) -> Problem | Given:
        """The second try of units that were silent, or not faithful; by default as the first."""
        return self.problem(context, units)

    def completed(self, context: RunContext, problem: Problem | Given) -> Problem | Given:
        """A problem with what fields that recipes share add to its objective (`NaturalFields`); by default none."""
        return problem

    def cost(self, context: RunContext, unit: Unit) -> float:
        """How long a unit takes in proportion to the others, for the time left; an input image takes none."""
        return float(unit.requested)

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> Sequence[Mapping[str, Any]]:
        """What is measured of one batch's finished pictures: JSON values by name, for each unit.

        It may be called in another process. A file that it writes must be written atomically, and be the same from
        every process.

        Args:
            context: of the run.
            units: of the batch.
            images: (B, C, H, W) in [0, 1].
        """
        return [{} for _ in units]

    def evidence(self, context: RunContext, records: Sequence[Record], folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """What is measured of all finished pictures together, read from their files: metrics to add, by file.

        It is called in the process of the run, after the last picture of a complete run.

        Args:
            context: of the run.
            records: of all finished pictures.
            folder: the output folder.
        """
        return {}

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """A summary of the finished pictures as rows of one form, for the manifest, the page and the terminal."""
        return []

    def closing(self, records: Sequence[Record]) -> str | None:
        """One line for the terminal that sums up all finished pictures."""
        return None

    def skipped(self, context: RunContext) -> Mapping[str, str]:
        """Pictures that could not be read, with the reason."""
        return {}

    def assemble(self, folder: Path, records: Collection[Record]) -> Mapping[str, Path]:
        """Makes files of several finished pictures together, whenever a run ends, however it ends.

        Returns:
            Pictures that show all of them in their places, by what they are; a notebook shows these.
        """
        return {}

    @abstractmethod
    def page(self, manifest: Mapping[str, Any]) -> str:
        """`index.html` of a manifest."""


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple | range) else value
