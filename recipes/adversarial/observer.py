"""What the network and the judges see in changed pictures, and how their paths part from those of the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from inverter import Model, evaluate
from recipes.activations.predictions import class_name
from recipes.adversarial.measures import fooled, seen_classes, sizes
from recipes.adversarial.paths import Points, parts, path, points
from recipes.options.targets import Target


@dataclass(frozen=True)
class Observer:
    """Measures changed pictures.

    Attributes:
        model: the network.
        judges: other networks, by label.
        size: (height, width) of the pictures in pixels.
        layers: addresses of the network's stages, in order.
        names: of the pictures whose distance from a picture says how far apart two pictures are.
        references: where these are in the stages.
    """

    model: Model
    judges: Mapping[str, Model]
    size: tuple[int, int]
    layers: Sequence[str]
    names: Sequence[str]
    references: Points

    def __call__(
        self, pictures: Sequence[str], target: Target | None, threshold: float | None, images: Tensor, changed: Tensor
    ) -> list[dict[str, Any]]:
        """The metrics of each changed picture, as JSON values.

        Args:
            pictures: their names.
            target: that was to be reached; None for any other class.
            threshold: the value that it was to exceed, if there is one.
            images: the pictures, (B, C, H, W) in [0, 1].
            changed: their changed copies.
        """
        aim, values = self._class(target), self._values(target, threshold, images, changed)
        before, after = (seen_classes(self.model, each, self.size) for each in (images, changed))
        judged = {
            label: [seen_classes(judge, each, judge.input_size) for each in (images, changed)]
            for label, judge in self.judges.items()
        }
        here, there = (points(self.model, self.layers, each) for each in (images, changed))
        rows = []
        for row, name in enumerate(pictures):
            own = self.names.index(name) if name in self.names else None
            steps = path(here, there, row, self.references, own)
            judges = [
                {"label": label, "before": old[row], "after": new[row], "fooled": fooled(old[row], new[row], aim)}
                for label, (old, new) in judged.items()
            ]
            found = sizes(images[row], changed[row]) | {"class": aim, "before": before[row], "after": after[row]}
            found |= {"judges": judges, "path": [asdict(step) for step in steps], "parts": parts(steps)}
            rows.append(found | values[row])
        return rows

    def _class(self, target: Target | None) -> dict[str, Any] | None:
        """Index and name of the class that was to be reached, if it is one."""
        if target is None or not target.of_class:
            return None
        index = int(target.resolved(self.model).which)
        return {"index": index, "name": class_name(self.model.categories, index)}

    def _values(
        self, target: Target | None, threshold: float | None, images: Tensor, changed: Tensor
    ) -> list[dict[str, Any]]:
        """The target's value before and after, and the one that was to be exceeded."""
        if target is None:
            return [{} for _ in images]
        objective = target.objective(self.model, images)
        both = (evaluate(self.model, objective, each).tolist() for each in (images, changed))
        return [
            {"value_before": before, "value_after": after, "threshold": threshold}
            for before, after in zip(*both, strict=True)
        ]
