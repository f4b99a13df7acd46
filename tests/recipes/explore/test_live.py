"""A server with real connections: pages that listen, close and crowd, and clients that dawdle."""

import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from recipes.explore import listening
from recipes.explore.server.events import MOST_PAGES
from tests.recipes.explore.conftest import Options, Page, live


def memory() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_two_pages_at_once_and_one_that_closes(options: Options) -> None:
    with live(options(steps=60)) as (session, server):
        one, two = Page(server.link, "pageaaaa"), Page(server.link, "pagebbbb")
        assert one.show("features.0", [0, 1]).status_code == 204
        assert two.show("features.1", [4, 5]).status_code == 204
        for page in (one, two):
            page.until(lambda page=page: len(page.units()) == 8)
        for page, layer in ((one, "features.0"), (two, "features.1")):
            assert {data["layer"] for event, data in page.events if event == "coarse"} == {layer}
        url = next(data["url"] for event, data in one.events if event == "unit")
        assert two.client.get(url).content.startswith(b"\x89PNG")
        two.until(lambda: two.status().get("pages") == 2)
        one.show("features.1", list(range(12, 20)))
        one.close()
        two.until(lambda: two.status() == {**two.status(), "pages": 1, "waiting": 0, "busy": False})
        assert len(session.events) == 1
        two.close()


def test_fifty_pages_take_little_memory(options: Options) -> None:
    with live(options(steps=4)) as (session, server):
        first = Page(server.link, "pagefirst")
        first.show("features.0", list(range(12)))
        first.until(lambda: len(first.units()) == 12)
        before = memory()
        pages = [Page(server.link, f"page{number:04d}") for number in range(49)]
        for page in pages:
            assert page.show("features.1", list(range(20))).status_code == 204
        for page in pages:
            page.until(lambda page=page: len(set(page.units())) == 20)
        assert len(session.events) == 50
        assert memory() - before < 100  # of this test's own 49 clients too
        for page in [*pages, first]:
            page.close()


def test_more_pages_than_allowed_are_refused(options: Options) -> None:
    with live(options()) as (session, server):
        page = Page(server.link, "pageaaaa")
        for number in range(MOST_PAGES):
            session.events.page(f"other{number:04d}") if len(session.events) < MOST_PAGES else None
        assert page.client.get("/api/events?page=onemore1").status_code == 429
        page.close()


def raw(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(data)
    return connection


def read(connection: socket.socket) -> bytes:
    """All that comes until the connection ends."""
    found = b""
    with connection, suppress(ConnectionError):
        while part := connection.recv(10_000):
            found += part
    return found


def test_who_dawdles_is_disconnected(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "REQUEST_SECONDS", 1.0)
    with live(options()) as (_, server):
        silent, slow = raw(server.port, b""), raw(server.port, b"GET / HT")
        after = raw(server.port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(0.1)
        with suppress(ConnectionError):
            slow.sendall(b"T")  # a byte now and then does not help
        assert [read(silent), read(slow)] == [b"", b""]
        assert read(after).startswith(b"HTTP/1.1 401")


def test_a_head_without_an_end_and_a_body_that_stops_do_no_harm(options: Options) -> None:
    with live(options()) as (_, server):
        long = raw(server.port, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n")
        assert long.recv(100).startswith(b"HTTP/1.1 400")
        half = raw(server.port, b"POST /api/photos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\nabc")
        half.close()
        page = Page(server.link, "pageaaaa")
        page.show("features.0", [0])
        page.until(lambda: page.units())
        page.close()
        long.close()


def test_a_page_may_come_while_the_network_is_loading(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    from recipes.explore.session import Session

    gate, load = threading.Event(), Session.load
    monkeypatch.setattr(Session, "load", lambda self: (gate.wait(20), load(self)))
    answers: list[str] = []
    session = Session(options())
    with listening.Listening(session) as server:
        worker = threading.Thread(target=session.load)
        worker.start()
        page = Page(server.link, "pageaaaa")
        request = threading.Thread(target=lambda: answers.append(page.client.get("/api/network").json()["spec"]))
        request.start()
        request.join(0.2)
        assert answers == []
        gate.set()
        request.join(20)
        assert answers == ["module"]
        worker.join()
        page.close()
    session.close()


def test_a_port_that_is_taken_is_an_error_that_names_it(options: Options) -> None:
    from recipes.explore.session import Session

    with socket.create_server(("127.0.0.1", 0)) as taken:
        session = Session(options(port=taken.getsockname()[1]))
        with pytest.raises(OSError, match=f"127.0.0.1 port {taken.getsockname()[1]}"):
            listening.Listening(session)
        session.close()
