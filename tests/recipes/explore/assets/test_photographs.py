"""A photograph that is dropped or pasted: what the network sees in it, dreams, and files that are none."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.explore_server import PICTURES
from tests.recipes.explore.assets.conftest import FINISHED, OpenPage, drop


def test_a_photo_is_dropped_and_read_in_every_way(visit: Callable[..., OpenPage]) -> None:
    seen = visit()
    page = seen.page
    expect(page.locator(".drop")).to_be_visible()
    drop(seen)
    expect(page.locator(".guesses")).to_contain_text("cat")
    surface = page.locator(".surface")
    surface.click(position={"x": 30, "y": 40})
    expect(page.locator(".seen .chips").locator(FINISHED).first).to_be_visible()
    here = surface.get_attribute("aria-label")
    surface.press("ArrowRight")
    assert surface.get_attribute("aria-label") != here
    page.get_by_role("link", name="What it relies on").click()
    expect(page.locator(".overlay").locator(FINISHED)).to_be_visible()
    page.get_by_label("Strength of the overlay").fill("0.2")
    assert page.locator(".overlay").evaluate("node => getComputedStyle(node).opacity") == "0.2"
    page.get_by_role("link", name="What a layer keeps").click()
    page.get_by_label("Steps").fill("0")
    page.get_by_role("button", name="Make the pre-image").click()
    expect(page.locator(".overlay").locator(FINISHED)).to_be_visible()
    assert "photograph" in page.title()


def test_a_photo_is_pasted_in_any_view_and_dreams(visit: Callable[..., OpenPage]) -> None:
    seen = visit("#/layer/features.stem")
    page = seen.page
    expect(page.locator(".grid li").first).to_be_visible()
    page.evaluate(
        """content => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([new Uint8Array(content)], "cat.jpg", { type: "image/jpeg" }));
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }""",
        list((PICTURES / "cat.jpg").read_bytes()),
    )
    expect(page.locator(".surface")).to_be_visible()
    page.get_by_role("link", name="Dream", exact=True).click()
    page.get_by_label("Steps at each size").fill("0")
    page.get_by_role("button", name="Dream", exact=True).click()
    dream = page.locator(".overlay")
    expect(dream.locator(FINISHED)).to_be_visible()
    expect(page).to_have_url(re.compile(r"/dream\?layer=[^&]+&steps=5$"))
    with page.expect_download() as download:
        page.get_by_role("link", name="GIF", exact=True).click()
    assert download.value.path().read_bytes().startswith(b"GIF89a")


def test_a_hostile_file_is_refused_in_one_line_of_text(visit: Callable[..., OpenPage]) -> None:
    seen = visit()
    expect(seen.page.locator(".drop")).to_be_visible()
    drop(seen, "<img src=x onerror=window.hacked=1>\"'/../../etc/passwd.jpg", b"no picture at all")
    message = seen.page.locator(".drop-message.failed")
    expect(message).to_be_visible()
    assert message.locator("*").count() == 0
    assert seen.page.evaluate("window.hacked") is None
