"""Pages of `inverter explore` in a real browser, with a server of the bundled network behind them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.explore_server import PICTURES, Server
from tests.opened_page import OpenedPage

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
PATIENCE = 60_000
"""Milliseconds until something must have happened on a busy machine."""
expect.set_options(timeout=PATIENCE)


class OpenPage(OpenedPage):
    """An open page of the application."""

    def go(self, fragment: str) -> None:
        """Opens another view."""
        self.page.evaluate("fragment => { location.hash = fragment }", fragment)

    def until(self, expression: str) -> None:
        """Waits until a JavaScript expression is true; Playwright's own way needs eval, which the policy forbids."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"never came true: {expression}; console: {self.said}"
            self.page.wait_for_timeout(30)

    def source(self, selector: str) -> str:
        """The address of the newest picture in a frame."""
        source: str = self.page.locator(f"{selector} img").last.get_attribute("src") or ""
        return source


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("explore") / "OUT")
    yield started
    started.kill()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Callable[..., OpenPage]]:
    """Opens the server's pages; at the end requires that the console is empty and that no other address was fetched."""
    visits: list[OpenPage] = []

    def open_page(fragment: str = "", link: str = server.link, **options: Any) -> OpenPage:
        context = browser.new_context(**options)
        seen = OpenPage(context.new_page())
        visits.append(seen)
        seen.page.goto(link)
        if fragment:
            seen.go(fragment)
        return seen

    yield open_page
    for seen in visits:
        seen.page.context.close()
        assert [line for line in seen.said if "Failed to load resource" not in line] == []
        assert [url for url in seen.fetched if not url.startswith((server.address, "data:", "blob:"))] == []


FINISHED = "img[src^='/files/']"


def drop(seen: OpenPage, name: str = "cat.jpg", content: bytes | None = None) -> None:
    """Drops a file on the first view, as the file manager does."""
    content = (PICTURES / "cat.jpg").read_bytes() if content is None else content
    seen.page.evaluate(
        """([name, content]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(content)], name, { type: "image/jpeg" }));
            for (const kind of ["dragenter", "dragover", "drop"]) {
                const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
                document.body.dispatchEvent(new DragEvent(kind, options));
            }
        }""",
        [name, list(content)],
    )
