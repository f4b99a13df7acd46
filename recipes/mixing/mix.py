"""Mixtures: a picture that maximises a weighted sum of units and layers, the algebra of objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.gallery.posed import REPULSION, diversity_layer, posed
from recipes.mixing.terms import FORM, Term, reached
from recipes.options.fields import MOST, check_integer, option, texts
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.runner.base import UnitPlan
from recipes.runner.context import RunContext, once
from recipes.runner.natural_fields import CLASS_WEIGHT, NaturalRecipe
from recipes.runner.units import Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from objectives import Objective
    from recipes.outputs.manifest import Record

OBJECTIVE = "mix"


@dataclass(frozen=True, kw_only=True)
class Mix(NaturalRecipe):
    """A picture that maximises a weighted sum of units and layers (Olah et al. 2017, "Interaction between neurons").

    x* = argmax E_t[sum_k w_k f_k(t(x)) / r_k], f_k a channel's mean, a logit, or the mean square of a layer, and r_k
    what a small, quick picture for f_k alone reaches (`recipes.mixing.terms.reached`). So weights compare whatever the
    layers, and a term at 1 is fully there. All mixtures of one seed start from the same noise and see the same
    transforms: what differs between their pictures is the mixture.

    Raises:
        BadInput: for a term of another form, weights that are all 0, or (in `run`) an unknown channel or class.

    Example:
        >>> mix = Mix(model="builtin", term=["features.stage3/3=1", "features.stage3/17=-.5"], out="OUT")
        >>> [str(term) for term in mix.terms]
        ['features.stage3/3=1', 'features.stage3/17=-0.5']
    """

    name: ClassVar[str] = "mix"

    term: str | Sequence[str] = option(
        MISSING,
        f"{FORM}: a channel, a complete layer or a class, with its weight (default: 1; below 0: to be avoided); 1 is "
        "what it reaches alone; may be repeated",
        repeat=True,
    )
    interpolate: int = option(
        0, "with two terms: number of pictures on the way from the first alone to the second alone, both included"
    )
    attempts: int = option(1, "number of different pictures of each mixture, which repel each other")
    prior: PriorLike = option("fourier", HELP)
    steps: int | None = option(None, "optimisation steps for each picture (default: as of inverter gallery)")
    out: str = option("mix", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        PriorChoice.parse(self.prior)
        check_integer("attempts", self.attempts, 1, MOST)
        check_integer("interpolate", self.interpolate, 0, MOST)
        terms = self.terms
        if not any(term.weight for term in terms):
            raise BadInput(f"term: got {'weights of 0 alone' if terms else 'none'}; expected {FORM}")
        if self.interpolate and (len(terms) != 2 or not all(term.weight for term in terms) or self.interpolate < 2):
            raise BadInput(
                f"interpolate {self.interpolate} of {' and '.join(map(str, terms))}: expected two terms with weights "
                "other than 0, and at least 2 pictures"
            )

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms as they are written.

        Raises:
            BadInput: for one of another form, or that is given twice.
        """
        given = texts(self.term)
        if not all(isinstance(text, str) for text in given):
            raise BadInput(f"term: got {self.term!r}; expected texts {FORM}")
        terms = tuple(map(Term.parse, given))
        for number, term in enumerate(terms):
            if term.unit in [other.unit for other in terms[:number]]:
                raise BadInput(f"term {term.unit} is given twice: give it once, with one weight")
        return terms

    @property
    def usual_natural_weight(self) -> float:
        return CLASS_WEIGHT if all(term.of_class for term in self.terms) else super().usual_natural_weight

    def settings(self) -> dict[str, Any]:
        # One spelling of what has several, so that a run can be resumed with any of them.
        own = {"term": list(map(str, self.terms)), "prior": str(PriorChoice.parse(self.prior))}
        return super().settings() | own

    def together(self, context: RunContext, units: Sequence[Unit]) -> int:
        return UnitPlan.together(self, context, units)  # a unit is of several layers

    @once
    def _resolved(self, context: RunContext) -> tuple[Term, ...]:
        model, size = context.model, self.picture_size(context.model)
        window = PriorChoice.parse(self.prior).window(size, model)
        return tuple(term.resolved(model, window) for term in self.terms)

    @once
    def _mixtures(self, context: RunContext) -> tuple[tuple[Term, ...], ...]:
        """The terms of each mixture, with their weights in it."""
        terms, last = self._resolved(context), self.interpolate - 1
        if not self.interpolate:
            return (terms,)
        first, second = terms
        return tuple(
            (replace(first, weight=first.weight * (last - i) / last), replace(second, weight=second.weight * i / last))
            for i in range(self.interpolate)
        )

    def units(self, context: RunContext) -> list[Unit]:
        mixtures, model = self._mixtures(context), context.model
        PriorChoice.parse(self.prior).check(self.picture_size(model), model)
        layers, units = ",".join(dict.fromkeys(term.layer for term in self.terms)), list[Unit]()
        for number, terms in enumerate(mixtures):
            mixture = f"mix-{number:04d}" if len(mixtures) > 1 else "mix"
            units += [
                Unit(
                    layer=layers,
                    channel=None,
                    objective=OBJECTIVE,
                    file=f"images/{mixture}{f'-{attempt}' if attempt else ''}.png",
                    attempt=attempt,
                    name=" ".join(f"{term.weight:+.3g} {term.name(model) or term.unit}" for term in terms),
                    batch=mixture,
                    group=mixture if self.attempts > 1 else "",
                )
                for attempt in range(self.attempts)
            ]
        return units

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem:
        from objectives import diverse

        terms = self._terms_of(context, units[0])
        measure: Objective | None = None
        for term in terms:
            if term.weight:
                part = term.weight / reached(context.model, term) * term.objective()
                measure = part if measure is None else measure + part
        assert measure is not None  # not all weights are 0
        # One label, from which random numbers are drawn, for all mixtures.
        objective = measure = replace(measure, labels=(OBJECTIVE,))
        if len(units) > 1:
            where = diversity_layer(self, context.model, self.prior, terms[0].layer)
            objective = diverse(measure, where, [0] * len(units), REPULSION)
        return posed(self, context.model, self.prior, len(units), objective, measure, activation=False)

    def _terms_of(self, context: RunContext, unit: Unit) -> tuple[Term, ...]:
        number = unit.batch.removeprefix("mix").removeprefix("-")
        return self._mixtures(context)[int(number or 0)]

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """The terms of each picture: weight, score, what the term reaches alone, and the share of that."""
        from inverter import evaluate
        from inverter.scoring import uncropped

        model, terms = context.model, self._terms_of(context, units[0])
        shown = uncropped(model, self.problem(context, units).prior, images)
        rows: list[dict[str, Any]] = [{"terms": []} for _ in units]
        for term in terms:
            alone = reached(model, term)
            for row, score in zip(rows, evaluate(model, term.objective(), shown).tolist(), strict=True):
                known = {"term": term.unit, "name": term.name(model), "weight": term.weight}
                row["terms"].append(known | {"score": score, "alone": alone, "share": score / alone})
        return rows

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        shown = ("term", "name", "weight", "share")
        return [
            {"picture": PurePath(record.file).stem} | {key: term[key] for key in shown if term[key] is not None}
            for record in records
            for term in record.metrics.get("terms", ())
        ]

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.mixing.page import render_mix

        return render_mix(manifest)
