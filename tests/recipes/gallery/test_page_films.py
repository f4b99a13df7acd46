"""The films of a gallery's page, in a real browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import expect

from tests.written_gallery import unit, write_gallery


def filmed(folder: Path) -> Path:
    """A page of two units, of which the first has a film."""
    units = [unit("a", 0, extra_files={"video": "images/a/0000.gif"}), unit("a", 1)]
    page = write_gallery(folder, units)
    first, *more = [Image.new("RGB", (8, 8), (red, 90, 40)) for red in (0, 120, 200)]
    first.save(folder / "images/a/0000.gif", save_all=True, append_images=more, duration=80, loop=0)
    return page


def test_a_film_plays_while_the_pointer_rests_on_its_picture(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(filmed(tmp_path))
    shots, films = seen.page.locator(".shot"), seen.page.locator(".film")
    shots.nth(0).hover()
    expect(films).to_have_count(1)
    seen.until("document.querySelector('.shot .film')?.naturalWidth === 8")
    shots.nth(1).hover()
    expect(films).to_have_count(0)
    seen.page.emulate_media(reduced_motion="reduce")
    shots.nth(0).hover()
    seen.page.wait_for_timeout(300)
    expect(films).to_have_count(0)


def test_an_enlarged_picture_has_a_button_for_its_film(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(filmed(tmp_path))
    seen.page.emulate_media(reduced_motion="reduce")
    seen.page.locator(".shot").nth(0).click()
    button, films = seen.page.get_by_role("button", name="Play its optimisation"), seen.page.locator(".stage .film")
    button.press("Enter")
    expect(films).to_have_count(1)
    seen.page.get_by_role("button", name="Show the finished picture").click()
    expect(films).to_have_count(0)
    seen.page.keyboard.press("ArrowRight")
    expect(seen.page.locator(".position")).to_have_text("2 of 2")
    expect(button).to_have_count(0)


def test_a_film_that_is_missing_leaves_the_picture(visit: Callable[..., Any], tmp_path: Path) -> None:
    page = filmed(tmp_path)
    (tmp_path / "images/a/0000.gif").unlink()
    seen = visit(page)
    seen.page.locator(".shot").nth(0).hover()
    seen.page.wait_for_timeout(400)
    expect(seen.page.locator(".film")).to_have_count(0)
    expect(seen.page.locator(".missing")).to_have_count(0)
