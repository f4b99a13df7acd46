"""Sprite sheets: where each tile is, and that unchanged sheets are left as they are."""

from pathlib import Path

import pytest
from PIL import Image

from recipes.microscope.sheets import Form, Tile, tile_side, write_sheets

COLOURS = [(250, 20, 20), (20, 250, 20), (20, 20, 250), (240, 240, 20), (20, 240, 240)]
FORM = Form("u", 8, 8, across=2, down=1, quality=100)


@pytest.fixture
def tiles(tmp_path: Path) -> list[Tile]:
    found = []
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{number}.png")
        found.append(Tile(tmp_path / f"{number}.png"))
    return found


def pixel(file: Path, column: int, row: int) -> tuple[int, ...]:
    with Image.open(file) as sheet:
        colour = sheet.convert("RGB").getpixel((8 * column + 4, 8 * row + 4))
    assert isinstance(colour, tuple)
    return colour


def test_tiles_follow_each_other_in_rows_and_sheets(tiles: list[Tile], tmp_path: Path) -> None:
    write_sheets(tmp_path / "s", FORM, tiles)
    found = [pixel(tmp_path / f"s/u{number // 2}.webp", number % 2, 0) for number in range(5)]
    assert found == COLOURS


def test_a_window_is_cut_out_and_what_is_missing_is_grey(tiles: list[Tile], tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 40), COLOURS[0])
    picture.paste(COLOURS[1], (10, 20, 20, 30))
    picture.save(tmp_path / "photo.png")
    write_sheets(tmp_path / "s", FORM, [Tile(tmp_path / "photo.png", (20, 10, 30, 20)), Tile(None)])
    assert pixel(tmp_path / "s/u0.webp", 0, 0) == COLOURS[1]
    assert pixel(tmp_path / "s/u0.webp", 1, 0) == (128, 128, 128)


def test_only_sheets_that_changed_are_written_again(tiles: list[Tile], tmp_path: Path) -> None:
    write_sheets(tmp_path / "s", FORM, tiles)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "s").glob("*.webp")}
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "2.png")
    write_sheets(tmp_path / "s", FORM, tiles)
    after = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "s").glob("*.webp")}
    assert [name for name in sorted(before) if before[name] != after[name]] == ["u1.webp"]
    assert pixel(tmp_path / "s/u1.webp", 0, 0) == (1, 2, 3)


def test_sheets_of_fewer_tiles_leave_none_behind(tiles: list[Tile], tmp_path: Path) -> None:
    write_sheets(tmp_path / "s", Form("p", 8, 8, 2, 1), tiles[:2])
    write_sheets(tmp_path / "s", FORM, tiles)
    write_sheets(tmp_path / "s", FORM, tiles[:1])
    assert sorted(file.name for file in (tmp_path / "s").glob("*.webp")) == ["p0.webp", "u0.webp"]


def test_a_tile_has_the_form_of_the_pictures_and_enlarges_none(tmp_path: Path) -> None:
    for size, side in (((256, 128), (128, 64)), ((40, 20), (40, 20)), ((500, 1), (128, 1))):
        Image.new("RGB", size).save(tmp_path / "picture.png")
        assert tile_side(tmp_path / "picture.png", 128) == side
