"""The bounds of spectrum and colour that pictures are compared with: what photographs have.

    python benchmarks/appearance_bounds.py PHOTOGRAPHS [--size 224]

For each of slope, burnt and saturation it prints the median and the central 95 % of the photographs, each resized and
cropped to the size. See docs/evidence.md; the bounds stand in recipes/evidence.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from recipes.evidence.appearance import appearance
from recipes.pictures.sets import picture_set


def main() -> None:
    """Prints a line for each metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs")
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    photographs = picture_set(options.photographs)
    size = (options.size, options.size)
    found = [row for i in range(len(photographs)) for row in appearance([photographs.read(i, size)])]
    for metric in found[0]:
        values = [row[metric] for row in found]
        low, median, high = np.percentile(values, (2.5, 50, 97.5)).round(3).tolist()
        highest = round(float(np.percentile(values, 95)), 3)
        line = {"metric": metric, "median": median, "central 95 %": [low, high], "95 % are below": highest}
        print(json.dumps(line | {"photographs": len(values)}))


if __name__ == "__main__":
    main()
