"""Backpropagation by other rules: what goes back through a ReLU is itself rectified."""

from __future__ import annotations

import torch
from torch import Tensor

from inverter import Model
from inverter.relu_rules import DeconvReLU, GuidedReLU
from objectives import Objective, Seen
from recipes.attribution.ask import asking, input_gradient
from recipes.attribution.cam import grad_cam
from recipes.attribution.declaration import method
from recipes.attribution.explaining import enlarged


def guided_gradient(model: Model, images: Tensor, target: Objective) -> Tensor:
    """dS/dx, (B, 3, H, W), with the gradient rectified at every ReLU it passes (Springenberg et al. 2015)."""
    with asking(model, target) as score:
        return input_gradient(score, images, rule=GuidedReLU())


@method("guided-backprop", paper="Springenberg et al. 2015")
def guided_backprop(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """The largest absolute value over the channels of the guided gradient.

    It shows which structures the network can see, and hardly depends on the target (Adebayo et al. 2018).
    """
    return guided_gradient(model, images, target).abs().amax(1)


@method("guided-grad-cam", paper="Selvaraju et al. 2017", layer=True)
def guided_grad_cam(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Grad-CAM, enlarged, times guided backpropagation."""
    cam = enlarged(grad_cam(model, images, target, layer=layer, seed=seed), images)
    return cam * guided_gradient(model, images, target).abs().amax(1)


@method("deconvnet", paper="Zeiler & Fergus 2014")
def deconvnet(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """The largest absolute value over the channels of `deconvolved`."""
    return deconvolved(model, images, target).abs().amax(1)


def deconvolved(model: Model, images: Tensor, target: Objective) -> Tensor:
    """The strongest activation of the target, sent back alone through the deconvolutional network, (B, 3, H, W).

    Of all activations that the target reads, the one that adds most to it is kept, and all others are zero. It goes
    back through transposed filters, unpooling (to where each maximum was: the switches) and ReLUs.

    Raises:
        ValueError: for a target that reads no layer.
    """
    if not target.reads:
        raise ValueError(f"{target.name} looks at the picture itself: there is no layer to send back from")
    images = images.detach().requires_grad_()
    with torch.enable_grad(), model.looking(target.reads) as capture, DeconvReLU():
        seen = capture(model.normalize(images))
        layers = list(seen.values())
        scores = target.score(Seen(seen, images)).float()
        slopes = torch.autograd.grad(scores.sum(), layers, retain_graph=True)
        return torch.autograd.grad(layers, images, strongest_alone(layers, slopes))[0]


def strongest_alone(layers: list[Tensor], slopes: tuple[Tensor, ...]) -> list[Tensor]:
    """Of each picture's activations (B, ...) in several layers, the one with the largest share of the score; else 0.

    Args:
        slopes: d score / d activation. They give the direction, the activation itself the size.
    """
    sizes = [layer[0].numel() for layer in layers]
    activations = torch.cat([layer.detach().flatten(1) for layer in layers], 1)
    slope = torch.cat([slope.flatten(1) for slope in slopes], 1)
    place = (activations * slope).argmax(1, keepdim=True)
    kept = torch.zeros_like(activations).scatter_(1, place, (activations.abs() * slope).gather(1, place))
    return [part.view_as(layer) for part, layer in zip(kept.split(sizes, 1), layers, strict=True)]
