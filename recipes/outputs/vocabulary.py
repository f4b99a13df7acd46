"""Words that manifests use. Standard library only, so that pages can import them."""

ORIGINAL, MASKED = "original", "masked"
"""The objectives of units that are input images, as they are and without the pixels under a mask."""
INPUTS = frozenset({ORIGINAL, MASKED})
"""Units with these objectives are in the folder only to be compared with; a run does not count them."""
OK = "ok"
"""The status of a unit that completed normally."""
SILENT = "silent"
"""The status of a unit that no picture made active: it is no failure of the run, but of the network."""
VIDEO = "video"
"""Kind of the extra file with a unit's film; a unit that plans one is filmed."""
