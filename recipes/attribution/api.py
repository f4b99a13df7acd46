"""The entry point for every method: `explain` checks its inputs, works in batches and resizes maps to the images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, load_model
from inverter.engine import default_batch
from inverter.isolation.switches import recording
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.method import import_library
from recipes.attribution.registry import MethodChoice
from recipes.attribution.scoring.forward import score_function, select_targets
from recipes.attribution.scoring.images import check_images
from recipes.attribution.scoring.layers import check_maps, check_upstream, last_map_layer
from recipes.attribution.scoring.pooled_head import pooled_layer
from recipes.options.names import address
from recipes.options.targets import Target


@recording()
def explain(
    model: Model | nn.Module | str,
    images: Tensor,
    target: Objective | str,
    method: str = "grad-cam",
    *,
    layer: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Tensor:
    """Heat maps: which pixels of each image support the target.

    Args:
        model: a `Model`, a module, or the text of one (`load_model`).
        images: (B, 3, H, W) in [0, 1].
        target: an objective with one target, or with one for each image; or a text (`recipes.options.targets`).
        method: `NAME` or `NAME:OPTION=VALUE,...` (`recipes.attribution.registry.list_methods`).
        layer: address of the layer for methods that need one (default: the last feature maps before the target).
        seed: of random draws, which are the same for all images.
        batch_size: images processed together (default: chosen for the device).

    Returns:
        (B, H, W) float32 on the CPU; values above 0 support the target, values below 0 oppose it.

    Raises:
        BadInput: for images, a target, a method, options or a layer that do not fit.
        NotFound: for a layer, class or channel that the network does not have.
        MissingLibrary: for a method whose library is not installed.

    Example:
        >>> explain("builtin", torch.rand(2, 3, 64, 64), "logit:3", "grad-cam", layer="features.stage2").shape
        torch.Size([2, 64, 64])
    """
    model = load_model(model)
    check_images(model, images)
    return heat_maps(model, images, target, method, layer=layer, seed=seed, batch_size=batch_size)


def heat_maps(
    model: Model,
    images: Tensor,
    target: Objective | str,
    method: str,
    *,
    layer: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Tensor:
    """`explain` without the check of the images, which may lie outside of [0, 1]."""
    choice = MethodChoice.parse(method)
    images = images.to(model.device, torch.float32, copy=images.is_inference())
    if isinstance(target, str):
        known = Target.parse(target)
        model = known.prepared(model)
        objective = known.objective(model, images)
    else:
        objective = target
    where = resolve_layer(model, objective, choice, layer, (images.shape[2], images.shape[3]))
    function, found = choice.method().function, list[Tensor]()
    for rows in torch.arange(len(images), device=images.device).split(batch_size or default_batch(model.device)):
        chosen = select_targets(objective, rows)
        with torch.device("cpu"):  # whatever torch's default device is: other libraries rely on it
            maps = function(model, images[rows], chosen, layer=where, seed=seed, **choice.options)
        found.append(maps.detach().float())
    return upsample_maps(torch.cat(found), images).cpu()


def upsample_maps(maps: Tensor, images: Tensor) -> Tensor:
    """Maps (B, h, w), resized to the size of their images (B, 3, H, W)."""
    if maps.shape[1:] == images.shape[2:]:
        return maps
    return F.interpolate(maps[:, None], images.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def resolve_layer(
    model: Model, target: Objective, choice: MethodChoice, layer: str | None, size: tuple[int, int]
) -> str:
    """The address that is passed to a method: a layer with feature maps where it needs one, else "".

    Args:
        model: the network.
        target: the objective that is explained.
        choice: the method with its options.
        layer: address given by the user; None takes the last feature maps before the target.
        size: (height, width) of the images.

    Raises:
        BadInput: for options or a layer that the method cannot work with, or a network of another form.
        NotFound: for an unknown layer.
        MissingLibrary: for a library that is not installed.
    """
    if model.networks:
        raise BadInput(
            f"attribution is of one network, got {', '.join(model.networks)}: explain them one after the other"
        )
    method = choice.method()
    if method.extra:
        import_library(method.extra, method.name)
    if not method.layer:
        return ""
    if method.pooled:
        where = pooled_layer(model, target, size)
        if layer is not None and address(layer) != where:
            raise BadInput(f"method {method.name} reads the pooled maps {where!r}, got {layer!r}: leave layer out")
        return where
    if layer is None:
        return last_map_layer(model, target, size)
    check_maps(model, address(layer), size)
    check_upstream(model, target, address(layer), size)
    return address(layer)


@torch.no_grad()
def target_scores(model: Model, target: Objective, images: Tensor) -> list[float]:
    """The target's score of each image (B, 3, H, W)."""
    check_images(model, images)
    found: list[float] = []
    for rows in torch.arange(len(images)).split(default_batch(model.device)):
        with score_function(model, select_targets(target, rows)) as score:
            found += score(images[rows].to(model.device)).tolist()
    return found
