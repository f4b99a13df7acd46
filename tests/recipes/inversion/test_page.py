"""The page of `inverter invert`, in a real browser, opened from disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from recipes.inversion.page import render_invert
from tests.written_gallery import write_pictures

HOSTILE = '<img src=x onerror="window.hacked=1">\'"</script><script>window.hacked=1</script><!--'
LAYERS = ("features.0", "features.7", "output")


def guesses(*names: str) -> list[dict[str, Any]]:
    return [{"index": i, "name": name, "probability": 0.9 / 2**i} for i, name in enumerate(names)]


def original(image: str, seen: str) -> dict[str, Any]:
    metrics = {"top5": guesses(seen, "other"), "judge_top5": guesses(f"{seen} too"), "source": f"{image}.jpg"}
    place = {"layer": "", "channel": None, "objective": "original", "attempt": 0, "file": f"originals/{image}.png"}
    return {
        **place,
        "image": image,
        "seed": 0,
        "score": None,
        "steps": 0,
        "seconds": 0,
        "status": "ok",
        "metrics": metrics,
    }


def unit(image: str, layer: str, prior: str, attempt: int = 0, **more: Any) -> dict[str, Any]:
    error = 0.01 + 0.1 * LAYERS.index(layer) + 0.01 * attempt if layer in LAYERS else 0.5
    metrics = {
        "relative_error": error,
        "normalized_error": error / 2,
        "psnr": 40 - 100 * error,
        "ssim": 0.5,
        "top5": guesses("tench" if layer == "features.0" else "eel", "carp"),
        "same_class": layer == "features.0",
    }
    tail = f"-{attempt}" if attempt else ""
    place = {"layer": layer, "channel": None, "objective": "code", "prior": prior, "attempt": attempt, "image": image}
    rest = {"seed": 0, "score": -error, "steps": 300, "seconds": 2.0, "status": "ok", "metrics": metrics}
    return {**place, **rest, "file": f"images/{layer}/{image}-{prior}{tail}.png", **more}


def table_of(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pairs = dict.fromkeys((each["layer"], each["prior"]) for each in units if each["objective"] == "code")
    return [
        {
            "layer": layer,
            "prior": prior,
            "pictures": 1,
            "relative_error": 0.01 + 0.1 * i,
            "psnr": 38.04,
            "same_class": 0.25,
        }
        for i, (layer, prior) in enumerate(pairs)
    ]


def write_page(folder: Path, units: list[dict[str, Any]], **more: Any) -> Path:
    """Write pictures and page; a unit with `absent` set has no picture."""
    write_pictures(folder, units)
    model = {"spec": "torchvision:squeezenet1_0", "sha256": "ab12" * 16, "input_size": [224, 224]}
    settings = {"layer": list(LAYERS), "prior": "auto", "seed": 0, "judge": "torchvision:mobilenet_v2"}
    manifest = {"recipe": "invert", "settings": settings, "model": model, "units": units, "table": table_of(units)}
    (folder / "index.html").write_text(render_invert(manifest | more), encoding="utf-8")
    return folder / "index.html"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two pictures, three layers, two priors, two attempts."""
    units = [original("fish", "tench"), original("boat", "lifeboat")]
    units += [
        unit(image, layer, prior, attempt)
        for layer in LAYERS
        for prior in ("pixels", "fourier")
        for image in ("fish", "boat")
        for attempt in range(2)
    ]
    return write_page(tmp_path, units)


def test_a_strip_for_each_picture_from_shallow_to_deep(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    assert seen.said == []
    expect(seen.page.locator("h1")).to_have_text("torchvision:squeezenet1_0")
    expect(seen.page.locator("#count")).to_have_text("2 pictures")
    assert seen.page.locator(".film h2 span:first-child").all_inner_texts() == ["fish", "boat"]
    film = seen.page.locator(".film").first
    assert film.locator(".column > h3").all_inner_texts() == ["original", *LAYERS]
    assert film.locator(".column").nth(1).locator(".cell h3").all_inner_texts() == ["pixels", "fourier"]
    assert film.locator(".shot").count() == 1 + 3 * 2 * 2
    left = [shot.bounding_box()["x"] for shot in film.locator(".cell:first-of-type .shot").all()]
    assert left == sorted(left)
    expect(film.locator(".caption .error").nth(1)).to_have_text("0.010")
    expect(film.locator(".caption .likeness").first).to_have_text("39.0 dB")
    metrics = seen.rows(".stats")
    expected = {"Pictures": "2", "Pre-images": "24", "Layers": "3", "Priors": "pixels, fourier", "Time": "48 s"}
    assert {label: metrics[label] for label in expected} == expected


def test_the_chart_and_the_table_say_what_the_manifest_says(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    assert seen.page.locator(".chart .dot").count() == 24
    assert seen.page.locator(".chart .mean").count() == 2
    assert seen.page.locator(".chart .layer-name").all_text_contents() == list(LAYERS)
    heights = [
        float(y) for y in seen.page.locator(".chart .dot").evaluate_all("dots => dots.map(d => d.getAttribute('cy'))")
    ]
    assert min(heights) > 0
    assert max(heights) < 250
    # A deeper layer has the larger error here, so it stands higher: its distance from the top is less.
    first = {"features.0": heights[0], "output": heights[8]}
    assert first["output"] < first["features.0"]
    cells = seen.page.locator(".summary tbody tr").first.locator("td").all_inner_texts()
    assert cells == ["features.0", "pixels", "1", "0.010", "38.0", "25 %"]


def test_a_picture_opens_with_all_its_metrics(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    seen.page.locator(".film").first.locator(".shot").nth(2).click()
    expect(seen.page.locator("#lightbox-title")).to_have_text("features.0 · pixels · second attempt · fish")
    rows = seen.rows(".particulars")
    assert rows["Relative error"] == "0.02"
    assert rows["Top 5"] == "tench 90\u00a0% · carp 45\u00a0%"
    assert rows["Same class"] == "yes"
    seen.page.keyboard.press("Home")
    expect(seen.page.locator("#lightbox-title")).to_have_text("fish · original")
    assert seen.rows(".particulars")["Judge's top 5"] == "tench too 90\u00a0%"
    seen.page.keyboard.press("Escape")
    assert seen.focuses("fish · original")
    seen.page.keyboard.press("ArrowRight")
    assert seen.focuses("features.0 · pixels · fish")


def test_filters_by_name_and_by_predicted_class(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    for query, count in {
        "BOAT": "1 of 2 pictures",
        "tench too": "1 of 2 pictures",
        "eel": "2 pictures",
        "x": "0 of 2 pictures",
    }.items():
        seen.page.locator("#query").fill(query)
        expect(seen.page.locator("#count")).to_have_text(count)
    expect(seen.page.locator("#empty")).to_contain_text("No picture matches")
    seen.page.locator("#reset").click()
    expect(seen.page.locator("#count")).to_have_text("2 pictures")


def test_the_fragment_keeps_and_restores_the_view(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    seen.page.locator("#query").fill("boat")
    seen.page.locator("#size").fill("200")
    seen.page.locator(".shot:visible").nth(1).click()
    seen.until("location.hash.includes('unit=')")
    again = visit(run, seen.page.evaluate("location.hash"))
    expect(again.page.locator("#query")).to_have_value("boat")
    expect(again.page.locator("#lightbox-title")).to_have_text("features.0 · pixels · boat")
    assert again.page.locator(".shot:visible").first.bounding_box()["width"] == 200


def test_what_a_manifest_says_is_text(visit: Callable[..., Any], tmp_path: Path) -> None:
    hostile = unit("fish", "features.0", HOSTILE, file="javascript:alert(1)", absent=True, status=HOSTILE)
    hostile["metrics"]["top5"] = guesses(HOSTILE)
    hostile["image"] = hostile["layer"] = HOSTILE
    seen = visit(write_page(tmp_path, [hostile], title=HOSTILE))
    seen.page.locator(".shot").first.click()
    expect(seen.page.locator("h1")).to_have_text(HOSTILE)
    expect(seen.page.locator(".film h2")).to_contain_text(HOSTILE)
    assert seen.page.evaluate("window.hacked") is None


def test_codes_without_pictures_stopped_units_and_missing_files(visit: Callable[..., Any], tmp_path: Path) -> None:
    units = [
        unit("code-0000", "features.0", "pixels"),
        unit("code-0000", "features.7", "fourier", status="non-finite at step 3", absent=True),
    ]
    for each in units:
        for name in ("psnr", "ssim", "same_class"):
            del each["metrics"][name]
    units[1]["metrics"]["relative_error"] = float("nan")
    seen = visit(write_page(tmp_path, units, planned=4))
    expect(seen.page.locator(".notice").first).to_contain_text("2 of 4 pictures")
    expect(seen.page.locator(".status")).to_have_text("non-finite at step 3")
    expect(seen.page.locator(".frame.missing")).to_have_count(1)
    assert seen.page.locator(".column.first").count() == 0
    assert seen.page.locator(".chart .dot").count() == 1


def test_a_run_that_has_only_begun_says_so(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_page(tmp_path, [], planned=3))
    expect(seen.page.locator("#empty")).to_contain_text("There are no pictures yet.")
    expect(seen.page.locator("#summary")).to_be_hidden()


@pytest.mark.parametrize("manifest", [{}, {"units": []}, {"units": [{"layer": "a"}], "planned": 3}])
def test_a_sparse_manifest_still_gives_a_page(manifest: dict[str, Any]) -> None:
    assert render_invert(manifest).rstrip().endswith("</html>")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (2200, 1200)])
def test_fits_every_screen(visit: Callable[..., Any], tmp_path: Path, width: int, height: int) -> None:
    layers = [f"a.very.long.name.of.a.layer.number.{index}" for index in range(12)]
    units = [original("a-very-long-name-of-a-photograph-" * 3, "tench")]
    units += [
        unit(units[0]["image"], layer, "pixels", attempt, file=f"images/{attempt}.png")
        for layer in layers
        for attempt in range(3)
    ]
    seen = visit(write_page(tmp_path, units), width=width, height=height)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    seen.page.locator(".shot").first.click()
    for part in (".stage", ".lightbox [data-close]"):
        box = seen.page.locator(part).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
