"""Sets of pictures, from folders or from a torch Dataset: read ahead in threads, returned in batches."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inverter.input_values import UNIT
from inverter_errors import BadInput
from priors.base import check_picture
from recipes.pictures.arrays import from_values
from recipes.pictures.reading import UNREADABLE, fit, named_pictures, opaque, read_picture

if TYPE_CHECKING:
    from torch.utils.data import Dataset

READERS = 4
"""Files decoded at a time, at most; a Dataset is read by a single thread, as few of them are thread-safe."""
NARROW = 64
"""Largest aspect ratio: of a picture beyond it, the centre crop would show almost no part."""

Pictures = Union["PictureSet", str, Path, Sequence[str | Path], "Dataset[Any]"]
"""What `picture_set` accepts: places (files and folders), or a map-style torch Dataset."""


@dataclass(frozen=True)
class Batch:
    """The readable pictures from `start` to `stop` of a set.

    Attributes:
        start: index of the first picture.
        stop: index after the last picture.
        indices: of the pictures in `images`, in the set.
        images: (len(indices), C, H, W) in [0, 1].
        skipped: index of an unreadable picture -> the reason.
    """

    start: int
    stop: int
    indices: list[int]
    images: Tensor
    skipped: dict[int, str]


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures by index; `picture_set` creates one.

    Attributes:
        names: unique name of each picture.
        load: returns the picture of an index as (C, H, W) in [0, 1], given the (height, width) of the crop to come.
        readers: threads that may load at a time.
    """

    names: Sequence[str]
    load: Callable[[int, tuple[int, int]], Tensor]
    readers: int = 1

    def __len__(self) -> int:
        return len(self.names)

    @property
    def digest(self) -> str:
        """SHA-256 of the names, in order: two sets with the same digest are considered the same."""
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(f"{name}\0".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def read(self, index: int, size: tuple[int, int]) -> Tensor:
        """One picture as (C, *size) in [0, 1], scaled to cover `size` and centre-cropped.

        Args:
            index: of the picture.
            size: (height, width) in pixels.

        Raises:
            BadInput: if it cannot be read, or is too narrow.
        """
        picture = self.load(index, size)
        height, width = picture.shape[1:]
        if max(height, width) > NARROW * min(height, width):
            raise BadInput(f"{self.names[index]} is too narrow: {height}x{width} pixels")
        return fit(picture, size)

    def batches(self, size: tuple[int, int], count: int, start: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """The pictures from `start` to `stop` in batches; the next ones are read in the background.

        A batch spans `count` indices whether they can be read or not, so that it is the same in every pass.

        Args:
            size: (height, width) of the pictures, in pixels.
            count: indices per batch.
            start: first index.
            stop: index after the last one; by default the end of the set.
        """

        def attempt(index: int) -> Tensor | str:
            try:
                return self.read(index, size)
            except (*UNREADABLE, LookupError, TypeError) as error:  # the last two: what a Dataset may raise
                return " ".join(str(error).split()) or type(error).__name__

        pool = ThreadPoolExecutor(self.readers)
        end = len(self) if stop is None else min(stop, len(self))
        upcoming = iter(range(start, end))
        waiting: deque[Future[Tensor | str]] = deque()
        try:
            waiting.extend(pool.submit(attempt, index) for index in islice(upcoming, 2 * count))
            for first in range(start, end, count):
                indices, images, skipped = list[int](), list[Tensor](), dict[int, str]()
                for index in range(first, min(first + count, end)):
                    read = waiting.popleft().result()
                    waiting.extend(pool.submit(attempt, after) for after in islice(upcoming, 1))
                    if isinstance(read, str):
                        skipped[index] = read
                    else:
                        indices.append(index)
                        images.append(read)
                stacked = torch.stack(images) if images else torch.empty(0, 0, *size)
                yield Batch(first, min(first + count, end), indices, stacked, skipped)
        finally:
            pool.shutdown(cancel_futures=True)


def picture_set(pictures: Pictures, channels: int = 3, value_range: tuple[float, float] = UNIT) -> PictureSet:
    """A set of pictures from places or a Dataset.

    Args:
        pictures: a file, a folder (with all below it), several of them, or a map-style Dataset whose items are
            pictures, or tuples that begin with one: tensors (C, H, W) of values or uint8, or PIL images.
        channels: 3 for colour, 1 for grey; any for arrays and tensors.
        value_range: (low, high), the values of arrays and tensors that become 0 and 1.

    Returns:
        The set; a `PictureSet` is returned as it is.

    Raises:
        MissingFile: for a place that does not exist.
        BadInput: for a folder without pictures, an empty Dataset, or one without a length.
    """
    if isinstance(pictures, PictureSet):
        return pictures
    if isinstance(pictures, str | Path):
        pictures = [pictures]
    if isinstance(pictures, Sequence) and all(isinstance(place, str | Path) for place in pictures):
        if not pictures:
            raise BadInput("got no pictures; expected a folder, files, or a Dataset")
        found = named_pictures(pictures)
        files = [str(file) for file in found.values()]
        readers = min(READERS, os.cpu_count() or 1)
        return PictureSet(list(found), _Files(files, channels, value_range), readers)
    if not (hasattr(pictures, "__getitem__") and hasattr(pictures, "__len__")):
        kind = type(pictures).__name__
        raise BadInput(f"got a {kind}; expected a folder, files, or a Dataset with a length and items by index")
    dataset: Any = pictures
    if not len(dataset):
        raise BadInput(f"the {type(dataset).__name__} holds no pictures")
    return PictureSet(_Numbers(len(dataset)), _Items(dataset, channels, value_range))


@dataclass(frozen=True)
class _Files:
    """Pictures in files. A dataclass instead of a closure, so that it can be pickled."""

    files: Sequence[str]
    channels: int
    value_range: tuple[float, float]

    def __call__(self, index: int, size: tuple[int, int]) -> Tensor:
        return read_picture(self.files[index], self.channels, size, value_range=self.value_range)


@dataclass(frozen=True)
class _Items:
    """Pictures in a Dataset."""

    dataset: Any
    channels: int
    value_range: tuple[float, float]

    def __call__(self, index: int, size: tuple[int, int]) -> Tensor:
        return _item(self.dataset[index], self.channels, self.value_range)


def _item(item: Any, channels: int, value_range: tuple[float, float]) -> Tensor:
    """A Dataset's item as a picture; labels after it are ignored."""
    while isinstance(item, tuple | list) and item:
        item = item[0]
    if isinstance(item, Image.Image):
        array = np.asarray(opaque(item).convert("RGB" if channels == 3 else "L"))
        return check_picture(torch.from_numpy(array.reshape(*array.shape[:2], -1) / 255).permute(2, 0, 1), channels)
    if not isinstance(item, Tensor):
        raise BadInput(f"expected a tensor (C, H, W) or a PIL image, got {type(item).__name__}")
    if value_range == UNIT:
        return check_picture(item.float() / 255 if item.dtype == torch.uint8 else item, channels)
    return check_picture(from_values(item.numpy(force=True), value_range), channels)


class _Numbers(Sequence[str]):
    """Numbers as the names of pictures that have none, formatted on access (a Dataset may hold millions)."""

    def __init__(self, count: int) -> None:
        self.total, self.digits = count, len(str(count - 1))

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.total))]
        if not 0 <= index < self.total:
            raise IndexError(index)
        return f"{index:0{self.digits}d}"


def dataset_paths(dataset: Any) -> list[str]:
    """The source of a dataset's pictures for the manifest: its paths, or the type of a `torch` Dataset.

    Args:
        dataset: a path, several paths, or a Dataset.

    Returns:
        Paths, or the name of the type.
    """
    if isinstance(dataset, str | Path):
        return [str(dataset)]
    return [str(path) for path in dataset] if isinstance(dataset, Sequence) else [type(dataset).__name__]
