"""Reading a user's pictures: of any size and mode, as tensors in [0, 1]."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from inverter.input_values import UNIT
from inverter_errors import BadInput, MissingFile, plural
from priors.base import check_picture
from recipes.pictures.arrays import ARRAYS, as_unit, from_values, load_archived, load_array

UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
"""What reading a damaged picture may raise: catch these to report it and skip it."""

_MODES = {1: "L", 3: "RGB"}
# fmt: off
_RAW = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef",
    ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f",
)
"""Of cameras' raw formats, which may hold a small preview that is not the picture."""
_OTHERS = (
    ".ai", ".avif", ".exr", ".hdr", ".heic", ".heif", ".hif", ".jp2", ".jxl", ".jxr", ".kra", ".pdf",
    ".psb", ".psd", ".svg", ".svgz", ".webp", ".xcf",
)
"""Of other formats that hold pictures, some of which Pillow may be able to read."""
# fmt: on

Background = str | tuple[int, int, int]
"""A colour as Pillow knows it: a name, `#rrggbb`, or (red, green, blue) from 0 to 255."""


def picture_files(path: Path) -> list[Path]:
    """The pictures in a folder and below it, sorted; for a file, the file alone.

    They include files of formats that cannot be read: reading one reports that, and what to do.
    """
    if path.is_file():
        return [path]
    known = {*Image.registered_extensions(), *ARRAYS, *_RAW, *_OTHERS}
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in known and file.is_file())


def named_pictures(places: Iterable[str | Path]) -> dict[str, Path]:
    """The pictures at several places, each once, by a unique name that can be used in file names.

    Args:
        places: files or folders.

    Returns:
        Name -> file.

    Raises:
        MissingFile: for a place that does not exist.
        BadInput: for a folder without pictures.
    """
    files: dict[Path, None] = {}
    for place in places:
        if not str(place):  # as a path, an empty string is the current folder
            raise MissingFile("no picture or folder '': it is empty; expected its path")
        if not Path(place).exists():
            raise MissingFile(f"no picture or folder {str(place)!r}")
        found = picture_files(Path(place))
        if not found:
            raise BadInput(f"there is no picture in {str(place)!r}")
        files |= dict.fromkeys(found)
    named: dict[str, Path] = {}
    for file in files:
        name, number = file.stem, 1
        while name in named:
            number += 1
            name = f"{file.stem}-{number}"
        named[name] = file
    return named


def readable_pictures(places: Sequence[str | Path]) -> tuple[dict[str, Path], dict[str, str]]:
    """As `named_pictures`, but skips unreadable pictures in folders.

    Args:
        places: files or folders.

    Returns:
        Name -> file, for the readable pictures; and file -> reason, for those that were skipped.

    Raises:
        MissingFile: for a place that does not exist.
        BadInput: for a folder without pictures, a file in `places` that cannot be read, or if none can be read.
    """
    named, skipped = named_pictures(places), dict[str, str]()
    given = {Path(place) for place in places}
    for file in named.values():
        try:
            read_picture(file)
        except ValueError as error:
            if file in given:
                raise
            skipped[str(file)] = " ".join(str(error).split())
    if len(skipped) == len(named):
        raise BadInput(
            f"none of the {plural(len(named), 'picture')} can be read; the first: {next(iter(skipped.values()))}"
        )
    return {name: file for name, file in named.items() if str(file) not in skipped}, skipped


def read_pictures(
    path: Path,
    channels: int | None,
    near: tuple[int, int] | None = None,
    background: Background = "white",
    value_range: tuple[float, float] = UNIT,
) -> Iterable[Tensor]:
    """The pictures of one file as (channels, H, W) in [0, 1]: all of them, or an exception for the entire file.

    Args:
        path: an image file, or an `.npy` or `.npz` file of shape (C, H, W) or (N, C, H, W), for one channel also
            (H, W). In an archive of several arrays, the only one of such a shape is taken.
        channels: 3 for colour, 1 for grey; other numbers only for arrays; None for those of the file (of an image
            file: 3).
        near: the (height, width) that they will be cropped to. An 8-bit picture of at least four times that size is
            averaged down while it is read, to no less than twice that size, which saves memory.
        background: the colour behind a picture with transparency, whose hidden colours are not seen.
        value_range: (low, high), the values of arrays that become 0 and 1. With (0, 1), integers from 0 to their type's
            largest do; with another range, integers are values as well.
    """
    suffix = path.suffix.lower()
    if suffix in ARRAYS:
        array = load_array(path, mmap_mode="r") if suffix == ".npy" else load_archived(path, channels)
        if array.ndim == 2 and channels in (1, None):
            array = array[None]
        if array.ndim not in (3, 4):
            raise BadInput(f"expected an array (C, H, W) or (N, C, H, W), got shape {array.shape}")
        parts = array if array.ndim == 4 else array[None]
        for part in parts:  # check all of them before the first is returned: never more than one in memory
            check_picture(from_values(part, value_range), channels)
        return (from_values(part, value_range) for part in parts)
    channels = 3 if channels is None else channels
    if channels not in _MODES:
        raise BadInput(f"a picture has 1 or 3 channels: for {channels}, give .npy arrays ({channels}, H, W)")
    if suffix in _RAW:
        raise BadInput(_unsupported(path))
    with _opened(path) as file:
        if near is not None:
            file.draft(None, (2 * max(near), 2 * max(near)))  # JPEG alone: it decodes at 1/2, 1/4 or 1/8
        picture = ImageOps.exif_transpose(file)
        if picture.mode.startswith(("I", "F")):  # 16 bits and more: Pillow would clip them at 255
            array = np.asarray(picture)
            if array.dtype.kind == "f" or array.min() < 0 or array.max() > 65535:
                raise BadInput(f"expected 8 or 16 bits per channel, got mode {picture.mode}: save it as .npy")
            return [check_picture(as_unit(array.astype(np.uint16)[None].repeat(channels, 0)))]
        picture = opaque(picture, background).convert(_MODES[channels])
        if near is not None and (factor := min(picture.height // near[0], picture.width // near[1]) // 2) > 1:
            picture = picture.reduce(factor)
        array = np.asarray(picture)
    return [check_picture(as_unit(array[None] if channels == 1 else array.transpose(2, 0, 1)))]


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        if path.suffix.lower() in _OTHERS:
            raise BadInput(_unsupported(path)) from None
        raise


def _unsupported(path: Path) -> str:
    return f"{path.suffix[1:].upper()} is a format that cannot be read here: convert it to PNG or JPEG"


def opaque(picture: Image.Image, background: Background = "white") -> Image.Image:
    """A picture without transparency: what it shows in front of a background of one colour.

    Args:
        picture: of any mode; one without transparency is returned as it is.
        background: the colour.
    """
    if not picture.has_transparency_data:
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, background), picture.convert("RGBA"))


def read_picture(
    path: str | Path,
    channels: int | None = 3,
    near: tuple[int, int] | None = None,
    background: Background = "white",
    value_range: tuple[float, float] = UNIT,
) -> Tensor:
    """One picture as (channels, H, W) in [0, 1]: of any mode (grey, alpha, 16 bits), rotated as its EXIF data says.

    Args:
        path: the file.
        channels: as in `read_pictures`.
        near: as in `read_pictures`.
        background: as in `read_pictures`.
        value_range: as in `read_pictures`.

    Raises:
        MissingFile: if the file does not exist.
        BadInput: if it cannot be read; the message names the file.
    """
    try:
        pictures = list(islice(read_pictures(Path(path), channels, near, background, value_range), 2))
        if len(pictures) != 1:
            raise BadInput("expected one picture (C, H, W), got several: save each to a file of its own")
    except FileNotFoundError:
        raise MissingFile(f"no picture {str(path)!r}") from None
    except UNREADABLE as error:
        raise BadInput(f"{path} cannot be read as a picture ({' '.join(str(error).split())})") from None
    return pictures[0]


def fit(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Scales a picture (C, H, W) to cover `size` (height, width), with antialiasing, and crops the centre."""
    scale = max(size[0] / picture.shape[1], size[1] / picture.shape[2])
    shape = [max(side, round(scale * old)) for side, old in zip(size, picture.shape[1:], strict=True)]
    scaled = F.interpolate(picture[None], shape, mode="bilinear", antialias=True, align_corners=False)[0]
    top, left = (shape[0] - size[0]) // 2, (shape[1] - size[1]) // 2
    return scaled[:, top : top + size[0], left : left + size[1]].clamp(0, 1)
