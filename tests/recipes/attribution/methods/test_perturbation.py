"""Perturbation methods: closed forms on linear networks, requested areas, and localization in photographs."""

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, Settings, encode, load_model, no_network
from objectives import Activations, Objective, channel, logit, softmax
from recipes.attribution import explain
from recipes.attribution.methods import occlusion
from recipes.attribution.methods.extremal_channels import activation_diff, channel_masks
from recipes.attribution.methods.extremal_perturbation import extremal_masks, rank_penalty, smooth_masks
from recipes.attribution.scoring import masked_scores

SIDE = 16
RED = Objective("red", (), lambda seen: seen.image[:, 0].mean((1, 2)))
FAST = {
    "occlusion": "occlusion:stride=16,size=48",
    "rise": "rise:masks=160,cells=5",
    "meaningful-perturbation": "meaningful-perturbation:steps=60",
    "extremal-perturbation": "extremal-perturbation:steps=40,areas=[0.2]",
    "extremal-channels": "extremal-channels:steps=20",
}
"""Options that are fast and still localize in a photograph of 112 pixels."""
THINGS = {
    "goldfish": (1, (0.06, 0.18, 0.92, 0.80)),
    "ladybug": (301, (0.47, 0.44, 0.92, 0.80)),
    "soccer_ball": (805, (0.08, 0.41, 0.59, 0.92)),
}
"""Photograph -> its class, and the object's box as shares of the sides: left, top, right, bottom."""


@pytest.fixture
def weights() -> Tensor:
    return torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def linear(weights: Tensor) -> Model:
    """S(x) = w . x + 7, without normalisation."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(weights.numel(), 1))
    net[1].weight.data, net[1].bias.data = weights.view(1, -1), torch.tensor([7.0])
    return load_model(net, normalize=((0, 0, 0), (1, 1, 1)), input_size=SIDE, device="cpu")


@pytest.mark.parametrize(("size", "stride"), [(4, 4), (5, 2), (1, 1), (6, 4)])
def test_occlusion_of_a_linear_score_is_its_closed_form(
    size: int, stride: int, linear: Model, weights: Tensor, pictures: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masked_scores, "has_bfloat16", lambda _device: False)
    found = explain(linear, pictures, logit(0), f"occlusion:size={size},stride={stride},grey=0.25")
    gone = (weights * (pictures - 0.25)).sum(1)  # the contribution of a pixel
    starts = sorted({*range(0, SIDE - size + 1, stride), SIDE - size})
    total, times = torch.zeros(3, SIDE, SIDE), torch.zeros(SIDE, SIDE)
    for top in starts:
        for left in starts:
            here = slice(top, top + size), slice(left, left + size)
            total[:, *here] += gone[:, *here].sum((1, 2))[:, None, None]
            times[here] += 1
    torch.testing.assert_close(found, total / times, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("side", "size", "stride"), [(224, 32, 8), (64, 9, 2), (16, 2, 1)])
def test_the_default_square_is_a_seventh_of_the_side(
    side: int, size: int, stride: int, weights: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[int, int]] = []

    def squares(images: Tensor, size: int, stride: int, count: int) -> Iterator[Tensor]:
        used.append((size, stride))
        yield torch.zeros(1, *images.shape[2:])

    monkeypatch.setattr(occlusion, "_squares", squares)
    explain(no_network("cpu"), torch.rand(1, 3, side, side), RED, "occlusion")
    assert used == [(size, stride)]


def test_the_default_square_has_the_grey_of_128() -> None:
    grey = torch.full((1, 3, 28, 28), 128 / 255)
    assert explain(no_network("cpu"), grey, RED, "occlusion").abs().max() < 1e-6
    assert explain(no_network("cpu"), grey + 0.1, RED, "occlusion").min() > 0


def test_half_precision_is_left_where_it_would_not_agree(monkeypatch: pytest.MonkeyPatch, tiny: Model) -> None:
    monkeypatch.setattr(masked_scores, "has_bfloat16", lambda _device: True)
    used: list[torch.dtype] = []
    with tiny.module.mix.register_forward_hook(lambda _module, _inputs, output: used.append(output.dtype)):
        picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        groups = [torch.linspace(0, 1, 8)[:, None, None].expand(8, SIDE, SIDE)] * 3

        def dtypes(target: Objective) -> list[torch.dtype]:
            used.clear()
            list(masked_scores.score_masked(tiny, picture, target, groups, torch.zeros_like(picture)))
            return used

        both, half, full = [torch.float32, torch.bfloat16], [torch.bfloat16] * 2, [torch.float32] * 2
        assert dtypes(channel("mix", 2)) == both + half
        # A score with a small spread relative to its size needs full precision.
        steady = Objective("steady", ("mix",), lambda seen: 100 + 1e-3 * seen["mix"].mean((1, 2, 3)))
        assert dtypes(steady) == both + full


def test_what_half_precision_moves_alike_is_taken_off(monkeypatch: pytest.MonkeyPatch, tiny: Model) -> None:
    monkeypatch.setattr(masked_scores, "has_bfloat16", lambda _device: True)
    halves: list[bool] = []

    def score(seen: Activations) -> Tensor:
        mix = seen["mix"]
        halves.append(mix.dtype == torch.bfloat16)
        return mix.float().mean((1, 2, 3)) + (5 if halves[-1] else 0)

    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    groups = [torch.linspace(0, 1, 8)[:, None, None].expand(8, SIDE, SIDE)] * 2
    target = Objective("moved", ("mix",), score)
    (_, exact), (_, rounded) = masked_scores.score_masked(tiny, picture, target, groups, torch.zeros_like(picture))
    assert halves == [False, True, True]
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.1 * float(exact.std()))


@given(
    share=st.sampled_from([0.1, 0.25, 0.5]),
    order=st.permutations(range(20)),
)
def test_the_rank_penalty_is_least_for_masks_of_the_area(share: float, order: list[int]) -> None:
    mask = torch.zeros(20)
    mask[order[: round(20 * share)]] = 1
    assert rank_penalty(mask[None], share).item() == 0
    for place in (order[0], order[-1]):
        other = mask.clone()
        other[place] = 0.5
        assert rank_penalty(other[None], share).item() == pytest.approx(0.25 / 20)


def test_smooth_masks_have_no_fine_detail_and_no_less_than_their_nodes() -> None:
    nodes = torch.zeros(2, 32, 32)
    nodes[0, 16, 16] = 1
    nodes[1] = (torch.rand(32, 32, generator=torch.Generator().manual_seed(0)) > 0.9).float()
    found = smooth_masks(nodes)
    assert found[0, 16, 16] > 0.9  # a single node becomes a blob,
    assert found[0, 16, 18] > 0.6 > found[0, 16, 19] > 0.1
    assert found[0, 16, 22] == 0  # of finite size
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert found[1].diff(dim=0).abs().max() < 0.5 < nodes[1].diff(dim=0).abs().max()


@pytest.fixture
def blobs() -> Model:
    """S(x) = the mean of red, without normalisation."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net[0].weight.data = torch.eye(4, 3)[:, :, None, None]
    return load_model(net, normalize=((0, 0, 0), (1, 1, 1)), input_size=64, device="cpu")


def test_extremal_masks_have_the_requested_area(blobs: Model) -> None:
    picture = torch.zeros(1, 3, 64, 64)
    picture[:, 0, 10:40, 20:50] = 1  # 22 % of the image are red
    areas = [0.1, 0.22, 0.4]
    masks = extremal_masks(blobs, picture, channel("0", 0), areas, 150, "black")[:, 0]
    assert (masks.mean((1, 2)) - torch.tensor(areas)).abs().max() < 0.03
    red = picture[0, 0].bool()
    assert masks[0][red].sum() / masks[0].sum() > 0.9  # the small mask lies within it
    assert masks[1][red].mean() > 0.8  # the mask of the right size fits
    assert masks[2][red].mean() > 0.95  # the large mask covers all of it


def test_meaningful_perturbation_hides_what_matters_and_nothing_else(blobs: Model) -> None:
    picture = torch.zeros(1, 3, 64, 64)
    picture[:, 0, 20:36, 24:48] = 1
    picture[:, 1, 44:60, 4:28] = 1
    for fill in ("black", "noise"):
        (heat,) = explain(blobs, picture, channel("0", 0), f"meaningful-perturbation:steps=60,fill={fill}")
        assert heat[22:34, 26:46].mean() > 0.6
        assert heat[48:56, 8:24].mean() < 0.1
        assert 0 <= heat.min() <= heat.max() <= 1


def test_channels_that_matter_are_kept_and_no_others(blobs: Model) -> None:
    picture = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    masks = channel_masks(blobs, picture, logit([0, 2]), "1", [0.25], 100)[0]
    torch.testing.assert_close(masks, torch.eye(4)[[0, 2]], atol=0.05, rtol=0)
    found = explain(blobs, picture, logit([0, 2]), "extremal-channels:areas=[0.25]", layer="1")
    torch.testing.assert_close(found, picture[[0, 1], [0, 2]], atol=0.1, rtol=0)
    with pytest.raises(ValueError, match="does not depend on layer '1'"):
        channel_masks(blobs, picture, channel("0", 0), "1", [0.25], 2)


def test_diffing_shows_what_masked_channels_stand_for(blobs: Model) -> None:
    picture = F.interpolate(torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)), (32, 32))
    mask = torch.tensor([[1.0, 0.0, 1.0, 1.0]])  # green is removed
    before, after = activation_diff(blobs, picture, "1", mask, Settings(steps=60))
    left = [encode(blobs, shown, "1")["1"].mean((0, 2, 3)) for shown in (before, after)]
    assert left[1][1] < 0.5 * left[0][1]
    torch.testing.assert_close(left[1][[0, 2]], left[0][[0, 2]], atol=0.1, rtol=0)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("occlusion:size=128", "a square of 128 pixels covers an entire image of 16x16"),
        ("occlusion:stride=3", "no gaps, got size 2 and stride 3"),
        ("occlusion:size=0", "occlusion takes a size of at least 1"),
        ("occlusion:size=4,stride=5", "a stride from 1 to the size"),
        ("occlusion:size=4,stride=2,grey=128", "grey from 0 to 1, got 4, 2 and 128"),
        ("meaningful-perturbation:fill=nois", "unknown fill 'nois'; did you mean noise"),
        ("meaningful-perturbation:steps=0", "steps of at least 1"),
        ("extremal-perturbation:areas=[1.5]", "areas between 0 and 1"),
        ("extremal-perturbation:areas=[]", "areas between 0 and 1"),
        ("extremal-channels:steps=0", "at least 1 step"),
    ],
)
def test_bad_options_are_reported_in_one_line(method: str, message: str, tiny: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        explain(tiny, pictures, logit(0), method)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", FAST)
def test_other_weights_make_another_map(method: str, tiny: Model, quick: Callable[[str], str]) -> None:
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(4))
    before = explain(tiny, picture, logit(1), quick(method))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        for part in tiny.module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                part.reset_parameters()
    after = explain(tiny, picture, logit(1), quick(method))
    assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] < 0.9


@pytest.mark.parametrize("method", FAST)
def test_things_light_up_for_their_classes(method: str, mobilenet: Model, photo: Callable[[str], Tensor]) -> None:
    pictures = torch.cat([photo(name) for name in THINGS])
    pictures = F.interpolate(pictures, (112, 112), mode="bilinear", antialias=True)
    classes = [index for index, _ in THINGS.values()]
    # At a saturated probability no mask changes the score.
    target = logit(classes) if method == "meaningful-perturbation" else softmax(classes)
    # A layer without a ReLU: negative activations support a class as well.
    layer = "features.16" if method == "extremal-channels" else None
    heats = explain(mobilenet, pictures, target, FAST[method], layer=layer).relu()
    for (_, box), heat in zip(THINGS.values(), heats, strict=True):
        left, top, right, bottom = (round(112 * share) for share in box)
        inside = torch.zeros(112, 112, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        assert float(heat[inside].mean()) > (1.2 if layer else 1.5) * float(heat[~inside].mean())
