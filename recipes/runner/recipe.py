"""Recipes of units: what `recipes.runner.base` declares, with the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recipes.options.augmentations import AUGMENTS, TRANSFORMS, AugmentName
from recipes.options.fields import OPTIMISATION, option
from recipes.options.input_values import checked_size
from recipes.options.names import address
from recipes.runner.base import UnitPlan
from recipes.runner.context import RunContext
from recipes.runner.network_fields import NetworkFields
from recipes.runner.units import Unit

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
    """A `UnitRecipe` with a network under inspection.

    Attributes:
        usual_augment: the augmentation of `auto` for a network that does not read patches.
    """

    usual_augment: ClassVar[AugmentName] = "standard"

    augment: AugmentName = option(
        "auto",
        f"{TRANSFORMS}; auto: tokens for a network that reads patches, else standard",
        choices=AUGMENTS,
        group=OPTIMISATION,
    )

    def transforms(self, context: RunContext) -> str:
        from inverter.patches import reads_patches

        if self.augment != "auto":
            return self.augment
        return "tokens" if reads_patches(context.model) else self.usual_augment

    def together(self, context: RunContext, units: Sequence[Unit]) -> int:
        """As many as fit into a GPU's memory, in batches of equal size, which are recorded as one graph."""
        import torch

        from inverter.batching import pictures_at_once

        model, size = context.model, self.picture_size(context.model)
        layers = [address(layer) for layer in dict.fromkeys(unit.layer for unit in units if unit.requested)]
        if model.device.type != "cuda" or self.deterministic or not layers:  # free memory must not decide on last bits
            return super().together(context, units)
        workers, alike = self.workers or 1, max(Counter(unit.batch for unit in units).values())
        sharing = -(-workers // max(1, torch.cuda.device_count()))  # workers of one GPU
        fits = max(1, pictures_at_once(model, layers, size, gradient=True) // sharing)
        rounds = -(-alike // (fits * workers))
        return -(-alike // (rounds * workers))

    def recorded_settings(self, context: RunContext) -> dict[str, Any]:
        settings = super().recorded_settings(context)
        return settings | {"augment": self.transforms(context)} if "augment" in settings else settings

    def settings(self) -> dict[str, Any]:
        return super().settings() | self.network_settings()

    @property
    def shown_size(self) -> int | tuple[int, int] | None:
        return checked_size(self.size)

    def picture_size(self, model: Model) -> tuple[int, int]:
        """(height, width) of the pictures in pixels: `size`, else the model's own."""
        from priors.base import as_size

        size = checked_size(self.size)
        return model.size_for(None if size is None else as_size(size))
