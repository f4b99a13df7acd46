"""Names: how people, files and the network itself call layers and channels."""

from __future__ import annotations

import hashlib

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
