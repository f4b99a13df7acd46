"""What every prior is: the map g from parameters to pictures, and the penalty R on those pictures."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from inverter_errors import BadInput, BadType

Size = int | tuple[int, int]


def as_size(size: Size) -> tuple[int, int]:
    """`size` as (height, width) in pixels; one number means a square.

    Raises:
        BadInput: if a side is not a positive whole number.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
        raise BadInput(f"size must be a positive whole number or a pair of them (height, width), got {size!r}")
    return height, width


def check_images(images: Tensor, channels: int = 3) -> Tensor:
    """`images` as float32 (B, C, H, W) on the CPU, where priors begin, after checking shape and range.

    Raises:
        BadInput: if the shape is not (B, C, H, W) or (C, H, W), or a value is not in [0, 1].
    """
    if images.ndim == 3:
        images = images[None]
    if images.ndim != 4 or images.shape[1] != channels:
        raise BadInput(f"expected images of shape (B, {channels}, H, W) in [0, 1], got shape {tuple(images.shape)}")
    images = images.detach().cpu().float()
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise BadInput("expected image values in [0, 1]: divide 8-bit pictures by 255")
    return images


class Prior(nn.Module):
    """A batch of pictures as a differentiable function of free parameters: g and R of the formula.

    A subclass keeps **every parameter with the batch as its first dimension** (and names the buffers that have one
    too in `batched`). That one law lets the engine optimise any subset of the pictures, and makes the pictures of a
    batch independent of each other. It implements:

    - `forward() -> image (B, 3, H, W)` with values in [0, 1];
    - `reset(generators)`: fresh random parameters, picture i drawn from `generators[i]` alone (on the CPU, so that
      the draws are the same on every machine);
    - `energy(image (B, 3, H, W)) -> (B,)`, the penalty R >= 0 (0 if the prior has none).

    Attributes:
        count: number of pictures, B.
        started: True once the parameters mean something (set by `reset`, `from_image` or `load_state_dict`);
            the engine draws a fresh start only for a prior that has not started.
        learning_rate: the step at which Adam works well on these parameters.
        momentum: Adam's beta 1 that works well with it.
        starts: how many random starts of each picture the engine scores, to climb from the best of them.
        cropped: True for a canvas that the network looks at in crops of its own input size, if it is larger.
        watching: True to be told the gradient of every step (`watch`).
    """

    learning_rate: ClassVar[float] = 0.05
    momentum: ClassVar[float] = 0.9
    starts: ClassVar[int] = 1
    cropped: ClassVar[bool] = False
    watching: ClassVar[bool] = False
    batched: ClassVar[tuple[str, ...]] = ()

    def __init__(self, count: int) -> None:
        super().__init__()
        if not isinstance(count, int) or count < 1:
            raise BadInput(f"a prior needs at least one picture, got count={count!r}")
        self.count = count
        self.started = False

    def forward(self) -> Tensor:
        """The pictures, (B, 3, H, W) in [0, 1]."""
        raise BadType(f"{type(self).__name__} must define forward()")

    def draft(self) -> Tensor:
        """The pictures of a start, (B, 3, H, W) in [0, 1], good enough to compare it with others."""
        return self()

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draws fresh parameters in place, picture i from `generators[i]` (CPU generators, one for each picture)."""
        raise BadType(f"{type(self).__name__} must define reset()")

    def energy(self, image: Tensor) -> Tensor:
        """The penalty R of each picture of `image` (B, 3, H, W), as (B,) numbers >= 0."""
        return image.new_zeros(image.shape[0])

    def project(self, step: int) -> None:
        """Brings the parameters back to where they may be, in place, after step number `step` (from 0)."""

    def watch(self, gradient: Tensor) -> None:
        """Told d(f - R) / d image, (B, 3, H, W), of every step, if it is `watching`."""

    def _per_picture(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.named_parameters()
        buffers = dict(self.named_buffers())
        yield from ((name, buffers[name]) for name in self.batched)

    def take(self, rows: Tensor) -> Self:
        """A prior of the pictures `rows` (n,) alone, with parameters of its own that start as theirs."""
        parts: dict[int, Tensor] = {}
        for _, tensor in self._per_picture():
            part = tensor.detach()[rows.to(tensor.device)].clone()
            parts[id(tensor)] = nn.Parameter(part) if isinstance(tensor, nn.Parameter) else part
        taken = copy.deepcopy(self, parts)
        taken.count = len(rows)
        return taken

    @torch.no_grad()
    def put(self, rows: Tensor, part: Prior) -> None:
        """Writes the pictures of `part` back as the pictures `rows` (n,) of this prior: the inverse of `take`."""
        theirs = dict(part._per_picture())
        for name, tensor in self._per_picture():
            tensor[rows.to(tensor.device)] = theirs[name].to(tensor)
        self.started = self.started or part.started

    @torch.no_grad()
    def exchange(self, wanted: Tensor, other: Prior) -> None:
        """Takes over from `other`, of as many pictures, those that are `wanted` (B,); nobody waits to know which."""
        theirs = dict(other._per_picture())
        for name, tensor in self._per_picture():
            tensor.copy_(torch.where(wanted.view(-1, *[1] * (tensor.ndim - 1)), theirs[name], tensor))

    def get_extra_state(self) -> dict[str, bool]:
        return {"started": self.started}

    def set_extra_state(self, state: dict[str, bool]) -> None:
        self.started = state["started"]
