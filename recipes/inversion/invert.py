"""Pre-images: pictures with the same code at a layer as a given one, which show what the code leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from inverter_errors import BadInput
from recipes.inversion.code_recipe import CodeRecipe
from recipes.inversion.schedules import AUTO, is_learned, weights_of
from recipes.options.augmentations import AUGMENTS, TRANSFORMS, AugmentName
from recipes.options.fields import MOST, OPTIMISATION, check_integer, option, texts
from recipes.options.names import address
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import ORIGINAL
from recipes.runner.context import RunContext, once
from recipes.runner.judge_fields import JudgeFields
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from objectives.codes import Distance
    from recipes.inversion.inverters import Inverters
    from recipes.inversion.schedules import Approach
    from recipes.inversion.starts import Starts
    from recipes.outputs.manifest import Record

Start = Literal["learned", "decoder", "noise"]
"""What a pre-image is initialised with: a learned inverter's picture of its code, a linear estimate, or noise."""

CodeObjective = Literal["code", "caricature"]
"""What a picture is to do with a code: have the same, or more of all that it has."""

DISTANCES: tuple[Distance, ...] = ("l2", "cosine", "l1")
"""Those of `objectives.codes`, which imports torch."""
STARTS: tuple[Start, ...] = get_args(Start)
OBJECTIVES: tuple[CodeObjective, ...] = get_args(CodeObjective)
CARICATURE: CodeObjective = "caricature"
POWER = 2
"""Exponent of the cosine in caricatures: it keeps the picture like the photograph while it grows stronger."""


@dataclass(frozen=True, kw_only=True)
class Invert(JudgeFields, CodeRecipe):
    """Pre-images: pictures with the same code at a layer as a given picture (Mahendran & Vedaldi 2015).

    x* = argmin |Phi(x) - Phi0|^2 / |Phi0|^2 + R(x), eq. 1 of "Understanding Deep Image Representations by Inverting
    Them", with Phi0 the code of the given picture and R the prior. Where pre-images differ from the picture, the layer
    has discarded information.

    With the objective `caricature`, x* = argmax <Phi(x), Phi0> / |Phi0|^2 cos^2 instead: more of all that the layer
    finds in the picture, each thing at its place (Lucid issue 121).

    Raises:
        BadInput: for missing or contradictory fields, or (in `run`) a code, layer or judge that does not fit.
        NotFound: in `run`, for an unknown layer.

    Example:
        >>> Invert(image="photo.jpg", layer=["features.stem", "output"], out="OUT").name
        'invert'
    """

    name: ClassVar[str] = "invert"

    prior: PriorLike | Sequence[PriorLike] = option(
        "auto",
        f"auto (the best one for the layer's depth), learned (an inverter, in one pass), or {HELP}; may be repeated",
        repeat=True,
        grows=True,
    )
    objective: CodeObjective = option(
        "code",
        "what to make of a code: code (a picture with the same one) or caricature (one that exaggerates it)",
        choices=OBJECTIVES,
    )
    attempts: int = option(1, "number of different pictures of each code, from different random draws")
    start: Start = option(
        "learned",
        "initial picture: learned (that of a trained inverter, where there is one for the layer, else as decoder), "
        "decoder (a linear estimate from the code) or noise",
        choices=STARTS,
    )
    inverter: str | Sequence[str] = option(
        (), "file that inverter train-inverter wrote, for the layer that it names; may be repeated", repeat=True
    )
    distance: Distance = option("l2", "distance between codes: l2, cosine or l1", choices=DISTANCES)
    out: str = option("preimages", "output folder")
    steps: int | None = option(None, "optimisation steps for each picture (default: by prior and depth of the layer)")
    augment: AugmentName = option(
        "auto", f"{TRANSFORMS}; auto: none, and light for caricatures", choices=AUGMENTS, group=OPTIMISATION
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.images) == (self.code is not None):
            given = "both image and code" if self.images else "neither image nor code"
            raise BadInput(f"got {given}; expected one of them: pictures, or a file of codes")
        self.check_images(required=False)
        if not all(isinstance(value, str) and value for value in self.layers):
            raise BadInput(f"layer: expected text, or a list of texts, got {self.layer!r}")
        if not self.priors:
            raise BadInput(f"prior: got none; expected auto, or {HELP}")
        if not self.layers:
            raise BadInput("layer: got none; expected an address, output, or all")
        check_integer("attempts", self.attempts, 1, MOST)
        self.check_judge()
        if self.objective == CARICATURE and (self.distance != "l2" or any(map(is_learned, self.priors))):
            raise BadInput(
                "a caricature has no distance, and no inverter draws it: leave out distance and prior learned"
            )

    @property
    def priors(self) -> tuple[str, ...]:
        """The priors as text: auto, learned, or a `PriorChoice`."""
        given = (self.prior,) if isinstance(self.prior, str | Mapping) else tuple(self.prior)
        return tuple(one if one == AUTO or is_learned(one) else str(PriorChoice.parse(one)) for one in given)  # type: ignore[misc]

    @once
    def _judges(self, context: RunContext) -> dict[str, Model]:
        from recipes.activations.predictions import classifies

        judges = self.load_judges(self.device, self._size(context))
        for judge in judges.values():
            if not classifies(judge):
                raise BadInput(f"judge {judge.spec} outputs no vector of classes: expected a classifier")
        return judges

    def transforms(self, context: RunContext) -> str:
        usual = "light" if self.objective == CARICATURE else "none"
        return usual if self.augment == "auto" else self.augment

    def settings(self) -> dict[str, Any]:
        # One spelling of what has several, so that a run can be resumed with any of them.
        lists = {"image": list(self.images), "layer": list(self.layers), "prior": list(self.priors)}
        lists |= {"inverter": list(texts(self.inverter))}
        return super().settings() | self.judge_settings() | lists

    def units(self, context: RunContext) -> list[Unit]:
        model = context.model
        from inverter.codes import stride

        code, size = self._code(context), self._size(context)
        if code is not None:
            code.check(model)
            if self.size is not None and self.picture_size(model) != code.size:
                raise BadInput(f"size {self.size}: the code is of pictures of {code.size[0]}x{code.size[1]} pixels")
        files = self._files(context)  # bad pictures, and a bad judge, are errors before anything is written
        self._judges(context)
        units = [
            Unit(
                "",
                None,
                ORIGINAL,
                f"originals/{safe_name(name)}.png",
                image=name,
                batch=ORIGINAL,
                made_from=str(file),
            )
            for name, file in files.items()
        ]
        for layer, shape in self._shapes(context, size).items():
            depth = stride(shape, size)
            for prior in dict.fromkeys(self._usual_prior(depth) if prior == AUTO else prior for prior in self.priors):
                if is_learned(prior):
                    self._inverters(context).need(address(layer))
                else:
                    PriorChoice.parse(prior).check(size, model)
                units += [
                    Unit(
                        layer=layer,
                        channel=None,
                        objective=self.objective,
                        file=f"images/{safe_name(layer)}/{safe_name(name)}-{safe_name(prior)}{_tail(attempt)}.png",
                        attempt=attempt,
                        image=name,
                        prior=prior,
                        batch=f"{layer} {prior}",
                        group=f"{layer} {prior} {name}" if self.attempts > 1 else "",
                        made_from=str(files[name]) if name in files else None,
                    )
                    for name in self._names(context)
                    for attempt in range(self.attempts)
                ]
        return units

    def _usual_prior(self, depth: float) -> str:
        from recipes.inversion.schedules import best

        return "fourier" if self.objective == CARICATURE else best(depth)

    def _approach(self, prior: str) -> Approach:
        from recipes.inversion.schedules import APPROACHES, EXAGGERATION, EXAGGERATIONS, OTHERS

        if self.objective == CARICATURE:
            return EXAGGERATIONS.get(prior, EXAGGERATION)
        return APPROACHES.get(prior, OTHERS)

    @once
    def _inverters(self, context: RunContext) -> Inverters:
        from recipes.inversion.inverters import Inverters

        files = [*texts(self.inverter), *filter(None, (weights_of(one) for one in self.priors if is_learned(one)))]
        return Inverters(context.model, files)

    @once
    def _starts(self, context: RunContext) -> Starts:
        from recipes.inversion.starts import Starts

        return Starts(self.seed, self._inverters(context) if self.start == "learned" else None)

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem | Given:
        from inverter.codes import stride
        from objectives import caricature, code
        from recipes.inversion.schedules import DECODED, planned

        if units[0].objective == ORIGINAL:
            return Given(self._originals(context, units))
        model, target, size = context.model, self._targets(context, units), self._size(context)
        if is_learned(str(units[0].prior)):
            return Given(self._inverters(context).need(address(units[0].layer)).pictures(target, size))
        choice, depth = PriorChoice.parse(str(units[0].prior)), stride(target.shape, size)
        approach, where = self._approach(choice.name), address(units[0].layer)
        names = [str(unit.image) for unit in units]
        if exaggerated := self.objective == CARICATURE:
            objective = caricature(where, target, POWER, names)
        else:
            objective = code(where, target, self.distance, names)
        prior = choice.make(len(units), size, model, **approach.options(depth))
        starts = choice.name in DECODED and getattr(prior, "encoder", prior) is not None  # some decoders have none
        if self.start != "noise" and starts and target.ndim == 4 and not exaggerated:
            prior = choice.at(self._starts(context).pictures(model, units, target, prior), **approach.options(depth))
        stages = planned(approach.stages(depth), self.steps, self.learning_rate, self.transforms(context) != "none")
        stages = [{"redirect": 0} | stage for stage in stages]
        return Problem(objective, prior, objective, stages, finish=choice.finish(prior), alpha=choice.alpha)

    def cost(self, context: RunContext, unit: Unit) -> float:
        """The steps of a pre-image, which depend on the prior and the depth of the layer."""
        from inverter.codes import stride

        if unit.objective == ORIGINAL or is_learned(str(unit.prior)):
            return 0.0
        depth = stride(self._shapes(context, self._size(context))[unit.layer], self._size(context))
        approach = self._approach(PriorChoice.parse(str(unit.prior)).name)
        return float(self.steps or sum(stage["steps"] for stage in approach.stages(depth)))

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """The metrics of the pictures as they are in their files, with 8 bits a channel."""
        from inverter import encode
        from recipes.activations.predictions import classifies, recognise
        from recipes.inversion.similarity import code_errors, psnr_and_ssim

        model, images = context.model, images.clamp(0, 1).mul(255).round().div(255)
        known, rows = self._code(context) is None, [dict[str, Any]() for _ in units]
        originals = self._originals(context, units) if known else None
        size, sources = self._size(context), originals if units[0].objective != ORIGINAL else None
        if classifies(model, size):
            recognise(rows, "top5", model, images, sources, size)
        for label, judge in self._judges(context).items():
            recognise(rows, f"{label.replace(' ', '_')}_top5", judge, images, sources)
        if units[0].objective == ORIGINAL:
            for row, unit in zip(rows, units, strict=True):
                row["source"] = self._files(context)[str(unit.image)].name
            return rows
        where = address(units[0].layer)
        target = self._targets(context, units)
        mean = self._mean_distance(context, units[0].layer)
        for row, errors in zip(rows, code_errors(encode(model, images, where)[where], target, mean), strict=True):
            row |= errors
        if originals is not None:
            for row, similarity in zip(rows, psnr_and_ssim(images, originals), strict=True):
                row |= similarity
        return rows

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        from recipes.inversion.error_table import rows

        return rows(record for record in records if record.objective != ORIGINAL)

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.inversion.page import render_invert

        return render_invert(manifest)


def _tail(attempt: int) -> str:
    return f"-{attempt}" if attempt else ""
