"""The routes of the application: what pages ask for, checked, and handed to whoever knows it."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from inverter_errors import InverterError, MissingFile, NotFound
from recipes.explore.server.access import Guard, Refused
from recipes.explore.server.bodies import body_of, json_of
from recipes.explore.session import Session

MOST_PHOTO = 20 * 1024 * 1024
"""Bytes of a photograph."""
PHOTOS_AT_ONCE = 2
"""Photographs that may arrive at a time, each in memory."""
LOAD_SECONDS = 300.0
"""How long a page waits for the network."""
MOST_VISIBLE = 500
STATUS_SECONDS = 1.0
"""Between two messages about what the server does, at least."""
QUIET = 15.0
"""Seconds without a message after which a comment keeps a connection open."""
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
LOCKED = (
    "This page needs the link that the command printed in the terminal: it ends in ?token=... and opens it once; "
    "after that this browser knows the way."
)
ONWARD = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>inverter</title><a href="/">Open</a>'

Handler = Callable[[Request], Awaitable[Response]]


@cache
def assets() -> dict[str, tuple[bytes, str]]:
    """The page's own files, and the style that all pages share: name -> content and media type; no others by name."""
    own = (resources.files("recipes.explore") / "assets").iterdir()
    found = {}
    for file in (*own, resources.files("recipes.pages") / "assets" / "page.css"):
        if (kind := TYPES.get("." + file.name.rpartition(".")[2])) is not None:
            found[file.name] = file.read_bytes(), f"{kind}; charset=utf-8"
    return found


def refusal(refused: Refused) -> Response:
    """The response to a request that is refused."""
    return JSONResponse({"error": refused.text}, refused.status)


async def handed(module: str, function: str, *given: Any) -> Any:
    """What a function of `recipes.explore` returns, called in a thread: it is imported now, once torch is there.

    Args:
        module: of `recipes.explore`.
        function: its name.
        *given: its arguments.
    """

    def call() -> Any:
        return getattr(importlib.import_module(f"recipes.explore.{module}"), function)(*given)

    return await run_in_threadpool(call)


class Routes:
    """The handlers of one session.

    Args:
        session: of the server.
        port: that it listens at.
    """

    def __init__(self, session: Session, port: int) -> None:
        self.session, self.port = session, port
        self._arriving = asyncio.Semaphore(PHOTOS_AT_ONCE)

    def all(self) -> list[Route]:
        """The table of routes."""
        return [
            Route("/", self.index),
            Route("/assets/{name}", self.known(self.asset)),
            Route("/api/network", self.loaded(self.network)),
            Route("/api/events", self.known(self.events)),
            Route("/api/pages/{page}/visible", self.loaded(self.visible), methods=["POST"]),
            Route("/api/pages/{page}/runs", self.loaded(self.start), methods=["POST"]),
            Route("/api/runs/{run}", self.loaded(self.run), methods=["GET", "DELETE"]),
            Route("/api/runs/{run}/download", self.loaded(self.download)),
            Route("/api/photos", self.loaded(self.photo), methods=["POST"]),
            Route("/api/photos/{photo}", self.loaded(self.known_photo)),
            Route("/api/layers/{address:path}/{channel:int}/download", self.loaded(self.unit_download)),
            Route("/api/layers/{address:path}/{channel:int}/copies", self.loaded(self.unit_copies)),
            Route("/api/layers/{address:path}", self.loaded(self.layer)),
            Route("/api/units/{address:path}/{channel:int}", self.loaded(self.unit)),
            Route("/files/{key}", self.known(self.file)),
        ]

    def known(self, handler: Handler) -> Handler:
        """A handler for those who have the cookie."""

        async def checked(request: Request) -> Response:
            if not self.session.access.knows(request.cookies):
                raise Refused(401, "open the link that the command printed in the terminal")
            return await handler(request)

        return checked

    def loaded(self, handler: Handler) -> Handler:
        """A handler that needs the network."""

        async def waited(request: Request) -> Response:
            async with asyncio.timeout(LOAD_SECONDS):
                while not self.session.ready:
                    if self.session.ended:
                        raise Refused(503, "the server has ended")
                    await asyncio.sleep(0.05)
            return await handler(request)

        return self.known(waited)

    async def index(self, request: Request) -> Response:
        token = request.query_params.get("token")
        if token is not None:
            if not self.session.access.admits(token):
                return PlainTextResponse("The token in this link is wrong. " + LOCKED, 401)
            # A page that another site has opened gets its strict cookie only where it goes on by itself.
            foreign = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
            response = HTMLResponse(ONWARD) if foreign else RedirectResponse("/", 303)
            name, value = self.session.access.cookie(self.port)
            response.set_cookie(name, value, path="/", httponly=True, samesite="strict")
            return response
        if not self.session.access.knows(request.cookies):
            return PlainTextResponse(LOCKED, 401)
        content, kind = assets()["index.html"]
        return Response(content, media_type=kind)

    async def asset(self, request: Request) -> Response:
        if (found := assets().get(request.path_params["name"])) is None:
            raise Refused(404, "no such file")
        return Response(found[0], media_type=found[1])

    async def network(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self.session.network))

    async def layer(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self.session.units, request.path_params["address"]))

    async def unit(self, request: Request) -> Response:
        address, channel = request.path_params["address"], request.path_params["channel"]
        self.session.check_unit(address, channel)
        return JSONResponse(await handed("unit_facts", "facts", self.session, address, channel))

    async def unit_copies(self, request: Request) -> Response:
        recipe = self.session.recipe_of(request.path_params["address"], request.path_params["channel"])
        return JSONResponse(await handed("copies", "copies", recipe))

    async def visible(self, request: Request) -> Response:
        page, given = request.path_params["page"], await json_of(request)
        self.session.events.page(page)
        layer, channels = given.get("layer"), given.get("channels")
        if not isinstance(layer, str) or not isinstance(channels, list) or len(channels) > MOST_VISIBLE:
            raise Refused(400, f"expected layer, an address, and channels, a list of {MOST_VISIBLE} at most")
        if not all(isinstance(channel, int) and not isinstance(channel, bool) for channel in channels):
            raise Refused(400, "expected channels to be integers")
        self.session.layer(layer)
        self.session.grid.show(page, layer, channels)
        return Response(status_code=204)

    async def start(self, request: Request) -> Response:
        page, given = request.path_params["page"], await json_of(request)
        self.session.events.page(page)
        return JSONResponse(await handed("views", "start", self.session, page, given))

    async def run(self, request: Request) -> Response:
        run = request.path_params["run"]
        if request.method == "DELETE":
            await handed("views", "stop", self.session, run, request.query_params.get("page"))
            return Response(status_code=204)
        return JSONResponse(await handed("views", "describe", self.session, run))

    async def download(self, request: Request) -> Response:
        return await self._downloaded(request, "download", request.path_params["run"])

    async def unit_download(self, request: Request) -> Response:
        return await self._downloaded(request, "download_unit", *map(request.path_params.get, ("address", "channel")))

    async def _downloaded(self, request: Request, function: str, *of: Any) -> Response:
        form, page = request.query_params.get("as", "png"), request.query_params.get("page", "")
        content, kind, name = await handed("downloads", function, self.session, *of, form, page)
        return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    async def photo(self, request: Request) -> Response:
        if self._arriving.locked():
            raise Refused(429, "other photographs are arriving: wait a moment")
        async with self._arriving:
            content = await body_of(request, MOST_PHOTO)
        return JSONResponse(await handed("photos", "add", self.session, content))

    async def known_photo(self, request: Request) -> Response:
        return JSONResponse(await handed("photos", "describe", self.session, request.path_params["photo"]))

    async def file(self, request: Request) -> Response:
        key = request.path_params["key"]
        response = self.session.files.response(key)
        if request.headers.get("if-none-match") == response.headers["etag"]:
            return Response(status_code=304, headers={"ETag": response.headers["etag"]})
        return response

    async def events(self, request: Request) -> Response:
        page = request.query_params.get("page", "")
        outbox = self.session.events.enter(page)

        async def stream() -> AsyncIterator[str]:
            status, quiet = None, 0.0
            try:
                yield "retry: 2000\n\n"
                while not outbox.closed:
                    messages = await outbox.take(STATUS_SECONDS)
                    if (now := self.session.status()) != status:
                        status = now
                        messages.append(("status", json.dumps(now)))
                    quiet = 0.0 if messages else quiet + STATUS_SECONDS
                    if quiet >= QUIET:
                        quiet = 0.0
                        yield ": still here\n\n"
                    if messages:
                        yield "".join(f"event: {event}\ndata: {data}\n\n" for event, data in messages)
            finally:
                self.session.events.leave(page, outbox)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def application(session: Session, port: int) -> Starlette:
    """The application of a session.

    Args:
        session: of the server.
        port: that it listens at.
    """

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return refusal(error)

    async def bad_input(_request: Request, error: Exception) -> Response:
        status = 404 if isinstance(error, NotFound | MissingFile) else 400
        return JSONResponse({"error": " ".join(str(error).split())}, status)

    async def http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)

    async def late(_request: Request, _error: Exception) -> Response:
        return JSONResponse({"error": "the network is not loaded yet: try again"}, 503)

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)

    return Starlette(
        routes=Routes(session, port).all(),
        middleware=[Middleware(Guard, access=session.access, refuse=refusal)],
        exception_handlers={
            Refused: refused,
            InverterError: bad_input,
            HTTPException: http,
            TimeoutError: late,
            ClientDisconnect: gone,
        },
    )
