"""Words that manifests use. Standard library only, so that pages can import them."""

ORIGINAL = "original"
"""The objective of a unit that is an input image."""
