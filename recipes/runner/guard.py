"""What every run of a recipe stands under: its folder is its own, its arithmetic as repeatable as it asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from recipes.outputs.folder_lock import held

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def guarded(run: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """A recipe's `run` that holds the recipe's output folder, and is deterministic where the recipe says so."""

    @wraps(run)
    def guarded_run(*args: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        from inverter.determinism import deterministic

        recipe: Any = args[0]
        with held(Path(recipe.out)), deterministic(getattr(recipe, "deterministic", False)):
            return run(*args, **options)

    return guarded_run
