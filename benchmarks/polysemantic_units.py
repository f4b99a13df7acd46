"""Do the groups of a unit's patches differ for another network too? And the more so, the more mixed the unit is?

    python benchmarks/polysemantic_units.py --model MODEL --weights FILE --layer inception4e --inputs inception4d \
        --judge timm:tf_efficientnet_lite0 --judge-weights FILE --images PHOTOS --out OUT

For units drawn at random: the patches are grouped as `inverter polysemantic` does; the judge sees the same pictures.
Its last features, less their mean over all pictures, are compared: the mean cosine of two pictures of one group, less
that of two pictures of different groups, against 200 splits at random into groups of the same sizes (docs/circuits.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inverter import load_model, stages
from recipes.circuits.unit_groups import unit_groups
from recipes.gallery.dataset_examples import DatasetExamples

SPLITS = 200


def gap(cosines: Any, labels: Any) -> float:
    """The mean cosine within groups less that between them."""
    same = labels[:, None] == labels[None]
    apart = ~np.eye(len(labels), dtype=bool)
    return float(cosines[same & apart].mean() - cosines[~same].mean())


def main() -> None:
    """Prints a line for each unit, and a table by how mixed the units are."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "weights", "layer", "inputs", "judge", "judge-weights", "images", "out"):
        arguments.add_argument(f"--{name}", required=True)
    arguments.add_argument("--units", type=int, default=48)
    arguments.add_argument("--patches", type=int, default=16)
    given = arguments.parse_args()
    model = load_model(given.model, given.weights)
    examples = DatasetExamples(model, given.images, [given.layer], model.input_size, Path(given.out))
    count = examples.collected.shapes[given.layer][0]
    channels = sorted(np.random.default_rng(0).permutation(count)[: given.units].tolist())
    found = unit_groups(model, examples, given.layer, channels, given.inputs, given.patches, 3)
    judge = load_model(given.judge, given.judge_weights)
    last, known = stages(judge)[-1], sorted({patch.picture for each in found.values() for patch in each.patches})
    with torch.no_grad(), judge.capture([last]) as capture:
        codes = [
            capture(judge.normalize(examples.pictures.read(index, judge.input_size)[None]))[last].mean((2, 3))
            for index in known
        ]
    features = torch.cat(codes).float()
    features = torch.nn.functional.normalize(features - features.mean(0), dim=1).numpy()
    row, draw, rows = {index: place for place, index in enumerate(known)}, np.random.default_rng(1), []
    for channel, unit in found.items():
        if unit.groups.count < 2:
            continue
        mine = features[[row[patch.picture] for patch in unit.patches]]
        cosines, labels = mine @ mine.T, unit.groups.labels
        own = gap(cosines, labels)
        share = float(np.mean([gap(cosines, draw.permutation(labels)) < own for _ in range(SPLITS)]))
        rows.append((unit.groups.mixed, own, share))
        print(f"{channel}: mixed {unit.groups.mixed:.2f}, {unit.groups.count} groups, gap {own:.3f}, above {share:.2f}")
    print(
        f"{len(found)} units, {len(rows)} of several groups; mixed: median {np.median([each[0] for each in rows]):.2f}"
    )
    print("| mixed | units | gap of cosines | above 95 % of splits at random |\n| --- | --- | --- | --- |")
    for low, high in ((-1, 0.1), (0.1, 0.2), (0.2, 1)):
        part = [each for each in rows if low <= each[0] < high]
        if part:
            clear = sum(each[2] > 0.95 for each in part)
            print(f"| {low} to {high} | {len(part)} | {np.mean([each[1] for each in part]):.3f} | {clear} |")


if __name__ == "__main__":
    main()
