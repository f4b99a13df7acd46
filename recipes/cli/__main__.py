"""`python -m recipes.cli`: the command `inverter`."""

import sys

from recipes.cli import main

if __name__ == "__main__":
    sys.exit(main())
