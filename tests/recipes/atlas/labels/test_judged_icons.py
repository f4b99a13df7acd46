"""Whether judges see the class of a cell in its icon, and in its photographs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from inverter import Model
from recipes.atlas.labels.judged_icons import judged_icons
from recipes.atlas.labels.judged_shares import class_shares
from recipes.outputs.manifest import Record


class Colours(nn.Module):
    """Scores of six classes: red, green, blue, and the same three again, weaker."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3))
        return torch.cat([10 * mean, 8 * mean], dim=1)


def model(classes: int = 6) -> Model:
    net: nn.Module = Colours() if classes == 6 else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Model(net, "colours", input_size=(8, 8), normalize="none")


def picture(path: Path, *colours: str) -> str:
    image = Image.new("RGB", (16, 8))
    for place, colour in enumerate(colours or ("black",)):
        image.paste(colour, (8 * place, 0, 8 * place + 8, 8))
    path.parent.mkdir(exist_ok=True)
    image.save(path)
    return path.name


def made(file: str, metrics: dict[str, Any]) -> Record:
    return Record("layer", None, "direction", 0, 0, file, 1.0, 1, 0.1, "ok", metrics=metrics)


def record(folder: Path, name: str, icon: str, index: int, *examples: str) -> Record:
    picture(folder / f"{name}.png", icon, icon)
    shown = []
    for place, colour in enumerate(examples):
        file = picture(folder / f"{name}-{place}.png", "white", colour)
        shown.append({"picture": file, "window": [0, 8, 8, 16]})  # the white half is not in the receptive field
    classes = [{"index": index, "name": None, "effect": 1.0}]
    metrics = {"classes": classes, "examples": shown}
    return made(f"{name}.png", metrics)


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    # Of an orange picture, class 5 (blue, weaker) comes last of the six.
    return [
        record(tmp_path, "seen", "red", 0, "red", "lime"),
        record(tmp_path, "unseen", "#ffc832", 5, "blue", "blue"),
    ]


def test_the_icon_and_the_examples_are_asked_for_the_class_of_the_cell(records: list[Record], tmp_path: Path) -> None:
    found = judged_icons(model(), {"judge": model()}, records, tmp_path)
    assert found["seen.png"]["class_in_icon"] is True
    assert found["unseen.png"] == {"class_in_icon": False, "class_in_photographs": 1.0}


def test_shares_are_over_the_cells_whose_class_an_example_shows() -> None:
    def of(icon: bool, photographs: float) -> Record:
        return made("a.png", {"class_in_icon": icon, "class_in_photographs": photographs})

    shares = class_shares([of(True, 0.5), of(False, 0.25), of(True, 0.0)])
    assert shares == {"class_in_icon": 0.5, "class_in_photographs": 0.375, "class_cells": 2}
    assert class_shares([of(True, 0.0)]) == {}


def test_several_judges_have_metrics_of_their_own(records: list[Record], tmp_path: Path) -> None:
    found = judged_icons(model(), {"judge a": model(), "judge b": model()}, records[:1], tmp_path)
    assert set(found["seen.png"]) == {
        "class_in_icon a",
        "class_in_photographs a",
        "class_in_icon b",
        "class_in_photographs b",
    }


def test_a_judge_of_other_classes_says_nothing_of_them(records: list[Record], tmp_path: Path) -> None:
    assert judged_icons(model(), {"judge": model(3)}, records, tmp_path) == {"seen.png": {}, "unseen.png": {}}
