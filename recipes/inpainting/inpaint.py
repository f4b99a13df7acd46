"""Inpainting: missing pixels of pictures, restored by an untrained network that is fitted to the known ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, plural
from recipes.options.fields import option, texts
from recipes.options.input_values import written_values
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import MASKED, ORIGINAL
from recipes.runner.context import RunContext, once
from recipes.runner.picture_fields import PictureFields
from recipes.runner.recipe import UnitRecipe
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from priors import Prior
    from recipes.outputs.manifest import Record
    from recipes.pictures.inputs import InputPictures

RESTORED = "restored"
"""The objective of the result in the manifest."""
DEEP_IMAGE = "deep-image"
LEARNING_RATE = 0.01
SMOOTH = {"decay": 1.0, "limit": 1.5}
"""Options of a natural decoder: what is known goes on into a hole."""
PRIOR: dict[str, Any] = {"skip": 16, "shake": 0.0, "average": 0.97}
"""Options of the deep image prior: skip connections draw detail early."""
STROKE = 4
"""A hole deeper than this, in pixels, is an area, which the prior alone would leave blurred."""
COPIED = 0.25
"""Weight, in an area, of the pixels that are copied from what surrounds it; a known pixel has 1."""
SMALLEST = 8
"""Smallest side, in pixels, that the deep image prior supports."""


@dataclass(frozen=True, kw_only=True)
class Inpaint(PictureFields, UnitRecipe):
    """Restores missing pixels of pictures with the deep image prior (Ulyanov et al. 2018).

    Arrays may have any number of channels, all of which are missing where the mask is black.

    x* = net_theta*(z), theta* = argmin |(net_theta(z) - x0) * m|^2, with z noise and the mask m, which is 1 where the
    picture x0 is known. Known pixels stay as they are.

    Raises:
        BadInput: for missing or contradictory fields, or (in `run`) a mask or picture that does not fit.

    Example:
        >>> Inpaint(image="photo.jpg", mask="mask.png").name
        'inpaint'
    """

    name: ClassVar[str] = "inpaint"

    mask: str | Sequence[str] = option(
        (),
        "mask of the same size, white where the picture is known, black where it is missing: one for all, or "
        "(repeated, or a folder) one for each",
        repeat=True,
        grows=True,
    )
    missing: float | None = option(None, "fraction of the pixels to hide at random, instead of a mask, e.g. 0.25")
    damaged: bool = option(False, "the masked pixels are no ground truth: do not compare the result with them")
    value_range: str | Sequence[float] | None = option(None, "low,high: the values of arrays (default: 0,1)")
    show_channels: str | int | Sequence[int] | None = option(
        None, "channels that picture files show: three as red,green,blue, or one (default: all)"
    )
    prior: PriorLike = option("deep-image", f"{HELP}; of the others, decoder fills areas with natural texture")
    out: str = option("restored", "output folder")
    steps: int | None = option(400, "optimisation steps for each picture")
    size: int | None = option(None, "longest side of the pictures in pixels (default: their own)")
    batch_size: int | None = option(
        1, "pictures of one size optimised together; with 1, each is written when it is done"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_images()
        if not all(isinstance(value, str) and value for value in self.masks):
            raise BadInput(f"mask: expected text, or a list of texts, got {self.mask!r}")
        if bool(self.masks) == (self.missing is not None):
            given = "both mask and missing" if self.masks else "neither mask nor missing"
            raise BadInput(f"got {given}; expected one of them: mask pictures, or a fraction of the pixels")
        if self.missing is not None and not 0 < self.missing < 1:
            raise BadInput(f"missing must be a fraction above 0 and below 1, got {self.missing!r}")
        PriorChoice.parse(self.prior)
        if self.missing is not None and self.damaged:
            raise BadInput(
                "damaged describes the pixels under a mask; with missing, the pictures are intact: leave out damaged"
            )

    @property
    def _choice(self) -> PriorChoice:
        return PriorChoice.parse(self.prior)

    @property
    def masks(self) -> tuple[str, ...]:
        return texts(self.mask)

    def settings(self) -> dict[str, Any]:
        lists = {"image": list(self.images), "mask": list(self.masks), "prior": str(self._choice)}
        return super().settings() | lists | written_values(self.value_range, self.show_channels)

    def load(self) -> Model:
        """No network: what there is to know of the pictures."""
        from inverter.identity import no_network
        from inverter.input_values import as_show_channels, as_value_range

        model = no_network(self.device)
        model.value_range = model.value_range if self.value_range is None else as_value_range(self.value_range)
        model.show_channels = () if self.show_channels is None else as_show_channels(self.show_channels)
        return model

    @once
    def pictures(self, context: RunContext) -> InputPictures:
        """The pictures that can be read, each with the channels that it has, and why the others cannot."""
        from recipes.pictures.inputs import InputPictures

        return InputPictures.find(self.images, None, self.reserved, context.model.value_range)

    @once
    def _mask_files(self, context: RunContext) -> dict[str, Path]:
        """The mask of each picture, by the picture's name."""
        from recipes.pictures.inputs import named_files

        pictures, masks = named_files(self.images), list(named_files(self.masks).values())
        if len(masks) not in (1, len(pictures)):
            raise BadInput(
                f"got {plural(len(masks), 'mask')} for {plural(len(pictures), 'picture')}; expected one for all, "
                "or each"
            )
        return dict(zip(pictures, masks if len(masks) > 1 else masks * len(pictures), strict=True))

    def _read(self, context: RunContext, name: str) -> tuple[Tensor, Tensor]:
        """A picture (C, H, W) in [0, 1], and its mask (1, H, W) of zeros and ones."""
        from inverter.engine import unit_seeds
        from inverter.input_values import check_shown
        from recipes.inpainting.masks import check_mask, random_mask, read_mask, scaled, scaled_mask
        from recipes.pictures.reading import read_picture

        source = self.pictures(context).files[name]
        picture = read_picture(source, None, value_range=context.model.value_range)
        check_shown(context.model.show_channels, len(picture), str(source))
        height, width = picture.shape[1:]
        factor = self.size / max(height, width) if self.size else 1
        size = max(1, round(height * factor)), max(1, round(width * factor))
        if min(size) < SMALLEST:
            raise BadInput(
                f"{source}: expected pictures of at least {SMALLEST} pixels each way, "
                f"got {size[1]}x{size[0]} (width x height)"
            )
        if self.missing is not None:
            (seed,) = unit_seeds((f"missing({name})",), self.seed)
            return scaled(picture, size), random_mask(size, self.missing, seed)
        file = self._mask_files(context)[name]
        mask = scaled_mask(read_mask(file, (height, width)), size)
        return scaled(picture, size), check_mask(mask, f"mask {file} at {size[1]}x{size[0]} pixels")

    def _batch(self, context: RunContext, units: Sequence[Unit]) -> tuple[Tensor, Tensor]:
        """The pictures (B, C, H, W) of these units, and their masks (B, 1, H, W)."""
        import torch

        pictures, masks = zip(*(self._read(context, str(unit.image)) for unit in units), strict=True)
        return torch.stack(pictures), torch.stack(masks)

    def units(self, context: RunContext) -> list[Unit]:
        # Pictures and masks that cannot be read, or do not fit, are errors before anything is written.
        kinds = {name: self._kind(context, name) for name in self.pictures(context).files}
        return [
            Unit(
                "",
                None,
                objective,
                f"{folder}/{safe_name(name)}.png",
                image=name,
                prior=prior,
                batch=f"{objective} {kind}",
                made_from=self._made_from(context, name),
            )
            for objective, folder, prior in (
                (ORIGINAL, "originals", None),
                (MASKED, "masked", None),
                (RESTORED, "images", str(self._choice)),
            )
            for name, kind in kinds.items()
        ]

    def _made_from(self, context: RunContext, name: str) -> str:
        """The file of a picture, and of its mask."""
        file = str(self.pictures(context).files[name])
        return file if self.missing is not None else f"{file} with the mask {self._mask_files(context)[name]}"

    def _kind(self, context: RunContext, name: str) -> str:
        """What the pictures of a batch have in common: the shape, and whether areas or scattered pixels are missing."""
        from recipes.inpainting.masks import depth

        picture, mask = self._read(context, name)
        return f"{'x'.join(map(str, picture.shape))} {'holes' if depth(mask) > STROKE else 'scattered'}"

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem | Given:
        from inverter.identity import no_network
        from objectives import known_pixels
        from recipes.inpainting.masks import depth
        from recipes.inpainting.patches import with_detail

        pictures, masks = self._batch(context, units)
        if units[0].objective == ORIGINAL:
            return Given(pictures)
        known = pictures * masks  # the masked pixels are not used from here on
        if units[0].objective == MASKED:
            return Given(known)
        names = [str(unit.image) for unit in units]
        score = objective = known_pixels(known, masks, names)
        copied: Tensor | None = None
        if self._choice.name == DEEP_IMAGE and depth(masks[0]) > STROKE:  # a batch is of one kind
            copied = self._completed(known, masks, names)
            objective = known_pixels(copied, masks + COPIED * (1 - masks), names)
        prior, stage = self._prior(known)
        model = no_network(context.model.device, known.shape[1])

        def finish(restored: Tensor) -> Tensor:
            return known + (1 - masks) * (restored if copied is None else with_detail(restored, copied))

        return Problem(objective, prior, score, [stage], finish=finish, model=model)

    def _prior(self, known: Tensor) -> tuple[Prior, dict[str, Any]]:
        """The prior of a batch, and the settings with which it is optimised."""
        from inverter.identity import no_network
        from priors import DeepImage

        rate = {} if self.learning_rate is None else {"learning_rate": self.learning_rate}
        size, channels = (known.shape[2], known.shape[3]), known.shape[1]
        if self._choice.name != DEEP_IMAGE:  # from a random start: one that matches the known pixels fills no hole
            options: dict[str, Any] = SMOOTH if self._choice.name == "decoder" else {}
            return self._choice.make(len(known), size, no_network("cpu", channels), **options), rate
        options = PRIOR | {"bfloat16": {"float32": False, "bfloat16": True}.get(self.precision)}
        prior = DeepImage(len(known), size, **options | {"image_channels": channels} | dict(self._choice.options))
        return prior, {"learning_rate": LEARNING_RATE, "schedule": "constant"} | rate

    def _completed(self, known: Tensor, masks: Tensor, names: Sequence[str]) -> Tensor:
        """The pictures with their missing areas copied from what surrounds them, (B, C, H, W)."""
        import torch

        from inverter.engine import unit_seeds
        from recipes.inpainting.patches import completed

        seeds = unit_seeds([f"completed({name})" for name in names], self.seed)
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        return torch.stack([completed(*each) for each in zip(known, masks, generators, strict=True)])

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """The metrics of the missing pixels as they are in the files, with 8 bits a channel."""
        pictures, masks = self._batch(context, units)
        height, width = pictures.shape[2:]
        rows: list[dict[str, Any]] = [{"width": width, "height": height} for _ in units]
        if units[0].objective == ORIGINAL:
            for row, unit in zip(rows, units, strict=True):
                row["source"] = self.pictures(context).files[str(unit.image)].name
        if units[0].objective != RESTORED:
            return rows
        known = pictures * masks
        mean = known.sum((2, 3), keepdim=True) / masks.sum((2, 3), keepdim=True)
        fractions = (1 - masks).mean((1, 2, 3)).tolist()
        restored = _missing_psnr(images.clamp(0, 1).mul(255).round().div(255), pictures, masks).tolist()
        filled = _missing_psnr(mean, pictures, masks).tolist()
        for row, fraction, psnr, psnr_of_mean in zip(rows, fractions, restored, filled, strict=True):
            row["missing"] = fraction
            if not self.damaged:
                row |= {"psnr": psnr, "psnr_of_mean": psnr_of_mean}
        return rows

    def closing(self, records: Sequence[Record]) -> str | None:
        values = [record.metrics["psnr"] for record in records if "psnr" in record.metrics]
        if not values:
            return None
        least = f" on average, {min(values):.1f} dB at least" if len(values) > 1 else ""
        return f"PSNR of the missing pixels: {fmean(values):.1f} dB{least}"

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.inpainting.page import render_inpaint

        return render_inpaint(manifest)


def _missing_psnr(images: Tensor, pictures: Tensor, masks: Tensor) -> Tensor:
    """PSNR in dB, at most 99, of images (B, C, H, W) to the pictures, on the pixels that the masks hide, as (B,)."""
    missing = (1 - masks).expand_as(pictures)
    error = ((images - pictures).square() * missing).flatten(1).sum(1) / missing.flatten(1).sum(1)
    return (-10 * error.log10()).clamp(max=99.0)
