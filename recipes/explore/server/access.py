"""Who may talk to the server: the token, the cookie, Host and Origin; and what each response forbids the browser."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import time
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inverter_errors import BadInput

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHORTEST_TOKEN = 16
"""Characters of a token that a user gives, at least."""
METHODS = ("GET", "HEAD", "POST", "DELETE")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Headers of every response that does not set them itself. There are no CORS headers: no other site may read it."""
FAILURES, MINUTE = 20, 60.0
"""Wrong tokens that are answered in a minute."""


class Refused(Exception):
    """A request that is not served.

    Args:
        status: of the response.
        text: one line for whoever sent it.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Access:
    """The secrets of one server, and which hosts it answers to.

    Args:
        token: of the link; None draws one.
        host: that the server listens at.

    Attributes:
        token: whoever knows it may come in.

    Raises:
        BadInput: for another host than this machine without a token, or a token that can be guessed.
    """

    def __init__(self, token: str | None = None, host: str = LOOPBACK[0]) -> None:
        if token is None and host not in LOOPBACK:
            raise BadInput(
                f"host {host} lets other machines in, over a connection that is not encrypted: set token to a secret "
                f"of {SHORTEST_TOKEN} characters or more that they have to know, or use an SSH tunnel instead of host"
            )
        if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
            raise BadInput(
                f"token has {len(token)} characters; expected {SHORTEST_TOKEN} or more, printable ASCII alone"
            )
        self.token = secrets.token_urlsafe(32) if token is None else token
        # Of the cookie: the token stays out of the browser's storage, and open pages outlive a restart with this token.
        self._secret = hmac.new(self.token.encode(), b"cookie", "sha256").hexdigest()
        self._host = host
        self._failures: deque[float] = deque(maxlen=FAILURES)

    def cookie(self, port: int | str) -> tuple[str, str]:
        """The cookie's name, which no other server of this machine uses, and its value."""
        return f"inverter-explore-{port}", self._secret

    def admits(self, given: str) -> bool:
        """Whether a token is the right one.

        Raises:
            Refused: after many wrong ones within a minute.
        """
        if len(self._failures) == FAILURES and time.monotonic() - self._failures[0] < MINUTE:
            raise Refused(429, "too many wrong tokens: wait a minute")
        right = hmac.compare_digest(given.encode(errors="surrogatepass"), self.token.encode())
        if not right:
            self._failures.append(time.monotonic())
        return right

    def knows(self, cookies: Mapping[str, str]) -> bool:
        """Whether one of a request's cookies is the server's."""
        return any(
            hmac.compare_digest(value.encode(errors="surrogatepass"), self._secret.encode())
            for name, value in cookies.items()
            if name.startswith("inverter-explore-")
        )

    def check(self, method: str, headers: Headers) -> None:
        """Refuses a request that another site may have had sent.

        A name that is not this machine's may be one that its owner has pointed here (DNS rebinding); addresses cannot.

        Args:
            method: of the request.
            headers: of the request.

        Raises:
            Refused: for a foreign Host, Origin or method.
        """
        if method not in METHODS:
            raise Refused(405, f"method {method[:20]!r} is not used here")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise Refused(403, "the Host header names another machine: use the link that the command printed")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != hosts[0]:
            raise Refused(403, "the request comes from another site")
        if origin is None and method in ("POST", "DELETE"):
            raise Refused(403, "a request that changes something needs an Origin header")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and not _is_visit(headers):
            raise Refused(403, "the request comes from another site")

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            _ = urlsplit(f"//{host}").port
        except ValueError:
            return False
        if name in LOOPBACK:
            return True
        if self._host in LOOPBACK:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in {self._host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
        return True


def _is_visit(headers: Headers) -> bool:
    """A link that was followed from elsewhere opens the page, which changes no state by itself."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


class Guard:
    """The outermost layer of the application: checks every request, and adds `SECURITY` to every response.

    Args:
        app: the application.
        access: the rules.
        refuse: makes the response to a request that is refused.
    """

    def __init__(self, app: ASGIApp, access: Access, refuse: Any) -> None:
        self.app, self.access, self.refuse = app, access, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no web sockets
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self.access.check(scope["method"], Headers(scope=scope))
        except Refused as refused:
            await self.refuse(refused)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)
