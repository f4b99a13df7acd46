"""The HTTP server in a thread of its own, with limits on what a connection may take."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from types import TracebackType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from inverter_errors import RunFailed
from recipes.explore.app import application
from recipes.explore.session import Session

REQUEST_SECONDS = 10.0
"""Time that a connection has to send the head of its first request, and of each further one."""
MOST_CONNECTIONS = 256
MOST_HEAD = 16_384
"""Bytes of a request's head."""


class Impatient(H11Protocol):
    """A connection that is closed if it does not send the head of a request in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(REQUEST_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        before = self.scope
        super().data_received(data)
        if self.scope is not before and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)


class Listening:
    """A context in which a session's server listens.

    Args:
        session: of the server.

    Attributes:
        port: that it listens at.
        link: opens the page.

    Raises:
        OSError: for a port that is taken, or an address that is not this machine's.
    """

    def __init__(self, session: Session) -> None:
        self._session, options = session, session.options
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere another program could listen at the same port
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((options.host, options.port))
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"{error.strerror}: {options.host} port {options.port}") from error
        self.port = int(self._socket.getsockname()[1])
        shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(options.host, options.host)
        name = f"[{shown}]" if ":" in shown else shown
        self.link = f"http://{name}:{self.port}/?token={session.access.token}"
        config = uvicorn.Config(
            application(session, self.port),
            http=Impatient,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=int(REQUEST_SECONDS),
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=MOST_HEAD,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RunFailed(f"the server did not start at {self.link.partition('?')[0]}")
            self._thread.join(0.01)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._session.end()
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()
