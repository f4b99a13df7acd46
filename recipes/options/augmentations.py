"""The names of augmentations, as recipes take them: help texts do not wait for torch."""

from __future__ import annotations

from typing import Literal, get_args

AugmentName = Literal["auto", "none", "light", "standard", "strong", "wide", "wider", "tokens"]
"""The keys of `inverter.PRESETS`, written out, and `auto`: the recipe's choice."""
AUGMENTS: tuple[AugmentName, ...] = get_args(AugmentName)
TRANSFORMS = "random transforms of the pictures on their way to the network, from none to strong; wide is for classes"
