"""The pages of `inverter explore` in a real browser, with a server of the bundled network behind them."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import APIResponse, Browser, Route, expect

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


def test_a_hostile_file_is_refused_in_one_line_of_text(visit: Callable[..., OpenPage]) -> None:
    seen = visit()
    expect(seen.page.locator(".drop")).to_be_visible()
    drop(seen, "<img src=x onerror=window.hacked=1>\"'/../../etc/passwd.jpg", b"no picture at all")
    message = seen.page.locator(".drop-message.failed")
    expect(message).to_be_visible()
    assert message.locator("*").count() == 0
    assert seen.page.evaluate("window.hacked") is None


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


def test_a_wrong_token_opens_no_page(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(server.address + "?token=wrong")
    assert answer is not None and answer.status == 401
    expect(page.locator("body")).to_contain_text("the link that the command printed")
    assert "builtin" not in page.content()
    context.close()


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
