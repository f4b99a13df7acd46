"""Libraries kept off the terminal: their progress bars, advice, and warnings about retries."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet() -> Iterator[None]:
    """No log records, warnings or output of this process; what matters is in errors and return values."""
    root, keeper, before = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(keeper)  # else `logging.error(...)` of a library would install a handler for good
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.removeHandler(keeper)
