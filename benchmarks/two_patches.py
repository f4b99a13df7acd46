"""The question of two patches on a finished gallery: its pictures, and photographs in their place as the ceiling.

    python benchmarks/two_patches.py GALLERY --judge timm:tf_efficientnet_lite0 [--judge-weights FILE]

The gallery was made with `--images`, whose photographs its records name. In place of a unit's picture stand the second
of its top patches, or the second to fourth together (their mean features): patches of other photographs than the one
that the question shows. See docs/evidence.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean

from torch import Tensor

from inverter import load_model, receptive_fields
from recipes.evidence.evidence import same_patches
from recipes.evidence.natural_patches import natural_patches
from recipes.evidence.two_patches import JudgeFeatures, two_patches
from recipes.options.directions import with_sets
from recipes.outputs.manifest import Manifest


def gallery_and_judge(description: str | None) -> argparse.Namespace:
    """The arguments of a script that asks a judge about the pictures of a gallery."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--judge-weights")
    return parser.parse_args()


def main() -> None:
    """Prints the mean share of right answers, for each layer."""
    options = gallery_and_judge(__doc__)
    manifest = Manifest.load(options.gallery / "manifest.json")
    settings = manifest.settings
    weights = settings.get("weights")
    model = with_sets(load_model(settings["model"], weights), settings.get("directions"))
    features = JudgeFeatures(load_model(options.judge, options.judge_weights))
    for layer in dict.fromkeys(record.layer for record in manifest.units.values()):
        size = model.size_for(None)
        field = receptive_fields(model, [layer], size)[layer]
        records = [record for record in manifest.units.values() if record.layer == layer]
        listed = [natural_patches(record.metrics, options.gallery, field, size) for record in records]
        known = [patches for patches in listed if len(patches) >= 4]
        seen = features.of([patch for patches in known for patch in patches[:4]])
        ranked: list[Tensor] = [each.view(len(known), 4, -1) for each in seen]
        strongest = [each[:, 0] for each in ranked]
        same = same_patches([patches[0] for patches in known])
        rows = {
            "one photograph": two_patches([each[:, 1] for each in ranked], strongest, same),
            "three photographs": two_patches([each[:, 1:].mean(1) for each in ranked], strongest, same),
        }
        pictures = [share for record in records if (share := record.metrics.get("two_patches")) is not None]
        means = {name: round(fmean(share or 0.0 for share in shares), 3) for name, shares in rows.items()}
        print(json.dumps({"layer": layer, "units": len(known), "pictures": round(fmean(pictures), 3), **means}))


if __name__ == "__main__":
    main()
