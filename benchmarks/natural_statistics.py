"""Class models with and without natural feature statistics, and what judges that took no part see in them.

    python benchmarks/natural_statistics.py squeezenet|googlenet|lite [--classes 8|16|32] [--variants "0;0.7"]
        [--log-probability .5] [--rate .17] [--tries 1] [--sheet OUT.png]

A variant is the weight of the statistics, relative to the score; 0 is the preset `best`. One line of Markdown for each:
pictures that a network has first / in its top 5 / the mean log-probability of the class, of the network itself and of
two judges (MobileNetV2 with its 3x3 kernels mirrored, as its padding asks for; EfficientNet-Lite0, or GoogLeNet where
that is the network); the natural distance; burnt values; CPU seconds. Classes are every 31st from 9, or a part of them.
`lite` takes the running statistics of its batch normalisation, the others those of the photographs of the test data.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from common import DATA, SIZE, squeezenet
from token_networks import lite
from torch import Tensor, nn
from torchvision.models import mobilenet_v2
from torchvision.utils import make_grid, save_image

from inverter import Model, Settings, batch_norm_statistics, evaluate, load_model, optimize
from inverter.checkpoints import read_state
from objectives import FeatureStatistics, logit, natural, naturally, softmax
from priors import Fourier
from recipes.evidence.appearance import burnt
from recipes.statistics.feature_measuring import default_layers, measure_features

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("squeezenet", "googlenet", "lite"))
    parser.add_argument("--classes", type=int, default=32, choices=(8, 16, 32))
    parser.add_argument("--variants", default="0;0.7")
    parser.add_argument("--log-probability", type=float, default=0.5)
    parser.add_argument("--rate", type=float, default=0.17)
    parser.add_argument("--tries", type=int, default=1)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    model = {"squeezenet": squeezenet, "googlenet": googlenet, "lite": lite}[options.network]()
    judges = [model, mirrored(), googlenet() if options.network == "lite" else lite()]
    statistics = batch_norm_statistics(model) if options.network == "lite" else photographs(model)
    classes = list(range(9, 1000, 31))[:: 32 // options.classes]
    sheets = []
    for weight in map(float, options.variants.split(";")):
        chances, rate = (options.log_probability, options.rate) if weight else (2.0, 0.2)
        objective = logit(classes) + chances * softmax(classes)
        objective = naturally(objective, statistics, weight) if weight else objective
        settings, started = Settings(steps=64, learning_rate=rate, tries=options.tries), time.process_time()
        images = optimize(model, objective, Fourier(len(classes), SIZE), settings, "wide").images
        seconds, images = (time.process_time() - started) / len(classes), (images * 255).round() / 255
        columns = [judged(judge, images, classes) for judge in judges]
        distance = -float(evaluate(model, natural(None, statistics), images).mean())
        columns += [f"{distance:.2f}", f"{float(burnt(images).mean()):.1%}", f"{seconds:.2f}"]
        print(f"| {options.network}, weight {weight:g} | " + " | ".join(columns) + " |", flush=True)
        sheets.append(images)
    if options.sheet:
        save_image(make_grid(torch.cat(sheets), nrow=8), options.sheet)


if __name__ == "__main__":
    sys.exit(main())
