"""What activations at a layer do to the classes: a linear approximation of the rest of the network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from inverter import Model
from inverter.capture import first_tensor, frozen, split_address
from inverter.models import FORWARD_ERRORS, first_line
from inverter_errors import BadInput
from recipes.pictures.sets import PictureSet


def pushed(model: Model, layer: str, images: Tensor, at: Sequence[tuple[int, int]], directions: Tensor) -> Tensor:
    """How fast each output grows as a direction is added to a layer's activation at one position, (B, K).

    That is J v: the gradient of every logit with respect to the activation, times the direction (Carter et al. 2019,
    "linear approximation of the effect on the logits"). Forward-mode differentiation gives all K in one forward pass.

    Args:
        layer: address of a layer that puts out maps (B, C, H, W); with `name#k`, the k-th call of a module.
        images: (B, 3, H, W) in [0, 1]. at: (y, x) in the map, one for each. directions: (B, C).

    Raises:
        BadInput: if the network's output does not depend on the layer, or is no vector (B, K).

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> pushed(Model(net), "0", torch.zeros(1, 3, 2, 2), [(0, 1)], torch.tensor([[1.0, 2, 3, 4]]))
        tensor([[0.2500, 0.5000, 0.7500, 1.0000]])
    """

    def push(activation: Tensor) -> Tensor:
        tangent = torch.zeros_like(activation)
        y, x = torch.tensor(at, device=activation.device).T
        tangent[torch.arange(len(at), device=activation.device), :, y, x] = directions.to(activation)
        return forward_ad.make_dual(activation.clone(), tangent)

    with warnings.catch_warnings(), torch.no_grad(), forward_ad.dual_level(), _exchanged(model, layer, push):
        # What torch itself loads for its forward mode is deprecated by torch.
        warnings.filterwarnings("ignore", "`torch.jit.script", FutureWarning)
        effect = forward_ad.unpack_dual(_logits(model, images)).tangent
        if effect is None:
            raise BadInput(_APART.format(model.spec, layer))
        return effect.detach().float().cpu()


def attributions(model: Model, layer: str, images: Tensor, index: int) -> Tensor:
    """What each position of a layer's map contributes to one logit, to first order, as (B, H, W).

    That is g . a: the gradient g of the logit with respect to the activation a at the position, dot a ("gradient times
    activation"). It is `pushed` of the activation itself, at one class; one backward pass gives all positions.

    Args:
        layer: as in `pushed`. images: (B, 3, H, W) in [0, 1]. index: of the class.

    Raises:
        BadInput: as `pushed`.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> attributions(Model(net, normalize="none"), "0", torch.ones(1, 3, 1, 2), index=2)
        tensor([[[0.5000, 0.5000]]])
    """
    seen: list[Tensor] = []

    def watch(activation: Tensor) -> Tensor:
        seen.append(activation.detach().clone().requires_grad_())
        return seen[0].clone()  # a leaf must not be written to, as an in-place ReLU would

    with torch.enable_grad(), _exchanged(model, layer, watch):
        logits = _logits(model, images)
        if not seen or not logits.requires_grad:
            raise BadInput(_APART.format(model.spec, layer))
        (gradient,) = torch.autograd.grad(logits[:, index].sum(), seen[0])
    return (gradient * seen[0].detach()).sum(1).float().cpu()


def without_classes(model: Model, layer: str, size: tuple[int, int]) -> str | None:
    """Why no classes can be told of a layer, in one line; None if they can.

    Args:
        size: (height, width) at which the network sees pictures.
    """
    picture = torch.full((1, len(model.mean), *size), 0.5)
    channels = model.shapes([layer], size)[layer][1]
    try:
        pushed(model, layer, picture, [(0, 0)], torch.ones(1, channels))
    except (ValueError, *FORWARD_ERRORS) as error:
        return first_line(error)
    return None


_APART = "the output of {} does not depend on layer {!r}: it has no classes to tell"


def _logits(model: Model, images: Tensor) -> Tensor:
    output = first_tensor(model.module(model.normalize(images.to(model.device))))
    if output is None or output.ndim != 2:
        raise BadInput(f"{model.spec} puts out no vector of classes (B, K)")
    return output


@contextmanager
def _exchanged(model: Model, layer: str, exchange: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Puts another activation in the place of a layer's own; the network is frozen meanwhile."""
    name, wanted = split_address(layer)
    calls = 0

    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls - 1 != wanted:
            return None
        if not isinstance(output, Tensor):
            raise BadInput(f"layer {layer!r} puts out no plain tensor: choose another layer")
        return exchange(output)

    handle = model.module.get_submodule(name).register_forward_hook(hook)
    try:
        with frozen(model.module):
            yield
    finally:
        handle.remove()


def class_effects(
    model: Model,
    layer: str,
    pictures: PictureSet,
    size: tuple[int, int],
    where: Sequence[np.ndarray[Any, Any]],
    directions: np.ndarray[Any, Any],
    batch: int = 32,
) -> np.ndarray[Any, Any]:
    """The effect of each cell's direction on the classes, (cells, K): the mean over some of its members.

    A direction acts differently wherever other units are on; so it is pushed at the members' own places, in their own
    pictures.

    Args:
        size: (height, width) at which the network sees the pictures.
        where: for each cell, members as rows (picture, y, x). directions: (cells, C).
    """
    jobs = sorted((int(p), int(y), int(x), cell) for cell, rows in enumerate(where) for p, y, x in rows)
    total: np.ndarray[Any, Any] | None = None
    for start in range(0, len(jobs), batch):
        part = jobs[start : start + batch]
        read = {picture: pictures.read(picture, size) for picture in {job[0] for job in part}}
        images = torch.stack([read[job[0]] for job in part])
        owners = [job[3] for job in part]
        wanted = torch.from_numpy(np.asarray(directions[owners], dtype=np.float32))
        effect = pushed(model, layer, images, [(y, x) for _, y, x, _ in part], wanted).numpy()
        if total is None:
            total = np.zeros((len(where), effect.shape[1]), dtype=np.float64)
        np.add.at(total, owners, effect)
    if total is None:
        raise BadInput("no cell has a member to look at")
    return total / np.array([[max(len(rows), 1)] for rows in where])
