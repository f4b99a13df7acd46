"""What the tests of every recipe's page share: a visit to a page on disk."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page


class Visit:
    """An open page and everything it said and fetched."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.fetched: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.fetched.append(request.url))

    def rows(self, selector: str) -> dict[str, str]:
        """Return a list of figures, label -> value."""
        labels, values = (self.page.locator(f"{selector} {tag}").all_inner_texts() for tag in ("dt", "dd"))
        return dict(zip(labels, values, strict=True))

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.getAttribute('aria-label')"))

    def focuses(self, start: str) -> bool:
        """True once what has the focus is named so: a dialog gives it back a moment after it closes."""
        deadline = time.monotonic() + 5
        while not self.focused().startswith(start) and time.monotonic() < deadline:
            self.page.wait_for_timeout(20)
        return self.focused().startswith(start)

    def until(self, expression: str) -> None:
        """Wait until a script's expression holds; the page's policy forbids Playwright's own way, which needs eval."""
        deadline = time.monotonic() + 5
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"never came true: {expression}"
            self.page.wait_for_timeout(20)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open a file, and at the end require that the page kept quiet and fetched nothing but files."""
    visits: list[Visit] = []

    def open_file(path: Path, fragment: str = "", width: int = 1000, height: int = 800) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height})
        visits.append(Visit(context.new_page()))
        visits[-1].page.goto(path.as_uri() + fragment)
        return visits[-1]

    yield open_file
    for each in visits:
        each.page.context.close()
        assert [line for line in each.said if "ERR_FILE_NOT_FOUND" not in line] == []
        assert [url for url in each.fetched if not url.startswith(("file:", "data:"))] == []
