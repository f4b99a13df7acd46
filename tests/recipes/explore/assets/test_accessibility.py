"""Every view for everybody: rules of accessibility, a phone, reduced motion, and a page that stands still."""

import re
from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.recipes.explore.assets.conftest import FINISHED, PHONE, OpenPage, drop


def test_no_view_has_violations_or_is_wider_than_a_phone(visit: Callable[..., OpenPage]) -> None:
    seen = visit(**PHONE)
    page = seen.page
    expect(page.locator(".drop")).to_be_visible()
    drop(seen)
    expect(page.locator(".surface")).to_be_visible()
    photo = str(page.evaluate("location.hash.split('/')[2].split('?')[0]"))
    views = ["#/", "#/layer/features.stem", "#/unit/linear/33", "#/mix/features.stage2/3=1,linear/5=-1", "#/layer/none"]
    views += [f"#/photo/{photo}/{tab}" for tab in ("dictionary", "explain", "dream", "invert")]
    for view in views:
        seen.go(view)
        expect(page.locator("h1")).to_be_visible()
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(150)
            found = Axe().run(page).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], (view, scheme)


def test_no_animation_goes_on_while_pictures_are_made(visit: Callable[..., OpenPage]) -> None:
    """An endless one takes a quarter of a core from the pictures where no GPU draws the page."""
    seen = visit("#/unit/features.stage1/11?steps=512")
    expect(seen.page.locator(".exhibit .progress-line")).to_contain_text(re.compile(r"step \d+ of 512"))
    expect(seen.page.locator("#work")).to_contain_text(re.compile("."))
    endless = "document.getAnimations().filter(each => each.effect.getTiming().iterations === Infinity).length"
    assert seen.page.evaluate(endless) == 0
    seen.page.get_by_role("button", name="Stop").first.click()


def test_with_reduced_motion_pictures_replace_each_other_at_once(visit: Callable[..., OpenPage]) -> None:
    seen = visit("#/unit/features.stage1/12?steps=128", reduced_motion="reduce")
    page = seen.page
    page.evaluate(
        """() => {
            window.moved = 0;
            const plain = Element.prototype.animate;
            Element.prototype.animate = function (...given) { window.moved++; return plain.apply(this, given); };
        }"""
    )
    expect(page.locator(".pictures .large img")).to_have_count(1)
    expect(page.locator(".exhibit .progress-line")).to_be_hidden()
    expect(page.locator(".pictures .large").locator(FINISHED)).to_be_visible()
    assert page.evaluate("window.moved") == 0
    assert page.evaluate("document.getAnimations().length") == 0
