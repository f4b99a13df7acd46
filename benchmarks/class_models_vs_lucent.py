"""Our class models against torch-lucent 0.1.8 with its defaults, on SqueezeNet 1.0, judged by MobileNetV2, in one run.

    python benchmarks/class_models_vs_lucent.py [--classes 9,130,207] [--lucent all|none|9,130] [--sheet OUT.png]

Prints a table in Markdown: seconds per picture; how many are the top-1 class of SqueezeNet itself, how many are in the
top 5 of MobileNetV2, which took no part, both without augmentation; the share of channel values within .02 of 0 or 1.
`--classes every31` are the 32 classes 0, 31, ..., 961. Needs `make .venv/installed-bench`, unless with `--lucent none`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Model, load_model, to_pil
from recipes.activations.predictions import top_classes
from recipes.evidence.appearance import burnt
from recipes.gallery.class_model import ClassModel
from recipes.pictures.reading import read_picture

SIZE = 224


def lucent(model: Model, classes: list[int]) -> tuple[Tensor, float]:
    """Lucent's pictures (B, 3, SIZE, SIZE) of these classes, one after the other, and its seconds per picture."""
    import kornia
    import kornia.geometry.transform

    # Lucent 0.1.8 imports two functions from where kornia had them in 2020.
    kornia.get_rotation_matrix2d = kornia.geometry.transform.get_rotation_matrix2d
    kornia.warp_affine = kornia.geometry.transform.warp_affine
    from lucent.optvis import render

    network = load_model(model.spec, model.weights).module
    network.requires_grad_(True)  # as a user has it: Lucent does not freeze
    images, started = [], time.perf_counter()
    for index in classes:
        image = render.render_vis(network, f"labels:{index}", show_image=False, progress=False)[-1]
        images.append(torch.from_numpy(image).permute(0, 3, 1, 2))
    seconds = (time.perf_counter() - started) / len(classes)
    # Lucent resizes its 128 px picture to 224 px for the network in the same way.
    return F.interpolate(torch.cat(images), (SIZE, SIZE), mode="bilinear", align_corners=True), seconds


def ours(model: Model, classes: list[int], preset: str) -> tuple[Tensor, float]:
    """The recipe's pictures with its default settings, read back from its folder, and its seconds per picture."""
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        report = ClassModel(model=model, class_=classes, preset=preset, out=out).run()
        seconds = (time.perf_counter() - started) / len(classes)
        return torch.stack([read_picture(Path(out) / file) for file in report.manifest.units]), seconds


def count(model: Model, images: Tensor, classes: list[int], top: int) -> str:
    """How many pictures have their own class among a network's `top` most probable ones, of how many."""
    guesses = top_classes(model, images, top)
    known = sum(index in [g.index for g in row] for index, row in zip(classes, guesses, strict=True))
    return f"{known} of {len(classes)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = Path(os.environ.get("INVERTER_TEST_DATA", Path(__file__).parents[2] / "shared")) / "weights"
    parser.add_argument("--weights", type=Path, default=shared / "squeezenet1_0.safetensors")
    parser.add_argument("--judge-weights", type=Path, default=shared / "mobilenet_v2.safetensors")
    parser.add_argument("--judge-size", type=int, default=224)
    parser.add_argument("--classes", default="9,130,207", help="indices, or every31")
    parser.add_argument("--lucent", default="all", help="all, none, or some of the classes: it takes about 32 s each")
    parser.add_argument("--simonyan", action="store_true", help="add the preset simonyan")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet, one row a contender")
    options = parser.parse_args()
    classes = [int(c) for c in options.classes.split(",")] if options.classes != "every31" else list(range(0, 962, 31))
    theirs = {"all": classes, "none": []}.get(options.lucent) or [
        int(c) for c in options.lucent.split(",") if c.isdigit()
    ]
    model = load_model("torchvision:squeezenet1_0", options.weights, device="cpu")
    judge = load_model("torchvision:mobilenet_v2", options.judge_weights, "half", "cpu", options.judge_size)
    runs = [(f"inverter, {preset}", classes, *ours(model, classes, preset)) for preset in _presets(options.simonyan)]
    if theirs:
        runs.insert(0, ("torch-lucent 0.1.8, 512 steps", theirs, *lucent(model, theirs)))
    print(f"\n{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, ", end="")
    print(
        f"Python {platform.python_version()}; SqueezeNet 1.0, {SIZE} px; judge MobileNetV2 at {options.judge_size} px\n"
    )
    print("| | s per picture | SqueezeNet's top 1 | in the judge's top 5 | within .02 of 0 or 1 |")
    print("| --- | --- | --- | --- | --- |")
    for name, targets, images, seconds in runs:
        first, known = count(model, images, targets, 1), count(judge, images, targets, 5)
        print(f"| {name} | {seconds:.2f} | {first} | {known} | {burnt(images).mean().item():.1%} |")
    if options.sheet:
        from PIL import Image

        sheet = Image.new("RGB", (SIZE * len(classes), SIZE * len(runs)))
        for y, (_, _, images, _) in enumerate(runs):
            for x, image in enumerate(images):
                sheet.paste(to_pil(image), (SIZE * x, SIZE * y))
        sheet.save(options.sheet)


def _presets(simonyan: bool) -> tuple[str, ...]:
    return ("best", "simonyan") if simonyan else ("best",)


if __name__ == "__main__":
    sys.exit(main())
