"""What the server tells open pages: bounded outboxes, in which a newer message replaces an older one about the same."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from recipes.explore.server.access import Refused

MOST_PAGES = 64
MOST_WAITING = 2000
"""Messages that wait for a page; the oldest are dropped, and the page asks for their content when it needs it."""
GRACE = 10.0
"""Seconds that a page has to open its events after its first request."""
_ABOUT = {"unit": ("layer", "channel"), "coarse": ("layer", "channel"), "layer": ("layer",), "run": ("run",)}
"""The keys of a message that say what it is about, by event; a finished unit replaces its coarse picture."""


class Outbox:
    """The messages that wait for one page.

    Args:
        rate: requests of a page in a second, on average.
        burst: requests at once.

    Attributes:
        connected: True while the page listens.
    """

    def __init__(self, rate: float = 30.0, burst: float = 120.0) -> None:
        self.connected, self.closed, self.born = False, False, time.monotonic()
        self._rate, self._burst, self._allowance, self._asked = rate, burst, burst, self.born
        self._waiting: dict[tuple[Any, ...], tuple[str, str]] = {}
        self._lock, self._ready = threading.Lock(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, event: str, data: dict[str, Any]) -> None:
        """Adds a message, from any thread."""
        text = json.dumps(data, separators=(",", ":"), default=str)
        about = tuple(data.get(key) for key in _ABOUT.get(event, ()))
        key = ("unit" if event == "coarse" else event, *about)
        with self._lock:
            if event == "coarse" and self._waiting.get(key, ("",))[0] == "unit":
                return
            self._waiting.pop(key, None)
            self._waiting[key] = event, text
            while len(self._waiting) > MOST_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
        self.wake()

    def wake(self) -> None:
        """Lets `take` return."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._ready.set)

    async def take(self, seconds: float) -> list[tuple[str, str]]:
        """The messages since the last call; it waits for the first, this many seconds at most."""
        self._loop = asyncio.get_running_loop()
        if not self._waiting:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), seconds)
        self._ready.clear()
        with self._lock:
            taken = list(self._waiting.values())
            self._waiting.clear()
        return taken

    def spend(self) -> None:
        """Counts a request of the page.

        Raises:
            Refused: if there were too many.
        """
        now = time.monotonic()
        self._allowance = min(self._burst, self._allowance + (now - self._asked) * self._rate)
        self._asked = now
        if self._allowance < 1:
            raise Refused(429, "too many requests of one page: wait a second")
        self._allowance -= 1


class Events:
    """The open pages.

    Args:
        on_closed: called with the id of each page that has gone: its work ends.
    """

    def __init__(self, on_closed: Callable[[str], None]) -> None:
        self._pages: dict[str, Outbox] = {}
        self._lock, self._on_closed = threading.Lock(), on_closed

    def __len__(self) -> int:
        return len(self._pages)

    def page(self, page: str) -> Outbox:
        """The outbox of a page, which may be new.

        Raises:
            Refused: for a bad id, too many pages, or too many requests.
        """
        if not (8 <= len(page) <= 64 and page.isascii() and page.replace("-", "").replace("_", "").isalnum()):
            raise Refused(400, "a page's id has 8 to 64 letters, digits, - and _")
        self._sweep()
        with self._lock:
            outbox = self._pages.get(page)
            if outbox is None:
                if len(self._pages) >= MOST_PAGES:
                    raise Refused(429, f"{MOST_PAGES} pages are open already: close one")
                outbox = self._pages[page] = Outbox()
        outbox.spend()
        return outbox

    def enter(self, page: str) -> Outbox:
        """A page begins to listen; an older connection of the same page ends."""
        outbox = self.page(page)
        if outbox.connected:
            fresh = Outbox()
            with self._lock:
                self._pages[page] = fresh
            outbox.closed = True
            outbox.wake()
            outbox = fresh
        outbox.connected = True
        return outbox

    def leave(self, page: str, outbox: Outbox) -> None:
        """A page's connection has ended."""
        outbox.closed = True
        with self._lock:
            current = self._pages.get(page) is outbox
            if current:
                del self._pages[page]
        if current:
            self._on_closed(page)

    def send(self, page: str, event: str, data: dict[str, Any]) -> None:
        """Sends a message to one page, from any thread; one that has gone misses it.

        Args:
            page: its id.
            event: unit, coarse, layer or run.
            data: JSON values.
        """
        if (outbox := self._pages.get(page)) is not None:
            outbox.put(event, data)

    def broadcast(self, event: str, data: dict[str, Any]) -> None:
        """Sends a message to all pages."""
        with self._lock:
            pages = list(self._pages.values())
        for outbox in pages:
            outbox.put(event, data)

    def close(self) -> None:
        """Ends all connections."""
        with self._lock:
            pages = list(self._pages.values())
        for outbox in pages:
            outbox.closed = True
            outbox.wake()

    def _sweep(self) -> None:
        """Forgets pages that never listened."""
        late = time.monotonic() - GRACE
        with self._lock:
            gone = [page for page, each in self._pages.items() if not each.connected and each.born < late]
            for page in gone:
                del self._pages[page]
        for page in gone:
            self._on_closed(page)
