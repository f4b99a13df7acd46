"""Every error that the project raises on purpose: one tree, below what every package stands on.

The command line turns these, and errors of the operating system, into one line. Any other exception is a fault of the
code and shows its traceback. Each of them is also the built-in error that Python users expect, so `except ValueError`
works as it always does.
"""


class InverterError(Exception):
    """The root of the tree: what was given, what was expected and what to do, in one line."""


class BadInput(InverterError, ValueError):
    """A value out of its range, a text of another form, options that contradict each other, or a damaged file."""


class BadType(BadInput, TypeError):
    """A value of another type than expected."""


class NotFound(InverterError, LookupError):
    """A unit, channel, activation or other name that is not there; it shows near names."""


class LayerNotFound(NotFound):
    """An address that no layer of the network has; it shows the nearest addresses."""


class MissingFile(InverterError, FileNotFoundError):
    """A file or folder that was named and is not there."""


class MissingLibrary(InverterError, ModuleNotFoundError):
    """An optional library that is not installed; it says which extra brings it."""


class OutOfMemory(InverterError, MemoryError):
    """Work that does not fit into memory even in its smallest part."""


class RunFailed(InverterError, RuntimeError):
    """A run that cannot go on although its input is good: workers that were lost again and again."""
