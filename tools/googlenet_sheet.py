"""The sheets of docs/googlenet.md: units and classes of GoogLeNet, with the default settings.

    python -m tools.googlenet_sheet FILE.safetensors OUT --categories FILE.json

FILE.safetensors are Caffe's weights under the names of `examples/googlenet.py`. It takes some five minutes on two idle
cores; what OUT has already is not made again. Writes `googlenet.jpg` and `googlenet_classes.jpg` below docs/images.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw

from recipes import ClassModel, Gallery

ROOT = Path(__file__).resolve().parents[1]
MODEL = str(Path("examples") / "googlenet.py") + ":googlenet"
UNITS = {
    ("inception3b", 128): "326,333,358,361,377,396,398,287,293,340,353,313,183,388,446,450",
    ("inception4c", 224): "386,471,499,336,35,115,167,346,451,496",
    ("inception4d", 224): "157,401,423,486,447,152,362",
    ("inception4e", 224): "345,274,453,584,14,581",
}
"""Layer, side of the pictures in pixels -> channels, found by their top patches."""
CLASSES = "970,9,46,130,207,61,31,980,144,88,1,323,985,417,76,40,483,953,107,84,949,437,779,145"
SHOWN = "3b:326 3b:333 3b:361 3b:398 3b:388 3b:293 3b:353 3b:450 4c:499 4c:471 4c:336 4c:115 4d:157 4d:486 4d:401 4e:14"
BEST = (970, 980, 61, 207, 9, 46, 130, 483, 1, 84, 417, 953)


def tile_sheet(tiles: list[tuple[Path, str]], columns: int, side: int, quality: int, out: Path) -> None:
    """Pictures in rows, each with its label under it, as a JPEG."""
    line, rows = side + 17, -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (side + 4) - 4, rows * line), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (file, label) in enumerate(tiles):
        x, y = index % columns * (side + 4), index // columns * line
        with Image.open(file) as picture:
            sheet.paste(picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS), (x, y))
        draw.text((x + 1, y + side + 1), label, fill="black")
    sheet.save(out, quality=quality, optimize=True)


def main() -> None:
    """Makes what is missing, and the sheets."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("weights")
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--categories", required=True)
    given = arguments.parse_args()
    for (layer, size), channels in UNITS.items():
        out = str(given.out / layer)
        Gallery(model=MODEL, weights=given.weights, layer=layer, channels=channels, size=size, steps=32, out=out).run()
    known = {"model": MODEL, "weights": given.weights, "categories": given.categories}
    report = ClassModel(**known, class_=CLASSES, out=str(given.out / "classes")).run()
    classes = {
        record.channel: (report.out / record.file, str(record.name)) for record in report.manifest.units.values()
    }
    units = []
    for shown in SHOWN.split():
        layer, channel = f"inception{shown[:2]}", int(shown[3:])
        units.append((given.out / layer / "images" / layer / f"{channel:04d}.png", shown))
    images = ROOT / "docs" / "images"
    tile_sheet([*units, *(classes[index] for index in BEST[:8])], 8, 124, 62, images / "googlenet.jpg")
    tile_sheet([classes[index] for index in BEST], 6, 160, 80, images / "googlenet_classes.jpg")


if __name__ == "__main__":
    main()
