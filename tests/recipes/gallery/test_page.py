"""The gallery's page, in a real browser, opened from disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.written_gallery import unit, write_gallery

HOSTILE = '<img src=x onerror="window.hacked=1">\'"</script><script>window.hacked=1</script><!--'


def channels_of(seen: Any) -> list[str]:
    """Return the labels of the units that are shown, in the page's order."""
    labels: list[str] = seen.page.locator(".unit .what").all_text_contents()
    return labels


@pytest.fixture
def two_layers(tmp_path: Path) -> Path:
    """Two layers of 64 channels, which the manifest lists in an order that is not the network's."""
    layers = ("features.12", "features.9")
    return write_gallery(tmp_path, [unit(layer, channel) for layer in layers for channel in range(64)])


def test_opens_from_disk_in_network_order(visit: Callable[..., Any], two_layers: Path) -> None:
    seen = visit(two_layers)
    assert seen.said == []
    expect(seen.page.locator("h1")).to_have_text("torchvision:squeezenet1_0")
    expect(seen.page.locator("#count")).to_have_text("128 units")
    assert seen.page.locator(".layer h2").all_inner_texts() == ["features.9\n64 units", "features.12\n64 units"]
    metrics = seen.rows(".stats")
    expected = {"Units": "128", "Layers": "2", "Time": "1 min 4 s", "Time per unit": "0.5 s", "Size": "224 px"}
    assert {label: metrics[label] for label in expected} == expected
    seen.page.locator("summary").click()
    expect(seen.page.locator(".tables")).to_contain_text("ab12" * 16)


def test_filters_by_channel(visit: Callable[..., Any], two_layers: Path) -> None:
    seen = visit(two_layers, "#layer=features.9")
    expected = {
        "3,17, 40-42": [3, 17, 40, 41, 42],
        "42 - 40; 3": [3, 40, 41, 42],
        "3 17": [3, 17],
        "62-": [62, 63],
        "-1": [0, 1],
        "999": [],
        "cat": [],
    }
    for query, channels in expected.items():
        seen.page.locator("#query").fill(query)
        assert channels_of(seen) == [str(channel) for channel in channels], query
    expect(seen.page.locator("#empty")).to_contain_text("No unit matches")
    expect(seen.page.locator("#query")).to_have_attribute("aria-invalid", "true")
    seen.page.get_by_role("button", name="Show all units").click()
    expect(seen.page.locator("#count")).to_have_text("128 units")


def test_filters_by_layer(visit: Callable[..., Any], two_layers: Path) -> None:
    seen = visit(two_layers)
    chip = seen.page.get_by_role("button", name="features.12 64", exact=True)
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    expect(seen.page.locator(".layer:visible h2")).to_have_text(["features.1264 units"])
    expect(seen.page.locator("#count")).to_have_text("64 of 128 units")
    seen.page.get_by_role("button", name="features.9 64").click()
    expect(seen.page.locator(".layer:visible")).to_have_count(2)
    chip.click()
    expect(seen.page.locator(".layer:visible h2")).to_have_text(["features.964 units"])


def test_filters_by_name(visit: Callable[..., Any], tmp_path: Path) -> None:
    names = ["tench, Tinca tinca", "Goldfish", "Great White shark", None]
    units = [unit("classifier", index, objective="logit", name=name) for index, name in enumerate(names)]
    seen = visit(write_gallery(tmp_path, units))
    for query, channels in {"white SHARK": ["2"], "gold, tinca": ["0", "1"], "goldfish, 3": ["1", "3"]}.items():
        seen.page.locator("#query").fill(query)
        assert channels_of(seen) == channels, query
    seen.page.locator(".shot:visible").first.click()
    expect(seen.page.locator("#lightbox-title")).to_have_text("class 1 · Goldfish · classifier")


def test_sorts_within_layers(visit: Callable[..., Any], tmp_path: Path) -> None:
    scores = {4: 7.0, 2: 30.0, 9: float("nan"), 10: -5.0}
    seen = visit(write_gallery(tmp_path, [unit("a", channel, score=score) for channel, score in scores.items()]))
    for order, channels in {"channel": "2 4 9 10", "score": "2 4 10 9", "lowest": "10 4 2 9"}.items():
        seen.page.locator("#sort").select_option(order)
        assert channels_of(seen) == channels.split(), order


def test_the_fragment_keeps_and_restores_the_view(visit: Callable[..., Any], two_layers: Path) -> None:
    seen = visit(two_layers)
    seen.page.get_by_role("button", name="features.12 64", exact=True).click()
    seen.page.locator("#query").fill("3, 17")
    seen.page.locator("#sort").select_option("score")
    seen.page.locator("#size").fill("200")
    seen.page.locator(".shot:visible").first.click()
    seen.until("location.hash.includes('unit=')")
    fragment = seen.page.evaluate("location.hash")

    again = visit(two_layers, fragment)
    assert channels_of(again) == ["17", "3"]
    for control, value in {"query": "3, 17", "sort": "score", "size": "200"}.items():
        expect(again.page.locator(f"#{control}")).to_have_value(value)
    expect(again.page.locator("#lightbox-title")).to_have_text("channel 17 · features.12")
    again.page.evaluate("location.hash = 'show=5&sort=nonsense&size=1e9&layer=nowhere'")
    expect(again.page.locator("#count")).to_have_text("2 of 128 units")
    expect(again.page.locator("dialog[open]")).to_have_count(0)


def test_a_click_enlarges(visit: Callable[..., Any], two_layers: Path) -> None:
    seen = visit(two_layers)
    seen.page.locator(".shot").nth(3).click()
    box = seen.page.get_by_role("dialog")
    expect(box.locator("h2")).to_have_text("channel 3 · features.9")
    expect(box.locator(".position")).to_have_text("4 of 128")
    target = {"Layer": "features.9", "Channel": "3", "Objective": "channel", "Direction": "maximised"}
    metrics = {"Score": "103", "Steps": "64", "Time": "0.5 s", "Seed": "0", "Status": "ok"}
    assert seen.rows(".particulars") == {**target, **metrics, "File": "images/features.9/0003.png"}
    assert box.get_by_role("link").get_attribute("href") == "images/features.9/0003.png"
    seen.until("document.querySelector('.stage img.tiny')?.naturalWidth === 8")
    assert box.locator(".stage").bounding_box()["height"] > 500
    box.get_by_role("button", name="Next").click()
    expect(box.locator("h2")).to_have_text("channel 4 · features.9")
    box.get_by_role("button", name="Close").click()
    expect(box).to_have_count(0)


def test_keys_walk_enlarge_and_return(visit: Callable[..., Any], two_layers: Path) -> None:
    seen = visit(two_layers)
    press = seen.page.keyboard.press
    tracks = seen.page.evaluate("getComputedStyle(document.querySelector('.units')).gridTemplateColumns")
    across = len(tracks.split())
    assert across > 2
    assert seen.page.locator(".shot[tabindex='0']").count() == 1
    seen.page.locator(".shot[tabindex='0']").focus()

    def at() -> int:
        """Return the position of the focus among all 128 units."""
        channel, layer = seen.focused().split(", ")[0].split(" · ")
        return int(channel.removeprefix("channel ")) + (64 if layer == "features.12" else 0)

    def walk(keys: str) -> int:
        for key in keys.split():
            press(key)
        return at()

    assert walk("ArrowLeft ArrowUp") == 0
    assert walk("ArrowRight ArrowRight ArrowDown") == 2 + across
    assert walk("ArrowUp ArrowLeft") == 1
    assert walk("End") == 127
    assert walk("ArrowRight ArrowDown") == 127
    assert seen.page.locator(".shot[tabindex='0']").count() == 1
    row = 64 % across or across  # the last row of a layer may be short: the walk crosses to the nearest column
    assert walk("Home" + " ArrowDown" * (64 // across + (row < across))) == 64
    assert walk("ArrowUp") == 64 - row

    press("Home")
    press("Enter")
    expect(seen.page.locator("#lightbox-title")).to_have_text("channel 0 · features.9")
    keys = {"ArrowLeft": 0, "ArrowRight": 1, "ArrowDown": 2, "ArrowUp": 1, "End": 63, "Home": 0}
    for key, channel in [*keys.items(), ("ArrowRight", 1)]:
        press(key)
        expect(seen.page.locator("#lightbox-title")).to_have_text(
            f"channel {channel} · features.{9 if key != 'End' else 12}"
        )
    press("Escape")
    expect(seen.page.locator("dialog[open]")).to_have_count(0)
    expect(seen.page.locator(".shot").nth(1)).to_be_focused()


def test_escape_gives_the_focus_back(visit: Callable[..., Any], two_layers: Path) -> None:
    seen = visit(two_layers)
    seen.page.locator(".shot").nth(5).focus()
    seen.page.keyboard.press("Enter")
    expect(seen.page.get_by_role("dialog")).to_be_visible()
    seen.page.keyboard.press("Escape")
    expect(seen.page.locator(".shot").nth(5)).to_be_focused()
    seen.page.keyboard.press("?")
    expect(seen.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    seen.page.keyboard.press("Escape")
    expect(seen.page.locator(".shot").nth(5)).to_be_focused()
    seen.page.keyboard.press("/")
    expect(seen.page.locator("#query")).to_be_focused()
    seen.page.keyboard.type("7/?")
    expect(seen.page.locator("#query")).to_have_value("7/?")


def test_hostile_names_stay_text(visit: Callable[..., Any], tmp_path: Path) -> None:
    units = [unit(HOSTILE, 0, name=HOSTILE, status=HOSTILE, file="images/a.png", **{HOSTILE: HOSTILE})]
    settings = {"layer": [HOSTILE], HOSTILE: HOSTILE, "prior": HOSTILE, "device": HOSTILE}
    model = {"spec": HOSTILE, "sha256": HOSTILE, "weights": HOSTILE}
    more = {"created": HOSTILE, "inverter": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    seen = visit(write_gallery(tmp_path, units, title=HOSTILE, settings=settings, model=model, **more))
    expect(seen.page.locator("h1")).to_have_text(HOSTILE)
    expect(seen.page.locator(".layer h2 span").first).to_have_text(HOSTILE)
    expect(seen.page.locator(".status")).to_have_text(HOSTILE)
    seen.page.locator(".shot").click()
    expect(seen.page.locator("#lightbox-title")).to_contain_text(HOSTILE)
    assert seen.page.locator("script").count() == 7
    assert seen.page.locator("img").count() == 2
    assert seen.page.locator("[onerror]").count() == 0
    assert seen.page.evaluate("window.hacked") is None


def test_odd_file_names_are_found(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_gallery(tmp_path, [unit("a", 0, file="images/50% off #1?/a b'\"&.png")]))
    seen.until("document.querySelector('.shot img')?.naturalWidth === 8")


def test_missing_pictures_and_bad_statuses_show(visit: Callable[..., Any], tmp_path: Path) -> None:
    units = [unit("a", 0, absent=True), unit("a", 1, status="non-finite at step 12"), unit("a", 2)]
    units.append(unit("a", 3, file="../outside.png", absent=True))
    seen = visit(write_gallery(tmp_path, units, planned=9))
    expect(seen.page.locator(".shot .missing")).to_have_text(["picture missing"] * 2)
    expect(seen.page.locator(".status")).to_have_text(["non-finite at step 12"])
    expect(seen.page.locator(".status")).to_be_visible()
    expect(seen.page.locator(".notice").first).to_contain_text("This run is not finished: 4 of 9 units.")
    seen.page.locator(".shot").first.click()
    expect(seen.page.locator(".stage .missing")).to_have_text("picture missing")
    seen.page.keyboard.press("ArrowRight")
    expect(seen.page.locator(".particulars .bad")).to_have_text("non-finite at step 12")
    seen.page.keyboard.press("Escape")
    seen.page.get_by_role("button", name="1 not ok").click()
    assert channels_of(seen) == ["1"]


def test_a_filter_that_is_linked_is_restored_and_a_reset_takes_all_filters_away(
    visit: Callable[..., Any], tmp_path: Path
) -> None:
    units = [unit(layer, channel, status="bad" if channel else "ok") for layer in ("a", "b") for channel in range(2)]
    seen = visit(write_gallery(tmp_path, units), "#layer=b&stopped=1&size=200&show=7")
    expect(seen.page.locator("#count")).to_have_text("0 of 4 units")
    seen.page.locator("#query").fill("")
    assert channels_of(seen) == ["1"]
    expect(seen.page.locator("#stopped")).to_have_attribute("aria-pressed", "true")
    seen.page.locator("#query").fill("0")
    seen.page.get_by_role("button", name="Show all units").click()
    expect(seen.page.locator("#count")).to_have_text("4 units")
    expect(seen.page.locator("#stopped")).to_have_attribute("aria-pressed", "false")
    expect(seen.page.locator("#layers [aria-pressed=true]")).to_have_count(0)
    seen.until("location.hash === '#size=200'")


def test_silent_units_stand_at_the_end_and_are_counted_in_one_sentence(
    visit: Callable[..., Any], tmp_path: Path
) -> None:
    units = [unit("a", channel, status="silent" if channel in (0, 2) else "ok") for channel in range(4)]
    seen = visit(write_gallery(tmp_path, units))
    assert channels_of(seen) == ["1", "3", "0", "2"]
    expect(seen.page.locator("body")).to_contain_text("2 units are silent: no picture activated them.")
    seen.page.get_by_role("button", name="2 silent").click()
    assert channels_of(seen) == ["0", "2"]


def test_attempts_and_the_negative_stand_together(visit: Callable[..., Any], tmp_path: Path) -> None:
    units = []
    for channel in (0, 1):
        units.append(unit("a", channel, direction="min", score=-3.0, file=f"images/a/{channel}-negative.png"))
        units += [unit("a", channel, attempt=attempt, file=f"images/a/{channel}-{attempt}.png") for attempt in (1, 0)]
    for place, each in enumerate(units):
        each |= {"batch": 0, "place": place}
    seen = visit(write_gallery(tmp_path, units))
    expect(seen.page.locator(".unit h3")).to_have_text(["0", "1"])
    assert channels_of(seen) == ["max · 1st", "max · 2nd", "min"] * 2
    seen.page.locator(".shot").nth(1).click()
    assert seen.rows(".particulars")["Attempt"] == "second attempt"
    assert not {"Batch", "Place"} & set(seen.rows(".particulars"))
    tops = {shot.bounding_box()["y"] for shot in seen.page.locator(".unit").first.locator(".shot").all()}
    assert len(tops) == 1
    expect(seen.page.locator(".stats")).to_contain_text("Channels")


def test_an_empty_run_says_so(visit: Callable[..., Any], tmp_path: Path) -> None:
    seen = visit(write_gallery(tmp_path, [], planned=64))
    expect(seen.page.locator("#empty")).to_have_text("There are no units yet.Show all units")
    expect(seen.page.locator("#reset")).to_be_hidden()
    expect(seen.page.locator(".notice")).to_contain_text("0 of 64 units")


def test_two_thousand_units_load_only_what_is_near(visit: Callable[..., Any], tmp_path: Path) -> None:
    units = [unit(f"features.{layer}", channel) for layer in range(4) for channel in range(500)]
    seen = visit(write_gallery(tmp_path, units))
    expect(seen.page.locator("#count")).to_have_text("2,000 units")
    assert seen.page.locator(".shot img[loading=lazy][decoding=async]").count() == 2000
    seen.until("document.querySelector('.shot img').complete")

    def pictures() -> int:
        return sum(url.endswith(".png") for url in seen.fetched)

    assert 0 < pictures() < 400
    height = seen.page.evaluate("document.documentElement.scrollHeight")
    seen.page.locator(".shot[tabindex='0']").focus()
    seen.page.keyboard.press("End")
    seen.until("[...document.querySelectorAll('.shot img')].at(-1).complete")
    assert pictures() < 800
    # Cards had their final height before they were laid out: the page did not jump.
    assert seen.page.evaluate("document.documentElement.scrollHeight") == height


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (2200, 1200)])
def test_fits_every_screen(visit: Callable[..., Any], tmp_path: Path, width: int, height: int) -> None:
    layers = [f"a.very.long.name.of.a.layer.number.{index}" for index in range(12)]
    units = [unit(layer, 0, attempt=attempt, file=f"images/{attempt}.png") for layer in layers for attempt in range(4)]
    seen = visit(write_gallery(tmp_path, units), width=width, height=height)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    seen.page.locator(".shot").first.click()
    for part in (".stage", ".lightbox [data-close]"):
        box = seen.page.locator(part).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert 0 <= box["y"] <= box["y"] + box["height"] <= height


def test_shows_what_networks_see_below_the_picture(visit: Callable[..., Any], tmp_path: Path) -> None:
    guesses = [{"index": 3, "name": HOSTILE, "probability": 0.987}, {"index": 7, "name": "tench", "probability": 0.004}]
    metrics = {"burnt": 0.03, "network": guesses, "judge": guesses[::-1]}
    units = [unit("output", 3, objective="logit", name="goldfish", metrics=metrics), unit("output", 7, name="tench")]
    seen = visit(write_gallery(tmp_path, units))
    first = seen.page.locator(".unit").first
    assert first.locator(".guesses .label").all_inner_texts() == ["network", "judge"]
    assert first.locator(".guess.hit").all_inner_texts() == [f"{HOSTILE}\n99 %"] * 2
    assert first.locator(".guesses").nth(1).locator(".guess").first.inner_text() == "tench\n0 %"
    assert seen.page.locator(".unit").nth(1).locator(".guess").count() == 0
    first.locator(".shot").click()
    rows = seen.rows("dialog.lightbox dl")
    assert rows["Saturated"] == "3.0 % of the values"
    assert rows["Judge"] == f"tench 0 %, {HOSTILE} 99 %"
    assert "Metrics" not in rows
    assert seen.page.evaluate("window.hacked") is None


def test_a_picture_that_fools_is_marked_in_words(visit: Callable[..., Any], tmp_path: Path) -> None:
    path = [{"layer": layer, "rank": rank} for layer, rank in (("a", 0.6), ("b", 0.03), ("c", 0.5))]
    fails = {"fails": ["burnt", "path", "two_patches"], "two_patches": 0.48, "path": path, "path_departs": "b"}
    fine = {"fails": [], "two_patches net": 0.93, "path": path[::2], "path_departs": None, "saturation": 0.2}
    seen = visit(write_gallery(tmp_path, [unit("c", 1, metrics=fails), unit("c", 2, metrics=fine), unit("c", 3)]))
    assert seen.said == []
    expect(seen.page.locator(".notice")).to_have_text(
        "1 of 3 pictures fools: judges do not see in it what its network sees; it is marked."
    )
    first, second, third = (seen.page.locator(".unit").nth(place) for place in range(3))
    expect(first.locator(".verdict.fools")).to_have_text(
        "Fools: judges hardly tell its patch from others, burnt, processed unlike photographs from b"
    )
    expect(first.locator(".evidence")).to_contain_text("two patches 48 %")
    assert "Fools" in str(first.locator(".shot").get_attribute("aria-label"))
    expect(first.locator("svg")).to_have_attribute("aria-label", "Path: unlike natural pictures at b")
    expect(second.locator(".evidence")).to_contain_text("two patches net 93 %")
    expect(second.locator(".verdict")).to_have_text("No evidence against it")
    assert third.locator("svg").count() == 0
    assert seen.page.locator(".meaning").count() == 1
    second.locator(".shot").click()
    rows = seen.rows("dialog.lightbox dl")
    assert rows["Two patches net"] == "93 % right"
    assert rows["Evidence"] == "No evidence against it"
    assert "Path" not in rows
