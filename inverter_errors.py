"""Every error that the project raises on purpose: one tree, below what every package stands on.

The command line turns these, and errors of the operating system, into one line. Any other exception is a fault of the
code and shows its traceback. Each of them is also the built-in error that Python users expect, so `except ValueError`
works as usual. `inverter` exports them all.
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
    """A layer that the network does not have, or that its forward pass does not reach; it shows near addresses."""


class OutOfRange(NotFound, IndexError):
    """An index beyond the end of what it counts."""


class MissingFile(InverterError, FileNotFoundError):
    """A file or folder that was named and is not there."""


class MissingLibrary(InverterError, ModuleNotFoundError):
    """An optional library that is not installed; it says which extra brings it."""


class Unreachable(InverterError, ConnectionError):
    """A server (of pretrained weights, of a cluster) that cannot be reached; it says what to do instead."""


class OutOfMemory(InverterError, MemoryError):
    """Work that does not fit into memory even in its smallest part."""


class RunFailed(InverterError, RuntimeError):
    """A run that cannot continue although its input is valid: workers lost repeatedly, an unsupported operation."""


class GuessedSizeWarning(UserWarning):
    """A network was run at an input size that is a guess. It is no error, and goes away with an `input_size`."""


def plural(count: int, noun: str) -> str:
    """A count with its noun, for the texts of errors and reports.

    Example:
        >>> plural(1, "picture"), plural(2000, "class"), plural(0, "patch")
        ('1 picture', '2,000 classes', '0 patches')
    """
    ending = "" if count == 1 else "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{count:,} {noun}{ending}"
