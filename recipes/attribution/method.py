"""What a method declares of itself: its name, what it needs, and its options."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

from torch import Tensor

from inverter import Model
from inverter_errors import BadType, MissingLibrary
from objectives import Objective


class Function(Protocol):
    """What a method is: model, pictures (B, 3, H, W) in [0, 1], target -> maps (B, h, w)."""

    def __call__(
        self, model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, **options: Any
    ) -> Tensor: ...


@dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes:
        name: as on the command line. paper: where it is from.
        signed: True if a map tells what speaks against the target (below 0) from what says nothing (0).
        layer: True if it looks at a layer with maps; `layer` is "" for all others.
        pooled: True if the network must end with global average pooling and at most one linear layer.
        linear: True if the score must be linear in the pictures.
        channels: True if the layer's strongest channels are told with the map.
        box: share of the maximum above which a map is bounded by a box; None draws none.
        extra: a library that it needs, of the extra `attribution`.
        check: raises a `BadInput` for options out of their range; it gets all of them, by name.
        help: what each option means.
    """

    name: str
    function: Function
    paper: str
    signed: bool = False
    layer: bool = False
    pooled: bool = False
    linear: bool = False
    channels: bool = False
    box: float | None = None
    extra: str | None = None
    check: Callable[..., None] | None = None
    help: Mapping[str, str] = field(default_factory=dict)

    @property
    def movable(self) -> bool:
        """True if the user may say at which layer it looks; a pooled head is where it is."""
        return self.layer and not self.pooled

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The function's own arguments, each with its default and its annotation."""
        parameters = inspect.signature(self.function).parameters.values()
        known = ("layer", "seed")
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in known}


DECLARED: dict[str, Method] = {}
"""The methods of all families that have been imported."""


def method(name: str, *, help: Mapping[str, str] | None = None, **facts: Any) -> Callable[[Any], Any]:
    """Declares a function as a method; the function itself stays what it was.

    Args:
        help: a sentence for each of the function's options, all of which have defaults.
        facts: the other attributes of `Method`.
    """

    def declare(function: Any) -> Any:
        declared = Method(name, function, help=dict(help or {}), **facts)
        if set(declared.options) != set(declared.help):
            raise BadType(f"method {name}: help must have a sentence for each of {', '.join(declared.options)}")
        DECLARED[name] = declared
        return function

    return declare


def needs(library: str, who: str = "this method") -> ModuleType:
    """An optional library, and who needs it.

    Raises:
        MissingLibrary: if it is not there; it says how to install it.
    """
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise MissingLibrary(f"{who} needs {library.partition('.')[0]}: pip install 'inverter[attribution]'") from error
