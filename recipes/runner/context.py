"""The context of a run: the network, and what the recipe has found out on the way. Recipes themselves hold no state."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from inverter import Graphs, Model
    from recipes.executors import Executor
    from recipes.executors.progress import RunProgressCallback


class Runnable(Protocol):
    """What a context needs of its recipe; `recipes.runner.base.UnitPlan` has it."""

    def load(self) -> Model:
        """The network under inspection."""
        ...

    def executor(self, model: Model) -> Executor:
        """Where work with this network is done."""
        ...

    def for_worker(self) -> Runnable:
        """The recipe as another process gets it."""
        ...


_Self = TypeVar("_Self")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class RunContext:
    """What one run of a recipe has at hand in one process.

    It travels to other processes as its recipe alone; there it starts empty, with the network of that process, and
    finds the same again, or on disk.

    Args:
        recipe: the recipe that runs.
        model: the network under inspection; None until a worker has one.
        progress: called as the work goes on, by `prepare` and whatever else takes long.

    Attributes:
        results: what methods marked `once` or `latest` have returned so far, by method.
    """

    def __init__(
        self, recipe: Runnable, model: Model | None = None, progress: RunProgressCallback | None = None
    ) -> None:
        self.recipe, self.progress = recipe, progress
        self.results: dict[Any, Any] = {}
        self._model = model

    @property
    def model(self) -> Model:
        """The network under inspection."""
        if self._model is None:
            self._model = self.recipe.load()
        return self._model

    @cached_property
    def graphs(self) -> Graphs:
        """CUDA graphs of the batches so far: the network stays as it is for the run."""
        from inverter import Graphs

        return Graphs()

    @property
    def executor(self) -> Executor:
        """Where work with the network is done."""
        return self.recipe.executor(self.model)

    def at(self, model: Model) -> RunContext:
        """This context, with the network of the process that it has come to."""
        if self._model is None:
            self._model = model
        return self

    def __reduce__(self) -> tuple[type[RunContext], tuple[Runnable]]:
        return RunContext, (self.recipe.for_worker(),)


def once(
    method: Callable[Concatenate[_Self, RunContext, _Arguments], _Result],
) -> Callable[Concatenate[_Self, RunContext, _Arguments], _Result]:
    """A recipe's method whose result is computed once a run, for each of its (hashable) arguments."""

    @wraps(method)
    def remembered(recipe: _Self, context: RunContext, *args: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        key = (method.__qualname__, args, *options.items())
        if key not in context.results:
            context.results[key] = method(recipe, context, *args, **options)
        result: _Result = context.results[key]
        return result

    return remembered


def latest(
    method: Callable[Concatenate[_Self, RunContext, _Arguments], _Result],
) -> Callable[Concatenate[_Self, RunContext, _Arguments], _Result]:
    """As `once`, but only the latest result is kept: for what takes much memory and is needed by one batch alone."""

    @wraps(method)
    def remembered(recipe: _Self, context: RunContext, *args: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        key, given = method.__qualname__, (args, *options.items())
        if key not in context.results or context.results[key][0] != given:
            context.results.pop(key, None)  # before the next one is made: never two of them in memory
            context.results[key] = given, method(recipe, context, *args, **options)
        result: _Result = context.results[key][1]
        return result

    return remembered
