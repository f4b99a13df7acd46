"""Words that manifests use. Standard library only, so that pages can import them."""

ORIGINAL = "original"
"""The objective of a unit that is an input image."""
OK = "ok"
"""The status of a unit that completed normally."""
SILENT = "silent"
"""The status of a unit that no picture made active: it is no failure of the run, but of the network."""
