"""Reading: formats that cannot be read are named, and what transparency hides is not seen."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from recipes.pictures.inputs import InputPictures
from recipes.pictures.reading import picture_files, read_picture

FOREIGN = ("a.HEIC", "b.cr2", "c.nef", "d.ARW", "e.dng", "f.raw", "g.psd", "h.svg", "i.pdf")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_format_that_cannot_be_read_says_so_and_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(ValueError, match="convert it to PNG or JPEG"):
        read_picture(tmp_path / name)


def test_a_raw_photo_is_not_read_as_its_preview(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.tif")
    (tmp_path / "photo.tif").rename(tmp_path / "photo.dng")
    with pytest.raises(ValueError, match="DNG is a format that cannot be read"):
        read_picture(tmp_path / "photo.dng")


def test_pictures_under_a_foreign_name_are_read(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "photo.png")
    (tmp_path / "photo.png").rename(tmp_path / "photo.heic")
    assert read_picture(tmp_path / "photo.heic")[:, 0, 0].tolist() == [1, 0, 0]


def test_in_a_folder_they_are_listed_as_skipped(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    for name in FOREIGN:
        (tmp_path / name).write_bytes(bytes(100))
    (tmp_path / "notes.txt").write_text("no picture")
    assert {file.name for file in picture_files(tmp_path)} == {"one.png", *FOREIGN}
    found = InputPictures.find([tmp_path])
    assert list(found.files) == ["one"]
    assert {Path(file).name for file in found.unreadable} == set(FOREIGN)


def test_a_folder_of_nothing_else_is_one_line(tmp_path: Path) -> None:
    for name in FOREIGN[:2]:
        (tmp_path / name).write_bytes(bytes(100))
    with pytest.raises(ValueError, match=r"none of the 2 pictures can be read; the first: .*convert it") as caught:
        InputPictures.find([tmp_path])
    assert "\n" not in str(caught.value)


def transparent(mode: str) -> Image.Image:
    """Red where it is seen, on the left; on the right, hidden green."""
    if mode == "P":
        picture = Image.new("P", (2, 1))
        picture.putpalette([255, 0, 0, 0, 255, 0])
        picture.putpixel((1, 0), 1)
        picture.info["transparency"] = 1
        return picture
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 255, 0, 0))
    return picture.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
@pytest.mark.parametrize(("background", "seen"), [("white", [1, 1, 1]), ((0, 0, 255), [0, 0, 1]), ("black", [0, 0, 0])])
def test_hidden_colours_are_not_seen(tmp_path: Path, mode: str, background, seen: list[int]) -> None:
    options = {"transparency": 1} if mode == "P" else {}
    picture = transparent(mode).resize((16, 8), Image.Resampling.NEAREST)
    picture.save(tmp_path / "a.png", **options)
    read = read_picture(tmp_path / "a.png", background=background)
    assert read[:, 4, 2].tolist() == [1, 0, 0]
    assert read[:, 4, 13].tolist() == seen


def test_grey_pictures_with_alpha_too(tmp_path: Path) -> None:
    Image.new("LA", (8, 8), (0, 0)).save(tmp_path / "a.png")
    assert torch.equal(read_picture(tmp_path / "a.png", channels=1), torch.ones(1, 8, 8))
