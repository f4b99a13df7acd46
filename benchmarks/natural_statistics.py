"""Class models by the presets of `inverter classes`, and what judges that took no part see in them.

    python benchmarks/natural_statistics.py squeezenet|googlenet|lite [--classes 8|16|32] [--variants "best; natural"]
        [--sheet OUT.png]

A variant is a preset, and fields of the recipe that differ: "natural natural_weight=.7 steps=64". `best` takes no
statistics. One line of Markdown for each: pictures that a network has first / in its top 5 / the mean log-probability
of the class, of the network itself and of two judges (MobileNetV2 with its 3x3 kernels mirrored, as its padding asks
for; EfficientNet-Lite0, or GoogLeNet where that is the network); the natural distance; burnt values; CPU seconds with
the files. Classes are every 31st from 9, or a part of them. `lite` takes the running statistics of its batch
normalisation, the others those of the photographs of the test data.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import DATA, SIZE, squeezenet
from token_networks import lite
from torch import Tensor, nn
from torchvision.models import mobilenet_v2
from torchvision.utils import make_grid, save_image

from inverter import Model, batch_norm_statistics, evaluate, load_model
from inverter.checkpoints import read_state
from objectives import FeatureStatistics, natural
from recipes import ClassModel
from recipes.activations.compared_layers import default_layers
from recipes.evidence.appearance import burnt
from recipes.pictures.reading import read_picture
from recipes.statistics.feature_measuring import measure_features

NETWORKS = Path(__file__).parents[1] / "tests" / "shared_networks.py"


def googlenet() -> Model:
    weights = DATA / "weights" / "bvlc_googlenet.safetensors"
    return load_model(f"{NETWORKS}:bvlc_googlenet", weights, device="cpu")


def mirrored() -> Model:
    network = mobilenet_v2()
    network.load_state_dict(read_state(DATA / "weights" / "mobilenet_v2.safetensors"))
    for part in network.modules():
        if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3):
            part.weight.data = part.weight.data.flip(-1)
    return load_model(network, None, "half", "cpu", SIZE)


@torch.no_grad()
def judged(judge: Model, images: Tensor, classes: list[int]) -> str:
    """Pictures that it has first / in its top 5 / the mean log-probability of the class."""
    with judge.capture([""]) as capture:
        found = torch.cat([capture(judge.normalize(part))[""].float().log_softmax(1) for part in images.split(8)])
    index = torch.tensor(classes)[:, None]
    top = found.topk(5, 1).indices == index
    return f"{int(top[:, 0].sum())} / {int(top.any(1).sum())} / {float(found.gather(1, index).mean()):.2f}"


def photographs(model: Model) -> FeatureStatistics:
    with tempfile.TemporaryDirectory() as place:
        return measure_features(model, str(DATA / "images" / "imagenet"), default_layers(model), Path(place) / "work")[
            0
        ]


def drawn(model: Model, statistics: FeatureStatistics, classes: list[int], variant: str) -> Tensor:
    """Pictures of a variant, (B, 3, H, W) in [0, 1], as they are on disk."""
    preset, *fields = variant.split()
    changed: dict[str, Any] = {}
    for field in fields:
        name, value = field.split("=", 1)
        number = value.replace(".", "", 1).isdigit()
        changed[name] = value if not number else float(value) if "." in value else int(value)
    held = None if preset == "best" else statistics
    with tempfile.TemporaryDirectory() as place:
        recipe = ClassModel(model=model, class_=tuple(classes), preset=preset, natural=held, out=place, **changed)
        units = {unit.channel: file for file, unit in recipe.run(None).manifest.units.items()}
        return torch.stack([read_picture(Path(place) / units[index]) for index in classes])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("squeezenet", "googlenet", "lite"))
    parser.add_argument("--classes", type=int, default=32, choices=(8, 16, 32))
    parser.add_argument("--variants", default="best; natural")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    model = {"squeezenet": squeezenet, "googlenet": googlenet, "lite": lite}[options.network]()
    judges = [model, mirrored(), googlenet() if options.network == "lite" else lite()]
    statistics = batch_norm_statistics(model) if options.network == "lite" else photographs(model)
    classes = list(range(9, 1000, 31))[:: 32 // options.classes]
    sheets = []
    for variant in options.variants.split(";"):
        started = time.process_time()
        images = drawn(model, statistics, classes, variant)
        seconds = (time.process_time() - started) / len(classes)
        columns = [judged(judge, images, classes) for judge in judges]
        distance = -float(evaluate(model, natural(None, statistics), images).mean())
        columns += [f"{distance:.2f}", f"{float(burnt(images).mean()):.1%}", f"{seconds:.2f}"]
        print(f"| {options.network}, {variant.strip()} | " + " | ".join(columns) + " |", flush=True)
        sheets.append(images)
    if options.sheet:
        save_image(make_grid(torch.cat(sheets), nrow=8), options.sheet)


if __name__ == "__main__":
    sys.exit(main())
