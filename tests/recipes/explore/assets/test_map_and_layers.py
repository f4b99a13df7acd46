"""The map of a network and the grid of a layer: they fill where somebody looks, and keys walk through them."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import APIResponse, Route, expect

from tests.recipes.explore.assets.conftest import FINISHED, PATIENCE, OpenPage


def test_the_first_view_shows_the_network_and_fills_itself(visit: Callable[..., OpenPage]) -> None:
    seen = visit()
    page = seen.page
    expect(page.locator("h1")).to_have_text("builtin")
    stages = page.locator(".map-stage:not(.source)")
    expect(stages).to_have_count(9)
    expect(stages.first).to_contain_text("sees 5 of 128 pixels")
    expect(stages.last).to_contain_text("All 56 classes")
    expect(stages.first.locator(FINISHED).first).to_be_visible()
    expect(stages.nth(1).locator(FINISHED).first).to_be_visible()


def test_a_layer_makes_what_is_scrolled_to(visit: Callable[..., OpenPage]) -> None:
    seen = visit("#/layer/features.stage4")
    tiles = seen.page.locator(".grid li")
    expect(tiles).to_have_count(256)
    before = tiles.last.bounding_box()
    tiles.last.scroll_into_view_if_needed()
    expect(tiles.last.locator(FINISHED)).to_be_visible()
    assert tiles.nth(120).locator(FINISHED).count() == 0, "somebody looked at the end alone"
    after = tiles.last.bounding_box()
    assert before is not None and after is not None
    assert (after["width"], after["height"]) == pytest.approx((before["width"], before["height"]), abs=1)


def test_keys_lead_through_the_network(visit: Callable[..., OpenPage]) -> None:
    seen = visit("#/layer/features.stem")
    page = seen.page
    page.locator(".grid a[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.querySelector('b').textContent")
    columns = page.evaluate("getComputedStyle(document.querySelector('.block')).gridTemplateColumns.split(' ').length")
    assert focused == str(1 + columns)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(f"Unit {focused} of features.stem")
    expect(page.locator("h1")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text(f"Unit {int(focused) + 1} of features.stem")
    page.keyboard.press("Escape")
    expect(page.locator("h1")).to_have_text("features.stem")
    page.keyboard.press("Escape")
    expect(page.locator("h1")).to_have_text("builtin")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("ladybird")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("ladybird")
    page.keyboard.press("/")
    page.keyboard.type("stage2/17")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("Unit 17 of features.stage2")


def test_a_picture_that_is_made_while_its_layer_is_fetched_is_shown(visit: Callable[..., OpenPage]) -> None:
    held: list[tuple[Route, APIResponse]] = []
    slow, other = visit(), visit()
    slow.page.route("**/api/layers/features.stage2.conv1", lambda route: held.append((route, route.fetch())))
    slow.go("#/layer/features.stage2.conv1?show=8-15")
    deadline = time.monotonic() + PATIENCE / 1000
    while not held:  # the answer is on its way, from before the pictures
        assert time.monotonic() < deadline
        slow.page.wait_for_timeout(20)
    other.go("#/layer/features.stage2.conv1?show=8-15")
    expect(other.page.locator(".grid li").locator(FINISHED)).to_have_count(8)
    route, answer = held[0]
    assert answer.json()["units"][8]["url"] is None
    route.fulfill(response=answer)
    expect(slow.page.locator(".grid li").locator(FINISHED)).to_have_count(8)


def test_a_layer_that_is_opened_while_the_map_still_loads_is_made(visit: Callable[..., OpenPage]) -> None:
    seen = visit()
    seen.page.evaluate("location.hash = '#/layer/features.stage2.conv2'")
    expect(seen.page.locator("h1")).to_have_text("features.stage2.conv2")
    held: list[Route] = []
    seen.page.route("**/api/layers/features.stage2", lambda route: held.append(route))
    seen.page.reload()  # without a layer in memory
    seen.go("#/")
    deadline = time.monotonic() + PATIENCE / 1000
    while not held:  # the map waits for this layer's units
        assert time.monotonic() < deadline
        seen.page.wait_for_timeout(20)
    posted: list[str] = []
    seen.page.on("request", lambda request: posted.append(request.post_data or ""))
    seen.go("#/layer/features.stage2.relu1?show=40-47")
    expect(seen.page.locator(".grid li").locator(FINISHED)).to_have_count(8)
    held[0].continue_()
    seen.page.wait_for_timeout(500)
    assert not any('"features.stage2"' in each for each in posted), "the map reports units that nobody sees any more"
