"""The question of two patches, answered with our pictures and with torch-lucent's of the same units of SqueezeNet.

    inverter gallery --model torchvision:squeezenet1_0 --weights FILE --layer features.9 --channels 0,24,48,... \
        --images PHOTOS --out GALLERY
    python benchmarks/two_patches_vs_lucent.py GALLERY --judge timm:tf_efficientnet_lite0 [--judge-weights FILE]

Lucent has its defaults (512 steps), and its pictures are kept in GALLERY/lucent. Both pictures of a unit stand before
the same two patches: the unit's own and one of another unit of the gallery. See docs/evidence.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from gallery_vs_lucent import lucent
from two_patches import gallery_and_judge

from inverter import Model, load_model
from inverter.result import to_pil
from recipes.evidence.evidence import evidence
from recipes.outputs.manifest import Manifest, Record


def shares(model: Model, judge: Model, records: Sequence[Record], folder: Path) -> list[float]:
    """The share of right answers for each unit."""
    found = evidence(model, {"judge": judge}, records, folder, model.size_for(None))
    return [values["two_patches"] for values in found.values() if values.get("two_patches") is not None]


def main() -> None:
    """Prints the mean share of right answers with either picture."""
    options = gallery_and_judge(__doc__)
    manifest = Manifest.load(options.gallery / "manifest.json")
    model = load_model(manifest.settings["model"], manifest.settings.get("weights"))
    judge = load_model(options.judge, options.judge_weights)
    records = [record for record in manifest.units.values() if record.channel is not None]
    channels = [record.channel for record in records if record.channel is not None]
    pictures, seconds = lucent("squeezenet", "cpu", records[0].layer, channels)
    drawn = [replace(record, file=f"lucent/{record.channel}.png") for record in records]
    (options.gallery / "lucent").mkdir(exist_ok=True)
    for record, picture in zip(drawn, pictures, strict=True):
        to_pil(picture).save(options.gallery / record.file)
    theirs = shares(model, judge, drawn, options.gallery)
    own = shares(model, judge, records, options.gallery)
    print(f"{records[0].layer}, {len(records)} units: ours {fmean(own):.3f}, torch-lucent {fmean(theirs):.3f}")
    print(f"torch-lucent took {seconds:.1f} s a picture")


if __name__ == "__main__":
    main()
