"""Methods by name, and the text that chooses one: `NAME`, or `NAME:OPTION=VALUE,...`. Does not import torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.options.named import fits_type, parse_options, write_options
from recipes.options.suggest import nearest

if TYPE_CHECKING:
    from recipes.attribution.method import Method

FAMILIES: dict[str, tuple[str, ...]] = {
    "gradient": (
        "saliency",
        "gradient-x-input",
        "integrated-gradients",
        "smoothgrad",
        "smoothgrad-squared",
        "vargrad",
    ),
    "guided_backprop": ("guided-backprop", "guided-grad-cam", "deconvnet"),
    "cam": (
        "cam",
        "grad-cam",
        "grad-cam++",
        "smooth-grad-cam++",
        "layer-cam",
        "sharpen-focus",
        "score-cam",
    ),
    "augmented_cam": ("augmented-grad-cam",),
    "occlusion": ("occlusion",),
    "rise": ("rise",),
    "meaningful_perturbation": ("meaningful-perturbation",),
    "extremal_perturbation": ("extremal-perturbation",),
    "extremal_channels": ("extremal-channels",),
    "spatial": ("spatial-attribution",),
    "surrogate": ("lime", "kernel-shap", "linear-shap"),
    "propagation": ("lrp", "attn-lrp", "excitation-backprop", "deeplift", "deep-shap"),
    "attention": ("attention-rollout", "gradient-rollout", "legrad"),
}
"""Module in `recipes.attribution.methods` -> the methods that it registers."""

NAMES = tuple(name for names in FAMILIES.values() for name in names)
HELP = "NAME or NAME:OPTION=VALUE,...; NAME is " + ", ".join(NAMES)


def list_methods(pattern: str = "") -> list[str]:
    """The names of all attribution methods, sorted.

    Args:
        pattern: shell-style wildcards (`*-cam`); a text without wildcards matches anywhere in a name.

    Returns:
        The matching names; none for a pattern that matches no name.

    Example:
        >>> list_methods("*shap")
        ['deep-shap', 'kernel-shap', 'linear-shap']
        >>> list_methods("smoothgrad")
        ['smoothgrad', 'smoothgrad-squared']
    """
    wildcard = pattern if any(character in pattern for character in "*?[") else f"*{pattern}*"
    return sorted(name for name in NAMES if fnmatchcase(name, wildcard))


def get_method(name: str) -> Method:
    """The method of this name; imports its family.

    Args:
        name: one of `list_methods()`.

    Raises:
        BadInput: for an unknown name; it suggests similar ones.
    """
    for family, names in FAMILIES.items():
        if name in names:
            importlib.import_module(f"recipes.attribution.methods.{family}")
            from recipes.attribution.method import DECLARED

            return DECLARED[name]
    raise BadInput(f"unknown method {name!r}{nearest(name, NAMES)}")


@dataclass(frozen=True)
class MethodChoice:
    """A method's name with options.

    Attributes:
        name: one of `list_methods()`.
        options: option -> value; `method` checks them.

    Raises:
        BadInput: for an unknown name (it suggests similar ones), or a text that is no option.

    Example:
        >>> str(MethodChoice.parse("grad-cam: relu=false"))
        'grad-cam:relu=false'
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise BadInput(f"unknown method {self.name!r}{nearest(self.name, NAMES)}")

    @classmethod
    def parse(cls, text: str) -> MethodChoice:
        return cls(*parse_options(text, "method"))

    def __str__(self) -> str:
        return write_options(self.name, self.options)

    def method(self) -> Method:
        """The method, once its options are checked.

        Raises:
            BadInput: for an unknown option (it suggests similar ones), or a value of another type or out of its range.
        """
        found = get_method(self.name)
        for key, value in self.options.items():
            if key not in found.options:
                known = nearest(key, found.options) if found.options else ": it has no options"
                raise BadInput(f"method {self.name} has no option {key!r}{known}")
            kind = found.option_type(key)
            if not fits_type(value, kind):
                raise BadInput(f"method {self.name}: {key} must be of type {kind}, got {value!r}")
        if found.check is not None:
            found.check(**{key: option.default for key, option in found.options.items()} | dict(self.options))
        return found
