"""The page of a photo's icons, in a real browser, opened from disk."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from recipes.photo.page import render_photo

HOSTILE = '<img src=x onerror="window.hacked=1">\'"</script><script>window.hacked=1</script><!--'
LAYERS = {"features.3": [3, 4], "features.5": [2, 2]}


def unit(objective: str, file: str, layer: str = "", channel: int | None = None, **metrics: Any) -> dict[str, Any]:
    place = {"layer": layer, "channel": channel, "objective": objective, "attempt": 0, "seed": 0, "file": file}
    return {**place, "score": None, "steps": 32, "seconds": 0.5, "status": "ok", "metrics": metrics}


def cell(layer: str, y: int, x: int) -> dict[str, Any]:
    rows, columns = LAYERS[layer]
    channels = [{"channel": 7, "value": 4.0}, {"channel": y, "value": 2.0}]
    metrics = {"position": [y, x], "map_size": [rows, columns], "magnitude": 1.0 + y * columns + x}
    metrics |= {"channels": channels, "cosine": 0.75}
    return unit("direction", f"images/{layer}/position-{y}-{x}.png", layer, **metrics)


def units(source: str = "fish.png") -> list[dict[str, Any]]:
    found = [unit("original", "originals/fish.png", source=source)]
    for layer, (rows, columns) in LAYERS.items():
        found += [cell(layer, y, x) for y in range(rows) for x in range(columns)]
        found.append(unit("channel", f"images/{layer}/channel-7.png", layer, 7))
    return found


def write_page(folder: Path, made: list[dict[str, Any]], **more: Any) -> Path:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 90, 40)).save(buffer, "PNG")
    for each in made:
        (folder / each["file"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / each["file"]).write_bytes(buffer.getvalue())
    model = {"spec": "torchvision:squeezenet1_0", "sha256": "ab12" * 16, "input_size": [224, 224]}
    manifest = {"recipe": "dictionary", "settings": {"icon": 96}, "model": model, "units": made}
    (folder / "index.html").write_text(render_photo(manifest | more), encoding="utf-8")
    return folder / "index.html"


def test_the_strongest_position_is_shown_first_and_others_on_hover(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_page(tmp_path, units()))
    expect(seen.page.locator("h1")).to_have_text("fish.png")
    expect(seen.page.locator("#entry h2")).to_have_text("features.3 · row 2, column 3")
    seen.page.locator("#board button").nth(1).hover()
    expect(seen.page.locator("#entry h2")).to_have_text("features.3 · row 0, column 1")
    assert seen.page.locator("#entry li .caption").all_inner_texts() == ["channel 7\n4", "channel 0\n2"]
    assert seen.page.locator("#entry li img").count() == 1
    sources = seen.page.locator("#entry .large img").get_attribute("src")
    assert sources == "images/features.3/position-0-1.png"
    rows = seen.rows(".stats")
    assert (rows["Positions"], rows["Channels"], rows["Time"]) == ("16", "2", "9 s")


def test_keys_walk_over_the_photo(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_page(tmp_path, units()), "#layer=features.3&at=1,1")
    seen.page.locator("#board button[tabindex='0']").focus()
    for key, where in {"ArrowRight": "row 1, column 2", "ArrowUp": "row 0, column 2", "End": "row 2, column 3"}.items():
        seen.page.keyboard.press(key)
        expect(seen.page.locator("#entry h2")).to_have_text(f"features.3 · {where}")
    assert seen.page.locator("#board button[tabindex='0']").count() == 1
    assert seen.focused().startswith("row 2, column 3")


def test_layers_are_chosen_and_the_fragment_keeps_the_view(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = write_page(tmp_path, units())
    seen = visit(page)
    seen.page.locator("#layers button").nth(1).click()
    assert seen.page.locator("#board button").count() == 4
    seen.page.locator("#board button").nth(2).click()
    seen.until("location.hash.includes('1%2C0')")
    again = visit(page, seen.page.evaluate("location.hash"))
    expect(again.page.locator("#entry h2")).to_have_text("features.5 · row 1, column 0")
    expect(again.page.locator("#layers [aria-pressed='true']")).to_have_text("features.5")


def test_what_a_manifest_says_is_text(visit: Callable[..., Any], tmp_path: Path) -> None:
    made = units(source=HOSTILE)
    made[1]["layer"] = HOSTILE
    seen = visit(write_page(tmp_path, made))
    expect(seen.page.locator("h1")).to_have_text(HOSTILE)
    expect(seen.page.locator("#entry h2")).to_have_text(f"{HOSTILE} · row 0, column 0")
    assert seen.page.evaluate("window.hacked") is None


def test_a_run_that_has_only_begun_says_so(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_page(tmp_path, [], planned=3))
    expect(seen.page.locator("#empty")).to_be_visible()
    expect(seen.page.locator(".notice").first).to_contain_text("0 of 3 pictures")


@pytest.mark.parametrize("width", [390, 2200])
def test_fits_every_screen(visit: Callable[..., Any], tmp_path: Path, width: int) -> None:
    seen = visit(write_page(tmp_path, units("a-very-long-name-of-a-photograph-" * 4)), width=width)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_grid_stands_next_to_the_photo_and_both_can_be_hovered(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_page(tmp_path, units(), recipe="grid"), width=1400)
    places = seen.page.locator("#grid .place")
    expect(places).to_have_count(12)
    sides = [place.locator(".frame").bounding_box() for place in places.all()]
    assert sides[2]["width"] / sides[11]["width"] == pytest.approx((3 / 12) ** 0.5, rel=0.02)
    places.nth(5).hover()
    expect(seen.page.locator("#entry h2")).to_have_text("features.3 · row 1, column 1")
    seen.page.locator("#board button").nth(6).hover()
    expect(seen.page.locator("#grid [data-chosen]")).to_have_count(1)
    seen.page.locator("#layers button").nth(1).click()
    expect(places).to_have_count(4)


def test_a_groups_map_lies_over_the_photo(visit: Callable[..., Any], tmp_path: Path) -> None:
    metrics = {"group": 0, "colour": "#e63d3d", "map": [[0, 1], [2, 4]], "channels": [], "error": 0.25}
    group = unit("group", "images/features.5/group-00.png", "features.5", **metrics)
    seen = visit(write_page(tmp_path, [*units(), group], recipe="grid"), "#layer=features.5")
    expect(seen.page.locator("#groups h2")).to_have_text("1 group of features.5 · relative error 0.25")
    seen.page.locator("#groups button").click()
    opacities = seen.page.locator(".tint").evaluate_all("all => all.map((each) => Number(each.style.opacity))")
    assert opacities == pytest.approx([0, 0.2, 0.4, 0.8])
    seen.page.locator("#layers button").first.click()
    expect(seen.page.locator(".tint")).to_have_count(0)
    expect(seen.page.locator("#groups")).to_be_hidden()
