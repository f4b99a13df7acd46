"""Names of files and folders."""

from __future__ import annotations

import hashlib

LONGEST_NAME = 200
"""Maximum length of a file name in bytes: file systems allow 255, including what is appended."""


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
