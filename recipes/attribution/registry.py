"""Methods by name, and how a user chooses one: `NAME`, or `NAME:OPTION=VALUE,...`. Knows the names without torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    "propagation": ("lrp", "excitation-backprop", "deeplift", "deep-shap"),
}
"""Module of `recipes.attribution.methods` -> the methods that it declares."""

NAMES = tuple(name for names in FAMILIES.values() for name in names)
HELP = "NAME or NAME:OPTION=VALUE,...; NAME is " + ", ".join(NAMES)


def find(name: str) -> Method:
    """The method of this name; imports its family.

    Raises:
        BadInput: for an unknown name, with near ones.
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

    Raises:
        BadInput: for an unknown name (with near ones), or text that is no option; `method` checks the options.

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
        """The method, which takes these options.

        Raises:
            BadInput: for an unknown option (with near ones), or a value of another type or out of its range.
        """
        found = find(self.name)
        for key, value in self.options.items():
            if key not in found.options:
                known = nearest(key, found.options) if found.options else "; it has none"
                raise BadInput(f"method {self.name} has no option {key!r}{known}")
            kind = str(found.options[key].annotation)
            if not fits_type(value, kind):
                raise BadInput(f"method {self.name}: {key} must be of type {kind}, got {value!r}")
        if found.check is not None:
            found.check(**{key: option.default for key, option in found.options.items()} | dict(self.options))
        return found
