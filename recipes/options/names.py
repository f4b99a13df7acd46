"""Names of layers in targets and manifests."""

from __future__ import annotations

OUTPUT_LAYER = "output"
"""The name of the network's output in targets and manifests."""


def address(layer: str) -> str:
    """The address of a layer, as `Model` takes it: "" for the output.

    Example:
        >>> address("features.9"), address("output")
        ('features.9', '')
    """
    return "" if layer == OUTPUT_LAYER else layer
