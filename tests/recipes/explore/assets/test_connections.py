"""Reloads, several pages, a wrong token, and a server that is killed and started again."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.explore_server import Server
from tests.recipes.explore.assets.conftest import FINISHED, OpenPage


def test_a_reload_in_the_middle_of_a_run_shows_it_again(visit: Callable[..., OpenPage]) -> None:
    seen = visit("#/unit/features.stage2/9?steps=512")
    page = seen.page
    progress = page.locator(".exhibit .progress-line")
    expect(progress).to_contain_text(re.compile(r"step \d+ of 512"))
    page.reload()
    expect(progress).to_contain_text(re.compile(r"step \d+ of 512"))
    page.get_by_role("button", name="Stop").first.click()
    expect(progress).to_be_hidden()


def test_two_pages_at_once_are_both_served(visit: Callable[..., OpenPage]) -> None:
    first, second = visit("#/layer/features.pool3"), visit("#/layer/features.stage3")
    for seen in (first, second):
        expect(seen.page.locator(".grid li").nth(1).locator(FINISHED)).to_be_visible()


def test_a_wrong_token_opens_no_page(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(server.address + "?token=wrong")
    assert answer is not None and answer.status == 401
    expect(page.locator("body")).to_contain_text("the link that the command printed")
    assert "builtin" not in page.content()
    context.close()


def test_a_page_recovers_when_the_server_is_killed_and_started_again(browser: Browser, tmp_path: Path) -> None:
    server = Server(tmp_path / "OUT")
    try:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.link)
        page.evaluate("location.hash = '#/layer/features.stage1'")
        tiles = page.locator(".grid li")
        expect(tiles.first.locator(FINISHED)).to_be_visible()
        server.kill()
        banner = page.locator("#connection")
        expect(banner).to_contain_text("The connection to the server is lost")
        server.start()
        expect(banner).to_be_hidden()
        tiles.last.scroll_into_view_if_needed()
        expect(tiles.last.locator(FINISHED)).to_be_visible()
        context.close()
    finally:
        server.kill()
