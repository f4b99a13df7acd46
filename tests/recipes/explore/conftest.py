"""A live server for tests: the application with a tiny network, and real connections to it."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from torch import nn

from inverter import load_model
from recipes.explore.app import application
from recipes.explore.explore import Explore
from recipes.explore.listening import Listening
from recipes.explore.session import Session

PORT = 8123
BASE = f"http://127.0.0.1:{PORT}"


class Staged(nn.Sequential):
    """Two stages of 12 and 20 channels, and five classes."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(12, 20, 3, padding=1), nn.ReLU()),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 5))


Options = Callable[..., Explore]


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """The options of a server with a tiny network, whose pictures take a few milliseconds."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = load_model(Staged().eval(), input_size=12, device="cpu")

    def make(**more: Any) -> Explore:
        known = {"model": model, "out": str(tmp_path / "out"), "steps": 6, "precision": "float32", "batch_size": 4}
        return Explore(**(known | more))

    return make


@pytest.fixture
def session(options: Options) -> Iterator[Session]:
    """A session whose network is loaded and whose grid stands still."""
    session = Session(options())
    session.load()
    yield session
    session.close()


@pytest.fixture
def client(session: Session) -> TestClient:
    """A browser that has opened the link."""
    client = TestClient(application(session, PORT), base_url=BASE, headers={"Origin": BASE})
    assert client.get(f"/?token={session.access.token}").status_code == 200
    return client


class Page:
    """An open page: what it has been sent, and a client with its cookie.

    Args:
        link: of the server.
        name: the page's id.
    """

    def __init__(self, link: str, name: str) -> None:
        self.base, self.name = link.partition("/?")[0], name
        self.client = httpx.Client(base_url=self.base, timeout=30, headers={"Origin": self.base}, verify=False)
        assert self.client.get(link, follow_redirects=True).status_code == 200
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self._opened.wait(20)

    def _listen(self) -> None:
        try:
            with self.client.stream("GET", f"/api/events?page={self.name}") as response:
                self._socket = response.extensions["network_stream"].get_extra_info("socket")
                event = ""
                for line in response.iter_lines():
                    self._opened.set()
                    if line.startswith("event: "):
                        event = line[7:]
                    elif line.startswith("data: "):
                        self.events.append((event, json.loads(line[6:])))
        except httpx.HTTPError:
            return

    def show(self, layer: str, channels: list[int]) -> httpx.Response:
        return self.client.post(f"/api/pages/{self.name}/visible", json={"layer": layer, "channels": channels})

    def units(self) -> list[int]:
        """The channels of the units that have come, in this order."""
        return [data["channel"] for event, data in list(self.events) if event == "unit"]

    def status(self) -> dict[str, Any]:
        """What the server last said that it does."""
        return next((data for event, data in reversed(list(self.events)) if event == "status"), {})

    def until(self, true: Callable[[], object], seconds: float = 30) -> None:
        """Waits until something is true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"never came true; {len(self.events)} events, {self.units()}"
            time.sleep(0.01)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self.client.close()


@contextmanager
def live(options: Explore) -> Iterator[tuple[Session, Listening]]:
    """A server that listens and works, in threads."""
    session = Session(options)
    with Listening(session) as listening:
        session.load()
        worker = threading.Thread(target=session.work)
        worker.start()
        try:
            yield session, listening
        finally:
            session.grid.stop()
            worker.join(30)
            session.close()
