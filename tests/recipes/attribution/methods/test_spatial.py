"""Attribution to positions and channels, and pre-images of a layer under a map."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from inverter import Model, evaluate, load_model
from objectives import channel, logit
from recipes.attribution import explain
from recipes.attribution.methods.spatial import channel_attribution, strongest_channels
from recipes.heatmaps.perception import DARK, perception_visualization, preimages


def test_before_a_linear_head_positions_and_channels_share_the_score(tiny: Model, pictures: Tensor) -> None:
    head = tiny.module.head
    score = evaluate(tiny, logit([4, 0, 2]), pictures) - head.bias[[4, 0, 2]].detach()
    channels = channel_attribution(tiny, pictures, logit([4, 0, 2]), "relu#1")
    with tiny.capture(["relu#1"]) as capture:
        pooled = capture(tiny.normalize(pictures))["relu#1"].mean((2, 3))
    torch.testing.assert_close(channels, pooled * head.weight[[4, 0, 2]].detach(), rtol=1e-4, atol=1e-5)
    positions = explain(tiny, pictures, logit([4, 0, 2]), "spatial-attribution", layer="relu#1")
    for shares in (channels.sum(1), positions.sum((1, 2))):
        torch.testing.assert_close(shares, score, rtol=1e-3, atol=1e-5)


def test_a_channel_is_made_of_itself(tiny: Model, pictures: Tensor) -> None:
    shares = channel_attribution(tiny, pictures, channel("mix", 3), "mix")
    assert [found["channel"] for found in strongest_channels(shares[0])] == [3]


def test_strongest_are_those_for_and_against() -> None:
    found = strongest_channels(torch.tensor([0.5, -3.0, 0.0, 2.0]), 2)
    assert found == [{"channel": 1, "value": -3.0}, {"channel": 3, "value": 2.0}]


def test_a_target_that_does_not_depend_on_the_layer_is_reported(tiny: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match="does not depend on layer 'mix'"):
        channel_attribution(tiny, pictures, channel("stem", 1), "mix")


def test_what_a_layer_keeps_is_near_in_code_and_dark_where_nobody_looked(tiny: Model, pictures: Tensor) -> None:
    found = preimages(tiny, pictures, "stem", steps=30)
    assert found.shape == pictures.shape
    assert 0 <= found.min() <= found.max() <= 1
    with tiny.capture(["stem"]) as capture:
        original, kept, grey = (
            capture(tiny.normalize(x))["stem"].detach() for x in (pictures, found, torch.full_like(pictures, 0.5))
        )
    assert (kept - original).norm() < 0.6 * (grey - original).norm()
    heat = torch.zeros(16, 16)
    heat[:, 8:] = 1
    shown = perception_visualization(found[0], heat)
    torch.testing.assert_close(shown[:, :, 8:], found[0][:, :, 8:])
    torch.testing.assert_close(shown[:, :, :8], DARK * found[0][:, :, :8])


def test_of_a_silent_picture_nothing_is_kept() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    nn.init.constant_(net[0].weight, 0.1)
    nn.init.constant_(net[0].bias, -0.1)
    model = load_model(net, normalize="none", input_size=16, device="cpu")
    pictures = torch.stack([torch.zeros(3, 16, 16), torch.full((3, 16, 16), 0.8)])
    found = preimages(model, pictures, "1", steps=5, names=["black", "white"])
    assert not found[0].any()
    assert found[1].any()
    torch.testing.assert_close(found[1:], preimages(model, pictures[1:], "1", steps=5, names=["white"]))
    assert not preimages(model, pictures[:1], "1", steps=5).any()


def test_the_fish_is_where_the_positions_are(mobilenet: Model, photo: Callable[[str], Tensor]) -> None:
    picture = photo("goldfish")
    (heat,) = explain(mobilenet, picture, "logit:goldfish", "spatial-attribution")
    fish = picture[0, 0] - picture[0, 2] > 0.2  # gold on green
    assert heat[fish].mean() > 2 * heat[~fish].mean()
