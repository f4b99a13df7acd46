"""Channels and classes as users write them: names, indices and ranges."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inverter_errors import BadInput

if TYPE_CHECKING:
    from inverter import Model


def _number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 4000  # Python does not parse longer ones


def parse_channels(channels: str | int | Iterable[int], count: int, what: str) -> list[int]:
    """Parses channel indices.

    Args:
        channels: `all`, a text like `3,17,40-60`, a number, or a list of numbers.
        count: number of channels.
        what: their owner, for errors, e.g. "layer features.9".

    Returns:
        The indices without duplicates, in the given order.

    Raises:
        BadInput: for text of another form, an empty range, or a channel out of range.
    """
    if isinstance(channels, str):
        if channels.strip() == "all":
            return list(range(count))
        numbers: list[int] = []
        for part in channels.split(","):
            first, dash, last = (piece.strip() for piece in part.partition("-"))
            if not _number(first) or (dash and not _number(last)):
                raise BadInput(
                    f"channels {channels!r}: {part.strip()!r} is neither a number nor a range; "
                    "expected all, a list 3,17,42 or ranges 0-15"
                )
            low, high = int(first), int(last) if dash else int(first)
            if low > high:
                raise BadInput(f"channels {channels!r}: the range {part.strip()} is empty; expected low-high")
            if high >= count:
                raise BadInput(f"channel {high} is out of range: {what} has {count} (0 to {count - 1})")
            numbers += range(low, high + 1)
    else:
        numbers = [channels] if isinstance(channels, int) else list(channels)
        if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            raise BadInput(f"channels: expected integers, got {channels!r}")
    if not numbers:
        raise BadInput("channels: got none; expected all, a list 3,17,42 or ranges 0-15")
    for number in numbers:
        if not 0 <= number < count:
            raise BadInput(f"channel {number} is out of range: {what} has {count} (0 to {count - 1})")
    return list(dict.fromkeys(numbers))


def parse_classes(
    classes: str | int | Sequence[int | str], count: int, names: Sequence[str], what: str = "the model"
) -> list[int]:
    """Parses class names, indices and ranges.

    Args:
        classes: one entry or several. A text is `all`, the exact name of a class in any case, or names, indices and
            ranges separated by commas: `goldfish,130,200-207`.
        count: number of classes.
        names: class names, as far as they are known.
        what: the model, for errors.

    Returns:
        The indices without duplicates, in the given order.

    Raises:
        BadInput: for an unknown name (it suggests similar ones), a name of several classes, or an index out of range.

    Example:
        >>> parse_classes(["Cat", "0-1"], 3, ["ant", "bee", "cat"])
        [2, 0, 1]
    """
    entries = [classes] if isinstance(classes, str | int) else list(classes)
    known: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        known.setdefault(name.casefold(), []).append(index)
    found: list[int] = []
    for entry in entries:
        if not isinstance(entry, str):
            found += parse_channels([entry], count, f"the output of {what}")
            continue
        is_name = entry.strip().casefold() in known  # a name may contain a comma
        for part in [entry] if is_name else entry.split(","):
            name = part.strip().casefold()
            if len(known.get(name, ())) > 1:
                several = " and ".join(map(str, known[name]))
                raise BadInput(f"class {part.strip()!r} is the name of {several}: give the index")
            if name in known:
                found += known[name]
            elif any(letter.isalpha() for letter in name) and name != "all":
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
                hint = f"did you mean {' or '.join(near)}?" if near else "expected a name, an index, a range, or all"
                raise BadInput(f"no class of {what} is named {part.strip()!r}; {hint}")
            else:
                found += parse_channels(part, count, f"the output of {what}")
    if not found:
        raise BadInput("class: got none; expected names, indices 9,40,71, ranges 0-15, or all")
    return list(dict.fromkeys(found))


def count_classes(model: Model, output: str = "", size: tuple[int, int] | None = None) -> int:
    """The number of classes that an output scores: of pictures, or of each position of a segmentation.

    Args:
        model: the network.
        output: its address, where the network returns several tensors; "" is the main one.
        size: (height, width) of the pictures in pixels; default: the model's own.

    Raises:
        BadInput: if it is neither (B, K), (B, K, h, w) nor one number for each picture (B,).
    """
    shape = model.shapes([output], size)[output]
    if len(shape) not in (0, 1, 2, 4):
        raise BadInput(f"{model.spec} outputs {tuple(shape)}, expected one number per class (B, K) or (B, K, h, w)")
    return shape[1] if len(shape) > 1 else 1
