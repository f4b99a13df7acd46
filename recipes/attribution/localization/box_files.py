"""Boxes of the things in pictures, from a file: where a heat map should point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, MissingFile

if TYPE_CHECKING:
    from recipes.attribution.localization.boxes import Box

FARTHEST = 1 << 31
"""Pixels: no picture is larger."""
HELP = "JSON file: picture -> [x0, y0, x1, y1] in its own pixels, or a list of such boxes"


def read_boxes(path: str | Path, pictures: Mapping[str, Path]) -> dict[str, list[Box]]:
    """The boxes of those pictures that a file names, by the pictures' names.

    The file is a JSON object. A key is a picture's file name, with its extension or without. A value is a box
    [x0, y0, x1, y1] or a list of boxes, in pixels of the picture as it is seen (turned as its EXIF data says); x grows
    to the right and y downward from the upper left corner, and x1, y1 are the first that lie outside.

    Args:
        pictures: name -> file.

    Raises:
        MissingFile: no such file.
        BadInput: no JSON, a box of another form, or no box for any of the pictures.

    Example of a file:
        {"fish.jpg": [31, 20, 180, 140], "two-dogs": [[10, 40, 90, 200], [120, 35, 210, 198]]}
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise MissingFile(f"no file of boxes {str(path)!r}") from None
    except (ValueError, RecursionError) as error:  # text that is no JSON, or no text
        raise BadInput(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path}: expected an object, picture -> [x0, y0, x1, y1]; got {type(content).__name__}")
    known = {key: _boxes(f"{path}: {key!r}", value) for key, value in content.items()}
    found = {name: known.get(file.name, known.get(file.stem)) for name, file in pictures.items()}
    boxes = {name: places for name, places in found.items() if places}
    if not boxes:
        raise BadInput(f"{path} has no box for any of the pictures: its keys must be their file names")
    return boxes


def _boxes(where: str, value: Any) -> list[Box]:
    several = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    boxes: list[Box] = []
    for box in several:
        numbers = isinstance(box, list) and len(box) == 4 and all(type(side) in (int, float) for side in box)
        if not numbers or not (0 <= box[0] < box[2] <= FARTHEST and 0 <= box[1] < box[3] <= FARTHEST):
            raise BadInput(f"{where}: expected [x0, y0, x1, y1] with 0 <= x0 < x1 and 0 <= y0 < y1, got {box!r}")
        x0, y0, x1, y1 = (round(side) for side in box)
        boxes.append((y0, x0, y1, x1))
    return boxes


def fit_box(box: Box, shape: tuple[int, int], size: tuple[int, int]) -> Box | None:
    """Where a box of a picture of `shape` lies once it is cut to `size` (height, width; see `pictures.reading.fit`).

    None where it is cut off.

    Example:
        >>> fit_box((0, 0, 100, 200), shape=(100, 200), size=(50, 50))  # scaled by 1/2, 25 pixels cut on either side
        (0, 0, 50, 50)
    """
    scale = max(size[0] / shape[0], size[1] / shape[1])
    found = list[int]()
    for edge, axis in zip(box, (0, 1, 0, 1), strict=True):
        cut = (max(size[axis], round(scale * shape[axis])) - size[axis]) // 2
        found.append(min(max(round(edge * scale) - cut, 0), size[axis]))
    top, left, bottom, right = found
    return (top, left, bottom, right) if top < bottom and left < right else None
