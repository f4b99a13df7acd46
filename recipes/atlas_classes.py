"""What a direction at a layer does to the classes: a linear approximation of the rest of the network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from inverter import Model
from inverter.capture import first_tensor, frozen, split_address
from recipes.picture_sets import PictureSet


def pushed(model: Model, layer: str, images: Tensor, at: Sequence[tuple[int, int]], directions: Tensor) -> Tensor:
    """How fast each output grows as a direction is added to a layer's activation at one position, (B, K).

    That is J v: the gradient of every logit with respect to the activation, times the direction (Carter et al. 2019,
    "linear approximation of the effect on the logits"). Forward-mode differentiation gives all K in one forward pass.

    Args:
        layer: address of a layer that puts out maps (B, C, H, W); with `name#k`, the k-th call of a module.
        images: (B, 3, H, W) in [0, 1]. at: (y, x) in the map, one for each. directions: (B, C).

    Raises:
        ValueError: if the network's output does not depend on the layer, or is no vector (B, K).

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> pushed(Model(net), "0", torch.zeros(1, 3, 2, 2), [(0, 1)], torch.tensor([[1.0, 2, 3, 4]]))
        tensor([[0.2500, 0.5000, 0.7500, 1.0000]])
    """
    name, wanted = split_address(layer)
    calls = 0

    def push(_module: Any, _inputs: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls - 1 != wanted:
            return None
        activation = first_tensor(output)
        if activation is None or activation is not output:
            raise ValueError(f"layer {layer!r} puts out no plain tensor: choose another layer")
        tangent = torch.zeros_like(activation)
        y, x = torch.tensor(at, device=activation.device).T
        tangent[torch.arange(len(at), device=activation.device), :, y, x] = directions.to(activation)
        return forward_ad.make_dual(activation.clone(), tangent)

    with warnings.catch_warnings(), frozen(model.module), torch.no_grad(), forward_ad.dual_level():
        # What torch itself loads for its forward mode is deprecated by torch.
        warnings.filterwarnings("ignore", "`torch.jit.script", FutureWarning)
        handle = model.module.get_submodule(name).register_forward_hook(push)
        try:
            output = first_tensor(model.module(model.normalize(images.to(model.device))))
        finally:
            handle.remove()
        if output is None or output.ndim != 2:
            raise ValueError(f"{model.spec} puts out no vector of classes (B, K)")
        effect = forward_ad.unpack_dual(output).tangent
        if effect is None:
            raise ValueError(
                f"the output of {model.spec} does not depend on layer {layer!r}: it has no classes to tell"
            )
        return effect.detach().float().cpu()


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
        raise ValueError("no cell has a member to look at")
    return total / np.array([[max(len(rows), 1)] for rows in where])
