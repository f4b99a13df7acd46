"""Recipes of units: what `recipes.runner.base` declares, with the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recipes.options.fields import OPTIMISATION, option
from recipes.runner.base import NetworkFields, UnitPlan

if TYPE_CHECKING:
    from inverter import Model
    from recipes.executors.progress import RunProgressCallback
    from recipes.runner.report import Report


@dataclass(frozen=True, kw_only=True)
class UnitRecipe(UnitPlan):
    """A recipe that makes one picture for each of its units, batch by batch."""

    def _run(self, progress: RunProgressCallback | None) -> Report:
        from recipes.runner.run import run

        return run(self, progress)


@dataclass(frozen=True, kw_only=True)
class NetworkRecipe(NetworkFields, UnitRecipe):
    """A `UnitRecipe` with a network under inspection."""

    augment: str = option("standard", "none, light, standard, strong or wide", group=OPTIMISATION)

    @property
    def transforms(self) -> str:
        return self.augment

    def settings(self) -> dict[str, Any]:
        return super().settings() | self.network_settings()

    @property
    def shown_size(self) -> int | None:
        return self.size

    def picture_size(self, model: Model) -> tuple[int, int]:
        """(height, width) of the pictures in pixels: `size`, else the model's own."""
        return model.size_for((self.size, self.size) if self.size else None)
