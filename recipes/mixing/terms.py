"""The terms of a mixture: units and layers with weights, as text and as objectives."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from inverter_errors import BadInput
from recipes.options.indices import count_classes, parse_channels, parse_classes
from recipes.options.names import OUTPUT_LAYER, address

if TYPE_CHECKING:
    from inverter import Model
    from objectives import Objective

LARGEST = 1e6
"""Largest weight."""
STEPS, SIDE = 24, 96
"""Steps, and side in pixels at most, of the picture that measures what a term reaches alone."""
FORM = "LAYER/CHANNEL=WEIGHT, LAYER=WEIGHT or output/CLASS=WEIGHT, such as features.9/17=1"
_CHANNEL = re.compile(r"(.+)/(\d+)", re.ASCII)
_reached: WeakKeyDictionary[Model, dict[str, float]] = WeakKeyDictionary()
"""What terms reach alone: of one network a term is measured once, however many mixtures it is part of."""


@dataclass(frozen=True)
class Term:
    """A unit or a complete layer, with its weight.

    Attributes:
        layer: address of the layer; "output" for classes.
        which: the channel, or the class by index or name, as text; "" for the complete layer.
        weight: below 0 for what the picture must not show.

    Raises:
        BadInput: for text of another form, or a weight that is no finite number.

    Example:
        >>> Term.parse("features.9/17=-.5")
        Term(layer='features.9', which='17', weight=-0.5)
        >>> str(Term.parse("output/goldfish")), str(Term.parse("features.5=2"))
        ('output/goldfish=1', 'features.5=2')
    """

    layer: str
    which: str
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Term:
        unit, equals, weight = (part.strip() for part in text.rpartition("="))
        if not equals:
            unit, weight = weight, "1"
        try:
            number = float(weight)
        except ValueError:
            number = math.nan
        if not abs(number) <= LARGEST or not unit:
            raise BadInput(f"term {text!r}: expected {FORM}, with a weight from {-LARGEST:g} to {LARGEST:g}")
        layer, slash, which = unit.partition("/")
        if slash and which.strip() and layer.partition(":")[0] == OUTPUT_LAYER:
            return cls(layer, which.strip(), number)
        found = _CHANNEL.fullmatch(unit)
        return cls(found[1], found[2], number) if found else cls(unit, "", number)

    def __str__(self) -> str:
        return f"{self.unit}={repr(self.weight).removesuffix('.0')}"

    @property
    def unit(self) -> str:
        """What the weight is of: `LAYER/CHANNEL`, or `LAYER`."""
        return f"{self.layer}/{self.which}" if self.which else self.layer

    @property
    def of_class(self) -> bool:
        return bool(self.which) and self.layer.partition(":")[0] == OUTPUT_LAYER

    def resolved(self, model: Model, size: tuple[int, int]) -> Term:
        """This term with its class as an index.

        Args:
            model: the network.
            size: (height, width) of its input in pixels.

        Raises:
            LayerNotFound: for an unknown layer.
            BadInput: for an unknown class or channel, or a layer without channels.
        """
        if self.of_class:
            count = count_classes(model, address(self.layer), size)
            found = parse_classes(self.which, count, model.categories, model.spec)
            if len(found) > 1:
                raise BadInput(f"term {self.unit}: expected one class; give each class a term of its own")
            return replace(self, which=str(found[0]))
        model.check_layer(address(self.layer))
        shape = model.shapes([address(self.layer)], size)[address(self.layer)]
        if self.which and len(shape) not in (2, 4):
            raise BadInput(f"term {self.unit}: layer {self.layer!r} outputs {tuple(shape)}, which has no channels")
        if self.which:
            parse_channels(self.which, shape[1], f"layer {self.layer!r}")
        return self

    def name(self, model: Model) -> str | None:
        """The name of a resolved term's class, or of its direction; None if there is none."""
        if not self.which:
            return None
        directions = model.directions_of(address(self.layer))
        names = model.categories if self.of_class else () if directions is None else directions.names
        return names[int(self.which)] or None if int(self.which) < len(names) else None

    def objective(self) -> Objective:
        """A resolved term without its weight: a channel's mean, a logit, or the mean square of a layer (DeepDream)."""
        import objectives

        if self.of_class:
            return objectives.logit(int(self.which), address(self.layer))
        if self.which:
            return objectives.channel(self.layer, int(self.which))
        return objectives.layer(address(self.layer))


def reached(model: Model, term: Term) -> float:
    """What a resolved term reaches alone: the score of a picture that is made for it, quickly and small.

    It is the unit in which a mixture counts the term. It has three digits, so that the last bits of an optimisation
    do not decide on those of a mixture.

    Args:
        model: the network.
        term: whose weight does not matter.

    Returns:
        A number above 0; 1 for a silent term.
    """
    known = _reached.setdefault(model, {})
    if term.unit not in known:
        from inverter import Settings, optimize
        from priors import Fourier

        objective, (height, width) = term.objective(), model.size_for()
        size = model.nearest_size(objective.reads, (min(height, SIDE), min(width, SIDE)))
        prior = Fourier(1, size=size, image_channels=len(model.mean))
        score = abs(float(optimize(model, objective, prior, Settings(steps=STEPS)).scores[0]))
        known[term.unit] = float(f"{score:.3g}") if math.isfinite(score) and score > 0 else 1.0
    return known[term.unit]
