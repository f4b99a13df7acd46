"""The base of all objectives: a frozen value that names the layers it reads and scores each image."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inverter_errors import BadInput, BadType, NotFound, plural
from objectives.targets import Targets

OUTPUT = ""
"""The address of the model's own output: the root module's name in `named_modules()`."""

SHOWN = 4
"""Targets that the text of an objective names, at most."""


class Activations(Mapping[str, Tensor]):
    """The result of one forward pass: activations by layer address, and the input image itself.

    Args:
        activations: layer address -> tensor (B, C, H, W) or (B, C); `OUTPUT` ("") is the model's output.
        image: the input of the network, (B, 3, H, W) in [0, 1], after augmentation and before normalisation.
        rows: (B,) integers: the index of each image's target. By default image i has target i. The engine uses it to
            work on any part of a long list of targets.

    Raises:
        NotFound: when read, for a layer that was not captured, or an image that was not given.
    """

    def __init__(self, activations: Mapping[str, Tensor], image: Tensor | None = None, rows: Tensor | None = None):
        self._activations = dict(activations)
        self._image = image
        self.rows = rows

    @property
    def image(self) -> Tensor:
        """The input of the network, (B, 3, H, W) in [0, 1]."""
        if self._image is None:
            raise NotFound("this objective reads the image itself: give Activations(..., image=...)")
        return self._image

    def __getitem__(self, layer: str) -> Tensor:
        try:
            return self._activations[layer]
        except KeyError:
            raise NotFound(
                f"layer {layer!r} was not captured; captured: {', '.join(map(repr, self._activations)) or 'none'}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._activations)

    def __len__(self) -> int:
        return len(self._activations)

    def pick(self, targets: Tensor) -> Tensor:
        """Selects the targets of the images in this batch.

        Args:
            targets: (N, ...), one for each unit, or a single one (N = 1) for every image.

        Returns:
            (B, ...) on the device of `targets`; (1, ...) if there is a single target.
        """
        if targets.shape[0] == 1:
            return targets
        return targets if self.rows is None else targets[self.rows.to(targets.device)]


Score = Callable[[Activations], Tensor]


@dataclass(frozen=True, eq=False)
class Objective:
    """A function to maximise, one score per image; it is the f of f(x) - R(x).

    Objectives form a vector space: `0.5 * channel("a", 3) + neuron("b", 5) - 0.1 * layer("c")`.
    `f + 2.0` adds a constant, `f * g` multiplies two scores.

    Attributes:
        name: a readable name, e.g. `channel(features.9)`.
        reads: addresses of the layers that `score` needs; the forward pass ends after the deepest of them.
        score: `Activations -> (B,)`, higher is better.
        labels: the name of each target, one per unit, or a single one for all. They identify a unit: its random
            draws depend on its label and the seed, not on the batch it runs in.
        coupled: True if the images of a batch influence each other (diversity): such a batch is never split.
        repulsion: factor of `diversity` in it, 0 if there is none; below 0, optimising makes the images alike.
        form: objectives of equal form differ in their `targets` alone, and `score` is a function of tensors: it reads
            no values of them on the host and keeps no state, so that a GPU can record it once and replay it. None makes
            no such promise; the loop then calls it in every step.
        targets: the tensors of targets that `score` reads.

    Raises:
        BadInput: if two objectives with different numbers of targets (neither of them 1) are combined.

    Example:
        >>> brightness = Objective("brightness", (), lambda activations: activations.image.mean((1, 2, 3)))
        >>> (2 * brightness).score(Activations({}, image=torch.ones(1, 3, 4, 4)))
        tensor([2.])
    """

    name: str
    reads: tuple[str, ...]
    score: Score
    labels: tuple[str, ...] = ()
    coupled: bool = False
    repulsion: float = 0.0
    form: Hashable | None = None
    targets: tuple[Targets, ...] = ()

    def __repr__(self) -> str:
        shown = ", ".join(self.labels[:SHOWN]) + (", …" if len(self.labels) > SHOWN else "")
        reads = ", ".join(map(repr, self.reads)) or "the picture"
        return f"Objective({shown or self.name}; reads {reads})"

    @property
    def count(self) -> int:
        """Number of units that the objective has targets for; 1 applies to a batch of any size."""
        return max(len(self.labels), 1)

    def label(self, index: int) -> str:
        """The label of unit `index`; all units share it if there is only one."""
        if not self.labels:
            return self.name
        return self.labels[index] if len(self.labels) > 1 else self.labels[0]

    def _combine(self, other: Objective, sign: str, score: Score) -> Objective:
        counts = {self.count, other.count} - {1}
        if len(counts) > 1:
            raise BadInput(
                f"cannot combine {self.name} of {plural(self.count, 'target')} with {other.name} of {other.count}: "
                "give both the same number of targets, or one of them a single target"
            )
        labels = tuple(f"({self.label(i)} {sign} {other.label(i)})" for i in range(max(self.count, other.count)))
        return Objective(
            name=f"({self.name} {sign} {other.name})",
            reads=tuple(dict.fromkeys(self.reads + other.reads)),
            score=score,
            labels=labels,
            coupled=self.coupled or other.coupled,
            repulsion={"+": self.repulsion + other.repulsion, "-": self.repulsion - other.repulsion}.get(sign, 0.0),
            form=None if self.form is None or other.form is None else (sign, self.form, other.form),
            targets=self.targets + other.targets,
        )

    def _scaled(self, text: str, score: Score, by: tuple[str, float]) -> Objective:
        return replace(
            self,
            name=text.format(self.name),
            score=score,
            labels=tuple(text.format(label) for label in self.labels),
            form=None if self.form is None else (*by, self.form),
        )

    def __add__(self, other: Objective | float) -> Objective:
        if isinstance(other, Objective):
            return self._combine(other, "+", lambda activations: self.score(activations) + other.score(activations))
        if isinstance(other, int | float):
            text = f"({{}} + {other:g})"
            return self._scaled(text, lambda activations: self.score(activations) + other, ("+", other))
        return NotImplemented

    def __sub__(self, other: Objective | float) -> Objective:
        if isinstance(other, Objective):
            return self._combine(other, "-", lambda activations: self.score(activations) - other.score(activations))
        if isinstance(other, int | float):
            return self + (-other)
        return NotImplemented

    def __mul__(self, other: Objective | float) -> Objective:
        if isinstance(other, Objective):
            return self._combine(other, "*", lambda activations: self.score(activations) * other.score(activations))
        if isinstance(other, int | float):
            text = f"{other:g}*{{}}"
            scaled = self._scaled(text, lambda activations: self.score(activations) * other, ("*", other))
            return replace(scaled, repulsion=self.repulsion * other)
        return NotImplemented

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: float) -> Objective:
        return -1 * self + other

    def __neg__(self) -> Objective:
        return -1 * self

    def __truediv__(self, other: float) -> Objective:
        return self * (1 / other)


def as_targets(value: int | list[int] | tuple[int, ...] | range | Tensor, what: str) -> Tensor:
    """One index, or one per image, as an int64 tensor (N,).

    Args:
        value: an integer >= 0, or several; NumPy's integers count as well.
        what: the name of the argument, for error messages.

    Raises:
        BadType: if an entry is not an integer.
        BadInput: if there is none, or one is negative.
    """
    numbers = value.tolist() if isinstance(value, Tensor) else value
    entries = list(numbers) if isinstance(numbers, Iterable) else [numbers]
    if not entries:
        raise BadInput(f"{what}: got an empty list, expected at least one index")
    if not all(hasattr(entry, "__index__") and not isinstance(entry, bool) for entry in entries):
        raise BadType(f"{what}: expected integers, got {value!r}")
    entries = [operator.index(entry) for entry in entries]  # NumPy's integers too
    if min(entries) < 0:
        raise BadInput(f"{what}: got {min(entries)}, expected an index of at least 0")
    return torch.tensor(entries, dtype=torch.long, device="cpu")
