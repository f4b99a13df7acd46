"""The page of `inverter inpaint`, in a real browser, opened from disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from recipes.inpainting.page import render_inpaint
from tests.written_gallery import write_pictures

HOSTILE = '<img src=x onerror="window.hacked=1">\'"</script><script>window.hacked=1</script><!--'
FOLDERS = {"original": "originals", "masked": "masked", "restored": "images"}


def unit(image: str, kind: str, psnr: float | None = None, **more: Any) -> dict[str, Any]:
    metrics: dict[str, Any] = {"width": 30, "height": 20}
    if kind == "restored":
        metrics |= {"missing": 0.25} | ({} if psnr is None else {"psnr": psnr, "psnr_of_mean": 11.04})
    place = {"layer": "", "channel": None, "objective": kind, "attempt": 0, "image": image, "seed": 0}
    rest = {"score": -0.001, "steps": 400, "seconds": 2.0, "status": "ok", "metrics": metrics}
    return {**place, **rest, "file": f"{FOLDERS[kind]}/{image}.png", **more}


def three(image: str, psnr: float | None, **more: Any) -> list[dict[str, Any]]:
    return [unit(image, "original"), unit(image, "masked"), unit(image, "restored", psnr, **more)]


def write_page(folder: Path, units: list[dict[str, Any]], **more: Any) -> Path:
    """Write pictures and page; a unit with `absent` set has no picture."""
    write_pictures(folder, units, (90, 60))
    manifest = {"recipe": "inpaint", "settings": {"steps": 400, "seed": 0, "missing": 0.25}, "units": units}
    (folder / "index.html").write_text(render_inpaint(manifest | more), encoding="utf-8")
    return folder / "index.html"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three pictures; the missing pixels of the last one are unknown."""
    return write_page(tmp_path, three("fish", 27.5) + three("boat", 22.04) + three("wall", None))


def names(page: Any) -> list[str]:
    return list(page.locator(".row h2").all_inner_texts())


def test_masked_restored_and_original_side_by_side(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    assert seen.said == []
    assert names(seen.page) == ["fish", "boat", "wall"]
    expect(seen.page.locator("#count")).to_have_text("3 pictures")
    row = seen.page.locator(".row").first
    assert row.locator(".caption .kind").all_inner_texts() == ["masked", "restored", "original"]
    assert row.locator(".caption .metric").all_inner_texts() == ["25.0 % missing", "27.5 dB", ""]
    boxes = [shot.bounding_box() for shot in row.locator(".frame").all()]
    assert [box["x"] for box in boxes] == sorted({box["x"] for box in boxes})
    assert len({box["y"] for box in boxes}) == 1
    assert boxes[0]["width"] / boxes[0]["height"] == pytest.approx(1.5, rel=0.02)
    metrics = seen.rows(".stats")
    assert metrics["PSNR (missing pixels)"] == "24.8 dB"
    assert metrics["Missing"] == "25.0%"
    assert metrics["Restored"] == "3"


def test_the_worst_first_and_unknown_ones_last(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    seen.page.locator("#sort").select_option("worst")
    assert names(seen.page) == ["boat", "fish", "wall"]
    seen.page.locator("#sort").select_option("best")
    assert names(seen.page) == ["fish", "boat", "wall"]
    seen.until("location.hash.includes('sort=best')")
    again = visit(run, seen.page.evaluate("location.hash"))
    assert again.page.locator("#sort").input_value() == "best"


def test_a_name_filters_and_no_match_says_so(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    seen.page.locator("#query").fill("BOA")
    assert names(seen.page) == ["boat"]
    expect(seen.page.locator("#count")).to_have_text("1 of 3 pictures")
    seen.page.locator("#query").fill("absent")
    expect(seen.page.locator("#empty")).to_contain_text("No picture matches.")
    seen.page.locator("#reset").click()
    assert len(names(seen.page)) == 3


def test_enlarged_pictures_follow_each_other_in_the_same_place(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run)
    seen.page.locator(".shot").nth(1).click()
    expect(seen.page.locator(".lightbox h2")).to_have_text("fish · restored")
    rows = seen.rows(".particulars")
    assert rows["Missing"] == "25.0 %"
    assert rows["PSNR (missing pixels)"] == "27.5 dB"
    assert rows["PSNR of the mean colour"] == "11.0 dB"
    place = seen.page.locator(".stage .frame").bounding_box()
    seen.page.keyboard.press("ArrowRight")
    expect(seen.page.locator(".lightbox h2")).to_have_text("fish · original")
    assert seen.page.locator(".stage .frame").bounding_box() == place
    seen.page.keyboard.press("Escape")
    assert seen.focuses("fish · original")


def test_arrows_walk_through_the_pictures(visit: Callable[..., Any], run: Path) -> None:
    seen = visit(run, width=700)
    seen.page.locator(".shot").first.focus()
    seen.page.keyboard.press("ArrowRight")
    assert seen.focused().startswith("fish · restored, 27.5 dB")
    seen.page.keyboard.press("ArrowDown")
    assert seen.focused().startswith("boat · restored")


def test_whatever_the_manifest_says_is_text(visit: Callable[..., Any], tmp_path: Path) -> None:
    hostile = unit("fish", "restored", 20.0, file="javascript:alert(1)", absent=True, status=HOSTILE)
    hostile["image"] = HOSTILE
    seen = visit(write_page(tmp_path, [hostile], title=HOSTILE))
    seen.page.locator(".shot").first.click()
    expect(seen.page.locator("h1")).to_have_text(HOSTILE)
    expect(seen.page.locator(".row h2")).to_have_text(HOSTILE)
    assert seen.page.evaluate("window.hacked") is None


def test_stopped_and_missing_pictures_and_runs_that_go_on(visit: Callable[..., Any], tmp_path: Path) -> None:
    units = [
        unit("fish", "original"),
        unit("fish", "restored", float("nan"), status="non-finite at step 3", absent=True),
    ]
    seen = visit(write_page(tmp_path, units, planned=6))
    expect(seen.page.locator(".notice").first).to_contain_text("2 of 6 pictures")
    expect(seen.page.locator(".status")).to_have_text("non-finite at step 3")
    expect(seen.page.locator(".frame.missing")).to_have_count(1)


def test_a_run_that_has_only_begun_says_so(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_page(tmp_path, [], planned=3))
    expect(seen.page.locator("#empty")).to_contain_text("There are no pictures yet.")


@pytest.mark.parametrize("manifest", [{}, {"units": []}, {"units": [{"objective": "restored"}], "planned": 3}])
def test_a_sparse_manifest_still_gives_a_page(manifest: dict[str, Any]) -> None:
    assert render_inpaint(manifest).rstrip().endswith("</html>")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (2200, 1200)])
def test_fits_every_screen(visit: Callable[..., Any], tmp_path: Path, width: int, height: int) -> None:
    units = [each for i in range(5) for each in three("a-very-long-name-of-a-photograph-" * 3 + str(i), 20.0 + i)]
    seen = visit(write_page(tmp_path, units), width=width, height=height)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert (
        len({round(shot.bounding_box()["y"]) for shot in seen.page.locator(".row").first.locator(".frame").all()}) == 1
    )
    seen.page.locator(".shot").first.click()
    for part in (".stage", ".lightbox [data-close]"):
        box = seen.page.locator(part).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
