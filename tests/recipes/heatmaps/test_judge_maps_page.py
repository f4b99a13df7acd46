"""The page of `inverter judge-maps`, in a real browser, opened from disk."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from recipes.heatmaps.judge_maps_page import render_judge_maps

HOSTILE = '<img src=x onerror="window.hacked=1">\'"</script><script>window.hacked=1</script><!--'
METHODS = ("grad-cam", "guided-backprop")


def original(image: str, **metrics: Any) -> dict[str, Any]:
    metrics = {"method": "random", "insertion": 0.2, "source": f"{image}.jpg", "boxes": [[15, 20, 45, 60]]} | metrics
    unit = {"layer": "", "channel": None, "objective": "original", "image": image}
    return {**unit, "metrics": metrics, "file": f"originals/{image}.png"}


def judged(image: str, method: str, size: float = 0.9, **more: Any) -> dict[str, Any]:
    stem = f"images/{method}/{image}"
    metrics = {
        "method": method,
        "target": "logit:1",
        "value": 12.25,
        "insertion": 0.7,
        "deletion": 0.1,
        "upper": size,
        "insertion_curve": [0.0, 0.8, 1.0],
        "deletion_curve": [1.0, 0.1, 0.0],
        "cascade": [{"layers": n, "down_to": f"part.{n}", "rank": size, "size": size, "ssim": size} for n in (1, 5)],
    }
    unit = {"layer": "output", "channel": 1, "objective": "logit", "image": image, "name": "goldfish", "seed": 0}
    unit["extra_files"] = {"strip": f"{stem}-randomised.png"}
    return {**unit, "file": f"{stem}.png", "metrics": metrics | more.pop("metrics", {}), **more}


def row(method: str, half: float | None, **more: Any) -> dict[str, Any]:
    found = {"method": method, "pictures": 2, "insertion": 0.7, "deletion": 0.1} | more
    return (
        found if half is None else found | {"randomised_half": half, "weights": "hardly" if half > 0.5 else "depends"}
    )


TABLE = [row("grad-cam", 0.1, insertion=0.8), row("guided-backprop", 0.9), row("random", None, insertion=0.9)]


def write_page(folder: Path, units: list[dict[str, Any]], **more: Any) -> Path:
    def write(file: str, size: tuple[int, int]) -> None:
        buffer = io.BytesIO()
        Image.new("RGB", size, (200, 90, 40)).save(buffer, "PNG")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(buffer.getvalue())

    for unit in units:
        if unit["file"].startswith(("images/", "originals/")):
            write(unit["file"], (80, 60))
            if strip := unit.get("extra_files", {}).get("strip"):
                write(strip, (240, 60))
    manifest = {"recipe": "judge-maps", "settings": {"seed": 0}, "model": {"spec": "net", "input_size": [60, 80]}}
    page = render_judge_maps(manifest | {"units": units, "table": TABLE} | more)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder / "index.html"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    units = [original("fish"), original("dog")]
    units += [
        judged(image, method, 0.9 if "guided" in method else 0.1) for method in METHODS for image in ("fish", "dog")
    ]
    return write_page(tmp_path, units)


def test_the_table_says_which_methods_hardly_depend_on_the_weights(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    rows = seen.page.locator(".summary tbody tr")
    assert [each.split("\t")[0] for each in rows.all_inner_texts()] == ["grad-cam", "guided-backprop", "random"]
    expect(rows.nth(1).locator(".bad")).to_have_text("hardly")
    expect(rows.nth(0).locator(".bad")).to_have_count(0)
    expect(rows.nth(0).locator(".best")).to_have_text(["0.800", "0.100"])  # the random baseline does not count
    expect(seen.page.locator(".notice").first).to_have_text("Hardly depends on the weights: guided-backprop.")


def test_charts_have_a_line_for_each_method_through_the_means(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    charts = seen.page.locator(".charts figure")
    assert len(charts.all()) == 4
    expect(charts.nth(0).locator("figcaption")).to_contain_text("rank correlation")
    lines = charts.nth(0).locator(".line")
    assert lines.locator("title").all_text_contents() == list(METHODS)
    ends = [[float(part) for part in line.get_attribute("points").split()[-1].split(",")] for line in lines.all()]
    assert ends[0][0] == ends[1][0]
    assert ends[0][1] > ends[1][1] + 50  # SVG's y grows downward: Grad-CAM's .1 lies below .9
    starts = [line.get_attribute("points").split()[0] for line in lines.all()]
    assert len(set(starts)) == 1
    falling = charts.nth(2).locator(".line").first.get_attribute("points").split()
    assert len(falling) == 3
    assert seen.page.locator(".legend li").all_inner_texts() == list(METHODS)


def test_each_map_stands_next_to_its_randomised_versions(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    section = seen.page.locator(".picture").first
    assert section.locator(".row h3").all_inner_texts()[0] == "original"
    strip = section.locator(".strip").first
    assert strip.locator("img").get_attribute("src") == "images/grad-cam/fish-randomised.png"
    assert strip.locator(".depths span").all_inner_texts() == ["map", "1 · 0.10", "5 · 0.10"]
    shot, film = (section.locator(".row").nth(1).locator(each).bounding_box() for each in (".frame", ".strip img"))
    assert film["width"] == pytest.approx(3 * shot["width"], abs=2)
    assert film["height"] == pytest.approx(shot["height"], abs=2)
    frame, box = (section.locator(each).first.bounding_box() for each in (".frame", ".box"))
    assert box["x"] - frame["x"] == pytest.approx(frame["width"] / 4, abs=1)
    assert box["width"] == pytest.approx(frame["width"] / 2, abs=1)


def test_a_random_network_that_does_not_answer_is_named(visit: Callable[..., Any], tmp_path: Path) -> None:
    cascade = [
        {"layers": 1, "down_to": "head", "size": 0.5, "ssim": 0.5},
        {"layers": 4, "down_to": "stem", "size": None},
    ]
    units = [judged("fish", "grad-cam", metrics={"cascade": cascade}), judged("dog", "grad-cam", 0.1)]
    seen = visit(write_page(tmp_path, units))
    expect(seen.page.locator(".depths").first).to_have_text("map1 · 0.504 · silent")
    assert (
        len(seen.page.locator(".charts .line").first.get_attribute("points").split()) == 3
    )  # the dog's alone at its end


def test_the_filter_and_the_lightbox(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    visible = seen.page.locator(".row:visible .strip")
    for query, count in (("dog", 2), ("guided", 2), ("goldfish", 4), ("absent", 0), ("", 4)):
        seen.page.locator("#query").fill(query)
        expect(visible).to_have_count(count)
    seen.page.locator(".shot").nth(1).focus()
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator(".lightbox h2")).to_have_text("grad-cam · goldfish · fish")
    rows = seen.rows(".particulars")
    assert (rows["Score"], rows["Insertion"], rows["Half random"]) == ("12.25", "0.7", "0.1")
    seen.page.keyboard.press("ArrowLeft")
    assert seen.rows(".particulars")["Baseline"] == "metrics of a noise map:"
    seen.page.keyboard.press("Escape")
    assert seen.focuses("fish · original")


def test_whatever_the_manifest_says_is_text(visit: Callable[..., Any], tmp_path: Path) -> None:
    metrics = {
        "method": HOSTILE,
        "cascade": [{"layers": HOSTILE, "down_to": HOSTILE, "size": HOSTILE, "ssim": None}, None, 3],
        "deletion_curve": HOSTILE,
        "insertion_curve": [HOSTILE, None, 1],
    }
    units = [
        original(HOSTILE, boxes=[[HOSTILE, 1, 2, 3], 4], source=HOSTILE) | {"file": "javascript:alert(1)"},
        judged(HOSTILE, HOSTILE, name=HOSTILE, file="javascript:alert(1)", metrics=metrics)
        | {"extra_files": {"strip": "../secret.png"}},
    ]
    seen = visit(write_page(tmp_path, units, title=HOSTILE, table=[row(HOSTILE, 0.9, weights=HOSTILE), {HOSTILE: 1}]))
    assert seen.page.evaluate("window.hacked") is None
    expect(seen.page.locator("h1")).to_have_text(HOSTILE)
    expect(seen.page.locator(".row .method")).to_have_text(HOSTILE)
    assert seen.page.locator(".frame img, .strip img").evaluate_all("all => all.map((one) => one.src)") == []


@pytest.mark.parametrize("units", [[], [original("fish")]])
def test_an_unfinished_run_has_a_page(visit: Callable[..., Any], tmp_path: Path, units: list[dict[str, Any]]) -> None:
    seen = visit(write_page(tmp_path, units, planned=9, table=[]))
    expect(seen.page.locator(".notice").first).to_contain_text(f"not finished: {len(units)} of 9 pictures")
    expect(seen.page.locator(".summary")).to_be_hidden()
    expect(seen.page.locator(".row:visible")).to_have_count(len(units))


@pytest.mark.parametrize("width", [380, 1400])
def test_nothing_is_wider_than_the_window(visit: Callable[..., Any], run: Path, width: int) -> None:
    seen = visit(run, width=width)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
