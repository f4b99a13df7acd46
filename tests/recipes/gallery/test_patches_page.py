"""The page of `inverter patches` and the patches in a gallery, in a real browser, opened from disk."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from recipes.gallery.page import render_gallery
from recipes.gallery.patches_page import render_patches

HOSTILE = '<img src=x onerror="window.hacked=1">\'"</script><script>window.hacked=1</script><!--'
SIZE = (40, 60)
RED, GREEN = (200, 30, 30), (30, 200, 30)


def picture(folder: Path, name: str, window: tuple[int, int, int, int]) -> str:
    """A red picture that is green in one window (top, left, bottom, right)."""
    image = Image.new("RGB", (SIZE[1], SIZE[0]), RED)
    top, left, bottom, right = window
    image.paste(GREEN, (left, top, right, bottom))
    (folder / "pictures").mkdir(exist_ok=True)
    image.save(folder / "pictures" / name)
    return f"pictures/{name}"


def patch(folder: Path, number: int, name: str = "fish") -> dict[str, Any]:
    window = (4 * number, 5 * number, 4 * number + 10, 5 * number + 10)
    where = picture(folder, f"{number:06d}.png", window)
    return {"picture": where, "name": name, "value": 3.5 - number / 2, "at": [number, 1], "window": list(window)}


def unit(folder: Path, layer: str, channel: int, name: str | None = None, patches: int = 3) -> dict[str, Any]:
    file = f"images/{layer}/{channel:04d}.png"
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    strip = Image.new("L", (2 * patches * 8 or 1, 7 if patches else 1), 0)
    for slot in range(2 * patches):  # in each map, one cell is lit
        strip.putpixel((8 * slot + 2 + slot % 4, 3), 255)
    strip.save(folder / file)
    shown = [patch(folder, index, name or "fish") for index in range(patches)]
    metrics = {
        "most": shown,
        "least": shown[::-1],
        "quantiles": {"0": 0.0, "50": 1.5, "100": 3.5},
        "counts": [4, 0, 1, 2],
        "fires": 0.25 * (channel + 1),
        "active": 0.125,
        "map": {"shape": [3, 4], "corner": [0.0, 0.0], "cell": [40 / 3, 15.0], "rim": 2},
    }
    score = 3.5 if patches else None
    record = {"layer": layer, "channel": channel, "objective": "channel", "attempt": 0, "seed": 0, "score": score}
    status = "ok" if patches else "silent"
    record |= {"steps": 0, "seconds": 0.0, "status": status, "metrics": metrics, "file": file}
    return record | ({"name": name} if name else {})


def write_page(folder: Path, units: list[dict[str, Any]], **more: Any) -> Path:
    settings = {"images": ["photos"], "count": 3, "objective": "channel", "size": None}
    model = {"spec": "torchvision:squeezenet1_0", "sha256": "ab12" * 16, "input_size": list(SIZE)}
    row = {"layer": "features.4", "units": 2, "receptive_field": "10 px", "pictures": 50, "skipped": 2, "silent": 1}
    manifest = {"recipe": "patches", "settings": settings, "model": model, "units": units, "table": [row]}
    (folder / "index.html").write_text(render_patches(manifest | more), encoding="utf-8")
    return folder / "index.html"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    units = [unit(tmp_path, "features.4", 0), unit(tmp_path, "features.4", 3), unit(tmp_path, "features.9", 7)]
    return write_page(tmp_path, [*units, unit(tmp_path, "features.9", 8, patches=0)])


def colours(seen: Any, selector: str) -> set[tuple[int, ...]]:
    """The colours of an element on the screen that cover at least a hundredth of it."""
    shot = Image.open(io.BytesIO(seen.page.locator(selector).first.screenshot())).convert("RGB")
    found = shot.getcolors(1 << 24)
    assert found is not None
    return {colour for count, colour in found if count > shot.width * shot.height / 100}


def test_every_unit_has_its_patches_and_its_metrics(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    assert seen.said == []
    expect(seen.page.locator(".unit")).to_have_count(4)
    expect(seen.page.locator(".unit").first.locator(".most .shot")).to_have_count(3)
    expect(seen.page.locator(".unit").first.locator(".least .shot")).to_have_count(3)
    expect(seen.page.locator(".unit").first).to_contain_text("fires in 25 %, at 13 %")
    expect(seen.page.locator(".unit").last).to_contain_text("Constant over all pictures.")
    expect(seen.page.locator(".layer h2").first).to_contain_text("receptive field 10 px")
    expect(seen.page.locator(".notice").filter(has_text="2 pictures could not be read")).to_have_count(1)
    assert seen.rows(".masthead .stats")["Pictures"] == "50"


def test_a_tile_shows_the_window_alone(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    for index in range(3):
        found = colours(seen, f".unit:first-child .most .shot:nth-child({index + 1}) .patch")
        assert any(abs(green - 200) < 12 and red < 60 for red, green, _ in found)
        assert not any(red > 150 and green < 80 for red, green, _ in found), (index, found)


def test_on_hover_and_focus_the_full_picture_is_shown(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    shots = seen.page.locator(".most .shot")
    shots.first.hover()
    expect(shots.first.locator(".full .heat")).to_have_count(1)
    expect(shots.first.locator(".full .field")).to_have_count(1)
    seen.page.mouse.move(2, 2)
    expect(seen.page.locator(".full")).to_have_count(0)
    shots.first.focus()
    expect(shots.first.locator(".full")).to_have_count(1)
    seen.page.keyboard.press("ArrowRight")
    expect(shots.nth(1).locator(".full")).to_have_count(1)
    expect(seen.page.locator(".full")).to_have_count(1)


def test_the_heat_map_lies_where_the_unit_is_active(visit: Callable[..., Any], run: Path) -> None:
    """The lit cell of the third map is that of row 1, column 2, and the picture is bright there alone."""
    seen = visit(run, "#size=224&full=1")
    tile = seen.page.locator(".unit:first-child .most .shot:nth-child(3)")
    expect(tile.locator(".heat")).to_have_count(1)
    tile.locator(".field").evaluate("node => node.remove()")
    seen.page.wait_for_timeout(200)
    shot = Image.open(io.BytesIO(tile.locator(".full").screenshot())).convert("RGB")
    width, height = shot.size
    light = {
        (y, x): max(shot.getpixel((int((x + 0.5) * width / 4), int((y + 0.5) * height / 3))))
        for y in range(3)
        for x in range(4)
    }  # type: ignore[arg-type]
    assert max(light, key=lambda place: light[place]) == (1, 2)
    assert sorted(light.values())[-2] < 0.6 * light[1, 2]


def test_a_patch_opens_large_with_its_metrics_and_the_keys_move_on(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("3")
    expect(seen.page.locator(".unit")).to_have_count(1)
    seen.page.keyboard.press("Enter")
    seen.page.keyboard.press("Enter")
    dialog = seen.page.locator("dialog.lightbox")
    expect(dialog).to_be_visible()
    expect(dialog.locator("h2")).to_have_text("channel 3 · features.4")
    expect(dialog.locator(".position")).to_have_text("1 of 6")
    expect(dialog.locator(".full .field")).to_have_count(1)
    rows = seen.rows("dialog.lightbox")
    assert (rows["Rank"], rows["Picture"], rows["Window"], rows["Median"]) == ("highest", "fish", "10 by 10 px", "1.5")
    seen.page.keyboard.press("End")
    assert seen.rows("dialog.lightbox")["Rank"] == "third lowest"
    seen.until("location.hash.endsWith('%235')")
    address = seen.page.url
    seen.page.keyboard.press("Escape")
    assert seen.focuses("channel 3 · features.4, third lowest")
    again = visit(run, "#" + address.split("#", 1)[1])
    expect(again.page.locator("dialog.lightbox .position")).to_have_text("6 of 6")


def test_layers_filters_orders_and_reset(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    seen.page.locator("#layers .chip").nth(1).click()
    expect(seen.page.locator("#count")).to_have_text("2 of 4 units")
    seen.page.locator("#layers .chip").nth(1).click()
    seen.page.select_option("#sort", "often")
    assert seen.page.locator(".unit h3").all_inner_texts()[0].strip() == "3"
    seen.page.fill("#query", "999")
    expect(seen.page.locator("#empty")).to_be_visible()
    seen.page.locator("#reset").click()
    expect(seen.page.locator(".unit")).to_have_count(4)
    seen.page.locator("#full").click()
    expect(seen.page.locator(".unit:first-child .most .full").first).to_be_visible()
    seen.page.locator("#full").click()
    expect(seen.page.locator(".most .full")).to_have_count(0)


def test_hostile_names_stay_text_and_what_is_missing_breaks_nothing(visit: Callable[..., Any], tmp_path: Path) -> None:
    bad = unit(tmp_path, "features.4", 1, name=HOSTILE)
    bare = {"layer": HOSTILE, "channel": None, "file": "../../secret.png"}
    odd = unit(tmp_path, "features.4", 2)
    odd["metrics"]["most"][0]["picture"] = "javascript:alert(1)"
    del odd["metrics"]["map"], odd["metrics"]["quantiles"]
    seen = visit(write_page(tmp_path, [bad, bare, odd], title=HOSTILE))
    assert seen.page.evaluate("window.hacked") is None
    expect(seen.page.locator(".unit h3").first).to_contain_text("<img src=x")
    seen.page.locator(".most .shot").first.click()
    expect(seen.page.locator("dialog.lightbox")).to_be_visible()
    assert HOSTILE in seen.rows("dialog.lightbox")["Picture"]
    assert seen.page.evaluate("window.hacked") is None


def test_an_empty_run_says_so(visit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(render_patches({"recipe": "patches", "units": []}), encoding="utf-8")
    seen = visit(tmp_path / "index.html")
    expect(seen.page.locator("#empty")).to_contain_text("There are no units yet.")
    assert seen.said == []


def test_a_gallery_shows_real_patches_and_the_percentile_below_each_picture(
    visit: Callable[..., Any], tmp_path: Path
) -> None:
    units = [unit(tmp_path, "features.4", 0), unit(tmp_path, "features.4", 3, name=HOSTILE)]
    for each, direction, percentile in zip(units, ("max", "min"), (99.75, 0.0), strict=True):
        patches = [patch(tmp_path, index) for index in range(4)]
        metrics = {"percentile": percentile, "dataset_highest": 1.0, "dataset_pictures": 400, "patches": patches}
        each |= {"direction": direction, "metrics": metrics}
    manifest = {"units": units, "model": {"input_size": list(SIZE)}}
    (tmp_path / "index.html").write_text(render_gallery(manifest), encoding="utf-8")
    seen = visit(tmp_path / "index.html")
    assert seen.said == []
    expect(seen.page.locator(".unit").first.locator(".dataset .patch")).to_have_count(4)
    expect(seen.page.locator(".dataset .label").first).to_have_text("above 99.7 % of dataset, 3.5×")
    expect(seen.page.locator(".dataset .label").last).to_have_text("below all of dataset")
    found = colours(seen, ".dataset .patch")
    assert any(green > 150 > red for red, green, _ in found)
    seen.page.locator(".shot").first.click()
    rows = seen.rows("dialog.lightbox")
    assert rows["Rank"] == "above 99.7 % of dataset, 3.5×"
    expect(seen.page.locator(".stage .patches figure")).to_have_count(4)
    assert "Patches" not in rows
