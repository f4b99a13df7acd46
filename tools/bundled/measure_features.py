"""Feature statistics of the bundled network on pictures of the world that it was trained on."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from inverter import load_model
from objectives import FeatureStatistics
from recipes.activations.compared_layers import default_layers
from recipes.statistics.feature_measuring import measure_features
from tools.bundled.world import CLASSES, pictures

SEED = 7_000_000
"""Of pictures that neither training nor its evaluation drew."""
EACH = 10
"""Pictures of each class."""


class _World(Dataset[Tensor]):
    def __len__(self) -> int:
        return EACH * len(CLASSES)

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return pictures(SEED, index, 1)[0][0]


def run(out: Path) -> FeatureStatistics:
    """Measures and writes them."""
    model = load_model("builtin", device="cpu")
    work, source = out.with_name(f".{out.name}.partial"), f"{EACH} drawn pictures of each class"
    statistics, _ = measure_features(model, _World(), default_layers(model), work, source=source)
    statistics.save(out)
    return statistics
