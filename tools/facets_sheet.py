"""The sheet of facets and a caricature in docs/googlenet.md.

    python -m tools.facets_sheet FILE.safetensors PHOTOS --unit 581 --caricature PHOTO

FILE.safetensors are Caffe's weights under the names of `examples/googlenet.py`, PHOTOS a folder of natural images. The
unit's twelve top photographs are divided in two by their mean codes at `inception4c` (two-means of the directions from
the mean of all), and each half is a facet. Writes `facets.jpg` below docs/images.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Settings, encode, load_model, optimize
from objectives import Objective, caricature, channel, facet
from priors import Fourier
from recipes.pictures.reading import fit, picture_files, read_picture
from tools.googlenet_sheet import MODEL, ROOT, tile_sheet

LAYER, LOWER, TOP = "inception4e", "inception4c", 12


def halves(directions: Tensor) -> Tensor:
    """Two-means of directions (N, C) by their cosines: (N,) of 0 and 1."""
    unit = F.normalize(directions, dim=1)
    first = int((unit @ unit.T).min(1).values.argmin())
    centres = torch.stack([unit[first], unit[int((unit @ unit[first]).argmin())]])
    for _ in range(20):
        group = (unit @ centres.T).argmax(1)
        centres = F.normalize(torch.stack([unit[group == each].mean(0) for each in (0, 1)]), dim=1)
    return group


def main() -> None:
    """Makes the four pictures and the sheet."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("weights")
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--unit", type=int, default=581)
    arguments.add_argument("--caricature", type=Path, required=True)
    given = arguments.parse_args()
    model = load_model(MODEL, given.weights)
    photos = torch.stack([fit(read_picture(file), (224, 224)) for file in picture_files(given.photos)])
    code = encode(model, photos, [LOWER, LAYER])
    lower, top = code[LOWER].mean((2, 3)), code[LAYER][:, given.unit].amax((1, 2)).topk(TOP).indices
    mean = lower.mean(0)
    group = halves(lower[top] - mean)
    one = channel(LAYER, given.unit)
    photo = fit(read_picture(given.caricature), (160, 160))[None]
    pictures: list[tuple[str, Objective, str]] = [(f"4e:{given.unit}", one, "standard")]
    pictures += [
        (f"facet {each + 1}", facet(one, LOWER, lower[top][group == each].mean(0) - mean, mean), "standard")
        for each in (0, 1)
    ]
    pictures.append(("caricature", caricature(LOWER, encode(model, photo, [LOWER])[LOWER], power=2), "light"))
    with tempfile.TemporaryDirectory() as folder:
        tiles = []
        for index, (label, objective, augment) in enumerate(pictures):
            file = Path(folder) / f"{index}.png"
            optimize(model, objective, Fourier(1, 160), Settings(steps=40), augment=augment).save(file)
            tiles.append((file, label))
        tile_sheet(tiles, 4, 160, 85, ROOT / "docs" / "images" / "facets.jpg")


if __name__ == "__main__":
    main()
