"""The error of bfloat16 in maps of perturbation methods, on two networks: the basis of `BFLOAT16_TOLERANCE`.

    python benchmarks/attribution_precision.py [--pictures 4] [--masks 128]

Prints a table in Markdown. For each photograph and target: the offset that bfloat16 adds to the scores behind masks,
common to all (which is subtracted) and per mask (which the rule reads, here over all masks), as shares of their spread;
and the correlation of RISE's map from the rounded scores with the map from the exact ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from common import DATA, machine, mobilenet, squeezenet
from contest import alike
from torch import Tensor

from inverter import Model, Settings
from recipes.attribution.methods.rise import fit_map, random_masks
from recipes.attribution.scoring.baselines import baseline_image
from recipes.attribution.scoring.masked_scores import BFLOAT16_TOLERANCE
from recipes.pictures.reading import fit, read_picture

CELLS, KEEP = 7, 0.5
TARGETS = {
    "logit": lambda logits, of: logits[:, of],
    "softmax": lambda logits, of: logits.log_softmax(1)[:, of],
}


@torch.no_grad()
def logits(model: Model, image: Tensor, masks: Tensor, precision: str) -> Tensor:
    """Logits of an image behind masks (n, H, W): (n, classes)."""
    baseline = baseline_image(model, image, "mean")
    with model.capture([""]) as capture, Settings(precision=precision).autocast(model.device):
        shown = (model.normalize(torch.lerp(baseline, image, group[:, None])) for group in masks.split(8))
        return torch.cat([capture(group)[""].float() for group in shown])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=DATA / "images" / "imagenet", help="INDEX_*.jpg")
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--masks", type=int, default=128)
    options = parser.parse_args()
    print(f"\n{machine()}; {options.masks} masks\n")
    print("| network | photograph | target | common | per mask | used | correlation of maps |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    files = sorted(options.images.glob("*.jpg"))
    for model in (squeezenet(), mobilenet()):
        for file in files[:: len(files) // options.pictures][: options.pictures]:
            image, of = fit(read_picture(file), model.input_size)[None], int(file.name[:4])
            masks = torch.cat(list(random_masks(image, options.masks, CELLS, KEEP, 0, 8)))
            exact, rounded = (logits(model, image, masks, precision) for precision in ("float32", "bfloat16"))
            for target, score in TARGETS.items():
                a, b = score(exact, of), score(rounded, of)
                moved = float((b - a).std() / a.std())
                maps = [fit_map([(masks, (scores - scores.mean())[None])], CELLS, KEEP)[0] for scores in (a, b)]
                used = "yes" if moved <= BFLOAT16_TOLERANCE else "no"
                shift = float((b - a).mean().abs() / a.std())
                name = file.stem.split("_", 2)[2]
                metrics = f"{shift:.3f} | {moved:.3f} | {used} | {alike(*maps):.5f}"
                print(f"| {model.spec} | {name} | {target} | {metrics} |", flush=True)


if __name__ == "__main__":
    main()
