"""Sets of pictures: batches by index, reading ahead, and large photographs that are reduced while they are read."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from recipes.pictures.reading import fit, read_picture
from recipes.pictures.sets import PictureSet, picture_set


def numbered(count: int, bad: set[int]) -> PictureSet:
    """Pictures of one shade each, their index over 100."""

    def load(index: int, _size: tuple[int, int]) -> Tensor:
        if index in bad:
            raise OSError(f"no {index}")
        return torch.full((3, 9, 12), index / 100)

    return PictureSet([str(index) for index in range(count)], load, readers=3)


@given(
    count=st.integers(1, 20),
    together=st.integers(1, 7),
    start=st.integers(0, 3),
    bad=st.sets(st.integers(0, 20)),
)
def test_batches_span_the_set_whatever_can_be_read(count: int, together: int, start: int, bad: set[int]) -> None:
    first = start * together
    found = list(numbered(count, bad).batches((8, 8), together, first))
    assert [batch.start for batch in found] == list(range(first, count, together))
    assert [batch.stop for batch in found] == [min(batch.start + together, count) for batch in found]
    for batch in found:
        assert sorted([*batch.indices, *batch.skipped]) == list(range(batch.start, batch.stop))
        assert set(batch.skipped) == bad & set(range(batch.start, batch.stop))
        assert batch.images.shape[0] == len(batch.indices)
        for index, image in zip(batch.indices, batch.images, strict=True):
            assert float(image.mean()) == pytest.approx(index / 100, abs=1e-6)


def test_reading_stops_once_the_batches_are_closed() -> None:
    before = threading.active_count()
    batches = numbered(1000, set()).batches((8, 8), 2)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_large_photograph_is_read_small_and_looks_the_same(photographs: Tensor, tmp_path: Path, kind: str) -> None:
    array = (photographs[3] * 255).byte().permute(1, 2, 0).numpy()
    large = Image.fromarray(array).resize((1300, 1100), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    large.save(tmp_path / f"a.{kind}", quality=95, exif=exif)
    size = (96, 112)
    full, small = read_picture(tmp_path / f"a.{kind}"), read_picture(tmp_path / f"a.{kind}", near=size)
    assert full.shape == (3, 1300, 1100)
    assert 2 * size[0] <= small.shape[1] < 650
    assert 2 * size[1] <= small.shape[2] < 550
    assert (fit(full, size) - fit(small, size)).abs().mean() < 0.006


def test_a_small_picture_is_read_as_it_is(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (70, 90, 3)).astype(np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    assert torch.equal(read_picture(tmp_path / "a.png"), read_picture(tmp_path / "a.png", near=(20, 24)))


def test_one_name_for_each_file_and_a_digest_of_them(tmp_path: Path) -> None:
    for place in ("x", "y"):
        (tmp_path / place).mkdir()
        Image.new("L", (9, 9)).save(tmp_path / place / "a.png")
    one, two = picture_set(tmp_path / "x"), picture_set([tmp_path / "x", tmp_path / "y"])
    assert list(two.names) == ["a", "a-2"]
    assert one.digest != two.digest
    assert one.digest == picture_set([str(tmp_path / "x" / "a.png")]).digest
    assert two.read(1, (4, 6)).shape == (3, 4, 6)
    assert picture_set(tmp_path, channels=1).read(0, (4, 6)).shape == (1, 4, 6)
