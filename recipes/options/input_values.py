"""Sizes and values of pictures: as users write them, checked, and as the manifest has them."""

from __future__ import annotations

from collections.abc import Sequence

from inverter_errors import BadInput
from recipes.options.fields import LARGEST, check_integer


def checked_size(size: str | int | Sequence[int] | None, name: str = "size") -> int | tuple[int, int] | None:
    """A size of pictures in one form: the side of a square, (height, width), or None.

    Args:
        size: one number, (height, width), or text: `H` or `HxW`.
        name: of the field, for errors.

    Raises:
        BadInput: for text of another form, or a side that is not from 1 to `LARGEST`.
    """
    if isinstance(size, str) and size.isdecimal() and size.isascii():
        size = int(size[:40])
    if size is None or isinstance(size, int):
        if size is not None:
            check_integer(name, size, 1, LARGEST)
        return size
    from inverter.metadata import as_input_size

    try:
        height, width = as_input_size(size)
    except BadInput:
        raise BadInput(f"{name} must be a positive integer, or HxW such as 172x264; got {size!r}") from None
    check_integer(name, max(height, width), 1, LARGEST)
    return height if height == width else (height, width)


def written_values(
    value_range: str | Sequence[float] | None, show_channels: str | int | Sequence[int] | None
) -> dict[str, list[float] | list[int] | None]:
    """The range of values, and the channels that are shown, as the manifest has them: lists, or None."""
    from inverter.input_values import as_show_channels, as_value_range

    return {
        "value_range": None if value_range is None else list(as_value_range(value_range)),
        "show_channels": None if show_channels is None else list(as_show_channels(show_channels)),
    }


def written_size(size: str | int | Sequence[int] | None) -> list[int] | None:
    """An input size as the manifest has it: [height, width], or None."""
    from inverter.metadata import as_input_size

    return None if size is None else list(as_input_size(size))
