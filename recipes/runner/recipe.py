"""What a user holds: a recipe that can `run`, with a network or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recipes.options.fields import option
from recipes.runner.base import Plan
from recipes.runner.guard import guarded

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model
    from recipes.executors.progress import RunProgressCallback
    from recipes.runner.run import Report


@dataclass(frozen=True, kw_only=True)
class AnyRecipe(Plan):
    """A recipe, whether it looks into a network or not."""

    @guarded
    def run(self, progress: RunProgressCallback | None = None) -> Report:
        """Makes all pictures that are not finished yet, and the page.

        Args:
            progress: called with an `RunProgress` as the work goes on.

        Raises:
            BadInput, NotFound, OSError: bad input, in one line, before anything is written.
            KeyboardInterrupt: passes through; what is finished is on disk, and the same call continues.
        """
        from recipes.runner.run import run

        return run(self, progress)


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
