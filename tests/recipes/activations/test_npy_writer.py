"""Growing arrays: NumPy reads what was appended, also after a writer was interrupted."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes.activations.npy_writer import GrowingArray


@given(
    parts=st.lists(st.integers(0, 5), max_size=5),
    shape=st.sampled_from([(), (1,), (3,), (2, 4)]),
    dtype=st.sampled_from(["float16", "float32", "int32"]),
    cut=st.integers(0, 30),
)
def test_what_was_appended_is_read_also_after_a_cut(
    parts: list[int], shape: tuple[int, ...], dtype: str, cut: int
) -> None:
    rows = [np.arange(n * int(np.prod(shape)), dtype=dtype).reshape(n, *shape) + i for i, n in enumerate(parts)]
    full = np.concatenate([np.zeros((0, *shape), dtype), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "below" / "a.npy"
        array = GrowingArray(path, shape, dtype)
        for part in rows:
            array.append(part)
            array.flush()
        array.close()
        assert np.load(path).dtype == np.dtype(dtype)
        np.testing.assert_array_equal(np.load(path), full)
        kept, before = min(cut, len(full)), path.read_bytes()
        array = GrowingArray(path, shape, dtype, kept)
        array.append(full[kept:])
        array.close()
        assert path.read_bytes() == before


def test_it_is_one_file_that_numpy_maps_whatever_its_length(tmp_path: Path) -> None:
    array = GrowingArray(tmp_path / "a.npy", (512,), "float16")
    for _ in range(3):
        array.append(np.ones((1000, 512)))
    array.close()
    assert np.load(array.path, mmap_mode="r").shape == (3000, 512)
    assert array.path.stat().st_size == 128 + 3000 * 1024


def test_rows_of_another_shape_and_lost_rows_are_refused(tmp_path: Path) -> None:
    array = GrowingArray(tmp_path / "a.npy", (3,), "float32")
    with pytest.raises(ValueError, match=r"expected rows of shape \(3,\), got \(4,\)"):
        array.append(np.ones((2, 4)))
    array.append(np.ones((2, 3)))
    array.close()
    with pytest.raises(ValueError, match="has lost rows"):
        GrowingArray(tmp_path / "a.npy", (3,), "float32", 3)
