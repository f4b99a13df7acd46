"""The store: a picture first and then its line, only the requested units, and never a file outside its folder."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from recipes.outputs.journal import JOURNAL, note
from recipes.outputs.manifest import Manifest, Record
from recipes.outputs.store import Store

FILES = [f"images/a/{i:04d}.png" for i in range(4)]


def page(manifest: Mapping[str, Any]) -> str:
    return f"{len(manifest['units'])} units"


def manifest(steps: int = 4) -> Manifest:
    return Manifest("gallery", {"steps": steps, "out": "x"}, {"sha256": "ab"}, planned=len(FILES))


def record(file: str) -> Record:
    return Record("a", int(Path(file).stem), "channel", 0, 0, file, 1.5, 4, 0.1, "ok")


def open_store(folder: Path, steps: int = 4, fresh: bool = False) -> Store:
    return Store.open(folder, manifest(steps), page, dict.fromkeys(FILES), fresh)


def add(store: Store, *files: str) -> None:
    store.add((record(file), torch.full((3, 2, 2), 0.5)) for file in files)
    store.settle()


def listed(folder: Path) -> list[str]:
    return [unit["file"] for unit in json.loads((folder / "manifest.json").read_text())["units"]]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_new_run_writes_its_manifest_at_once(tmp_path: Path) -> None:
    store = open_store(tmp_path / "deep" / "out")
    assert files(store.folder) == {"manifest.json"}
    assert listed(store.folder) == []
    assert not store.has(FILES[0])


def test_what_is_added_is_on_disk_and_in_the_manifest_in_the_order_asked_for(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    add(store, FILES[2], FILES[0])
    store.write_page()
    assert files(tmp_path) == {"manifest.json", "index.html", FILES[0], FILES[2]}
    assert listed(tmp_path) == [FILES[0], FILES[2]]
    assert store.has(FILES[2])
    assert not store.has(FILES[1])


def test_the_manifest_never_names_a_picture_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path)

    def check(folder: Path, records: Iterable[Record]) -> None:
        found = list(records)
        assert {each.file for each in found} <= files(tmp_path)
        note(folder, found)

    monkeypatch.setattr("recipes.outputs.store.note", check)
    add(store, *FILES)
    store.write_manifest()
    assert listed(tmp_path) == FILES


def test_what_was_added_before_a_kill_is_known_though_the_manifest_was_not_written(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    add(store, FILES[2])
    add(store, FILES[0])
    assert listed(tmp_path) == []
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('[{"layer": "a", "chan')  # the kill came while a third batch was being noted
    again = open_store(tmp_path)
    assert list(again.manifest.units) == listed(tmp_path) == [FILES[0], FILES[2]]
    assert not (tmp_path / JOURNAL).exists()


@pytest.mark.parametrize("line", [b"\xff\n", b"{}\n", b"[3]\n", b'[{"file": "../x"}]\n', b"[" * 100_000 + b"\n"])
def test_a_journal_of_something_else_is_passed_over(tmp_path: Path, line: bytes) -> None:
    add(open_store(tmp_path), FILES[0])
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(line)
    assert list(open_store(tmp_path).manifest.units) == [FILES[0]]


def test_a_journal_in_the_place_of_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / JOURNAL).symlink_to(tmp_path / "mine.txt")
    add(open_store(tmp_path), FILES[0])
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_run_that_broke_between_a_picture_and_its_line_makes_it_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)

    def breaks() -> Any:
        yield record(FILES[0]), torch.zeros(3, 2, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add(breaks())
    assert not open_store(tmp_path).has(FILES[0])


def test_the_same_run_continues_with_what_is_still_there(tmp_path: Path) -> None:
    first = open_store(tmp_path)
    add(first, *FILES[:2])
    (tmp_path / FILES[0]).unlink()
    again = open_store(tmp_path)
    assert not again.has(FILES[0])
    assert again.has(FILES[1])
    assert again.manifest.created == first.manifest.created


def test_another_run_is_refused_by_the_difference_and_nothing_is_touched(tmp_path: Path) -> None:
    add(open_store(tmp_path), FILES[0])
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(ValueError, match=r"its steps is 4, not 8.*set fresh to start over"):
        open_store(tmp_path, steps=8)
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert FILES[0] in files(tmp_path)


def test_fresh_removes_the_earlier_runs_pictures_and_no_other_file(tmp_path: Path) -> None:
    add(open_store(tmp_path), FILES[0], FILES[1])
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "images" / "a" / "mine.png").write_text("mine")
    store = open_store(tmp_path, steps=8, fresh=True)
    assert files(tmp_path) == {"manifest.json", "notes.txt", "images/a/mine.png"}
    assert store.manifest.units == {}


def test_fresh_starts_over_where_the_manifest_is_broken(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="set fresh to start over"):
        open_store(tmp_path)
    assert open_store(tmp_path, fresh=True).manifest.units == {}


@pytest.mark.parametrize("file", ["../outside.png", "/outside.png", "images/../../outside.png", "link/outside.png"])
def test_fresh_never_removes_a_file_outside_the_folder(tmp_path: Path, file: str) -> None:
    folder, outside = tmp_path / "out", tmp_path / "outside.png"
    store = open_store(folder)
    outside.write_text("precious")
    (folder / "link").symlink_to(tmp_path)
    name = file if file.startswith(("..", "images", "link")) else str(outside)
    store.manifest.units[name] = Record("a", 0, "channel", 0, 0, name, 1.5, 4, 0.1, "ok")
    store.write_manifest()
    open_store(folder, fresh=True)
    assert outside.read_text() == "precious"


def test_the_page_is_made_from_what_is_finished(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    add(store, FILES[0])
    assert store.write_page() == tmp_path / "index.html"
    assert (tmp_path / "index.html").read_text() == "1 units"


def test_a_file_in_the_folders_place_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("kept")
    with pytest.raises(ValueError, match=r"taken' is a file"):
        open_store(tmp_path / "taken")
    with pytest.raises(OSError, match="taken"):
        open_store(tmp_path / "taken" / "below")
    assert (tmp_path / "taken").read_text() == "kept"
