"""The objectives by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from objectives.base import Objective
from objectives.centred import centred_direction
from objectives.codes import caricature, code
from objectives.directions import direction
from objectives.distributions import distribution
from objectives.facets import facet
from objectives.gram import diversity
from objectives.heads import attention, attention_head
from objectives.logits import logit, softmax
from objectives.naturalness import natural
from objectives.pixels import known_pixels
from objectives.text import text_match
from objectives.units import channel, layer, neuron

OBJECTIVES: Final[Mapping[str, Callable[..., Objective]]] = MappingProxyType(
    {
        "channel": channel,
        "neuron": neuron,
        "layer": layer,
        "direction": direction,
        "centred_direction": centred_direction,
        "distribution": distribution,
        "attention": attention,
        "attention_head": attention_head,
        "logit": logit,
        "softmax": softmax,
        "code": code,
        "caricature": caricature,
        "facet": facet,
        "diversity": diversity,
        "known_pixels": known_pixels,
        "natural": natural,
        "text_match": text_match,
    }
)
"""Name -> the function that builds the objective. `diverse`, which modifies another objective, is not listed."""


def list_objectives(pattern: str = "") -> list[str]:
    """The names of all objectives, or of those that match a pattern.

    Args:
        pattern: a wildcard pattern with `*`, `?` or `[...]`, as in `fnmatch`; a text without wildcards matches every
            name that contains it.

    Returns:
        The names in alphabetical order; each is a function of this package.

    Example:
        >>> list_objectives("*o*t*")
        ['logit', 'softmax']
        >>> list_objectives("pixels")
        ['known_pixels']
    """
    wildcard = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return sorted(name for name in OBJECTIVES if fnmatchcase(name, wildcard))
