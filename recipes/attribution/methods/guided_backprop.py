"""Guided backpropagation and deconvolution: the gradient is rectified at every ReLU of the backward pass."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from inverter import Model
from inverter.ascent.input_gradients import InputGradients
from inverter.ascent.relu_rules import DeconvReLU, EveryReLU, GuidedReLU
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.api import upsample_maps
from recipes.attribution.method import method
from recipes.attribution.methods.cam import grad_cam
from recipes.attribution.scoring.forward import input_gradient, score_function
from recipes.attribution.scoring.layers import layer_gradient


@contextmanager
def _rectifying(rule: EveryReLU, model: Model, method: str, end: str) -> Iterator[EveryReLU]:
    """A context around a backward pass whose ReLUs must be found, since it is a plain gradient without them.

    Args:
        rule: how ReLUs are computed.
        model: the network.
        method: its name, for errors.
        end: where the pass comes from, for errors.

    Raises:
        BadInput: for a network with TorchScript modules, or if the rule has found no ReLU.
    """
    if any(isinstance(part, torch.jit.ScriptModule) for part in model.module.modules()):
        raise BadInput(
            f"{method} cannot see the ReLUs inside of the TorchScript modules of {model.spec}: give the network that "
            "was traced or scripted, or use saliency"
        )
    yield rule
    if not rule.found:
        seen = f" ({', '.join(rule.others)})" if rule.others else ""
        raise BadInput(
            f"{method} needs ReLUs, and {model.spec} has none between the image and {end}{seen}: without them it is "
            "the plain gradient; use saliency, smoothgrad or grad-cam"
        )
    if rule.others:
        warnings.warn(
            f"{method} rectifies ReLUs alone: {', '.join(rule.others)} of {model.spec} keep their gradient",
            stacklevel=3,
        )


def guided_gradient(model: Model, images: Tensor, target: Objective) -> Tensor:
    """dS/dx, (B, 3, H, W), with the gradient rectified at every ReLU (Springenberg et al. 2015).

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        target: an objective with one target, or with one for each image.

    Raises:
        BadInput: for a network without ReLUs on the way to the target, or with TorchScript modules.
    """
    with (
        _rectifying(GuidedReLU(), model, "guided-backprop", target.label(0)) as rule,
        score_function(model, target) as score,
    ):
        return input_gradient(score, images, rule=rule)


@method("guided-backprop", paper="Springenberg et al. 2015")
def guided_backprop(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Guided backpropagation (Springenberg et al. 2015): M = max_c |guided gradient|.

    It shows the structures that the lower layers respond to and hardly depends on the target (Adebayo et al. 2018).
    """
    return guided_gradient(model, images, target).abs().amax(1)


@method("guided-grad-cam", paper="Selvaraju et al. 2017", layer=True)
def guided_grad_cam(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Guided Grad-CAM (Selvaraju et al. 2017): upsampled Grad-CAM times guided backpropagation."""
    cam = upsample_maps(grad_cam(model, images, target, layer=layer, seed=seed), images)
    return cam * guided_gradient(model, images, target).abs().amax(1)


@method("deconvnet", paper="Zeiler & Fergus 2014", layer=True)
def deconvnet(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """Deconvolutional network (Zeiler & Fergus 2014): the maximum over channels of |`deconvolved`|."""
    return deconvolved(model, images, target, layer).abs().amax(1)


def deconvolved(model: Model, images: Tensor, target: Objective, layer: str) -> Tensor:
    """The strongest activation of a layer, projected back to pixels by the deconvolutional network, (B, 3, H, W).

    The activation with the largest contribution A dS/dA to the target is kept and all others are set to zero. The
    backward pass consists of transposed filters, unpooling at the switches (the positions of the maxima) and ReLUs.
    """
    images = images.detach().requires_grad_()
    with _rectifying(DeconvReLU(), model, "deconvnet", f"layer {layer!r}") as rule, InputGradients():
        activation, gradient = layer_gradient(model, images, target, layer, below=rule)
    return torch.autograd.grad(activation, images, strongest_alone(activation.detach(), gradient))[0]


def strongest_alone(activation: Tensor, gradient: Tensor) -> Tensor:
    """Keeps the activation of each image with the largest contribution to the score, and sets all others to 0.

    It is negative if the score decreases with it.

    Args:
        activation: A, (B, C, h, w).
        gradient: dS/dA, (B, C, h, w).

    Example:
        >>> strongest_alone(torch.tensor([[[[3.0, 5.0]]]]), torch.tensor([[[[2.0, 1.0]]]]))
        tensor([[[[3., 0.]]]])
    """
    share = (activation * gradient).masked_fill(gradient == 0, -torch.inf).flatten(1)
    top = share.argmax(1, keepdim=True)
    value = activation.abs() * gradient.sign()
    return torch.zeros_like(value.flatten(1)).scatter_(1, top, value.flatten(1).gather(1, top)).view_as(activation)
