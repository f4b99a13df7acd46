"""Surrogate models: scores with known contributions, superpixels, and localization in photographs."""

from collections.abc import Callable
from itertools import combinations
from math import comb
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from inverter import Model, evaluate, no_network
from objectives import Objective, channel, logit
from recipes.attribution import explain
from recipes.attribution.methods.surrogate import Ridge
from recipes.attribution.scoring.baselines import BASELINES, baseline_image
from recipes.attribution.scoring.superpixels import superpixels


def linear(weights: Tensor) -> Objective:
    return Objective("linear", (), lambda seen: (seen.image * weights).sum((1, 2, 3)) + 2)


def quarters(image: Tensor) -> Tensor:
    """The mean brightness (B, 4) of an image's quarters."""
    return torch.nn.functional.adaptive_avg_pool2d(image.mean(1, keepdim=True), 2).flatten(1)


GAME = Objective("game", (), lambda seen: quarters(seen.image)[:, 0] * (quarters(seen.image)[:, 1:] * TEAM).sum(1))
"""A cooperative game of four players, one of whom must take part: not linear."""
TEAM = torch.tensor([1.0, 2.0, -3.0])


def test_kernel_shap_finds_the_shapley_values_of_a_game() -> None:
    image = torch.ones(1, 3, 8, 8)  # a constant image is divided into equal squares
    (heat,) = explain(no_network("cpu"), image, GAME, "kernel-shap:segments=4,samples=2000,baseline=black")
    found = torch.stack([part.sum() for half in heat.split(4) for part in half.split(4, 1)])
    weights = [0.0, *TEAM.tolist()]
    expected = []
    for player in range(4):
        others, total = [p for p in range(4) if p != player], 0.0
        for size in range(4):
            for team in combinations(others, size):
                worth = [sum(weights[p] for p in set_) if 0 in set_ else 0.0 for set_ in (team, (*team, player))]
                total += (worth[1] - worth[0]) / (4 * comb(3, size))
        expected.append(total)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=0.12)


def test_kernel_shap_is_complete(tiny: Model, pictures: Tensor) -> None:
    maps = explain(tiny, pictures, logit([4, 0, 2]), "kernel-shap:segments=9,samples=60")
    reference = baseline_image(tiny, pictures, "mean")
    difference = evaluate(tiny, logit([4, 0, 2]), pictures) - evaluate(tiny, logit([4, 0, 2]), reference)
    torch.testing.assert_close(maps.sum((1, 2)), difference, rtol=1e-2, atol=1e-4)


def test_of_a_linear_score_kernel_shap_is_each_superpixels_part(pictures: Tensor) -> None:
    weights = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0))
    (heat,) = explain(no_network("cpu"), pictures[:1], linear(weights), "kernel-shap:segments=6,samples=80")
    pieces, parts = superpixels(pictures[0], 6), (pictures[0] * weights).sum(0)  # the mean colour is black here
    for piece in pieces.unique():
        assert float(heat[pieces == piece].sum()) == pytest.approx(float(parts[pieces == piece].sum()), abs=2e-3)


def test_lime_without_penalty_finds_the_slopes_of_a_linear_score(pictures: Tensor) -> None:
    weights = torch.full((3, 16, 16), 4.0)
    (heat,) = explain(no_network("cpu"), pictures[:1], linear(weights), "lime:segments=6,samples=400,width=10")
    pieces, parts = superpixels(pictures[0], 6), (pictures[0] * weights).sum(0)
    slopes = torch.stack([parts[pieces == piece].sum() for piece in pieces.unique()])
    found = torch.stack([heat[pieces == piece][0] for piece in pieces.unique()])
    torch.testing.assert_close(found, slopes, rtol=0.05, atol=0.05 * float(slopes.max()))  # the penalty shrinks them


@given(st.integers(0, 99), st.floats(0.01, 10))
def test_the_ridge_is_scikit_learns(seed: int, penalty: float) -> None:
    Expected = pytest.importorskip("sklearn.linear_model").Ridge
    random = torch.Generator().manual_seed(seed)
    z, y, weight = (torch.rand(*shape, generator=random) for shape in ((30, 4), (30,), (30,)))
    ours = Ridge(penalty)
    ours.fit([(z, y, weight)])
    theirs = Expected(penalty).fit(z.double().numpy(), y.double().numpy(), weight.double().numpy())
    torch.testing.assert_close(ours.representation()[0], torch.from_numpy(theirs.coef_).float(), rtol=1e-3, atol=1e-4)


def test_linear_shap_is_its_closed_form(tiny: Model, pictures: Tensor, tmp_path: Path) -> None:
    weights = torch.randn(3, 16, 16)
    mean = torch.stack([baseline_image(tiny, pictures, name) for name in BASELINES]).mean(0)
    maps = explain(tiny, pictures, linear(weights), "linear-shap")
    torch.testing.assert_close(maps, (weights * (pictures - mean)).sum(1), rtol=1e-4, atol=1e-4)
    # With background images from a folder, and the linear first layer of a network.
    colours = [(10, 20, 30), (200, 100, 50)]
    for i, colour in enumerate(colours):
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{i}.png")
    background = torch.tensor(colours).float().mean(0).div(255)[None, :, None, None].expand_as(pictures)
    maps = explain(tiny, pictures, channel("stem.0", 3), f"linear-shap:background={tmp_path}")
    difference = evaluate(tiny, channel("stem.0", 3), pictures) - evaluate(tiny, channel("stem.0", 3), background)
    torch.testing.assert_close(maps.sum((1, 2)), difference, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(
        maps, explain(tiny, pictures, channel("stem.0", 3), f"deep-shap:background={tmp_path}"), rtol=1e-3, atol=1e-6
    )


def test_a_score_that_is_not_linear_has_no_linear_shap(tiny: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match=r"linear in the image, and logit\(1\) is not: use deep-shap") as caught:
        explain(tiny, pictures, logit(1), "linear-shap")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("lime:samples=1", "at least 2 samples and 2 segments, got 1 and 50"),
        ("kernel-shap:segments=1", "at least 2 samples and 2 segments"),
        ("lime:width=0", "width above 0"),
        ("kernel-shap:segments=999", "expected 1 to 256 segments, got 999"),
        ("lime:baseline=bleck", "unknown baseline 'bleck'; did you mean black"),
    ],
)
def test_bad_options_are_reported_in_one_line(method: str, message: str, tiny: Model, pictures: Tensor) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        explain(tiny, pictures, logit(1), method)
    assert "\n" not in str(caught.value)


@given(st.integers(2, 40), st.integers(4, 20), st.integers(4, 20))
def test_superpixels_cover_a_picture(count: int, height: int, width: int) -> None:
    picture = torch.rand(3, height, width, generator=torch.Generator().manual_seed(count))
    labels = superpixels(picture, min(count, height * width))
    assert labels.shape == (height, width)
    assert torch.equal(labels.unique(), torch.arange(int(labels.max()) + 1))


def test_superpixels_follow_edges() -> None:
    picture = torch.zeros(3, 40, 40)
    picture[:, 13:, 9:] = 1
    labels, mixed = superpixels(picture, 16), 0
    for piece in labels.unique():
        share = float(picture[0][labels == piece].mean())
        mixed += int((labels == piece).sum()) * min(share, 1 - share)
    assert mixed < 40  # of 1600 pixels, 58 of which lie at the edge


@pytest.mark.parametrize("method", ["lime:samples=40,segments=16", "kernel-shap:samples=40,segments=16"])
def test_the_fish_lights_up(method: str, squeezenet: Model, photo: Callable[[str], Tensor]) -> None:
    picture = photo("goldfish")
    (heat,) = explain(squeezenet, picture, "logit:goldfish", method)
    fish = picture[0, 0] - picture[0, 2] > 0.2  # gold on green
    assert heat[fish].mean() > 2 * heat[~fish].mean().clamp_min(0)
