"""Backward passes by rules: from the score through the target to the activations it reads, then through the network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from inverter import Model
from inverter.scoring import no_gradient
from inverter_errors import BadInput
from objectives import Activations, Objective
from recipes.attribution.backward.function_rules import Rules
from recipes.attribution.scoring.replacing import replaced_activation


@dataclass(frozen=True, eq=False)
class RulePass:
    """A forward pass whose backward pass follows rules.

    Attributes:
        start: where the backward pass ends: the images (B, 3, H, W), or a layer's activation (B, C, h, w).
        read: address -> activation that the target reads.
    """

    start: Tensor
    read: Mapping[str, Tensor]

    def back(self, multipliers: Mapping[str, Tensor]) -> Tensor:
        """The multipliers of `start` from those of the activations that are read; it may be called several times.

        They are 0 if no activation depends on `start`.
        """
        ends = [address for address, activation in self.read.items() if activation.requires_grad]
        if not ends:
            return torch.zeros_like(self.start)
        outputs, weights = [self.read[end] for end in ends], [multipliers[end] for end in ends]
        return torch.autograd.grad(outputs, self.start, weights, retain_graph=True)[0]


def run_with_rules(model: Model, images: Tensor, target: Objective, rules: Rules, layer: str = "") -> RulePass:
    """The network's forward pass under rules, as deep as the target reads.

    Args:
        model: the network.
        images: (B, 3, H, W) in [0, 1].
        target: the objective.
        rules: the context that defines the backward pass.
        layer: address of the layer where the backward pass ends; "" for the images.

    Raises:
        BadInput: if the target does not depend on the layer.
    """
    starts: list[Tensor] = []

    def begin_here(activation: Tensor) -> Tensor:
        starts.append(activation.detach().requires_grad_())
        return starts[-1].clone()

    if any(isinstance(part, torch.jit.ScriptModule) for part in model.module.modules()):
        rules.without_rule["the inside of TorchScript modules"] = None
    images = images.detach().requires_grad_(not layer)
    here = replaced_activation(model, layer, (images.shape[2], images.shape[3]), begin_here) if layer else nullcontext()
    with torch.enable_grad(), here, model.capture(target.reads) as capture:
        network_input = model.normalize(images)
        with rules:
            read = capture(network_input)
    if layer and not (starts and any(activation.requires_grad for activation in read.values())):
        raise BadInput(f"{target.name} does not depend on layer {layer!r}: choose one before it")
    return RulePass(starts[0] if layer else images, read)


@torch.no_grad()
def target_score(target: Objective, read: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """The score (B,) from the activations that a target reads: without another forward pass."""
    return target.score(Activations({name: each.detach() for name, each in read.items()}, images)).float()


def target_gradient(target: Objective, read: Mapping[str, Tensor], images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """dS/dA of the activations that a target reads, by address, and dS/dx of the images if it reads them directly."""
    if not all(activation.is_floating_point() for activation in read.values()):
        raise no_gradient(target)
    leaves = {address: activation.detach().requires_grad_() for address, activation in read.items()}
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        total = target.score(Activations(leaves, images)).sum()
    inputs = [*leaves.values(), images]
    found = torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=False)), found[-1]
