"""What sums up an output folder: the contact sheet, the table, the text chunks, and pictures of many channels."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from recipes.outputs.file_names import numbered
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.rendering.sheet import MOST, contact_sheet, encoded, label
from recipes.outputs.store import Store
from recipes.outputs.units_table import as_csv

SETTINGS = {"steps": 4, "seed": 7, "out": "x", "threads": 2, "layer": ["conv"]}


def record(number: int, **more) -> Record:
    return Record("conv", number, "channel", 0, 7, f"images/{number:04d}.png", 1.5, 4, 0.1, "ok", **more)


def store(folder: Path) -> Store:
    manifest = Manifest("gallery", SETTINGS, {"spec": "net"}, planned=2)
    return Store.open(folder, manifest, lambda _: "page", dict.fromkeys(["images/0000.png", "images/0001.png"]))


def test_a_finished_folder_has_a_sheet_and_a_table(tmp_path: Path) -> None:
    opened = store(tmp_path)
    opened.add((record(number), torch.full((3, 8, 8), number / 2)) for number in (0, 1))
    opened.finish()
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width <= 1400
        assert (sheet.text["recipe"], json.loads(sheet.text["settings"])["steps"]) == ("gallery", 4)
    rows = list(csv.DictReader((tmp_path / "units.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["channel"] for row in rows] == ["0", "1"]


def test_a_sheet_of_many_pictures_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "images/0000.png")
    records = [record(0, name="name " * 9)] * (3 * MOST)
    sheet = contact_sheet(tmp_path, records, "title")
    assert sheet.width <= 1400
    assert sheet.height <= 2400
    assert len(encoded(sheet)) < 3_000_000


def test_a_sheet_leaves_out_what_is_not_there(tmp_path: Path) -> None:
    assert contact_sheet(tmp_path, [record(0)], "title").height < 60


def test_labels_are_names_where_there_are_any() -> None:
    assert label(record(3)) == "conv/3"
    assert label(record(3, name="crane")) == "3 crane"
    assert label(Record("", None, "original", 0, 0, "a.png", None, 0, 0, "ok", image="cat")) == "cat"


def test_the_table_survives_quotes_lines_lists_and_names_in_no_encoding() -> None:
    awkward = record(1, name='a "b",\nc', image="\udcff", metrics={"burnt": 0.5, "top": [{"a": 1}], "fine": True})
    text = as_csv([record(0), awkward])
    assert text.count("\r\n") == 3
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first["burnt"] == ""
    assert second["name"] == 'a "b",\nc'
    assert json.loads(second["top"]) == [{"a": 1}]
    assert second["fine"] == "true"
    text.encode("utf-8")


def test_every_picture_says_what_made_it(tmp_path: Path) -> None:
    opened = store(tmp_path)
    opened.add([(record(1), torch.zeros(1, 4, 4))])
    opened.settle()
    with Image.open(tmp_path / "images/0001.png") as picture:
        assert picture.mode == "L"
        about = picture.text
    assert about["Software"].startswith("inverter ")
    assert {key: about[key] for key in ("recipe", "layer", "channel", "objective", "seed")} == {
        "recipe": "gallery", "layer": "conv", "channel": "1", "objective": "channel", "seed": "7",
    }  # fmt: skip
    assert json.loads(about["settings"]) == {"steps": 4, "seed": 7, "layer": ["conv"]}


def test_four_channels_are_no_transparency_and_are_kept_as_an_array(tmp_path: Path) -> None:
    image = torch.rand(4, 8, 6)
    opened = store(tmp_path)
    opened.add([(record(0), image)])
    opened.settle()
    with Image.open(tmp_path / "images/0000.png") as picture:
        assert picture.mode == "L"
        assert picture.size == (4 * 6 + 3, 8)
    assert np.array_equal(np.load(tmp_path / "images/0000.npy"), image.numpy())
    assert opened.manifest.units["images/0000.png"].extra_files == {"channels": "images/0000.npy"}


def test_opacity_is_said(tmp_path: Path) -> None:
    opened = store(tmp_path)
    opened.add([(record(0), torch.rand(4, 8, 6))], alpha=True)
    opened.settle()
    with Image.open(tmp_path / "images/0000.png") as picture:
        assert picture.mode == "RGBA"
    assert not (tmp_path / "images/0000.npy").exists()


def test_names_of_class_files_are_plain() -> None:
    assert numbered(130, "flamingo") == "0130-flamingo"
    assert numbered(1, "../étude: a/b 'c'") == "0001-etude-a-b-c"
    assert numbered(2, "") == "0002"
    assert len(numbered(0, "x" * 500)) < 70
