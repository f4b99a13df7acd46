"""Backpropagation by other rules: what goes back through a ReLU is itself rectified."""

from __future__ import annotations

import torch
from torch import Tensor

from inverter import Model
from inverter.input_gradients import InputGradients
from inverter.relu_rules import DeconvReLU, GuidedReLU
from objectives import Objective
from recipes.attribution.api import upsample_maps
from recipes.attribution.method import method
from recipes.attribution.methods.cam import grad_cam
from recipes.attribution.scoring.forward import input_gradient, score_function
from recipes.attribution.scoring.layers import layer_gradient


def guided_gradient(model: Model, images: Tensor, target: Objective) -> Tensor:
    """dS/dx, (B, 3, H, W), with the gradient rectified at every ReLU it passes (Springenberg et al. 2015)."""
    with score_function(model, target) as score:
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
    cam = upsample_maps(grad_cam(model, images, target, layer=layer, seed=seed), images)
    return cam * guided_gradient(model, images, target).abs().amax(1)


@method("deconvnet", paper="Zeiler & Fergus 2014", layer=True)
def deconvnet(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int) -> Tensor:
    """The largest absolute value over the channels of `deconvolved`."""
    return deconvolved(model, images, target, layer).abs().amax(1)


def deconvolved(model: Model, images: Tensor, target: Objective, layer: str) -> Tensor:
    """One activation of a layer, sent back alone through the deconvolutional network, (B, 3, H, W).

    Of the layer's activations A, the one that adds most to the target, by A dS/dA, is kept; all others are zero. It
    goes back through transposed filters, unpooling (to where each maximum was: the switches) and ReLUs.
    """
    images = images.detach().requires_grad_()
    with InputGradients():
        activation, gradient = layer_gradient(model, images, target, layer, below=DeconvReLU())
    return torch.autograd.grad(activation, images, strongest_alone(activation.detach(), gradient))[0]


def strongest_alone(activation: Tensor, gradient: Tensor) -> Tensor:
    """Of each picture's activations (B, C, h, w), only the one with the largest share of the score; else 0.

    Where the score falls with it, it is sent back as negative.

    Example:
        >>> strongest_alone(torch.tensor([[[[3.0, 5.0]]]]), torch.tensor([[[[2.0, 1.0]]]]))
        tensor([[[[3., 0.]]]])
    """
    share = (activation * gradient).masked_fill(gradient == 0, -torch.inf).flatten(1)
    place = share.argmax(1, keepdim=True)
    value = activation.abs() * gradient.sign()
    return torch.zeros_like(value.flatten(1)).scatter_(1, place, value.flatten(1).gather(1, place)).view_as(activation)
