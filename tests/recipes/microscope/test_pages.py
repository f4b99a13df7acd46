"""The pages of a site in a real browser, opened from disk: the network, a layer, a unit, the search."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, expect

from recipes.microscope.site import build_site
from recipes.outputs.manifest import Manifest, Record

COUNTS = {"features.1": 300, "features/2": 6, "output": 3}
NAMES = {"output": ("ant", "bee", "sea dog"), "features/2": ("dog", "hot dog", "wheel", "sky", "<b>fur</b>", "dogma")}
HUES = [(40 + 20 * place, 230 - 20 * place, 90) for place in range(10)]


def record(layer: str, channel: int, file: str, **more: Any) -> Record:
    objective = "logit" if layer == "output" else "channel"
    name = (NAMES.get(layer) or [None] * 1000)[channel]
    known: dict[str, Any] = {
        "attempt": 0,
        "seed": 0,
        "score": 2.0,
        "steps": 1,
        "seconds": 0.1,
        "status": "ok",
        "name": name,
    } | more
    return Record(layer=layer, channel=channel, objective=objective, file=file, **known)


def write(folder: Path, recipe: str, records: list[Record]) -> None:
    manifest = Manifest(recipe, {}, {"spec": "net"}, len(records), units={each.file: each for each in records})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest.to_json()))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three layers of the manifests that the recipes write, with a colour for each unit's picture."""
    out = tmp_path_factory.mktemp("microscope") / "site"
    runs, responses = out / "runs", dict[str, list[Record]]()
    for layer, count in COUNTS.items():
        stem = layer.replace("/", "_")
        folder = runs / ("classes" if layer == "output" else f"gallery/{stem}")
        (folder / "images").mkdir(parents=True)
        made = []
        for channel in range(count):
            Image.new("RGB", (16, 16), HUES[channel % 10]).save(folder / f"images/{channel:04d}.png")
            evidence = {"percentile": 100.0 - channel % 7, "dataset_highest": 1.0, "dataset_pictures": 40}
            made.append(record(layer, channel, f"images/{channel:04d}.png", metrics=evidence))
            patch = {"picture": "pictures/0.jpg", "name": "a", "value": 2.5, "at": [0, 0], "window": [0, 0, 8, 8]}
            quantiles = {"0": 0.0, "50": 1.0, "100": 2.5}
            about = {"most": [patch] * 8, "least": [patch] * 8, "counts": [3, 1], "quantiles": quantiles}
            about |= {"fires": (channel % 10) / 10, "active": 0.1, "words": [{"text": "kennel", "score": 0.5}] * 2}
            kind = "class-patches" if layer == "output" else "patches"
            responses.setdefault(kind, []).append(record(layer, channel, f"maps/{stem}/{channel}.png", metrics=about))
        write(folder, "gallery", made)
    for kind, records in responses.items():
        write(runs / kind, "patches", records)
        (runs / kind / "pictures").mkdir()
        Image.new("RGB", (16, 16), (9, 99, 199)).save(runs / kind / "pictures/0.jpg")
    for layer, inputs, count in (("features_2", "features.1", 6), ("output", "features/2", 3)):
        sides = {"positive": [[1, 0.5], [4, 0.25]], "negative": [[2, -0.5], [4, -0.1]]}
        known = {"inputs": inputs, "method": "weights", "units": {str(channel): sides for channel in range(count)}}
        (runs / "feeds").mkdir(exist_ok=True)
        (runs / f"feeds/{layer}.json").write_text(json.dumps(known))
    rows = [
        {"layer": layer, "type": "Conv2d", "shape": [count, 4, 4], "field": "31", "weights": True}
        for layer, count in COUNTS.items()
    ]
    (runs / "network.json").write_text(json.dumps({"layers": rows, "filters": None, "size": [64, 64]}))
    build_site(
        out, Manifest("microscope", {}, {"spec": "net"}, sum(COUNTS.values())), {"atlas": "needs <b>--images</b>"}
    )
    return out


def test_the_network_is_a_column_of_its_layers(visit: Callable[..., Any], site: Path) -> None:
    seen = visit(site / "index.html")
    page = seen.page
    expect(page.locator(".stage-row")).to_have_count(3)
    expect(page.locator(".stage-row").first).to_contain_text("300 units")
    expect(page.locator("#left-out")).to_contain_text("atlas: needs <b>--images</b>")
    assert seen.rows(".stats")["Units"] == "306"
    page.locator(".stage-row").nth(1).locator(".mini").nth(2).click()
    expect(page.locator("h1:visible")).to_contain_text("wheel")
    assert page.url.endswith("layers/features_2.html#unit-2")


def test_a_layer_loads_the_sheets_in_sight_alone(visit: Callable[..., Any], site: Path) -> None:
    seen = visit(site / "layers/features.1.html", width=500, height=500)
    expect(seen.page.locator(".cell")).to_have_count(300)
    seen.page.wait_for_timeout(200)
    sheets = [url for url in seen.fetched if "/u" in url]
    assert 1 <= len(sheets) <= 2
    seen.page.locator(".cell").last.scroll_into_view_if_needed()
    seen.until("document.scrollingElement.scrollTop > 1000")
    seen.page.wait_for_timeout(200)
    assert any(url.endswith("u4.webp") for url in seen.fetched)


def test_each_tile_is_the_picture_of_its_unit(visit: Callable[..., Any], site: Path) -> None:
    import io

    seen = visit(site / "layers/features.1.html", "#q=173-174")
    expect(seen.page.locator(".cell")).to_have_count(2)
    for place, channel in enumerate((173, 174)):
        shot = Image.open(io.BytesIO(seen.page.locator(".cell .sprite").nth(place).screenshot())).convert("RGB")
        found = shot.getpixel((shot.width // 2, shot.height // 2))
        assert isinstance(found, tuple)
        assert all(abs(a - b) < 12 for a, b in zip(found, HUES[channel % 10], strict=True)), (channel, found)


def test_units_are_filtered_sorted_and_linked(visit: Callable[..., Any], site: Path) -> None:
    seen = visit(site / "layers/features_2.html")
    page = seen.page
    page.locator("#query").fill("dog")
    expect(page.locator("#count")).to_have_text("3 of 6")
    page.locator("#query").fill("")
    page.locator("#sort").select_option("often")
    assert page.locator(".cell b").all_inner_texts() == ["5", "4", "3", "2", "1", "0"]
    seen.until("location.hash === '#sort=often'")
    page.locator("#query").fill("zebra")
    expect(page.locator("#empty")).to_be_visible()
    page.locator("#reset").click()
    expect(page.locator(".cell")).to_have_count(6)


def test_a_unit_has_a_link_and_all_that_is_known_of_it(visit: Callable[..., Any], site: Path) -> None:
    seen = visit(site / "layers/features_2.html", "#unit-1")
    page = seen.page
    expect(page.locator("h1:visible")).to_have_text("hot dog unit 1 of features/2")
    assert seen.rows("article")["Strength"] == "more than 99 % of 40 photographs: 2.0 times the strongest"
    expect(page.locator(".shots li")).to_have_count(12)
    for title in ("Photographs that activate it most", "What it gets from features.1", "What it drives in Classes"):
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    assert (
        page.get_by_role("link", name="features.1, unit 4").first.get_attribute("href")
        == "../layers/features.1.html#unit-4"
    )
    expect(page.get_by_role("link", name="Open the picture file")).to_have_attribute(
        "href", "../runs/gallery/features_2/images/0001.png"
    )


def test_keys_walk_through_the_grid_and_the_units(visit: Callable[..., Any], site: Path) -> None:
    seen = visit(site / "layers/features_2.html")
    page = seen.page
    page.locator(".cell").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("h1:visible")).to_contain_text("hot dog")
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1:visible")).to_contain_text("wheel")
    page.keyboard.press("Escape")
    expect(page.locator("#grid")).to_be_visible()
    assert seen.focuses("unit 2, wheel")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"


def test_the_search_finds_units_and_classes_by_name(visit: Callable[..., Any], site: Path) -> None:
    seen = visit(site / "index.html")
    page = seen.page
    page.locator("#find").fill("dog")
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_have_text("4 units found")
    assert page.locator("#found .caption:not(.quiet)").all_inner_texts() == ["sea dog", "dog", "hot dog", "dogma"]
    page.locator("#query").fill("fur")
    expect(page.locator("#found")).to_contain_text("<b>fur</b>")
    page.locator("#query").fill("299")
    expect(page.locator("#found .mini")).to_have_attribute("href", "layers/features.1.html#unit-299")


def test_a_site_without_its_runs_is_complete_but_for_the_files(
    visit: Callable[..., Any], site: Path, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(site, tmp_path / "host", ignore=shutil.ignore_patterns("runs"))
    seen = visit(tmp_path / "host/layers/features_2.html", "#unit-0")
    expect(seen.page.locator("h1:visible")).to_contain_text("dog")
    seen.page.wait_for_timeout(100)
    assert seen.said == []


@pytest.mark.parametrize(("width", "scheme"), [(1200, "dark"), (390, "light")])
def test_axe_finds_no_violations(browser: Browser, site: Path, scheme: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    for page, part in (
        ("index", ""),
        ("search", "#q=dog"),
        ("layers/features_2", ""),
        ("layers/features_2", "#unit-2"),
    ):
        opened = context.new_page()
        opened.goto((site / f"{page}.html").as_uri() + part)
        found = Axe().run(opened)
        assert found.violations_count == 0, found.generate_report()
        assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), page
    context.close()
