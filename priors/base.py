"""The base of all priors: the map g from parameters to pictures, and the penalty R on those pictures."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from inverter_errors import BadInput, plural

Size = int | tuple[int, int]


def as_size(size: Size) -> tuple[int, int]:
    """`size` as (height, width) in pixels; one number means a square.

    Raises:
        BadInput: if it is neither a positive integer nor a pair of them.
    """
    sides = (size, size) if isinstance(size, int) else size
    if not isinstance(sides, Sequence) or len(sides) != 2 or not all(isinstance(n, int) and n > 0 for n in sides):
        raise BadInput(f"size must be a positive integer or a pair of them (height, width), got {size!r}")
    return sides[0], sides[1]


def check_images(images: Tensor, channels: int | None = 3) -> Tensor:
    """`images` as float32 (B, C, H, W) on the CPU, where priors are created, after checking shape and range.

    Args:
        images: (B, C, H, W) or (C, H, W) in [0, 1].
        channels: the expected C; None for any.

    Raises:
        BadInput: for another shape, number of channels, or a value that is not in [0, 1].
    """
    if images.ndim == 3:
        images = images[None]
    if images.ndim != 4 or images.shape[1] != (channels or images.shape[1]) or not images.numel():
        expected = f"(B, {channels or 'C'}, H, W)"
        raise BadInput(f"expected images of shape {expected} in [0, 1], got shape {tuple(images.shape)}")
    images = images.detach().cpu().float()
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise BadInput("expected image values in [0, 1]: divide 8-bit pictures by 255")
    return images


def check_picture(picture: Tensor, channels: int | None = None) -> Tensor:
    """One picture as float32 (C, H, W) on the CPU, after checking shape and range, as `measure` needs it.

    Args:
        picture: (C, H, W), sides of 8 px or more, values in [0, 1].
        channels: the expected C; None for any.

    Raises:
        BadInput: for another shape, range or number of channels.
    """
    if picture.ndim != 3 or min(picture.shape) < 1 or min(picture.shape[1:]) < 8:
        raise BadInput(f"expected (C, H, W) with sides of 8 px or more, got shape {tuple(picture.shape)}")
    if channels not in (None, picture.shape[0]):
        raise BadInput(f"expected {plural(channels, 'channel')}, got {picture.shape[0]}")
    picture = picture.detach().cpu().float()
    if not bool(((picture >= 0) & (picture <= 1)).all()):
        raise BadInput("expected values in [0, 1]: divide 8-bit pictures by 255")
    return picture


class Prior(nn.Module, ABC):
    """A batch of pictures as a differentiable function of free parameters, x = g(theta), with a penalty R(x).

    In a subclass, **every parameter has the batch as its first dimension** (and so have the buffers named in
    `batched`). This lets the engine optimise any subset of the pictures, and makes the pictures of a batch independent
    of each other. A subclass implements:

    - `forward() -> image (B, C, H, W)` with values in [0, 1], C = 3 unless another number is given;
    - `reset(generators)`: fresh random parameters, picture i drawn from `generators[i]` alone (on the CPU, so that
      the draws are the same on every machine);
    - optionally `energy(image (B, C, H, W)) -> (B,)`, the penalty R >= 0.

    Args:
        count: number of pictures, B.

    Attributes:
        count: number of pictures, B.
        started: True once the parameters have been initialised (by `reset`, `from_image` or `load_state_dict`);
            the engine draws a random start only for a prior that has not started.
        learning_rate: the step size at which Adam works well on these parameters.
        momentum: Adam's beta 1 that works well with it.
        starts: how many random starts of each picture the engine scores, to optimise the best of them.
        cropped: True for a canvas that the network sees in crops of its own input size, if the canvas is larger.
        watching: True if `watch` is to receive the gradient of every step.
        batched: names of the buffers that have the batch as their first dimension.
        recordable: True if `forward`, `energy`, `project` and `watch` are functions of tensors: in steps of the same
            `variant` they run the same operations on the device, change tensors in place alone, and read no values on
            the host. A GPU can then record a step once and replay it.

    Raises:
        BadInput: for a count that is not an integer of at least 1.
        TypeError: for a subclass without `forward` or `reset`.
    """

    learning_rate: ClassVar[float] = 0.05
    momentum: ClassVar[float] = 0.9
    starts: ClassVar[int] = 1
    cropped: ClassVar[bool] = False
    watching: ClassVar[bool] = False
    recordable: ClassVar[bool] = False
    batched: ClassVar[tuple[str, ...]] = ()

    def __init__(self, count: int) -> None:
        super().__init__()
        if not isinstance(count, int) or count < 1:
            raise BadInput(f"a prior needs at least one picture, got count={count!r}")
        self.count = count
        self.started = False

    @abstractmethod
    def forward(self) -> Tensor:
        """The pictures, (B, C, H, W) in [0, 1]."""

    def draft(self) -> Tensor:
        """The pictures, (B, C, H, W) in [0, 1], at a quality that suffices to compare random starts."""
        return self()

    @abstractmethod
    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draws fresh parameters in place, picture i from `generators[i]` (CPU generators, one for each picture)."""

    def energy(self, image: Tensor) -> Tensor:
        """The penalty R of each picture of `image` (B, C, H, W), as (B,) numbers >= 0."""
        return image.new_zeros(image.shape[0])

    def project(self, step: int) -> None:
        """Projects the parameters onto their feasible set, in place, after step number `step` (from 0)."""

    def variant(self, step: int) -> Hashable:
        """What the prior does in step number `step`, if that depends on the number: equal for the same operations."""
        return None

    def watch(self, gradient: Tensor) -> None:
        """Receives the gradient d(f - R) / d image, (B, C, H, W), of every step, if the prior is `watching`."""

    def _per_picture(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.named_parameters()
        buffers = dict(self.named_buffers())
        yield from ((name, buffers[name]) for name in self.batched)

    def take(self, rows: Tensor) -> Self:
        """A prior of the pictures `rows` (n,) alone, with its own copy of their parameters."""
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
    def exchange(self, chosen: Tensor, other: Prior) -> None:
        """Replaces the pictures `chosen` (B,), booleans, by those of `other`, without synchronising with the device."""
        theirs = dict(other._per_picture())
        for name, tensor in self._per_picture():
            tensor.copy_(torch.where(chosen.view(-1, *[1] * (tensor.ndim - 1)), theirs[name], tensor))

    def leave_inference_mode(self) -> None:
        """Replaces tensors that were made in `torch.inference_mode`: they could take no part in a gradient."""
        for part in self.modules():
            for name, parameter in part._parameters.items():
                if parameter is not None and parameter.is_inference():
                    part._parameters[name] = nn.Parameter(parameter.detach().clone(), parameter.requires_grad)
            for name, buffer in part._buffers.items():
                if buffer is not None and buffer.is_inference():
                    part._buffers[name] = buffer.clone()

    def get_extra_state(self) -> dict[str, bool]:
        return {"started": self.started}

    def set_extra_state(self, state: dict[str, bool]) -> None:
        self.started = state["started"]
