"""Class models: a picture that maximises the evidence for each class, and how a second network classifies it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from inverter_errors import BadInput, plural
from recipes.evidence.verdict import rank
from recipes.gallery.film_fields import FilmFields
from recipes.gallery.likeness import LikeRecipe
from recipes.options.augmentations import AUGMENTS, TRANSFORMS, AugmentName
from recipes.options.fields import MANY, MOST, check_integer, check_many, option
from recipes.options.indices import count_classes, parse_classes
from recipes.options.names import OUTPUT_LAYER, address
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.options.words import read_words
from recipes.outputs.file_names import numbered, safe_name
from recipes.runner.context import RunContext, once
from recipes.runner.natural_fields import CLASS_WEIGHT
from recipes.runner.units import Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from recipes.outputs.manifest import Record

TOP = 5
"""Number of the most probable classes that the manifest lists."""

PresetName = Literal["auto", "best", "natural", "tokens", "simonyan"]


@dataclass(frozen=True)
class Preset:
    """The values that a preset sets for fields without a value.

    Attributes:
        prior: its name, with options.
        steps: optimisation steps for each picture.
        learning_rate: peak learning rate; only with the preset's own prior.
        augment: name of the augmentation.
        tries: random restarts for each class.
        log_probability: weight of the log-probability relative to the logit.
    """

    prior: str
    steps: int
    learning_rate: float
    augment: AugmentName
    tries: int
    log_probability: float = 2.0


PRESETS: dict[PresetName, Preset] = {
    "best": Preset(prior="fourier", steps=64, learning_rate=0.2, augment="wide", tries=2),
    "natural": Preset(
        prior="fourier:contrast=1.8", steps=128, learning_rate=0.12, augment="wider", tries=1, log_probability=0.5
    ),
    "tokens": Preset(prior="fourier:natural_mean=true", steps=64, learning_rate=0.2, augment="tokens", tries=1),
    "simonyan": Preset(prior="pixels", steps=100, learning_rate=0.01, augment="none", tries=1, log_probability=0),
}
SIMONYAN_L2 = 100.0
"""Weight lambda of the mean squared distance from the data mean; the paper does not report its own."""
OVERSHOOT = 5000.0
"""Weight of the values that a decoder draws beyond [0, 1]: logits are of the order of 100."""


@dataclass(frozen=True, kw_only=True)
class ClassModel(FilmFields, LikeRecipe):
    """A picture of each class, and whether a second network recognises it (Simonyan et al. 2014, "class model").

    Simonyan et al. 2014, eq. 1: x* = argmax S_c(x) - lambda |x|^2, with S_c the logit of class c. Preset `simonyan`
    optimises it on raw pixels that start at the zero image, to which the data mean is added, without augmentation.
    Preset `best` maximises S_c(x) + 2 log p_c(x) from noise in the Fourier basis, with the spectrum of natural images
    and wide random shifts, scales, rotations and noise, which favour the object over a texture at one scale.
    Preset `natural`, the default with the feature statistics of `natural`, has log p_c / 2, twice as many steps of half
    the size in place of a second try, less contrast, and transforms that show the object from farther away.
    Preset `tokens` does as `best` for networks that read patches, with wider transforms, mirrored, in shifted colours.

    With `text`, the classes are texts, and the network is one with a text tower, such as CLIP: S_c is the cosine of the
    picture's embedding with that of the text, times the network's scale (`inverter.zero_shot`).

    Raises:
        BadInput: for an unknown preset, options of a judge without a judge, or (in `run`) an unknown class.

    Example:
        >>> ClassModel(model="builtin", class_="0-3", preset="simonyan", out="OUT").augment
        'none'
    """

    name: ClassVar[str] = "classes"

    class_: str | int | Sequence[int | str] | None = option(
        None,
        f"classes: all (the default up to {MANY} pictures), names, indices 9,40,71 or ranges 0-15; may be repeated",
        repeat=True,
        grows=True,
    )
    text: str | Sequence[str] | None = option(
        None,
        "texts to make pictures of, with a network that has a text tower (CLIP, SigLIP): words, or a .txt file of "
        "them, one a line; may be repeated",
        repeat=True,
    )
    output: str | None = option(None, "name of the output with the classes, where the network returns several tensors")
    preset: PresetName = option(
        "auto",
        "set of defaults: best, natural (with the statistics of --natural), tokens (for networks that read patches), "
        "auto (of these by the network), or "
        "simonyan (the paper's: raw pixels with an L2 penalty)",
        choices=get_args(PresetName),
    )
    prior: PriorLike | None = option(None, f"{HELP} (default: the preset's)")
    out: str = option("classes", "output folder")
    steps: int | None = option(None, "optimisation steps for each picture (default: the preset's)")
    tries: int | None = option(
        None, "random restarts of each picture, of which the best is kept (default: the preset's)"
    )
    augment: AugmentName = option("auto", f"{TRANSFORMS}; auto: the preset's", choices=AUGMENTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_judge()
        if self.tries is not None:
            check_integer("tries", self.tries, 1, MOST)
        if self.prior is not None:
            PriorChoice.parse(self.prior)
        if self.preset == "auto":
            return  # the network decides: see `_chosen`
        preset = PRESETS[self.preset]
        own = PriorChoice.parse(preset.prior).name
        for key, value in asdict(preset).items():
            if key == "log_probability":
                continue
            if key == "learning_rate" and PriorChoice.parse(self.prior or own).name != own:
                continue  # another prior has a learning rate of its own
            if getattr(self, key) in (None, "auto"):
                object.__setattr__(self, key, value)

    @property
    def usual_natural_weight(self) -> float:
        return CLASS_WEIGHT

    @property
    def _words(self) -> tuple[str, ...]:
        return () if self.text is None else read_words(self.text, "text")

    def load(self) -> Model:
        return self._classifier(super().load())

    def _classifier(self, model: Model) -> Model:
        """The network itself, or a zero-shot classifier of the texts."""
        from inverter.zero_shot import zero_shot

        return zero_shot(model, self._words) if self._words else model

    def _chosen(self, context: RunContext) -> ClassModel:
        """This recipe with the preset that `auto` stands for."""
        if self.preset != "auto":
            return self
        from inverter.patches import reads_patches

        usual: PresetName = "best" if self.natural is None else "natural"
        return replace(self, preset="tokens" if reads_patches(context.model) else usual)

    def transforms(self, context: RunContext) -> str:
        return self._chosen(context).augment

    @once
    def _judges(self, context: RunContext) -> dict[str, Model]:
        loaded = self.loaded_judges(context)
        return {label: judge if judge.text is None else self._classifier(judge) for label, judge in loaded.items()}

    def _choice(self, context: RunContext) -> PriorChoice:
        chosen = self._chosen(context)
        assert chosen.prior is not None  # its preset has set it
        return PriorChoice.parse(chosen.prior)

    def settings(self) -> dict[str, Any]:
        # One spelling of what has several, so that a run can be resumed with any of them.
        prior = None if self.prior is None else str(PriorChoice.parse(self.prior))
        return super().settings() | {"prior": prior, "text": list(self._words) or None}

    def recorded_settings(self, context: RunContext) -> dict[str, Any]:
        return super().recorded_settings(context) | self._chosen(context).settings()

    @property
    def _output(self) -> str:
        """The output's name in manifests; `address` makes it an address."""
        return f"{OUTPUT_LAYER}:{self.output}" if self.output else OUTPUT_LAYER

    def units(self, context: RunContext) -> list[Unit]:
        model, layer = context.model, self._output
        classes = count_classes(model, address(layer))
        self._choice(context).check(self.picture_size(model), model)
        for judge in self._judges(context).values():
            if (known := count_classes(judge)) != classes:
                raise BadInput(
                    f"the judge {judge.spec} has {plural(known, 'class')} and {model.spec} has {classes}: "
                    "choose a judge that was trained on the same classes"
                )
        indices = parse_classes("all" if self.class_ is None else self.class_, classes, model.categories, model.spec)
        if self.class_ is None:
            check_many(len(indices), "class", f"all classes of {model.spec}")
        names = {index: model.categories[index] for index in indices if index < len(model.categories)}
        units = [
            Unit(
                layer=layer,
                channel=index,
                objective="logit",
                file=f"images/{safe_name(layer)}/{numbered(index, names.get(index))}.png",
                name=names.get(index),
            )
            for index in indices
        ]
        return self.with_films(units)

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem:
        from objectives import logit, softmax

        model = context.model
        classes = [unit.channel for unit in units if unit.channel is not None]
        output = address(self._output)
        score = objective = logit(classes, output)
        chosen = self._chosen(context)
        if weight := PRESETS[chosen.preset].log_probability:
            # The log-probability also lowers the logits of competing classes; once the class dominates, it vanishes.
            objective = score + weight * softmax(classes, output)
        objective = self.alike(context, units, objective)
        defaults: dict[str, Any] = {}
        choice = self._choice(context)
        if chosen.preset == "simonyan" and choice.name == "pixels":
            # The zero image of the normalised input is the data mean.
            defaults = {"l2": SIMONYAN_L2, "spread": 0.0, "mean": model.mean}
        if choice.name == "decoder":
            defaults = {"overshoot": OVERSHOOT}
        prior = choice.make(len(units), self.picture_size(model), model, **defaults)
        stages = [{"tries": chosen.tries, "steps": chosen.steps, "learning_rate": chosen.learning_rate}]
        return Problem(objective, prior, score, stages, finish=choice.finish(prior), alpha=choice.alpha)

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        from recipes.activations.predictions import top_classes
        from recipes.evidence.appearance import burnt

        compared = super().metrics(context, units, images)
        images = (images * 255).round() / 255  # as they are on disk
        rows = [{**row, "burnt": share} for row, share in zip(compared, burnt(images).tolist(), strict=True)]
        shown = self._choice(context).shown_size(self.picture_size(context.model), context.model)
        networks: dict[str, tuple[Model, tuple[int, int] | None, str]]
        networks = {"network": (context.model, shown, address(self._output))}
        networks |= {label: (judge, None, "") for label, judge in self._judges(context).items()}
        for key, (network, size, output) in networks.items():
            best = top_classes(network, images, TOP, size=size, output=output)
            for row, guesses in zip(rows, best, strict=True):
                row[key] = [asdict(guess) for guess in guesses]
        return rows

    def closing(self, records: Sequence[Record]) -> str:
        from recipes.evidence.appearance import EDGE

        count = len(records)
        first = sum(rank(record.metrics, "network", record.channel) == 0 for record in records)
        parts = [f"the network puts {first} of {count} first"]
        for label in self.judge_labels:
            known = sum(rank(record.metrics, label, record.channel) is not None for record in records)
            first = sum(rank(record.metrics, label, record.channel) == 0 for record in records)
            parts.append(f"the {label} has {known} of {count} in its top {TOP}, {first} first")
        share = sum(record.metrics["burnt"] for record in records) / max(count, 1)
        parts.append(f"{share:.1%} of the channel values lie within {EDGE:g} of 0 or 1")
        return "; ".join(parts)

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.gallery.page import render_gallery

        return render_gallery(manifest, kind="Class models")
