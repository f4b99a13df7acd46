"""Class activation maps: definitions, relations between methods, and localization in photographs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, evaluate, load_model
from objectives import channel, logit, neuron
from recipes.attribution import explain
from recipes.attribution.localization.boxes import hot_box, largest_region
from recipes.attribution.registry import FAMILIES
from recipes.attribution.scoring.layers import last_map_layer, layer_gradient

CAMS = [name for name in FAMILIES["cam"] if name != "score-cam"]


def test_cam_is_the_classes_row_times_the_pooled_maps(tiny: Model, pictures: Tensor) -> None:
    with tiny.capture(["relu#1"]) as capture:
        maps = capture(tiny.normalize(pictures))["relu#1"]
    head = tiny.module.head
    expected = torch.einsum("bchw,bc->bhw", maps, head.weight[[4, 0, 2]])
    found = explain(tiny, pictures, logit([4, 0, 2]), "cam")
    torch.testing.assert_close(found, expected.detach())
    # Its mean is the logit without the bias.
    scores = evaluate(tiny, logit([4, 0, 2]), pictures) - head.bias[[4, 0, 2]].detach()
    torch.testing.assert_close(found.mean((1, 2)), scores, rtol=1e-4, atol=1e-4)


def test_cam_is_grad_cam_up_to_scale_where_maps_are_pooled(tiny: Model, pictures: Tensor) -> None:
    cam = explain(tiny, pictures, logit(3), "cam")
    grad_cam = explain(tiny, pictures, logit(3), "grad-cam:relu=false")
    torch.testing.assert_close(cam, grad_cam * 16 * 16, rtol=1e-4, atol=1e-5)


def test_a_network_of_another_form_has_no_cam(tiny: Model, pictures: Tensor) -> None:
    layers = (nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 3))
    flat = load_model(nn.Sequential(*layers), input_size=16, device="cpu")
    with pytest.raises(ValueError, match=r"does not end with global average pooling.*use grad-cam"):
        explain(flat, pictures, logit(0), "cam")
    with pytest.raises(ValueError, match=r"needs the maps that a classifier pools.*reads mix"):
        explain(tiny, pictures, channel("mix", 0), "cam")
    with pytest.raises(ValueError, match="reads the pooled maps 'relu#1', got 'stem': leave layer out"):
        explain(tiny, pictures, logit(0), "cam", layer="stem")


def test_a_network_without_maps_is_reported(pictures: Tensor) -> None:
    flat = load_model(nn.Sequential(nn.Flatten(), nn.Linear(768, 3)), input_size=16, device="cpu")
    with pytest.raises(ValueError, match="has no layer with maps"):
        explain(flat, pictures, logit(0), "grad-cam")


def test_the_default_layer_is_the_last_with_maps_before_the_target(tiny: Model) -> None:
    assert last_map_layer(tiny, logit(0), (16, 16)) == "relu#1"
    assert last_map_layer(tiny, channel("mix", 0), (16, 16)) == "mix"
    assert last_map_layer(tiny, channel("stem.0", 0), (16, 16)) == "stem.0"


@pytest.mark.parametrize("call", ["relu", "relu#1"])
def test_a_module_that_runs_twice_has_a_gradient_for_each_call(call: str, tiny: Model, pictures: Tensor) -> None:
    maps, gradient = layer_gradient(tiny, pictures, logit(2), call)
    with tiny.capture([call]) as capture:
        torch.testing.assert_close(maps, capture(tiny.normalize(pictures))[call])
    w = tiny.module.head.weight[2].detach()
    last = w[None, :, None, None].expand(3, -1, 16, 16) / 256
    if call == "relu#1":
        torch.testing.assert_close(gradient, last)
    else:
        assert not torch.allclose(gradient, last)


def test_the_weights_of_grad_cam_plus_plus_by_hand(tiny: Model, pictures: Tensor) -> None:
    maps, g = layer_gradient(tiny, pictures, logit(1), "stem")
    expected = torch.zeros(3, 16, 16)
    for b in range(3):
        for k in range(8):
            a, d = maps[b, k], g[b, k]
            alpha = d**2 / (2 * d**2 + a.sum() * d**3)
            expected[b] += torch.where(d > 0, alpha * d, 0.0).sum() * a
    found = explain(tiny, pictures, logit(1), "grad-cam++", layer="stem")
    torch.testing.assert_close(found, expected.relu(), rtol=1e-3, atol=1e-5)


def test_without_noise_smooth_grad_cam_plus_plus_is_grad_cam_plus_plus(tiny: Model, pictures: Tensor) -> None:
    smooth = explain(tiny, pictures, logit(1), "smooth-grad-cam++:noise=0,samples=2", layer="stem")
    torch.testing.assert_close(smooth, explain(tiny, pictures, logit(1), "grad-cam++", layer="stem"))


def test_where_all_derivatives_are_positive_sharp_focus_is_grad_cam(tiny: Model, pictures: Tensor) -> None:
    tiny.module.head.weight.data.abs_()
    for other in ("sharpen-focus", "layer-cam"):
        torch.testing.assert_close(
            explain(tiny, pictures, logit(1), other), explain(tiny, pictures, logit(1), "grad-cam")
        )


def test_score_cam_weighs_a_map_by_what_its_mask_lets_through(pictures: Tensor) -> None:
    # One map is red, the other blue, and the score reads red: only the mask of the red map preserves it.
    net = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net[0].weight.data = torch.tensor([[50.0, 0, 0], [0, 0, 50.0]])[:, :, None, None]
    model = load_model(net, normalize=((0, 0, 0), (1, 1, 1)), input_size=16, device="cpu")
    halves = torch.zeros(1, 3, 16, 16)
    halves[:, 0, :, :8], halves[:, 2, :, 8:] = 1, 1
    (heat,) = explain(model, halves, logit(0), "score-cam", layer="1")
    assert heat[:, :8].min() > 10 * heat[:, 8:].max()


def test_score_cam_of_flat_maps_says_nothing(pictures: Tensor) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = load_model(net, input_size=16, device="cpu")
    assert not explain(model, torch.zeros(2, 3, 16, 16), logit(0), "score-cam", layer="1").any()


def test_score_cam_may_try_only_the_most_varied_maps(tiny: Model, pictures: Tensor) -> None:
    all_, few = (explain(tiny, pictures, logit(1), f"score-cam:channels={n}", layer="stem") for n in (0, 2))
    assert not torch.equal(all_, few)
    torch.testing.assert_close(all_, explain(tiny, pictures, logit(1), "score-cam:channels=99", layer="stem"))


def test_boxes_bound_the_largest_region() -> None:
    heat = torch.zeros(20, 30)
    heat[2:6, 3:9] = 1
    heat[10:12, 20:22] = 5
    assert hot_box(heat, 0.1) == (2, 3, 6, 9)
    assert hot_box(heat, 0.2) == (10, 20, 12, 22)
    assert hot_box(torch.zeros(4, 4), 0.2) is None
    ring = torch.ones(5, 5, dtype=torch.bool)
    ring[1:4, 1:4] = False
    ring[2, 2] = True
    assert torch.equal(
        largest_region(ring), ring & ~torch.eye(5).bool().roll(0) | ring & (torch.arange(5) != 2)[:, None]
    )


@pytest.mark.parametrize("method", CAMS)
def test_the_fish_lights_up_for_its_class(method: str, mobilenet: Model, photo: Callable[[str], Tensor]) -> None:
    picture = photo("goldfish")
    (heat,) = explain(mobilenet, picture, "logit:goldfish", method)
    fish = picture[0, 0] - picture[0, 2] > 0.2  # gold on green
    heat = heat.relu()
    assert float(heat[fish].mean()) > 2 * float(heat[~fish].mean())
    top, left, bottom, right = hot_box(heat, 0.2) or (0, 0, 0, 0)
    inside = torch.zeros_like(fish)
    inside[top:bottom, left:right] = True
    assert (inside & fish).sum() / (inside | fish).sum() > 0.25


class Patches(nn.Module):
    """A vision transformer: a convolution embeds patches, and all else are tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True) for _ in range(2)))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Heads(nn.Module):
    """Queries (B, heads, N, d), which pass through a module, inside of a module of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.last = nn.Identity(), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.norm(x.unflatten(2, (2, 4)).transpose(1, 2))
        return self.last(F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(2))


class FlatPatches(nn.Module):
    """A convolution embeds patches, and all else are vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.flat = nn.Conv2d(3, 8, 4, 4), nn.Flatten()
        self.rest = nn.Sequential(nn.Linear(128, 8), nn.ReLU(), *(nn.Linear(8, 8) for _ in range(4)))

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.flat(self.patches(x)))


@pytest.mark.parametrize("method", [*FAMILIES["cam"], "guided-grad-cam", "spatial-attribution", "excitation-backprop"])
def test_the_default_layer_is_never_a_patch_embedding(method: str, pictures: Tensor) -> None:
    model = load_model(FlatPatches(), input_size=16, device="cpu")
    with pytest.raises(ValueError, match=r"with maps is 'patches', after 1 of \d+ layers.*name a layer") as caught:
        explain(model, pictures, logit(0), method)
    assert "\n" not in str(caught.value)


def test_the_default_layer_of_tokens_is_the_last_whose_places_are_read(transformer: Model) -> None:
    """The class token takes no part of the patches after the last attention, whose input is a normalisation's."""
    assert last_map_layer(transformer, logit(0), (16, 16)) == "blocks.2.norm1"
    assert last_map_layer(transformer, channel("blocks.1.fc1", 3), (16, 16)) == "blocks.1.fc1"
    assert last_map_layer(transformer, neuron("blocks.1.fc1", 3, token="cls"), (16, 16)) == "blocks.1.norm1"
    pooled = load_model(Patches(), input_size=16, device="cpu")
    assert last_map_layer(pooled, logit(0), (16, 16)) == "blocks"
    maps, gradient = layer_gradient(transformer, torch.rand(2, 3, 16, 16), logit(0), "blocks.2.norm1")
    assert maps.shape == gradient.shape == (2, 12, 4, 4)


def test_places_that_no_target_reads_are_refused(transformer: Model, pictures: Tensor) -> None:
    message = r"does not depend on the places of layer 'blocks\.2\.fc1', but on other tokens.*such as blocks\.2\.norm1"
    with pytest.raises(ValueError, match=message) as caught:
        explain(transformer, pictures, logit(0), "grad-cam", layer="blocks.2.fc1")
    assert "\n" not in str(caught.value)


def test_a_first_layer_may_be_named(pictures: Tensor) -> None:
    model = load_model(Patches(), input_size=16, device="cpu")
    assert explain(model, pictures, logit(0), "grad-cam:relu=false", layer="patches").any()
    assert last_map_layer(model, channel("patches", 1), (16, 16)) == "patches"


def test_queries_and_attention_weights_are_no_maps() -> None:
    net = Patches()
    net.blocks = nn.Sequential(Heads(), Heads())
    model = load_model(net, input_size=16, device="cpu")
    assert last_map_layer(model, logit(0), (16, 16)) == "blocks"
    assert last_map_layer(model, channel("blocks.1.last", 0), (16, 16)) == "blocks.1.last"
