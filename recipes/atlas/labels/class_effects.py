"""Effects of a layer's activations on the classes: a linear approximation of the rest of the network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from inverter import Model
from inverter.isolation.forward_errors import FORWARD_ERRORS, first_line
from inverter_errors import BadInput
from objectives import OUTPUT, Activations, Objective
from recipes.attribution.scoring.layers import layer_gradient
from recipes.attribution.scoring.replacing import replaced_activation
from recipes.pictures.sets import PictureSet


def pushed(model: Model, layer: str, images: Tensor, at: Sequence[tuple[int, int]], directions: Tensor) -> Tensor:
    """The derivative of every logit as a direction is added to a layer's activation at one position.

    That is the Jacobian-vector product J v, the gradient of every logit with respect to the activation times the
    direction (Carter et al. 2019, "linear approximation of the effect on the logits"). Forward-mode differentiation
    computes all K values in one forward pass.

    Args:
        model: a classifier.
        layer: address of a layer that outputs maps (B, C, H, W); with `name#k`, the k-th call of a module.
        images: (B, 3, H, W) in [0, 1].
        at: (y, x) in the map, one for each image.
        directions: v, (B, C).

    Returns:
        (B, K) float32 on the CPU.

    Raises:
        NotFound: for an unknown layer.
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

    pushed_layer = replaced_activation(model, layer, (images.shape[2], images.shape[3]), push)
    with warnings.catch_warnings(), torch.no_grad(), forward_ad.dual_level(), pushed_layer:
        # torch's own forward mode imports functions that torch has deprecated.
        warnings.filterwarnings("ignore", "`torch.jit.script", FutureWarning)
        with model.capture([OUTPUT]) as capture:
            output = capture(model.normalize(images.to(model.device)))[OUTPUT]
        effect = forward_ad.unpack_dual(_class_scores(model, output)).tangent
        if effect is None:
            raise BadInput(f"the output of {model.spec} does not depend on layer {layer!r}: choose another layer")
        return effect.detach().float().cpu()


def attributions(model: Model, layer: str, images: Tensor, index: int) -> Tensor:
    """The first-order contribution of each position of a layer to one logit ("gradient x activation").

    That is g . a, the gradient g of the logit with respect to the activation a at the position, times a. It equals
    `pushed` with the activation itself as the direction; one backward pass computes all positions.

    Args:
        model: a classifier.
        layer: address of a layer, as in `pushed`.
        images: (B, 3, H, W) in [0, 1].
        index: of the class.

    Returns:
        (B, h, w) float32 on the CPU.

    Raises:
        NotFound: for an unknown layer.
        BadInput: if the network's output does not depend on the layer, or is no vector (B, K).

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> attributions(Model(net, normalize="none"), "0", torch.ones(1, 3, 1, 2), index=2)
        tensor([[[0.5000, 0.5000]]])
    """

    def score(seen: Activations) -> Tensor:
        return _class_scores(model, seen[OUTPUT])[:, index]

    target = Objective(f"the output of {model.spec}", (OUTPUT,), score)
    activation, gradient = layer_gradient(model, images.to(model.device), target, layer)
    return (gradient * activation.detach()).sum(1).float().cpu()


def without_classes(model: Model, layer: str, size: tuple[int, int]) -> str | None:
    """Why a layer has no effects on classes, in one line; None if it has.

    Args:
        model: the network.
        layer: address of the layer.
        size: (height, width) of the network's input.
    """
    picture = torch.full((1, len(model.mean), *size), 0.5)
    channels = model.shapes([layer], size)[layer][1]
    try:
        pushed(model, layer, picture, [(0, 0)], torch.ones(1, channels, dtype=torch.float32))
    except FORWARD_ERRORS as error:
        return first_line(error)
    return None


def _class_scores(model: Model, output: Tensor) -> Tensor:
    if output.ndim != 2:
        raise BadInput(f"{model.spec} outputs no vector of classes (B, K)")
    return output


def class_effects(
    model: Model,
    layer: str,
    pictures: PictureSet,
    size: tuple[int, int],
    where: Sequence[np.ndarray[Any, Any]],
    directions: np.ndarray[Any, Any],
    batch: int = 32,
) -> np.ndarray[Any, Any]:
    """The effect of each cell's direction on the classes, averaged over some of the cell's members.

    The effect of a direction depends on the other active units: it is computed at the members' own positions, in their
    own pictures.

    Args:
        model: a classifier.
        layer: address of the layer, with C channels.
        pictures: the data set that the members come from.
        size: (height, width) of the network's input.
        where: for each cell, members as rows (picture, y, x).
        directions: (cells, C).
        batch: members processed together.

    Returns:
        (cells, K) float64.

    Raises:
        BadInput: as `pushed`, or if no cell has a member.
    """
    jobs = sorted((int(p), int(y), int(x), cell) for cell, rows in enumerate(where) for p, y, x in rows)
    total: np.ndarray[Any, Any] | None = None
    for start in range(0, len(jobs), batch):
        part = jobs[start : start + batch]
        read = {picture: pictures.read(picture, size) for picture in {job[0] for job in part}}
        images = torch.stack([read[job[0]] for job in part])
        owners = [job[3] for job in part]
        vectors = torch.from_numpy(np.asarray(directions[owners], dtype=np.float32))
        effect = pushed(model, layer, images, [(y, x) for _, y, x, _ in part], vectors).numpy()
        if total is None:
            total = np.zeros((len(where), effect.shape[1]), dtype=np.float64)
        np.add.at(total, owners, effect)
    if total is None:
        raise BadInput("class effects: no cell has a member")
    return total / np.array([[max(len(rows), 1)] for rows in where])
