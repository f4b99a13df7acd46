"""DeepLIFT, Deep SHAP, relevance and excitation propagation against Captum and TorchRay, for `attribution_vs_peers.py`.

Where a peer's definition differs, a second comparison replaces the differing term by ours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from common import mobilenet
from contest import Attribution, Contest, FullNetwork, grown, mine
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model
from recipes.attribution.scoring.baselines import background_images

CAPTUM, TORCHRAY = "captum 0.9.0", "torchray 1.0.0.2"


def changed(model: Model, kind: type[nn.Module], make: Callable[[Any], nn.Module]) -> Model:
    """A copy of the model in which every module of a kind is replaced."""
    other = copy.copy(model)
    other.module = copy.deepcopy(model.module)
    for part in list(other.module.modules()):
        for name, child in part.named_children():
            if isinstance(child, kind):
                setattr(part, name, make(child))
    return other


class Copy(nn.Module):
    """Between a ReLU and a maximum: else Captum's ReLU stores the gradient before the maximum's rule changes it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


def summing_unpool(values: Tensor, indices: Tensor, *rest: Any) -> Tensor:
    """`max_unpool2d` for overlapping windows: a pixel that is the maximum of two receives from both of them."""
    size = rest[-1]
    flat = values.new_zeros(*size[:2], size[2] * size[3])
    return flat.scatter_add(2, indices.flatten(2), values.flatten(2)).view(*size)


def deeplift(model: Model) -> Iterator[Contest]:
    import captum.attr as peer
    from captum.attr._core import deep_lift as rules

    def summing(module: nn.Module, *given: Any, **options: Any) -> Tensor:
        return rules.maxpool(module, F.max_pool2d, summing_unpool, *given, **options)

    def black(full: FullNetwork) -> Attribution:
        return lambda x, c: peer.DeepLift(full).attribute(x, torch.zeros_like(x), c)[0].sum(0)

    def with_rule(kind: type[nn.Module], rule: Callable[..., Tensor], attribute: Attribution) -> Attribution:
        def patched(x: Tensor, c: int) -> Tensor:
            with patch.dict(rules.SUPPORTED_NON_LINEAR, {kind: rule}):
                return attribute(x, c)

        return patched

    def of(name: str, model: Model, theirs: Attribution, method: str = "deeplift") -> Contest:
        return Contest(name, CAPTUM, mine(model, method), theirs, sums=True)

    means = changed(model, nn.MaxPool2d, lambda part: nn.AvgPool2d(part.kernel_size, part.stride, ceil_mode=True))
    yield of("deeplift, means for maxima", means, black(FullNetwork(means)))
    yield of(
        "deep-shap, means for maxima",
        means,
        lambda x, c: (
            peer.DeepLiftShap(FullNetwork(means)).attribute(x, torch.cat(background_images(means, x, "")), c)[0].sum(0)
        ),
        "deep-shap",
    )
    yield of("deeplift", model, black(FullNetwork(model)))
    copied = FullNetwork(changed(model, nn.MaxPool2d, lambda part: nn.Sequential(Copy(), part)))
    name = "deeplift; their unpooling sums, and their ReLUs take it into account"
    yield of(name, model, with_rule(nn.MaxPool2d, summing, black(copied)))
    small = mobilenet()
    yield of("deeplift, MobileNetV2", small, black(FullNetwork(small)))
    relus = with_rule(nn.ReLU6, rules.nonlinear, black(FullNetwork(small)))
    yield of("deeplift, MobileNetV2; ReLU6 in their list", small, relus)


def lrp(model: Model) -> Iterator[Contest]:
    import captum.attr as peer
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule

    def of(name: str, model: Model, rule: str, make: Callable[[], Any]) -> Contest:
        network = FullNetwork(model).network

        def theirs(x: Tensor, c: int) -> Tensor:
            for part in network.modules():
                if isinstance(part, nn.Conv2d | nn.Linear):
                    part.rule = make()  # Captum takes it away afterwards
            return peer.LRP(network).attribute(model.normalize(x), c)[0].sum(0)

        return Contest(name, CAPTUM, mine(model, f"lrp:rule={rule},epsilon=0"), theirs, sums=True)

    def positive() -> Any:
        return Alpha1_Beta0_Rule(set_bias_to_zero=True)

    plain = copy.copy(model)
    plain.mean, plain.std = (0.0,) * 3, (1.0,) * 3
    yield of("lrp:rule=epsilon,epsilon=0", model, "epsilon", EpsilonRule)
    yield of("lrp:rule=z+", model, "z+", positive)
    yield of("lrp:rule=z+, pictures not normalised", plain, "z+", positive)


def excitation(model: Model) -> Iterator[Contest]:
    from torchray.attribution import excitation_backprop as peer

    network = FullNetwork(model).network
    for layer in ("features.3", "features.7", "features.12"):

        def theirs(x: Tensor, c: int, layer: str = layer) -> Tensor:
            return grown(peer.excitation_backprop(network, model.normalize(x), c, saliency_layer=layer), x)

        yield Contest(
            f"excitation-backprop at {layer}", TORCHRAY, mine(model, "excitation-backprop", layer), theirs, sums=False
        )

    def contrastive(x: Tensor, c: int) -> Tensor:
        found = peer.contrastive_excitation_backprop(
            network, model.normalize(x), c, "features.7", "features.7", "classifier.1"
        )
        return grown(found, x)

    def not_to_one(x: Tensor, c: int) -> Tensor:
        with patch("recipes.attribution.methods.propagation._unit_sum", lambda maps: maps):
            return contrast(x, c)

    name = "excitation-backprop:contrastive=true at features.7"
    contrast = mine(model, "excitation-backprop:contrastive=true", "features.7")
    yield Contest(name, TORCHRAY, contrast, contrastive)
    yield Contest(f"{name}; our passes not normalised to 1", TORCHRAY, not_to_one, contrastive)
