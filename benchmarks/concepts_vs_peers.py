"""Our concept vectors and components against Captum's TCAV and the authors' CRAFT, on SqueezeNet and photographs.

    pip install '.[peers]' && pip install --no-deps craft-xai==0.0.3
    python benchmarks/concepts_vs_peers.py [--size 96] [--sets 6] [--only captum,craft]

Prints correlations. Captum finds its vectors itself (a linear SVM on all values of the layer), and so do we from the
same pictures; besides, its scores are compared for its own vectors. CRAFT is compared from the photographs to the
importance of each component.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import types
import warnings
from pathlib import Path

import numpy as np
import torch
from common import DATA, machine, squeezenet
from torch import Tensor

from inverter import Directions, Model
from objectives import logit
from recipes import Craft
from recipes.concepts.craft.bank import ConceptBank
from recipes.concepts.separation import separate
from recipes.concepts.tcav import sensitivity_gradients, tcav_scores
from recipes.pictures.inputs import InputPictures
from recipes.runner.context import RunContext

FILES = {int(path.name[:4]): path for path in sorted((DATA / "images" / "imagenet").glob("*.jpg"))}
CONCEPTS = {"dogs": (151, 268), "birds": (80, 146), "insects": (300, 326), "snakes": (25, 66)}
CLASSES = (191, 94, 319, 656)
LAYERS = ("features.9", "features.12")
OF_EACH = 12
"""Pictures of a concept, and in a random set."""


def read(indices: list[int], size: int) -> Tensor:
    found = InputPictures.find([FILES[index] for index in indices])
    return found.read(list(found.files), (size, size))


def captum(model: Model, size: int, sets: int) -> None:
    from captum.concept import TCAV, Concept
    from captum.concept._utils.data_iterator import dataset_to_dataloader

    concepts = {
        name: [index for index in FILES if low <= index <= high][:OF_EACH] for name, (low, high) in CONCEPTS.items()
    }
    draw, others = np.random.default_rng(0), [index for index in FILES if index >= 400]
    random = {f"random{number}": list(draw.choice(others, OF_EACH, replace=False)) for number in range(sets)}
    pictures = {name: read([int(i) for i in each], size) for name, each in {**concepts, **random}.items()}
    shown = read([int(index) for index in draw.choice(list(FILES), 24, replace=False)], size)
    known = {
        name: Concept(number, name, dataset_to_dataloader(list(model.normalize(images)), batch_size=8))
        for number, (name, images) in enumerate(pictures.items())
    }
    experiments = [[known[concept], known[other]] for concept in concepts for other in random]
    with model.capture(LAYERS) as capture, torch.no_grad():
        rows = {name: capture(model.normalize(images)) for name, images in pictures.items()}
    flat = {(name, layer): each.flatten(1).numpy() for name, found in rows.items() for layer, each in found.items()}
    vectors = {
        (concept, other, layer): separate(flat[concept, layer], flat[other, layer], "sgd", seed).vector
        for concept in concepts
        for seed, other in enumerate(random)
        for layer in LAYERS
    }
    mine, theirs, mine_sizes, their_sizes, worst = [], [], [], [], 0.0
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        peer = TCAV(model.module, list(LAYERS), save_path=folder)
        for index in CLASSES:
            found = peer.interpret(model.normalize(shown), experiments, target=index)
            for layer in LAYERS:
                gradients = sensitivity_gradients(model, shown, logit(index), layer, pooled=False)
                for concept in concepts:
                    scores, peers = [], []
                    for other in random:
                        pair = f"{known[concept].id}-{known[other].id}"
                        stats = peer.cavs[pair][layer].stats
                        theirs_here = float(found[pair][layer]["sign_count"][0])
                        row = list(stats["classes"]).index(known[concept].id)
                        for_its_vector, magnitude = tcav_scores(gradients, stats["weights"][row : row + 1].numpy())
                        worst = max(worst, abs(float(for_its_vector[0]) - theirs_here))
                        mine_sizes.append(float(magnitude[0]))
                        their_sizes.append(float(found[pair][layer]["magnitude"][0]))
                        scores.append(float(tcav_scores(gradients, vectors[concept, other, layer][None])[0][0]))
                        peers.append(theirs_here)
                    mine.append(np.mean(scores))
                    theirs.append(np.mean(peers))
    same, own = np.corrcoef(mine_sizes, their_sizes)[0, 1], np.corrcoef(mine, theirs)[0, 1]
    numbers = f"{len(concepts)} concepts, {len(LAYERS)} layers, {len(CLASSES)} classes, {sets} random sets"
    print(f"TCAV, Captum 0.9.0: {numbers}")
    print(f"  for its vectors: largest difference of a score {worst:.4f}, correlation of magnitudes {same:.6f}")
    print(f"  each its own vectors: correlation of the mean scores {own:.4f}")


def craft(model: Model, size: int, layer: str = "features.10", target: int = 207, count: int = 8) -> None:
    sys.modules.setdefault("tensorflow", types.ModuleType("tensorflow"))  # imported, but not used by its torch half
    from craft.craft_torch import Craft as Peer

    dogs = [str(FILES[index]) for index in FILES if 151 <= index <= 268][:16]
    with tempfile.TemporaryDirectory() as folder:
        recipe = Craft(
            model=model, images=dogs, class_=target, layer=layer, count=count, size=size, steps=1, out=folder,
            precision="float32",
        )  # fmt: skip
        report = recipe.run(progress=None)
        ours = Directions.load(next(Path(folder).glob("directions/*"))).decoder.numpy()
        records = list(report.manifest.units.values())
        bank: ConceptBank = recipe.bank(RunContext(recipe, model))
        photographs = bank.photographs.read(list(bank.photographs.files), (size, size))
        maps = np.stack([bank.maps(activation).numpy() for activation in bank.activation(photographs)])
        of_crops = bank.of_crops
    importances = np.mean([r.metrics["importance"] for r in records if "importance" in r.metrics and not r.name], 0)
    cut = int(layer.rpartition(".")[2]) + 1
    features = model.module.get_submodule("features")
    after = torch.nn.Sequential(*list(features)[cut:], model.module.get_submodule("classifier"), torch.nn.Flatten())
    peer = Peer(features[:cut], after, count, patch_size=bank.side, device="cpu")
    np.random.seed(0)  # noqa: NPY002 - its factorisation draws from the global generator
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        inputs = model.normalize(photographs).contiguous()
        _, their_crops, theirs = peer.fit(inputs)
        their_maps = peer.transform(inputs).transpose(0, 3, 1, 2)
        their_importances = peer.estimate_importance(inputs, target)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    print(f"CRAFT, craft-xai 0.0.3: {len(photographs)} photographs, {count} components of {layer}, class {target}")
    print(f"  lowest cosine of a component {((ours * theirs).sum(1) / norms).min():.6f}")
    for what, one, other in (
        ("amounts in crops", of_crops, their_crops),
        ("amounts at all places", maps, their_maps),
        ("importance", importances, their_importances),
    ):
        print(f"  {what}: correlation {np.corrcoef(one.ravel(), other.ravel())[0, 1]:.6f}")
    print("  importances:", np.round(importances, 3).tolist(), np.round(their_importances, 3).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--sets", type=int, default=6)
    parser.add_argument("--only", default="captum,craft")
    options = parser.parse_args()
    print(machine())
    model = squeezenet()
    if "captum" in options.only:
        captum(model, options.size, options.sets)
    if "craft" in options.only:
        craft(model, options.size)


if __name__ == "__main__":
    main()
