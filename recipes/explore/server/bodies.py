"""The bodies of requests, with limits on their size and time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request

from recipes.explore.server.access import Refused

MOST_JSON = 64 * 1024
"""Bytes of a body in JSON."""
BODY_SECONDS = 60.0
"""How long a body may take to arrive."""


async def body_of(request: Request, most: int) -> bytes:
    """A request's body, counted while it arrives.

    Args:
        request: the request.
        most: bytes.

    Raises:
        Refused: if it is longer, or takes too long.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most:
        raise Refused(413, f"the body may have {most:,} bytes")
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Refused(413, f"the body may have {most:,} bytes")
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the body took more than {BODY_SECONDS:.0f} seconds") from None
    return b"".join(parts)


async def json_of(request: Request) -> dict[str, Any]:
    """A request's body as a JSON object.

    Raises:
        Refused: for anything else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "expected Content-Type application/json")
    try:
        found = json.loads(await body_of(request, MOST_JSON))
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "expected a JSON object")
    return found
