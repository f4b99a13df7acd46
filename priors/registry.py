"""The priors by name."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from priors.accentuate import Accentuate
from priors.base import Prior
from priors.cppn import Cppn
from priors.decoder import Decoder
from priors.deep_image import DeepImage
from priors.fourier import Fourier
from priors.generator import GanLatent, PlugAndPlay
from priors.maco import Maco
from priors.pixels import Pixels
from priors.pyramid import Pyramid

PRIORS: Final[Mapping[str, type[Prior]]] = MappingProxyType(
    {
        "fourier": Fourier,
        "pixels": Pixels,
        "pyramid": Pyramid,
        "maco": Maco,
        "deep-image": DeepImage,
        "cppn": Cppn,
        "gan": GanLatent,
        "plug-and-play": PlugAndPlay,
        "decoder": Decoder,
        "accentuate": Accentuate,
    }
)
"""Name, as in `--prior NAME` -> class."""


def list_priors(pattern: str = "") -> list[str]:
    """The names of all priors, or of those that match a pattern.

    Args:
        pattern: a wildcard pattern with `*`, `?` or `[...]`, as in `fnmatch`; a text without wildcards matches every
            name that contains it.

    Returns:
        The names in alphabetical order, as `--prior NAME` takes them; `PRIORS` has their classes.

    Example:
        >>> list_priors("p*")
        ['pixels', 'plug-and-play', 'pyramid']
        >>> list_priors("image")
        ['deep-image']
    """
    wildcard = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return sorted(name for name in PRIORS if fnmatchcase(name, wildcard))
