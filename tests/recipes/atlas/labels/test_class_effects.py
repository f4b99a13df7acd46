"""Effects of directions on classes: compared with gradients of single logits, and computed by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from inverter import Model
from recipes.atlas.labels.class_effects import attributions, class_effects, pushed, without_classes
from recipes.pictures.sets import PictureSet


def by_hand(net: nn.Module, layer: str, images: torch.Tensor, y: int, x: int, direction: torch.Tensor) -> torch.Tensor:
    """The gradient of each logit with respect to the activation, times the direction, one logit at a time."""
    kept: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().clone().requires_grad_())
        return kept[0].clone()

    handle = net.get_submodule(layer).register_forward_hook(keep)
    logits = net(Model(net).normalize(images))[0]
    handle.remove()
    effects = [torch.autograd.grad(logit, kept[0], retain_graph=True)[0][0, :, y, x] @ direction for logit in logits]
    return torch.stack(effects)


@pytest.mark.parametrize("layer", ["stem.0", "stem.2", "mix"])
def test_the_same_as_one_gradient_after_the_other(tiny_net: nn.Module, layer: str) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 6, 6, generator=generator)
    directions = torch.randn(2, 8, generator=generator)
    at = [(1, 4), (3, 0)]
    got = pushed(Model(tiny_net), layer, images, at, directions)
    for row in range(2):
        expected = by_hand(tiny_net, layer, images[row : row + 1], *at[row], directions[row])
        torch.testing.assert_close(got[row], expected, rtol=1e-4, atol=1e-5)
    assert float(got.abs().max()) > 0


def test_a_call_of_a_module_that_runs_twice(tiny_net: nn.Module) -> None:
    # After the second call of the ReLU there is the mean over 2 x 2 positions and the head: all linear.
    images, direction = torch.rand(1, 3, 2, 2), torch.arange(8.0)
    got = pushed(Model(tiny_net), "relu#1", images, [(0, 1)], direction[None])
    torch.testing.assert_close(got[0], tiny_net.head.weight @ direction / 4)


def test_the_network_is_left_as_it_was(tiny_net: nn.Module, snapshot) -> None:
    before = snapshot(tiny_net)
    pushed(Model(tiny_net), "mix", torch.rand(1, 3, 4, 4), [(0, 0)], torch.ones(1, 8))
    assert snapshot(tiny_net) == before


def test_no_classes() -> None:
    net = Model(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))
    with pytest.raises(ValueError, match="no vector of classes"):
        pushed(net, "0", torch.zeros(1, 3, 2, 2), [(0, 0)], torch.ones(1, 4))


def test_a_cell_is_the_mean_over_its_members(tiny_net: nn.Module) -> None:
    photos = torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    pictures = PictureSet(["a", "b", "c"], lambda index, _size: photos[index])
    directions = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    where = [np.array([[0, 1, 2], [2, 3, 3]]), np.array([[1, 0, 0]])]
    model = Model(tiny_net)
    got = class_effects(model, "mix", pictures, (6, 6), where, directions, batch=2)
    first, second = torch.from_numpy(directions)
    one = pushed(model, "mix", photos[[0, 2]], [(1, 2), (3, 3)], torch.stack([first, first])).mean(0)
    other = pushed(model, "mix", photos[1:2], [(0, 0)], second[None])[0]
    np.testing.assert_allclose(got, torch.stack([one, other]).numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", ["stem.0", "stem.2", "mix", "relu#1"])
def test_an_attribution_is_the_effect_of_the_activation_itself(tiny_net: nn.Module, layer: str, snapshot) -> None:
    model, before = Model(tiny_net), snapshot(tiny_net)
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), model.capture([layer]) as capture:
        maps = capture(model.normalize(images))[layer]
    got = torch.stack([attributions(model, layer, images, index) for index in range(5)], dim=1)
    for y in range(4):
        for x in range(4):
            expected = pushed(model, layer, images, [(y, x)] * 2, maps[:, :, y, x])
            torch.testing.assert_close(got[:, :, y, x], expected, rtol=1e-4, atol=1e-6)
    assert float(got.abs().max()) > 0 and snapshot(tiny_net) == before


def test_why_there_are_no_classes(tiny_net: nn.Module) -> None:
    assert without_classes(Model(tiny_net), "mix", (6, 6)) is None
    maps = Model(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), "maps")
    assert without_classes(maps, "0", (6, 6)) == "maps outputs no vector of classes (B, K)"
    with pytest.raises(ValueError, match="no vector of classes"):
        attributions(maps, "0", torch.zeros(1, 3, 2, 2), 0)
