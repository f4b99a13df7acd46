"""The page of `inverter atlas`, in a real browser, opened from disk; and the files that it shows."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recipes.atlas.page import render_atlas, write_atlas
from recipes.atlas.sprites import sheet_file, tile_size

HOSTILE = '<img src=x onerror="window.hacked=1">\'"</script><script>window.hacked=1</script><!--'


def colour(side: int, row: int, column: int) -> tuple[int, int, int]:
    return 40 * row % 256, 40 * column % 256, side


def unit(folder: Path, side: int, row: int, column: int, **more: Any) -> dict[str, Any]:
    file = f"icons/{side}/{row:02d}-{column:02d}.png"
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), colour(side, row, column)).save(folder / file)
    metrics = {
        "grid": side,
        "row": row,
        "column": column,
        "count": 10 + column,
        "direction": {"file": f"directions/{side}.npy", "row": 0},
        "cosine": 0.8125,
        "own": True,
        "class_in_icon": False,
        "class_in_photographs": 1.0,
        "classes": [{"index": 3, "name": "cat", "effect": 2.0}]
        if column
        else [{"index": 9, "name": HOSTILE, "effect": 1.0}],
        "examples": [{"picture": "pictures/000007.jpg", "name": HOSTILE, "at": [1, 1], "window": [0, 0, 16, 16]}],
    }
    place = {"layer": "stem", "channel": None, "objective": "direction", "attempt": 0, "seed": 0, "file": file}
    return {**place, "score": 1.0, "steps": 4, "seconds": 0.5, "status": "ok", "metrics": metrics | more}


def write(folder: Path, sides: tuple[int, ...] = (4, 20), hole: tuple[int, int] | None = (1, 1)) -> Path:
    """An atlas whose cells are all there but one, and its page."""
    units = [unit(folder, s, r, c) for s in sides for r in range(s) for c in range(s) if (r, c) != hole]
    settings = {"layer": "stem", "icon": 16}
    manifest = {
        "inverter": "0",
        "recipe": "atlas",
        "created": "2026-01-01",
        "settings": settings,
        "versions": {},
        "model": {"spec": "tiny", "input_size": [16, 16]},
        "planned": len(units),
        "units": units,
    }
    (folder / "pictures").mkdir(exist_ok=True)
    Image.new("RGB", (16, 16), "orange").save(folder / "pictures" / "000007.jpg")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write_atlas(folder)
    page = folder / "index.html"
    page.write_text(render_atlas(manifest), encoding="utf-8")
    return page


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write(tmp_path)


def title(seen: Any) -> str:
    return str(seen.page.locator("#cell-title").inner_text())


def test_sheets_and_full_grids_hold_every_icon_in_its_place(page: Path) -> None:
    picture = Image.open(page.parent / "atlas-20.png")
    assert picture.text["recipe"] == "atlas"
    full = np.asarray(picture)
    sheet = np.asarray(Image.open(page.parent / sheet_file(20, 17, 3)).convert("RGB")).astype(int)
    assert full.shape == (320, 320, 4)
    assert tuple(full[17 * 16 + 8, 3 * 16 + 8]) == (*colour(20, 17, 3), 255)
    assert full[24, 24, 3] == 0  # no cell there
    assert np.abs(sheet[16 + 8, 3 * 16 + 8] - colour(20, 17, 3)).max() < 12  # lossy
    assert tile_size(20, 96) == 96 and tile_size(50, 96) == 81 and tile_size(10, 224) == 128


def test_sheets_are_made_again_only_where_an_icon_is_another(tmp_path: Path) -> None:
    write(tmp_path)

    def written() -> dict[str, int]:
        made = [*tmp_path.glob("atlas-*.png"), *tmp_path.glob("sheets/*.webp")]
        return {path.name: path.stat().st_mtime_ns for path in made}

    before = written()
    assert len(before) == 2 + 1 + 4
    write_atlas(tmp_path)
    assert written() == before
    Image.new("RGB", (16, 16), "white").save(tmp_path / "icons" / "20" / "17-03.png")
    write_atlas(tmp_path)
    changed = {name for name, when in written().items() if when != before[name]}
    assert changed == {name for name in before if "4-0" not in name and name != "atlas-4.png"}
    assert tuple(np.asarray(Image.open(tmp_path / "atlas-20.png"))[17 * 16 + 8, 3 * 16 + 8]) == (255, 255, 255, 255)
    (tmp_path / "atlas-4.png").unlink()
    write_atlas(tmp_path)
    assert (tmp_path / "atlas-4.png").is_file()


def test_opens_from_disk_and_shows_the_cell_under_the_pointer(visit: Callable[..., Any], page: Path) -> None:
    seen = visit(page)
    seen.until("state.level.side === 20 || state.level.side === 4")
    assert seen.rows(".stats")["Icons"] == "414"
    box = seen.page.locator("#map").bounding_box()
    first = seen.page.evaluate(
        "({x: view.x + view.scale * 0.5 / 4, y: view.y + view.scale * 0.5 / 4, side: state.level.side})"
    )
    seen.page.mouse.move(box["x"] + first["x"], box["y"] + first["y"])
    seen.until("document.getElementById('cell-title').textContent.includes('row')")
    assert title(seen).startswith(f"{first['side']}×{first['side']} · row")
    assert "activations" in seen.page.locator("#cell .facts").inner_text()
    assert seen.page.locator("#cell .examples a").count() == 1
    judged = seen.page.locator("#cell .judged").inner_text()
    assert judged == "a judge does not see the first class in the icon; in 1 of 1 examples"
    centre = seen.page.evaluate("""() => {
      const at = [view.x + view.scale * 2.5 / 4, view.y + view.scale * 0.5 / 4].map((v) => Math.round(v * box.ratio));
      return [...levels.flatMap((level) => [...level.sheets.values()])].filter((s) => s.image?.complete).length; }""")
    assert centre >= 1


def test_zooms_through_the_levels(visit: Callable[..., Any], page: Path) -> None:
    seen = visit(page, width=900, height=700)
    assert seen.page.evaluate("state.level.side") == 4
    box = seen.page.locator("#map").bounding_box()
    seen.page.mouse.move(box["x"] + 200, box["y"] + 200)
    under = "[(200 - view.x) / view.scale, (200 - view.y) / view.scale]"
    before = seen.page.evaluate(under)
    for _ in range(8):
        seen.page.mouse.wheel(0, -120)
    seen.until("state.level.side === 20")
    assert seen.page.evaluate(under) == pytest.approx(before, abs=0.005)  # what is under the pointer stays, to a pixel
    seen.page.get_by_role("button", name="4×4").click()
    seen.until("state.level.side === 4 && !flight")


def test_where_a_fine_grid_has_no_cell_the_coarser_one_shines_through(visit: Callable[..., Any], page: Path) -> None:
    seen = visit(page, "#cell=20/0-0")  # cell 4/1-1 is missing; 20/1-1 too, and lies within 4/0-0
    seen.until("state.level.side === 20")
    box = seen.page.locator("#map").bounding_box()
    at = seen.page.evaluate("[1.5, 0.5].map((row) => [view.x + view.scale * 1.5 / 20, view.y + view.scale * row / 20])")
    for (x, y), expected in zip(at, ("4×4 · row 1, column 1", "20×20 · row 1, column 2"), strict=True):
        seen.page.mouse.move(box["x"] + x, box["y"] + y)
        seen.until(f"document.getElementById('cell-title').textContent === '{expected}'")
    seen.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 2)  # no cell is framed there
    drawn = "[levels[0], state.level].flatMap((level) => [...level.sheets.values()])"
    seen.until(f"{drawn}.every((sheet) => !sheet.image || sheet.image.complete)")
    seen.page.wait_for_timeout(300)
    shot = np.asarray(Image.open(io.BytesIO(seen.page.screenshot())).convert("RGB")).astype(int)
    gap, cell = (shot[round(box["y"] + y), round(box["x"] + x)] for x, y in at)
    red, green, blue = (int(seen.page.evaluate("colours.ground")[i : i + 2], 16) for i in (1, 3, 5))
    faint = [0.3 * part + 0.7 * ground for part, ground in zip(colour(4, 0, 0), (red, green, blue), strict=True)]
    assert np.abs(gap - faint).max() < 12
    assert np.abs(cell - colour(20, 0, 1)).max() < 12


def test_the_wheel_leaves_the_pointer_on_a_cell_of_the_level_that_is_shown(
    visit: Callable[..., Any], page: Path
) -> None:
    seen = visit(page, width=900, height=700)
    assert seen.page.locator("#levels button").first.get_attribute("aria-pressed") == "true"
    box = seen.page.locator("#map").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] / 2 + 9, box["y"] + box["height"] / 2 + 9)
    seen.until("document.getElementById('cell-title').textContent.startsWith('4×4')")
    for _ in range(8):
        seen.page.mouse.wheel(0, -120)
    seen.until("document.getElementById('cell-title').textContent.startsWith('20×20')")


def test_drags(visit: Callable[..., Any], page: Path) -> None:
    seen = visit(page)
    box = seen.page.locator("#map").bounding_box()
    before = seen.page.evaluate("[view.x, view.y]")
    seen.page.mouse.move(box["x"] + 100, box["y"] + 100)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 130, box["y"] + 80, steps=3)
    seen.page.mouse.up()
    assert seen.page.evaluate("[view.x, view.y]") == pytest.approx([before[0] + 30, before[1] - 20])
    assert seen.page.evaluate("state.selected") is None  # a drag is no click


def test_two_fingers_zoom(visit: Callable[..., Any], page: Path) -> None:
    seen = visit(page)
    before = seen.page.evaluate("view.scale")
    seen.page.evaluate("""() => {
      const { left, top } = canvas.getBoundingClientRect();
      canvas.setPointerCapture = () => {}; // invented fingers cannot be captured
      const touch = (type, pointerId, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
        pointerId, pointerType: "touch", clientX: left + x, clientY: top + y, bubbles: true }));
      touch("pointerdown", 1, 200, 200); touch("pointerdown", 2, 300, 200);
      touch("pointermove", 1, 150, 200); touch("pointermove", 2, 350, 200);
      touch("pointerup", 1, 150, 200); touch("pointerup", 2, 350, 200); }""")
    assert seen.page.evaluate("view.scale") == pytest.approx(2 * before)


def test_keys_walk_enlarge_and_return(visit: Callable[..., Any], page: Path) -> None:
    seen = visit(page)
    seen.page.locator("#map").focus()
    walked = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft"):
        seen.page.keyboard.press(key)
        walked.append(seen.page.evaluate("[state.selected.row, state.selected.column]"))
    assert walked == [[0, 0], [0, 1], [2, 1], [2, 0], [2, 0]]  # over the hole at (1, 1); an end is an end
    seen.page.keyboard.press("Enter")
    seen.until("document.querySelector('dialog.lightbox').open")
    seen.page.keyboard.press("ArrowRight")
    assert seen.page.evaluate("[state.selected.row, state.selected.column]") == [2, 1]
    seen.page.keyboard.press("Escape")
    seen.until("document.activeElement.id === 'map'")
    scale = seen.page.evaluate("view.scale")
    seen.page.keyboard.press("+")
    assert seen.page.evaluate("view.scale") == pytest.approx(1.25 * scale)
    seen.page.keyboard.press("Escape")
    assert seen.page.evaluate("state.selected") is None


def test_a_class_lights_up_its_cells(visit: Callable[..., Any], page: Path) -> None:
    seen = visit(page)
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("CAT")
    assert seen.page.locator("#count").inner_text() == "11 of 15 cells match"
    seen.until("location.hash.includes('class=CAT')")
    again = visit(page, "#class=cat&cell=20/3-7")
    assert title(again) == "20×20 · row 4, column 8"
    assert again.page.evaluate("state.level.side") == 20
    assert again.page.locator("#query").input_value() == "cat"
    again.page.locator("#cell .classes button").click()
    assert again.page.locator("#query").input_value() == "cat"


def test_hostile_names_stay_text(visit: Callable[..., Any], page: Path) -> None:
    seen = visit(page, "#cell=4/0-0")
    assert seen.page.locator("#cell .classes button").inner_text().startswith(HOSTILE[:20])
    seen.page.locator("#cell .classes button").click()
    seen.page.locator("#cell .icon").click()
    assert HOSTILE in seen.page.locator("dialog.lightbox dl").inner_text()
    assert seen.page.evaluate("window.hacked") is None


@pytest.mark.parametrize("fragment", ["#cell=7/1-1", "#cell=4/1-1", "#cell=x", "#class=%00"])
def test_a_wrong_fragment_is_harmless(visit: Callable[..., Any], page: Path, fragment: str) -> None:
    assert title(visit(page, fragment)) == "Hover over a cell"


def test_an_empty_run_opens(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text(render_atlas({"recipe": "atlas", "units": [], "planned": 5}), encoding="utf-8")
    seen = visit(page)
    assert "not finished" in seen.page.locator(".notices").inner_text()
    seen.page.locator("#map").focus()
    seen.page.keyboard.press("ArrowRight")


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1400, 900)])
def test_fits_every_screen(visit: Callable[..., Any], page: Path, width: int, height: int) -> None:
    seen = visit(page, width=width, height=height)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.page.locator("#map").bounding_box()["height"] >= 250


@pytest.fixture
def aligned(tmp_path: Path) -> Path:
    """Two atlases on one map: in the second, every cell but the first column supports a class of its own."""
    page = write(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    for below in ("icons", "pictures"):
        shutil.copytree(tmp_path / below, tmp_path / "with" / below)
    for first in list(manifest["units"]):
        dog = [{"index": 5, "name": "dog", "effect": 1.0}] if first["metrics"]["column"] else []
        manifest["units"].append(
            first | {"layer": "deep", "file": f"with/{first['file']}", "metrics": first["metrics"] | {"classes": dog}}
        )
    manifest["settings"]["with"] = {"layer": "deep", "model": {"spec": HOSTILE, "input_size": [16, 16]}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    write_atlas(tmp_path)
    page.write_text(render_atlas(manifest), encoding="utf-8")
    return page


def test_two_atlases_move_together(visit: Callable[..., Any], aligned: Path) -> None:
    seen = visit(aligned, "#cell=20/3-7", width=1200)
    boxes = [seen.page.locator(name).bounding_box() for name in ("#map", "#map-2")]
    assert boxes[0]["width"] == pytest.approx(boxes[1]["width"], abs=1) and boxes[0]["height"] == boxes[1]["height"]
    assert boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"]
    assert seen.page.locator("#maps figcaption").all_inner_texts() == ["stem · tiny", f"deep · {HOSTILE}"]
    seen.until("panes.every((pane) => [...pane.levels[1].sheets.values()].some((sheet) => sheet.image?.complete))")
    x, y = seen.page.evaluate("[7.5, 3.5].map((at, axis) => [view.x, view.y][axis] + (at * view.scale) / 20)")
    shown = Image.open(io.BytesIO(seen.page.screenshot())).convert("RGB")
    for box in boxes:  # the same cell is in the same place of both
        assert shown.getpixel((box["x"] + x, box["y"] + y)) == pytest.approx(colour(20, 3, 7), abs=14)
    seen.page.mouse.move(boxes[1]["x"] + 120, boxes[1]["y"] + 120)
    before = seen.page.evaluate("({...view})")
    seen.page.mouse.down()
    seen.page.mouse.move(boxes[1]["x"] + 150, boxes[1]["y"] + 100, steps=3)
    seen.page.mouse.up()
    after = seen.page.evaluate("({...view})")
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((30, -20))
    assert seen.page.evaluate("window.hacked") is None


def test_keys_and_classes_of_the_second_atlas(visit: Callable[..., Any], aligned: Path) -> None:
    seen = visit(aligned, width=1200)
    seen.page.locator("#map-2").focus()
    seen.page.keyboard.press("ArrowRight")
    seen.page.keyboard.press("ArrowRight")
    assert seen.page.locator("#cell .icon").count() == 2  # a cell's icons in both
    seen.page.keyboard.press("Enter")
    seen.until("document.querySelector('dialog.lightbox').open")
    assert "deep" in seen.page.locator("dialog.lightbox dl").inner_text()
    assert "with/" in seen.page.locator("dialog.lightbox a.file").get_attribute("href")
    seen.page.keyboard.press("Escape")
    # The dialog gives the focus back by itself; what the page does once it is closed comes a moment later.
    seen.until("!document.querySelector('dialog.lightbox .stage').childElementCount")
    assert seen.page.evaluate("document.activeElement.id") == "map-2"
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("dog")
    assert seen.page.locator("#count").inner_text() == "0 and 11 of 15 cells match"


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1400, 900)])
def test_two_atlases_fit_every_screen(visit: Callable[..., Any], aligned: Path, width: int, height: int) -> None:
    seen = visit(aligned, "#cell=4/0-1", width=width, height=height)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert all(seen.page.locator(name).bounding_box()["height"] >= 200 for name in ("#map", "#map-2"))
