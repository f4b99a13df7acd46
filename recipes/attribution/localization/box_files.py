"""Annotated boxes of objects, from a JSON file: where a heat map should point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, MissingFile

if TYPE_CHECKING:
    from recipes.attribution.localization.boxes import Box

FARTHEST = 1 << 31
"""Largest coordinate in pixels."""
HELP = "JSON file of annotated boxes: image -> [x0, y0, x1, y1] in pixels of the image file, or a list of boxes"


def read_boxes(path: str | Path, pictures: Mapping[str, Path]) -> dict[str, list[Box]]:
    """The annotated boxes of the given images.

    The file is a JSON object. A key is an image's file name, with or without its extension. A value is a box
    [x0, y0, x1, y1] or a list of boxes, in pixels of the image after its EXIF rotation; x grows to the right and y
    downward from the upper left corner, and x1, y1 are exclusive. For example:

        {"fish.jpg": [31, 20, 180, 140], "two-dogs": [[10, 40, 90, 200], [120, 35, 210, 198]]}

    Args:
        path: the JSON file.
        pictures: name -> image file.

    Returns:
        Name -> its boxes, for images that have any.

    Raises:
        MissingFile: if the file does not exist.
        BadInput: if it is no JSON, has a box of another form, or has no box for any of the images.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise MissingFile(f"no file of boxes {str(path)!r}") from None
    except (ValueError, RecursionError) as error:  # text that is no JSON, or not text
        raise BadInput(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path}: expected an object, image -> [x0, y0, x1, y1]; got {type(content).__name__}")
    known = {key: _boxes(f"{path}: {key!r}", value) for key, value in content.items()}
    found = {name: known.get(file.name, known.get(file.stem)) for name, file in pictures.items()}
    boxes = {name: annotated for name, annotated in found.items() if annotated}
    if not boxes:
        raise BadInput(f"{path} has no box for any of the images: its keys must be their file names")
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
    """A box after its image has been resized and cropped as `pictures.reading.fit` does.

    Args:
        box: in pixels of the original image.
        shape: (height, width) of the original image.
        size: (height, width) of the result.

    Returns:
        The box in pixels of the result; None if it was cropped away.

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
