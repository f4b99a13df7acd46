"""Targets of attribution as text: any objective of one unit, or the predicted class of each image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from inverter_errors import BadInput, MissingFile, plural
from recipes.options.directions import set_name, with_sets
from recipes.options.indices import count_classes, parse_classes
from recipes.options.names import OUTPUT_LAYER, address
from recipes.options.suggest import nearest

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from objectives import Objective

TOP = "top"
"""The class with the highest score, for each image separately."""
FORMS = {
    "logit": "logit:CLASS",
    "softmax": "softmax:CLASS",
    "channel": "channel:LAYER:CHANNEL",
    "neuron": "neuron:LAYER:CHANNEL or neuron:LAYER:CHANNEL:ROW,COLUMN",
    "latent": "latent:FILE:LATENT",
    "direction": "direction:LAYER:CHANNEL*WEIGHT,... or direction:LAYER:FILE.npy",
    "layer": "layer:LAYER",
    "head": "head:LAYER:HEAD",
    "attention": "attention:LAYER:HEAD[:TOKEN[:TO]]",
    "text": "text:WORDS",
    "output": "output:NAME",
}
HELP = (
    ", ".join(FORMS.values())
    + "; CLASS is a name, an index, or top: the predicted class of each image; TOKEN and TO are cls, an index, or "
    "ROW,COLUMN (default: cls and the centre); FILE holds a set of directions; LAYER may be "
    "one token, LAYER@cls or LAYER@INDEX; where the network returns several tensors, LAYER may be output:NAME, "
    "logit:output:NAME:CLASS is a class of one of them, output:NAME its top class; text is for networks "
    "with a text tower (CLIP, SigLIP)"
)
_POSITION = re.compile(r"\d+:\d+,\d+|\d+", re.ASCII)
_ATTENTION = re.compile(r"\d+(:(cls|\d+(,\d+)?)){0,2}", re.ASCII)


@dataclass(frozen=True)
class Target:
    """A target of attribution.

    Attributes:
        kind: logit, softmax, channel, neuron, latent, direction, layer, head, attention or text.
        layer: address of the layer; for classes and texts "output", or "output:NAME" for one of several outputs; for a
            latent the file of its directions.
        which: the class, channel, position, direction, head or tokens in it, or the words, as text.

    Raises:
        BadInput: for text of another form.

    Example:
        >>> Target.parse("neuron:features.9:17:3,4")
        Target(kind='neuron', layer='features.9', which='17:3,4')
        >>> str(Target.parse("logit: golden retriever"))
        'logit:golden retriever'
    """

    kind: str
    layer: str
    which: str

    @classmethod
    def parse(cls, text: str) -> Target:
        kind, _, rest = (part.strip() for part in text.partition(":"))
        if kind == OUTPUT_LAYER and rest:
            return cls("logit", f"{OUTPUT_LAYER}:{rest}", TOP)
        if kind not in FORMS:
            raise BadInput(f"target {text!r}: unknown kind {kind!r}{nearest(kind, FORMS)}")
        for layer, which in [(OUTPUT_LAYER, rest)] if kind == "text" else _splits(rest, kind):
            if _FITS[kind](which) and layer:
                return cls(kind, layer, which)
        raise BadInput(f"target {text!r}: expected {FORMS[kind]}")

    def __str__(self) -> str:
        parts = [self.kind, self.layer, self.which]
        at_output = self.kind == "text" or (self.of_class and self.layer == OUTPUT_LAYER)
        return ":".join(parts[::2] if at_output else filter(None, parts))

    @property
    def of_class(self) -> bool:
        return self.kind in ("logit", "softmax")

    @property
    def address(self) -> str:
        """The address of its layer, as `Model` takes it."""
        return address(self.layer)

    @property
    def single(self) -> bool:
        """True if it is one channel, head or class."""
        return self.kind not in ("direction", "layer", "text")

    @property
    def channel(self) -> int | None:
        """Index of the channel, head or class; None for a class by name or `top`, or a target that is not single."""
        first = self.which.partition(":")[0]
        return int(first) if self.single and _is_number(first) else None

    def prepared(self, model: Model) -> Model:
        """The network with the directions of this target: itself for all targets but a latent.

        Args:
            model: the network.

        Raises:
            MissingFile: for a missing file.
            BadInput: for a file without directions, or those of another network or layer.
        """
        if self.kind != "latent" or set_name(self.layer) in model.directions:
            return model
        return with_sets(model, self.layer)

    def resolved(self, model: Model) -> Target:
        """This target with its class as an index, or a latent as a channel of the layer that its directions add.

        Args:
            model: the network.

        Raises:
            BadInput: for an unknown class.
            NotFound: for an unknown layer.
        """
        if not self.of_class:
            if self.kind == "latent":
                return replace(self, kind="channel", layer=model.directions.address(set_name(self.layer)))
            model.check_layer(address(self.layer))
            return self
        count = count_classes(model, address(self.layer))
        if self.which == TOP:
            return self
        found = parse_classes(self.which, count, model.categories, model.spec)
        if len(found) > 1:
            raise BadInput(f"target {self}: expected one class; give several targets separately")
        return replace(self, which=str(found[0]))

    def channels(self, model: Model, images: Tensor) -> list[int]:
        """The class, channel or head of a resolved target, for each image.

        Args:
            model: the network.
            images: (B, 3, H, W) in [0, 1].

        Raises:
            BadInput: for a target that is not a single class, channel or head.
        """
        if self.which == TOP:
            from inverter import encode
            from objectives.units import as_map

            where = address(self.layer)
            return as_map(encode(model, images, where)[where], where).mean((2, 3)).argmax(1).tolist()
        if self.channel is None:
            raise BadInput(f"target {self} is not a single class, channel or head")
        return [self.channel] * len(images)

    def objective(self, model: Model, images: Tensor) -> Objective:
        """The target as an objective for a batch of images; for `top`, with one class per image.

        Args:
            model: the network.
            images: (B, 3, H, W) in [0, 1].

        Raises:
            BadInput: for an unknown class, or an unsuitable file.
            NotFound: for an unknown layer.
            MissingFile: for a missing file.
        """
        import objectives

        if self.kind == "latent":
            return self.resolved(model).objective(model, images)
        known, where = self.resolved(model), address(self.layer)
        if known.of_class:
            classes = known.channels(model, images)
            score = objectives.logit if self.kind == "logit" else objectives.softmax
            return score(classes if self.which == TOP else classes[0], where)
        if self.kind == "text":
            return objectives.text_match(model, self.which)
        if self.kind == "layer":
            return objectives.layer(where)
        if self.kind == "direction":
            count = model.shapes([where], (images.shape[2], images.shape[3]))[where][1]
            return objectives.direction(where, _vector(self.which, count, str(self)))
        number, *places = self.which.split(":")
        if self.kind == "channel":
            return objectives.channel(where, int(number))
        if self.kind == "head":
            return objectives.attention_head(where, int(number))
        if self.kind == "attention":
            return objectives.attention(where, int(number), *map(_token, places))
        return objectives.neuron(where, int(number), *(_numbers(places[0]) if places else ()))


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _token(text: str) -> str | int | tuple[int, int]:
    """The token that an objective of attention takes: `cls`, its index, or its place."""
    if text == "cls":
        return text
    first, *second = _numbers(text)
    return (first, second[0]) if second else first


def _splits(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """The ways to read `LAYER:WHICH`; the layer may be `NAME:PART`, one of several tensors in a module's output."""
    first, _, rest = (part.strip() for part in text.partition(":"))
    second, _, last = (part.strip() for part in rest.partition(":"))
    if kind in ("logit", "softmax"):
        if first == OUTPUT_LAYER and last:
            yield f"{first}:{second}", last
        yield OUTPUT_LAYER, text
        return
    yield first, rest
    if second:
        yield f"{first}:{second}", last
    if kind in ("channel", "latent"):  # of directions of such a tensor, or in a file whose path has colons
        names, _, last = (part.strip() for part in text.rpartition(":"))
        yield names, last


_FITS: dict[str, Callable[[str], object]] = {
    "logit": bool,
    "softmax": bool,
    "channel": _is_number,
    "latent": _is_number,
    "neuron": _POSITION.fullmatch,
    "direction": lambda which: which.endswith(".npy") or (which and ":" not in which),
    "layer": lambda which: not which,
    "head": _is_number,
    "attention": _ATTENTION.fullmatch,
    "text": bool,
    "output": lambda _which: False,
}
"""For each kind, whether text says which unit of a layer it is."""


def _vector(text: str, count: int, target: str) -> Sequence[float]:
    """A direction (count,), from a file or from `CHANNEL*WEIGHT,...`."""
    from recipes.pictures.arrays import load_array

    if text.endswith(".npy"):
        if not Path(text).is_file():
            raise MissingFile(f"target {target}: no file {text!r}")
        try:
            array = load_array(Path(text))
        except (BadInput, OSError) as error:
            raise BadInput(f"target {target}: {error}") from error
        if array.shape != (count,) or array.dtype.kind not in "fiu":
            raise BadInput(
                f"target {target}: {text} holds an array of shape {array.shape}, expected "
                f"{plural(count, 'number')} ({count},)"
            )
        return [float(value) for value in array]
    vector = [0.0] * count
    for piece in text.split(","):
        channel, _, weight = piece.partition("*")
        try:
            if not _is_number(channel.strip()):
                raise ValueError
            vector[int(channel)] = float(weight or 1)
        except ValueError:
            raise BadInput(f"target {target}: got {piece.strip()!r}, expected CHANNEL*WEIGHT or FILE.npy") from None
        except IndexError:
            raise BadInput(f"target {target}: the layer has {plural(count, 'channel')} (0 to {count - 1})") from None
    return vector
