"""Names of files and folders."""

from __future__ import annotations

import hashlib
import unicodedata

LONGEST_NAME = 200
"""Maximum length of a file name in bytes: file systems allow 255, including what is appended."""


LONGEST_SLUG = 60
"""Maximum length of a class's name in a file name, in characters."""


def numbered(number: int, name: str | None = None) -> str:
    """The stem of a channel's or class's file: its number, and its name in plain letters where it is known.

    Example:
        >>> numbered(130, "Flamingo, Phoenicopterus ruber"), numbered(7), numbered(3, "鶴")
        ('0130-flamingo-phoenicopterus-ruber', '0007', '0003')
    """
    plain = unicodedata.normalize("NFKD", name or "").encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in plain.replace("'", "")).split()
    slug = "-".join(words)[:LONGEST_SLUG].strip("-")
    return f"{number:04d}-{slug}" if slug else f"{number:04d}"


def safe_name(layer: str) -> str:
    """A layer's address as a folder name: characters with a meaning in paths become `_`.

    A name that is too long for file systems is truncated, and made unique by a digest.

    Example:
        >>> safe_name("channel:features.9:17"), len(safe_name("a" * 300))
        ('channel_features.9_17', 193)
    """
    name = "".join("_" if c in '/\\:*?"<>|\0' or ord(c) < 32 else c for c in layer).strip()
    if len(encoded := name.encode(errors="surrogatepass")) > LONGEST_NAME:
        digest = hashlib.blake2b(encoded, digest_size=6).hexdigest()
        name = f"{encoded[:180].decode(errors='ignore')}-{digest}"
    return name if name.strip(".") else "_"
