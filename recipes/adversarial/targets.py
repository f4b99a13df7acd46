"""Targets of the smallest change as users write them: any other class, a class, or a unit above a value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inverter_errors import BadInput
from recipes.options.names import OUTPUT_LAYER
from recipes.options.targets import FORMS, TOP, Target

ANY = "any"
"""Any class other than the predicted one."""
HELP = (
    f"what the network is to see: {ANY} (another class), a class by name or index, or a unit that is to be raised "
    "above a value: channel:LAYER:CHANNEL, and all other targets of inverter explain"
)
ABOVE = "value that a unit is to exceed: a number, or a percentile of its values in pictures, such as 99%%"


def parse_target(text: str) -> Target | None:
    """A target; None for any other class.

    Args:
        text: `any`, a class, or `KIND:...` as in `recipes.options.targets`.

    Raises:
        BadInput: for text of another form, or the predicted class as the one to reach.

    Example:
        >>> parse_target("any"), str(parse_target("281")), str(parse_target("channel:features.9:17"))
        (None, 'logit:281', 'channel:features.9:17')
    """
    if text.strip() == ANY:
        return None
    kind, mark, _ = text.partition(":")
    target = Target.parse(text) if mark and kind.strip() in FORMS else Target("logit", OUTPUT_LAYER, text.strip())
    if target.of_class and target.which == TOP:
        raise BadInput(f"target {text!r} is the class that is predicted already; expected any, or another class")
    return target


@dataclass(frozen=True)
class Threshold:
    """The value that a unit is to exceed.

    Attributes:
        value: of the unit; None for a percentile.
        percent: of pictures that have a lower value.
    """

    value: float | None
    percent: float | None = None

    @classmethod
    def parse(cls, text: str | float) -> Threshold:
        """Reads a threshold.

        Args:
            text: a number, or a percentage from 0 to 100 such as `99%`.

        Raises:
            BadInput: for text of another form.

        Example:
            >>> Threshold.parse("99%")
            Threshold(value=None, percent=99.0)
        """
        try:
            number = float(str(text).strip().removesuffix("%"))
        except ValueError:
            number = math.nan
        percent = str(text).strip().endswith("%")
        if not math.isfinite(number) or (percent and not 0 <= number <= 100):
            raise BadInput(f"above: got {text!r}; expected a number, or a percentile from 0% to 100%")
        return cls(None, number) if percent else cls(number)
