"""What goes wrong in the forward pass of somebody else's network, and what it may be due to."""

from __future__ import annotations

from inverter.isolation.device_faults import gpu_lost, out_of_memory
from inverter_errors import InverterError

FORWARD_ERRORS = (
    RuntimeError,
    AssertionError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What networks raise for a picture that they cannot process; some check its size with `assert`."""


def may_be_memory_order(error: Exception) -> bool:
    """True if a forward pass may have failed because of the memory order of its input: at a `view`, say.

    Example:
        >>> may_be_memory_order(RuntimeError("view size is not compatible with input tensor's size and stride"))
        True
    """
    return not (isinstance(error, InverterError) or out_of_memory(error) or gpu_lost(error))


def first_line(error: Exception) -> str:
    """The first line of an error's text; its type if the text is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
