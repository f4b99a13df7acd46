"""Annotated boxes from a file: found by name, cropped with the image, rejected in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipes.attribution.localization.box_files import fit_box, read_boxes
from recipes.pictures.reading import fit


def written(folder: Path, content: Any) -> Path:
    (folder / "boxes.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "boxes.json"


def test_pictures_are_known_by_file_name_with_extension_or_without(tmp_path: Path) -> None:
    path = written(
        tmp_path, {"a.png": [1, 2, 5, 9], "b": [[0, 0, 1, 1], [2, 2, 4.4, 4]], "elsewhere.png": [0, 0, 1, 1]}
    )
    pictures = {"a": Path("x/a.png"), "b": Path("x/b.jpg"), "c": Path("x/c.jpg")}
    assert read_boxes(path, pictures) == {"a": [(2, 1, 9, 5)], "b": [(0, 0, 1, 1), (2, 2, 4, 4)]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ([1, 2, 3, 4], "expected an object, image -> .* got list"),
        ({"a.png": [1, 2, 3]}, r"'a.png': expected \[x0, y0, x1, y1\]"),
        ({"a.png": [5, 2, 1, 9]}, r"got \[5, 2, 1, 9\]"),
        ({"a.png": [[1, 2, 5, True]]}, "expected"),
        ({"a.png": "1,2,3,4"}, "expected"),
        ({"b.png": [1, 2, 5, 9]}, "no box for any of the images"),
        ({"a.png": []}, "expected"),
    ],
)
def test_what_is_no_box_is_reported_in_one_line(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_boxes(written(tmp_path, content), {"a": Path("a.png")})
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file of boxes"):
        read_boxes(tmp_path / "none.json", {})


@given(st.integers(20, 60), st.integers(20, 60), st.integers(16, 40), st.integers(16, 40), st.data())
def test_a_box_moves_as_its_picture_does(height: int, width: int, tall: int, wide: int, data: st.DataObject) -> None:
    top, left = data.draw(st.integers(0, height - 9)), data.draw(st.integers(0, width - 9))
    picture = torch.zeros(1, height, width)
    picture[:, top : top + 8, left : left + 8] = 1
    seen = (fit(picture, (tall, wide))[0] > 0.5).nonzero()
    box = fit_box((top, left, top + 8, left + 8), (height, width), (tall, wide))
    if box is None:
        assert len(seen) <= 8 * max(tall, wide) // 8  # at most a line at the border remains
    elif len(seen):
        found = (*seen.amin(0).tolist(), *(seen.amax(0) + 1).tolist())
        assert all(abs(a - b) <= 1 for a, b in zip(box, found, strict=True))
