"""A unit and a mix: settings, the picture that follows them, what is taken along, units alike."""

import re
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect

from tests.explore_server import PICTURES, Server
from tests.recipes.explore.assets.conftest import FINISHED, OpenPage


def test_two_units_are_mixed_and_the_picture_follows_the_slider(visit: Callable[..., OpenPage]) -> None:
    seen = visit("#/mix/features.stage2/3=1")
    page = seen.page
    picture = page.locator(".pictures .large")
    expect(picture.locator(FINISHED)).to_be_visible()
    page.get_by_label("Add a unit or a layer").fill("stage3/5")
    page.keyboard.press("Enter")
    expect(page.locator(".term")).to_have_count(2)
    expect(picture.locator(FINISHED)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"#/mix/features\.stage2/3=1,features\.stage3/5=1$"))
    expect(page.locator(".progress-line")).to_be_hidden()
    first = seen.source(".pictures .large")
    page.get_by_label("Weight of unit 5").fill("-1.5")
    expect(page.locator(".term .weight").last).to_have_text("−1.5")
    seen.until(f"document.querySelector('.pictures .large img:last-of-type').getAttribute('src') !== {first!r}")
    expect(picture.locator(f"img[src='{first}']")).to_have_count(0)
    expect(picture.locator(FINISHED)).to_have_count(1)
    page.get_by_role("button", name="command line").click()
    expect(page.locator(".copies pre")).to_contain_text("inverter mix")
    page.get_by_role("button", name="Remove unit 5").click()
    expect(page.locator(".term")).to_have_count(1)


def test_a_unit_is_made_differently_and_can_be_taken_along(visit: Callable[..., OpenPage]) -> None:
    seen = visit("#/unit/features.stage1/7")
    page = seen.page
    expect(page.locator(".pictures").locator(FINISHED)).to_be_visible()
    expect(page.locator(".patches .tile").first).to_be_visible()
    page.get_by_role("checkbox", name="Its negative too").check()
    expect(page.locator(".pictures .large")).to_have_count(2)
    expect(page.locator(".pictures").locator(FINISHED)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"negative=true$"))
    page.get_by_role("button", name="TOML").click()
    expect(page.locator(".copies pre")).to_contain_text("negative = true")
    with page.expect_download() as download:
        page.get_by_role("link", name="PNG", exact=True).click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_the_options_of_a_prior_are_numbers_that_the_link_and_the_copies_have(visit: Callable[..., OpenPage]) -> None:
    seen = visit("#/unit/features.stem/3")
    page = seen.page
    expect(page.locator(".pictures").locator(FINISHED)).to_be_visible()
    film = page.get_by_role("link", name="GIF", exact=True)
    page.get_by_label("Prior").select_option("pixels")
    expect(film).to_have_attribute("href", re.compile(r"^/api/runs/"))
    first = re.escape(film.get_attribute("href") or "")
    page.get_by_text("Its options").click()
    page.get_by_label("total variation").fill("2.5")
    page.get_by_label("total variation").press("Enter")
    expect(page).to_have_url(re.compile(r"prior=pixels(:|%3A)total_variation(=|%3D)2\.5"))
    expect(film).not_to_have_attribute("href", re.compile(first))
    page.get_by_role("button", name="command line").click()
    expect(page.locator(".copies pre")).to_contain_text("pixels:total_variation=2.5")
    page.reload()
    expect(page.get_by_label("total variation")).to_have_value("2.5")
    expect(page.locator(".pictures").locator(FINISHED)).to_be_visible()
    page.get_by_label("Prior").select_option("cppn")
    expect(page.get_by_text("Its options")).to_be_hidden()


def test_the_pictures_of_units_alike_are_made_when_their_place_is_seen(browser: Browser, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for path in sorted(PICTURES.glob("*.jpg")):  # two: fewer than a correlation needs
        with Image.open(path) as picture:
            for turn in range(0, 360, 40):
                picture.rotate(turn).save(images / f"{turn}-{path.name}")
    server = Server(tmp_path / "OUT", images)
    try:
        page = browser.new_context().new_page()
        page.goto(f"{server.link}")
        page.evaluate("location.hash = '#/unit/features.stage2/40'")
        chips = page.locator(".facts-sections .unit-chip")
        expect(chips.first).to_be_attached()
        chips.first.scroll_into_view_if_needed()
        expect(chips.first.locator(FINISHED)).to_be_visible()
        page.context.close()
    finally:
        server.kill()
