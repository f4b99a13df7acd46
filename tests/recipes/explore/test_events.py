"""Outboxes: a newer message replaces an older one about the same, and no page can fill the memory."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from recipes.explore.server import events
from recipes.explore.server.access import Refused
from recipes.explore.server.events import MOST_PAGES, MOST_WAITING, Events, Outbox


def taken(outbox: Outbox) -> list[tuple[str, dict[str, object]]]:
    with ThreadPoolExecutor(1) as thread:  # the browser of other tests has an event loop in this one
        return [(event, json.loads(text)) for event, text in thread.submit(asyncio.run, outbox.take(0.01)).result()]


def test_a_newer_picture_replaces_an_older_one_and_a_finished_unit_all_of_them() -> None:
    outbox = Outbox()
    for step in (2, 4):
        for channel in (0, 1):
            outbox.put("coarse", {"layer": "a", "channel": channel, "step": step})
    outbox.put("run", {"run": "r", "step": 1})
    outbox.put("unit", {"layer": "a", "channel": 0})
    outbox.put("coarse", {"layer": "a", "channel": 0, "step": 8})  # too late
    outbox.put("run", {"run": "r", "step": 2})
    assert taken(outbox) == [
        ("coarse", {"layer": "a", "channel": 1, "step": 4}),
        ("unit", {"layer": "a", "channel": 0}),
        ("run", {"run": "r", "step": 2}),
    ]
    assert taken(outbox) == []


def test_what_waits_for_a_slow_page_is_bounded() -> None:
    outbox = Outbox()
    for channel in range(MOST_WAITING + 5):
        outbox.put("unit", {"layer": "a", "channel": channel})
    found = taken(outbox)
    assert len(found) == MOST_WAITING
    assert found[0][1]["channel"] == 5


def test_pages_and_their_requests_are_bounded() -> None:
    pages = Events(lambda _page: None)
    for number in range(MOST_PAGES):
        pages.enter(f"page{number:04d}")
    with pytest.raises(Refused, match="pages are open"):
        pages.enter("onemore1")
    with pytest.raises(Refused, match="too many requests"):
        for _ in range(1000):
            pages.page("page0000")


@pytest.mark.parametrize("page", ["", "short", "a" * 65, "../../etc/passwd", "a b c d e f", "äöüäöüäöü", "--------"])
def test_bad_ids_are_refused(page: str) -> None:
    with pytest.raises(Refused, match="id"):
        Events(lambda _page: None).page(page)


def test_a_page_that_leaves_or_never_listens_ends_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[str] = []
    pages = Events(gone.append)
    outbox = pages.enter("pageaaaa")
    again = pages.enter("pageaaaa")  # the same page connects once more
    assert outbox.closed
    pages.leave("pageaaaa", outbox)
    assert gone == []
    pages.send("pageaaaa", "run", {"run": "r"})
    assert taken(again) == [("run", {"run": "r"})]
    pages.leave("pageaaaa", again)
    assert gone == ["pageaaaa"]
    pages.page("pagebbbb")
    monkeypatch.setattr(events, "GRACE", -1.0)
    pages.page("pagecccc")
    assert gone == ["pageaaaa", "pagebbbb"]
    pages.send("pageaaaa", "run", {})  # misses it
