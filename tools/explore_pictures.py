"""The pictures of docs/explore.md: views of `inverter explore` on the bundled network, in a real browser.

    python -m tools.explore_pictures

Needs Chromium. Writes `explore-*.jpg` below docs/images.
"""

import argparse
import io
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "examples" / "pictures"
TOKEN = "a-token-of-the-pictures"
DESKTOP, PHONE = (1280, 860), (360, 740)
MOST = 150_000
"""Bytes of a picture in the documents."""
FINISHED = "img[src^='/files/']"


@contextmanager
def served(out: Path) -> Iterator[str]:
    """The link of a server of the bundled network."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--images", str(PICTURES), "--out", str(out), "--port", str(port), "--token", TOKEN, "--no-open"]
    process = subprocess.Popen(
        [sys.executable, "-m", "inverter", "explore", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def opened(
    browser: Browser, link: str, fragment: str, size: tuple[int, int] = DESKTOP, scheme: str = "light"
) -> Iterator[Page]:
    """A view of the server, in a window of (width, height) pixels."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = context.new_page()
    page.goto(link)
    page.evaluate("fragment => { location.hash = fragment }", fragment)
    yield page
    context.close()


def settle(page: Page) -> None:
    """Waits until the server has made what the page shows."""
    page.wait_for_timeout(1500)
    expect(page.locator(".work.busy")).to_have_count(0, timeout=600_000)
    expect(page.locator(".progress-line:visible")).to_have_count(0, timeout=600_000)
    page.wait_for_timeout(600)


def save(page: Page, name: str) -> None:
    """Writes what the window shows as a JPEG that is small enough for the documents."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for quality in range(88, 30, -4):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() < MOST:
            break
    (ROOT / "docs" / "images" / f"explore-{name}.jpg").write_bytes(buffer.getvalue())


def drop_photo(page: Page) -> str:
    """Gives the page a photograph; returns its address."""
    page.locator("#photo-file").set_input_files(PICTURES / "cat.jpg")
    expect(page.locator(".surface")).to_be_visible(timeout=60_000)
    return str(page.evaluate("location.hash.split('?')[0].split('/').slice(0, 3).join('/')"))


def draw(browser: Browser, link: str) -> None:
    """Takes every picture."""
    with opened(browser, link, "#/") as page:
        for stage in range(1, 7):
            expect(page.locator(".map-stage").nth(stage).locator(FINISHED).nth(9)).to_be_visible(timeout=600_000)
        settle(page)
        save(page, "map")
    with opened(browser, link, "#/layer/features.stage4", scheme="dark") as page:
        expect(page.locator(".grid").locator(FINISHED).nth(16)).to_be_visible(timeout=600_000)
        page.locator(".coarse").first.wait_for(timeout=60_000)
        page.wait_for_timeout(500)
        save(page, "layer")
    with opened(browser, link, "#/unit/features.stage3/5?attempts=3&negative=true") as page:
        settle(page)
        save(page, "unit")
    with opened(browser, link, "#/mix/features.stage3/5=1,features.stage2/3=-0.5,features.stage4/18=0.4") as page:
        expect(page.locator(".terms").locator(FINISHED)).to_have_count(3, timeout=600_000)
        settle(page)
        save(page, "mix")
    with opened(browser, link, "#/") as page:
        photo = drop_photo(page)
        page.locator(".surface").click(position={"x": 160, "y": 230})
        settle(page)
        save(page, "photo")
        page.evaluate("fragment => { location.hash = fragment }", f"{photo}/explain")
        settle(page)
        save(page, "heat-map")
    with opened(browser, link, "#/unit/features.stage4/40", PHONE, "dark") as page:
        settle(page)
        save(page, "phone")


def main() -> None:
    """Starts server and browser."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "explore") as link,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        draw(browser, link)
        browser.close()


if __name__ == "__main__":
    main()
