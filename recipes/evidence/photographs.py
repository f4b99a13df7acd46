"""What photographs look like: spectrum and colour of 400 of them, by `benchmarks/appearance_bounds.py`."""

SLOPE = -1.42
"""Median of the slope of their spectrum."""
PHOTOGRAPHS = {"slope": (-1.88, -0.99), "burnt": (0.0, 0.39), "saturation": (0.0, 0.35)}
"""What 95 % of them lie within; grey ones are no exception."""
SMALLEST = 8
"""Side in pixels below which pictures have no spectrum to speak of, and are not compared."""
