"""Attention rollout, gradient-weighted rollout and LeGrad, against loops by hand and in photographs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from inverter import Model, load_model
from objectives import layer, logit
from recipes.attribution import explain
from recipes.attribution.measures.pointing import energy, points_at


def ran_by_hand(net: nn.Module, pictures: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Logits, attention weights and tokens of each layer of a `TinyTransformer`, all in one graph."""
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    x, weights, tokens = net.embedded(pictures.clone().requires_grad_()), [], []
    for block in net.blocks:
        query, key, value = block.attn.qkv(block.norm1(x)).unflatten(2, (3, 3, 4)).permute(2, 0, 3, 1, 4)
        weights.append((query @ key.mT / 2).softmax(-1))
        x = x + block.attn.proj((weights[-1] @ value).transpose(1, 2).flatten(2))
        x = x + block.fc2(block.act(block.fc1(block.norm2(x))))
        tokens.append(x)
    return net.head(net.norm(x)[:, 0]), weights, tokens


def as_images(relevance: Tensor) -> Tensor:
    """The numbers of 16 patches (B, 16) as images (B, 16, 16)."""
    return nn.functional.interpolate(relevance.view(-1, 1, 4, 4), 16, mode="bilinear", align_corners=False)[:, 0]


def test_rollout_multiplies_the_layers(transformer: Model, pictures: Tensor) -> None:
    _, weights, _ = ran_by_hand(transformer.module, model_input(transformer, pictures))
    rolled = torch.eye(17).expand(3, 17, 17)
    for each in weights:
        augmented = 0.5 * each.mean(1) + 0.5 * torch.eye(17)
        rolled = augmented @ rolled
    found = explain(transformer, pictures, logit([4, 0, 2]), "attention-rollout")
    torch.testing.assert_close(found, as_images(rolled[:, 0, 1:]).detach(), rtol=1e-4, atol=1e-6)
    other = explain(transformer, pictures, logit(1), "attention-rollout")
    torch.testing.assert_close(found, other)  # whatever the class


def test_gradients_weight_the_rollout(transformer: Model, pictures: Tensor) -> None:
    logits, weights, _ = ran_by_hand(transformer.module, model_input(transformer, pictures))
    gradients = torch.autograd.grad(logits[range(3), [4, 0, 2]].sum(), weights)
    relevance = torch.eye(17).expand(3, 17, 17)
    for each, given in zip(weights, gradients, strict=True):
        relevance = relevance + (each * given).clamp(min=0).mean(1) @ relevance
    found = explain(transformer, pictures, logit([4, 0, 2]), "gradient-rollout")
    torch.testing.assert_close(found, as_images(relevance[:, 0, 1:]).detach(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_legrad_is_the_authors_loop(layers: int, transformer: Model, pictures: Tensor) -> None:
    net = transformer.module
    _, weights, tokens = ran_by_hand(net, model_input(transformer, pictures))
    maps = []
    for each, after in list(zip(weights, tokens, strict=True))[-layers:]:
        score = net.head(net.norm(after.mean(1)))[range(3), [4, 0, 2]].sum()
        (given,) = torch.autograd.grad(score, each, retain_graph=True)
        maps.append(given.clamp(min=0).mean(1).mean(1)[:, 1:])
    found = explain(transformer, pictures, logit([4, 0, 2]), f"legrad:layers={layers}")
    torch.testing.assert_close(found, as_images(torch.stack(maps).mean(0)), rtol=1e-3, atol=1e-7)


def model_input(model: Model, pictures: Tensor) -> Tensor:
    return model.normalize(pictures)


def test_a_target_inside_the_network_reads_its_own_tokens(transformer: Model, pictures: Tensor) -> None:
    """All patches of a layer are read, so the map is the mean of their rows; later layers play no part."""
    _, weights, _ = ran_by_hand(transformer.module, model_input(transformer, pictures))
    rolled = torch.eye(17).expand(3, 17, 17)
    for each in weights[:2]:
        rolled = (each.mean(1) + torch.eye(17)) / 2 @ rolled
    found = explain(transformer, pictures, layer("blocks.1"), "attention-rollout")
    torch.testing.assert_close(found, as_images(rolled[:, 1:, 1:].mean(1)).detach(), rtol=1e-4, atol=1e-6)


class Convolutional(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.mark.parametrize("name", ["attention-rollout", "gradient-rollout", "legrad"])
def test_networks_without_attention_between_all_places_are_refused(name: str, pictures: Tensor) -> None:
    timm = pytest.importorskip("timm")
    swin = timm.models.SwinTransformer(
        16, 2, embed_dim=8, depths=(1,), num_heads=(2,), window_size=4, num_classes=3, drop_path_rate=0
    )
    for net, message in (
        (Convolutional(), "depends on none that can be seen: use grad-cam"),
        (swin, r"'layers\.0\.blocks\.0\.attn.*' attends within 4 windows of 16 places: use grad-cam"),
    ):
        with pytest.raises(ValueError, match=f"{name} follows attention.*{message}") as caught:
            explain(load_model(net.eval(), input_size=16, device="cpu"), pictures, logit(1), name)
        assert "\n" not in str(caught.value)


def test_bad_numbers_of_layers_are_refused(transformer: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match="layers must be at least 0, got -1"):
        explain(transformer, pictures, logit(1), "legrad:layers=-1")
    everything = explain(transformer, pictures, logit(1), "legrad:layers=9")
    torch.testing.assert_close(everything, explain(transformer, pictures, logit(1), "legrad:layers=0"))


BOXES = {80: (75, 60, 132, 162), 280: (60, 56, 140, 170), 360: (86, 50, 158, 112)}
"""Class -> (top, left, bottom, right) of the black grouse, the grey fox and the otter in its photograph at 224x224."""


ON_ANIMAL = {"attention-rollout": 1.3, "gradient-rollout": 2.5, "legrad": 1.5, "attn-lrp": 3.0, "lrp": 2.5}
"""Method -> the least share of a map inside the box, over the share of the image that the box covers."""


@pytest.mark.parametrize("name", ON_ANIMAL)
def test_maps_of_a_trained_transformer_lie_on_the_animal(
    name: str, photo: Callable[[str], Tensor], shared_data: Path
) -> None:
    pytest.importorskip("timm")
    weights = shared_data / "weights" / "deit_tiny_patch16_224.safetensors"
    model = load_model("timm:deit_tiny_patch16_224", weights=weights, device="cpu")
    pictures = torch.cat([photo(f"{animal:04}_") for animal in BOXES])
    for heat, box in zip(explain(model, pictures, logit(list(BOXES)), name), BOXES.values(), strict=True):
        area = (box[2] - box[0]) * (box[3] - box[1]) / 224**2
        assert energy(heat, [box]) > ON_ANIMAL[name] * area
        assert points_at(heat, [box], margin=15)
