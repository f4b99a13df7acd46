"""The page of `inverter explain`, in a real browser, opened from disk."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from recipes.heatmaps.explain_page import render_explain

HOSTILE = '<img src=x onerror="window.hacked=1">\'"</script><script>window.hacked=1</script><!--'
COLOURS = {"": (200, 90, 40), "-map": (10, 10, 120), "original": (90, 90, 90)}


def original(image: str) -> dict[str, Any]:
    top = [{"index": 1, "name": "goldfish", "probability": 0.9}]
    metrics = {"source": f"{image}.jpg", "top5": top}
    return {
        "layer": "",
        "channel": None,
        "objective": "original",
        "image": image,
        "metrics": metrics,
        "file": f"originals/{image}.png",
    }


def explained(
    image: str, method: str, target: str = "logit:1", name: str | None = "goldfish", **more: Any
) -> dict[str, Any]:
    stem = f"images/{target.replace(':', '_')}/{method}/{image}"
    metrics = {
        "method": method,
        "target": target,
        "at": "features.12",
        "signed": False,
        "value": 12.25,
        "lowest": 0.0,
        "highest": 2.5,
        "seconds": 0.1,
    }
    extra_files = {"plain": f"{stem}-map.png", "array": f"{stem}.npy"}
    unit = {"layer": "output", "channel": 1, "objective": "logit", "image": image, "name": name, "seed": 0}
    unit["extra_files"] = extra_files
    return {**unit, "file": f"{stem}.png", "metrics": metrics | more.pop("metrics", {}), **more}


def write_page(folder: Path, units: list[dict[str, Any]], **more: Any) -> Path:
    def write(file: str, colour: tuple[int, int, int]) -> None:
        buffer = io.BytesIO()
        Image.new("RGB", (80, 60), colour).save(buffer, "PNG")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(buffer.getvalue())

    for unit in units:
        if unit["file"].startswith(("images/", "originals/")):
            write(unit["file"], COLOURS["original" if unit["objective"] == "original" else ""])
            if unit["objective"] != "original":
                for kind, name in unit["extra_files"].items():
                    if kind != "array":
                        write(name, COLOURS["-map"])
    manifest = {"recipe": "explain", "settings": {"seed": 0}, "model": {"spec": "net", "input_size": [60, 80]}}
    (folder / "index.html").write_text(render_explain(manifest | {"units": units} | more), encoding="utf-8")
    return folder / "index.html"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    units = [original("fish"), original("dog")]
    for image in ("fish", "dog"):
        units += [explained(image, method) for method in ("grad-cam", "saliency")]
    units.append(explained("dog", "grad-cam", "channel:mix:3", None))
    return write_page(tmp_path, units)


def source(shot: Any) -> str:
    return str(shot.locator("img").get_attribute("src"))


def test_methods_stand_side_by_side_in_a_row_for_each_target(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    assert [text.split("\n")[0] for text in seen.page.locator(".picture h2").all_inner_texts()] == ["fish", "dog"]
    rows = seen.page.locator(".target")
    assert [row.locator(".method").all_inner_texts() for row in rows.all()] == [
        ["original", "grad-cam", "saliency"],
        ["original", "grad-cam", "saliency"],
        ["original", "grad-cam"],
    ]
    expect(rows.nth(0).locator("h3")).to_have_text("goldfish logit:1 score 12.25")
    expect(rows.nth(2).locator("h3")).to_contain_text("channel:mix:3")
    boxes = [shot.bounding_box() for shot in rows.first.locator(".frame").all()]
    assert len({box["y"] for box in boxes}) == 1
    assert boxes[0]["width"] / boxes[0]["height"] == pytest.approx(4 / 3, rel=0.02)
    metrics = seen.rows(".stats")
    assert (metrics["Pictures"], metrics["Targets"], metrics["Methods"]) == ("2", "2", "2")


def test_a_key_or_a_button_changes_what_is_seen_of_every_map(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    shot = seen.page.locator(".shot").nth(1)
    assert source(shot) == "images/logit_1/grad-cam/fish.png"
    seen.page.keyboard.press("m")
    assert source(shot) == "images/logit_1/grad-cam/fish-map.png"
    seen.page.keyboard.press("p")
    assert source(shot) == "originals/fish.png"
    seen.page.get_by_role("button", name="Overlay").click()
    assert source(shot) == "images/logit_1/grad-cam/fish.png"
    seen.page.get_by_role("button", name="Map", exact=True).click()
    seen.until("location.hash.includes('view=plain')")
    again = visit(run, seen.page.evaluate("location.hash"))
    assert source(again.page.locator(".shot").nth(1)) == "images/logit_1/grad-cam/fish-map.png"


def test_pointing_at_a_map_shows_the_picture_below(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    shot = seen.page.locator(".shot").nth(1)
    shot.hover()
    assert source(shot) == "originals/fish.png"
    seen.page.locator("h1").hover()
    assert source(shot) == "images/logit_1/grad-cam/fish.png"


def test_the_filter_knows_pictures_classes_targets_and_methods(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    visible = seen.page.locator(".target:visible")
    for query, count in (("DOG", 2), ("channel:mix", 1), ("saliency", 2), ("absent", 0)):
        seen.page.locator("#query").fill(query)
        expect(visible).to_have_count(count)
    expect(seen.page.locator("#empty")).to_contain_text("No picture matches.")
    seen.page.locator("#reset").click()
    expect(visible).to_have_count(3)


def test_the_keyboard_walks_enlarges_and_comes_back(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    seen.page.locator(".shot").nth(1).focus()
    seen.page.keyboard.press("ArrowRight")
    assert seen.focused() == "saliency · goldfish · fish"
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator(".lightbox h2")).to_have_text("saliency · goldfish · fish")
    rows = seen.rows(".particulars")
    assert (rows["Target"], rows["Score"], rows["Highest"], rows["Layer"]) == (
        "logit:1",
        "12.25",
        "2.5",
        "features.12",
    )
    seen.page.keyboard.press("m")
    assert seen.page.locator(".stage img").get_attribute("src") == "images/logit_1/saliency/fish-map.png"
    seen.page.keyboard.press("ArrowLeft")
    seen.page.keyboard.press("Escape")
    assert seen.focuses("grad-cam · goldfish · fish")


def test_a_box_lies_where_it_bounds(visit: Callable[..., Any], tmp_path: Path) -> None:
    unit = explained("fish", "cam", metrics={"box": [15, 20, 45, 60]})
    seen = visit(write_page(tmp_path, [original("fish"), unit]))
    frame = seen.page.locator(".frame").nth(1).bounding_box()
    box = seen.page.locator(".box").bounding_box()
    assert box["x"] - frame["x"] == pytest.approx(frame["width"] / 4, abs=1)
    assert box["y"] - frame["y"] == pytest.approx(frame["height"] / 4, abs=1)
    assert box["width"] == pytest.approx(frame["width"] / 2, abs=1)


def test_whatever_the_manifest_says_is_text(visit: Callable[..., Any], tmp_path: Path) -> None:
    unit = explained(
        HOSTILE,
        "saliency",
        HOSTILE,
        HOSTILE,
        file="javascript:alert(1)",
        extra_files={"plain": "../secret.png", "cutout": HOSTILE, HOSTILE: HOSTILE},
        metrics={"method": HOSTILE, "box": [HOSTILE, 1, 2, 3]},
    )
    seen = visit(write_page(tmp_path, [unit], title=HOSTILE))
    expect(seen.page.locator("h1")).to_have_text(HOSTILE)
    expect(seen.page.locator(".picture h2 span").first).to_have_text(HOSTILE)
    seen.page.locator(".shot").first.click()
    assert seen.page.evaluate("window.hacked") is None


def test_runs_that_go_on_and_have_only_begun(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_page(tmp_path, [original("fish")], planned=9))
    expect(seen.page.locator(".notice").first).to_contain_text("1 of 9 pictures")
    assert seen.page.locator(".shot").count() == 1
    begun = visit(write_page(tmp_path, [], planned=9))
    expect(begun.page.locator("#empty")).to_contain_text("There are no pictures yet.")


def test_the_cut_out_object_is_a_view(visit: Callable[..., Any], tmp_path: Path) -> None:
    units = [original("fish"), explained("fish", "cam"), explained("fish", "grad-cam")]
    units[1]["extra_files"]["cutout"] = "images/logit_1/cam/fish-cutout.png"
    units[1]["metrics"]["cutout"] = 0.125
    seen = visit(write_page(tmp_path, units))
    seen.page.keyboard.press("t")
    shots = seen.page.locator(".shot")
    assert source(shots.nth(1)) == "images/logit_1/cam/fish-cutout.png"
    assert source(shots.nth(2)) == "images/logit_1/grad-cam/fish.png"  # it has none
    shots.nth(1).click()
    assert seen.rows(".particulars")["Cut-out"] == "12.5 % of the picture"
    none = visit(write_page(tmp_path, [original("fish"), explained("fish", "cam")]))
    expect(none.page.get_by_role("button", name="Cut-out")).to_be_hidden()


HOLES: list[dict[str, Any]] = [
    {},
    {"units": []},
    {"units": [{"objective": "logit"}], "planned": 3},
    {"units": [{"objective": "logit", "extra_files": ["a"]}]},
]


@pytest.mark.parametrize("manifest", HOLES)
def test_a_sparse_manifest_still_gives_a_page(manifest: dict[str, Any]) -> None:
    assert render_explain(manifest).rstrip().endswith("</html>")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (2200, 1200)])
def test_fits_every_screen(visit: Callable[..., Any], tmp_path: Path, width: int, height: int) -> None:
    long = "a-very-long-name-of-a-photograph-" * 4
    seen = visit(
        write_page(tmp_path, [original(long), *(explained(long, f"method-{i}" * 6) for i in range(9))]),
        width=width,
        height=height,
    )
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
