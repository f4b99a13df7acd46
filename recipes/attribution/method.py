"""The declaration of a method: its name, its requirements and its options."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol, get_origin, get_type_hints

from torch import Tensor

from inverter import Model
from inverter_errors import MissingLibrary
from objectives import Objective


class Function(Protocol):
    """The signature of a method: model, images (B, 3, H, W) in [0, 1], target -> maps (B, h, w)."""

    def __call__(
        self, model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, **options: Any
    ) -> Tensor: ...


@dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes:
        name: the name by which users choose it.
        function: computes the maps.
        paper: authors and year of its source.
        signed: True if values below 0 oppose the target, so that 0 is neutral.
        layer: True if it needs a layer with feature maps; the others are passed `layer=""`.
        pooled: True if the network must end with global average pooling and at most one linear layer.
        linear: True if the score must be linear in the images.
        attention: True if the target must depend on attention between all places.
        channels: True if the layer's strongest channels are reported along with the map.
        box: share of the maximum at which a map is thresholded for a bounding box; None draws no box.
        extra: module of an optional library that it needs, from the extra `attribution`.
        check: raises a `BadInput` for options out of their range; it is called with all options, by name.
        help: one sentence for each option.
    """

    name: str
    function: Function
    paper: str
    signed: bool = False
    layer: bool = False
    pooled: bool = False
    linear: bool = False
    attention: bool = False
    channels: bool = False
    box: float | None = None
    extra: str | None = None
    check: Callable[..., None] | None = None
    help: Mapping[str, str] = field(default_factory=dict)

    @property
    def movable(self) -> bool:
        """True if the user can choose the layer; the maps of a pooled head are fixed."""
        return self.layer and not self.pooled

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The function's keyword options, each with its default and its annotation."""
        parameters = inspect.signature(self.function).parameters.values()
        known = ("layer", "seed")
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in known}

    def option_type(self, key: str) -> str:
        """The type of an option's values, as errors show it; a choice of words is a `str`."""
        is_choice = get_origin(get_type_hints(self.function)[key]) is Literal
        return "str" if is_choice else str(self.options[key].annotation)


DECLARED: dict[str, Method] = {}
"""Name -> method, of all families imported so far."""


def method(name: str, *, help: Mapping[str, str] | None = None, **facts: Any) -> Callable[[Any], Any]:
    """Registers a function as a method; the function itself is returned unchanged.

    Args:
        name: the name by which users choose the method.
        help: one sentence for each of the function's options, all of which have defaults.
        **facts: the other attributes of `Method`.

    Raises:
        TypeError: if `help` does not describe exactly the function's options.
    """

    def declare(function: Any) -> Any:
        declared = Method(name, function, help=dict(help or {}), **facts)
        if set(declared.options) != set(declared.help):
            raise TypeError(f"method {name}: help must describe exactly its options: {', '.join(declared.options)}")
        DECLARED[name] = declared
        return function

    return declare


def import_library(library: str, who: str = "this method") -> ModuleType:
    """Imports an optional library of the extra `attribution`.

    Args:
        library: name of the module.
        who: what needs it, for the error.

    Raises:
        MissingLibrary: if it is not installed.
    """
    try:
        with warnings.catch_warnings():  # in a notebook, tqdm asks for ipywidgets, which captum does not need
            warnings.filterwarnings("ignore", message="IProgress not found")
            return importlib.import_module(library)
    except ModuleNotFoundError as error:
        package = library.partition(".")[0]
        raise MissingLibrary(f"{who} needs {package}: pip install 'inverter-vis[attribution]'") from error
