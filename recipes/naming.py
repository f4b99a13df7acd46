"""Names: how people, files and the network itself call layers and channels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

OUTPUT_LAYER = "output"
"""What people and the manifest call the network's own output."""
LONGEST_NAME = 200
"""Bytes of a file's name, at most: file systems take 255, with what is appended."""


def address(layer: str) -> str:
    """A layer's name for people as the network knows it.

    Example:
        >>> address("features.9"), address("output")
        ('features.9', '')
    """
    return "" if layer == OUTPUT_LAYER else layer


def safe_name(layer: str) -> str:
    """A layer's address as one folder name: characters that mean something in a path become `_`.

    A name that is longer than file systems take is cut, and told apart by a digest.

    Example:
        >>> safe_name("channel:features.9:17"), len(safe_name("a" * 300))
        ('channel_features.9_17', 193)
    """
    name = "".join("_" if c in '/\\:*?"<>|\0' or ord(c) < 32 else c for c in layer).strip()
    if len(encoded := name.encode(errors="surrogatepass")) > LONGEST_NAME:
        digest = hashlib.blake2b(encoded, digest_size=6).hexdigest()
        name = f"{encoded[:180].decode(errors='ignore')}-{digest}"
    return name if name.strip(".") else "_"


def _number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 4000  # Python reads no longer ones


def parse_channels(channels: str | int | Iterable[int], count: int, what: str) -> list[int]:
    """Channels as `all`, `3,17,40-60`, a number or a list of numbers: each once, in the order given.

    Args:
        count: how many there are. what: names them in an error, e.g. "layer features.9".

    Raises:
        ValueError: for text of another form, an empty range, or a channel that is not there.
    """
    if isinstance(channels, str):
        if channels.strip() == "all":
            return list(range(count))
        numbers: list[int] = []
        for part in channels.split(","):
            first, dash, last = (piece.strip() for piece in part.partition("-"))
            if not _number(first) or (dash and not _number(last)):
                raise ValueError(
                    f"channels {channels!r}: {part.strip()!r} is neither a number nor a range; "
                    "expected all, a list 3,17,42 or ranges 0-15"
                )
            low, high = int(first), int(last) if dash else int(first)
            if low > high:
                raise ValueError(f"channels {channels!r}: the range {part.strip()} is empty; expected low-high")
            if high >= count:
                raise ValueError(f"channel {high} is out of range: {what} has {count} (0 to {count - 1})")
            numbers += range(low, high + 1)
    else:
        numbers = [channels] if isinstance(channels, int) else list(channels)
        if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            raise ValueError(f"channels: expected whole numbers, got {channels!r}")
    if not numbers:
        raise ValueError("channels: got none; expected all, a list 3,17,42 or ranges 0-15")
    for number in numbers:
        if not 0 <= number < count:
            raise ValueError(f"channel {number} is out of range: {what} has {count} (0 to {count - 1})")
    return list(dict.fromkeys(numbers))
