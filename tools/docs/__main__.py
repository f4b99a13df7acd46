"""`python -m tools.docs SITE`: checks a site that mkdocs has built; prints what is wrong, and ends with 1."""

import sys
from pathlib import Path

from tools.docs.built import faults

found = faults(Path(sys.argv[1]))
print("\n".join(found) or "the site is complete and loads no file from elsewhere")
sys.exit(bool(found))
