"""Layers as people name them."""

from __future__ import annotations

OUTPUT_LAYER = "output"
"""What people and the manifest call the network's own output."""


def address(layer: str) -> str:
    """A layer's name for people as the network knows it.

    Example:
        >>> address("features.9"), address("output")
        ('features.9', '')
    """
    return "" if layer == OUTPUT_LAYER else layer
