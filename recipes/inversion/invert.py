"""Pre-images: pictures with the same code at a layer as a given one, which show what the code leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from inverter_errors import BadInput
from recipes.inversion.schedules import AUTO, is_learned, weights_of
from recipes.options.augmentations import AUGMENTS, TRANSFORMS, AugmentName
from recipes.options.fields import MOST, check_integer, option, texts
from recipes.options.names import address
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import ORIGINAL
from recipes.runner.context import RunContext, once
from recipes.runner.judge_fields import JudgeFields
from recipes.runner.natural_fields import NaturalRecipe
from recipes.runner.picture_fields import PictureFields
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Code, Model
    from objectives.codes import Distance
    from recipes.inversion.inverters import Inverters
    from recipes.inversion.starts import Starts
    from recipes.outputs.manifest import Record

Start = Literal["learned", "decoder", "noise"]
"""What a pre-image is initialised with: a learned inverter's picture of its code, a linear estimate, or noise."""

DISTANCES: tuple[Distance, ...] = ("l2", "cosine", "l1")
"""Those of `objectives.codes`, which imports torch."""
STARTS: tuple[Start, ...] = get_args(Start)
COMPARED = 32
"""Number of codes, at most, whose mean distance normalises errors."""


@dataclass(frozen=True, kw_only=True)
class Invert(JudgeFields, PictureFields, NaturalRecipe):
    """Pre-images: pictures with the same code at a layer as a given picture (Mahendran & Vedaldi 2015).

    x* = argmin |Phi(x) - Phi0|^2 / |Phi0|^2 + R(x), eq. 1 of "Understanding Deep Image Representations by Inverting
    Them", with Phi0 the code of the given picture and R the prior. Where pre-images differ from the picture, the layer
    has discarded information.

    Raises:
        BadInput: for missing or contradictory fields, or (in `run`) a code, layer or judge that does not fit.
        NotFound: in `run`, for an unknown layer.

    Example:
        >>> Invert(image="photo.jpg", layer=["features.stem", "output"], out="OUT").name
        'invert'
    """

    name: ClassVar[str] = "invert"

    code: str | None = option(None, "codes to invert instead of pictures: .safetensors file written by inverter.encode")
    layer: str | Sequence[str] = option(
        "all",
        "address of a layer, output, or all (every stage, or all in the code file); may be repeated",
        repeat=True,
        grows=True,
    )
    prior: PriorLike | Sequence[PriorLike] = option(
        "auto",
        f"auto (the best one for the layer's depth), learned (an inverter, in one pass), or {HELP}; may be repeated",
        repeat=True,
        grows=True,
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
    augment: AugmentName = option("none", TRANSFORMS, choices=AUGMENTS)

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

    @property
    def layers(self) -> tuple[str, ...]:
        return texts(self.layer)

    @property
    def priors(self) -> tuple[str, ...]:
        """The priors as text: auto, learned, or a `PriorChoice`."""
        given = (self.prior,) if isinstance(self.prior, str | Mapping) else tuple(self.prior)
        return tuple(one if one == AUTO or is_learned(one) else str(PriorChoice.parse(one)) for one in given)  # type: ignore[misc]

    def _files(self, context: RunContext) -> Mapping[str, Path]:
        """The files of the pictures by name; none where codes are given."""
        return self.pictures(context).files if self.images else {}

    @once
    def _code(self, context: RunContext) -> Code | None:
        from inverter import load_code

        return None if self.code is None else load_code(self.code)

    @once
    def _names(self, context: RunContext) -> list[str]:
        code = self._code(context)
        return list(self._files(context)) if code is None else [f"code-{i:04d}" for i in range(code.count)]

    @once
    def _judges(self, context: RunContext) -> dict[str, Model]:
        from recipes.activations.predictions import classifies

        judges = self.load_judges(self.device, self._size(context))
        for judge in judges.values():
            if not classifies(judge):
                raise BadInput(f"judge {judge.spec} outputs no vector of classes: expected a classifier")
        return judges

    def _size(self, context: RunContext) -> tuple[int, int]:
        """(height, width) of the pictures; of those that were encoded, where codes are given."""
        code = self._code(context)
        return self.picture_size(context.model) if code is None else code.size

    def settings(self) -> dict[str, Any]:
        # One spelling of what has several, so that a run can be resumed with any of them.
        lists = {"image": list(self.images), "layer": list(self.layers), "prior": list(self.priors)}
        lists |= {"inverter": list(texts(self.inverter))}
        return super().settings() | self.judge_settings() | lists

    def units(self, context: RunContext) -> list[Unit]:
        model = context.model
        from inverter.codes import stride
        from recipes.inversion.schedules import best

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
            for prior in dict.fromkeys(best(depth) if prior == AUTO else prior for prior in self.priors):
                if is_learned(prior):
                    self._inverters(context).need(address(layer))
                else:
                    PriorChoice.parse(prior).check(size, model)
                units += [
                    Unit(
                        layer=layer,
                        channel=None,
                        objective="code",
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

    @once
    def _shapes(self, context: RunContext, size: tuple[int, int]) -> dict[str, Sequence[int]]:
        """The requested layers with the shapes (1, ...) of their codes, checked against the file of codes."""
        from recipes.inversion.code_layers import code_shapes

        return code_shapes(context.model, self.layers, size, self._code(context), self.code)

    def _originals(self, context: RunContext, units: Sequence[Unit]) -> Tensor:
        names = list(dict.fromkeys(str(unit.image) for unit in units))
        pictures = self.pictures(context).read(names, self._size(context))
        return pictures[[names.index(str(unit.image)) for unit in units]]

    def _targets(self, context: RunContext, units: Sequence[Unit]) -> Tensor:
        """The target codes (B, ...) of units of one layer."""
        from inverter import encode

        where = address(units[0].layer)
        if (code := self._code(context)) is not None:
            names = self._names(context)
            return code.layers[where][[names.index(str(unit.image)) for unit in units]]
        return encode(context.model, self._originals(context, units), where)[where]

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
        from objectives import code
        from recipes.inversion.schedules import APPROACHES, DECODED, OTHERS, planned

        if units[0].objective == ORIGINAL:
            return Given(self._originals(context, units))
        model, target, size = context.model, self._targets(context, units), self._size(context)
        if is_learned(str(units[0].prior)):
            return Given(self._inverters(context).need(address(units[0].layer)).pictures(target, size))
        choice, depth = PriorChoice.parse(str(units[0].prior)), stride(target.shape, size)
        approach = APPROACHES.get(choice.name, OTHERS)
        names = [str(unit.image) for unit in units]
        objective = code(address(units[0].layer), target, self.distance, names)
        prior = choice.make(len(units), size, model, **approach.options(depth))
        starts = choice.name in DECODED and getattr(prior, "encoder", prior) is not None  # some decoders have none
        if self.start != "noise" and starts and target.ndim == 4:
            prior = choice.at(self._starts(context).pictures(model, units, target, prior), **approach.options(depth))
        stages = planned(approach.stages(depth), self.steps, self.learning_rate, self.augment != "none")
        stages = [{"redirect": 0} | stage for stage in stages]
        return Problem(objective, prior, objective, stages, finish=choice.finish(prior), alpha=choice.alpha)

    def cost(self, context: RunContext, unit: Unit) -> float:
        """The steps of a pre-image, which depend on the prior and the depth of the layer."""
        from inverter.codes import stride
        from recipes.inversion.schedules import APPROACHES, OTHERS

        if unit.objective == ORIGINAL or is_learned(str(unit.prior)):
            return 0.0
        depth = stride(self._shapes(context, self._size(context))[unit.layer], self._size(context))
        approach = APPROACHES.get(PriorChoice.parse(str(unit.prior)).name, OTHERS)
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

    @once
    def _mean_distance(self, context: RunContext, layer: str) -> float | None:
        """The mean distance between codes of different pictures (N_Phi of Mahendran & Vedaldi 2015)."""
        import torch

        names = self._names(context)[:COMPARED]
        if len(names) < 2:
            return None
        codes = self._targets(context, [Unit(layer, None, "code", "", image=name) for name in names]).flatten(1)
        return float(torch.pdist(codes).mean())

    def table(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        from recipes.inversion.error_table import rows

        return rows(record for record in records if record.objective != ORIGINAL)

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.inversion.page import render_invert

        return render_invert(manifest)


def _tail(attempt: int) -> str:
    return f"-{attempt}" if attempt else ""
