"""Infidelity: 0 for an exact map of a linear model, and the same values as Captum."""

import pytest
import torch
from captum.metrics import infidelity as captums
from torch import Tensor

from recipes.attribution.measures.infidelity import infidelity, random_squares, score_drops

SIZE = (8, 10)
MASKS = random_squares(40, SIZE, seed=0)
IMAGES = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
WEIGHTS = torch.randn(3, *SIZE, generator=torch.Generator().manual_seed(1))


def linear(images: Tensor, rows: Tensor | None = None) -> Tensor:
    return (images * WEIGHTS).sum((1, 2, 3))


def curved(images: Tensor, rows: Tensor | None = None) -> Tensor:
    return linear(images).square() + linear(images).sin()


def test_gradient_x_input_explains_a_linear_model_in_any_unit() -> None:
    drops = score_drops(linear, IMAGES, torch.zeros_like(IMAGES), MASKS, at_once=7)
    exact = (IMAGES * WEIGHTS).sum(1)
    torch.testing.assert_close(drops, (MASKS[:, None] * exact).sum((2, 3)))
    assert infidelity(exact, MASKS, drops).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert infidelity(0.01 * exact, MASKS, drops).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert infidelity(-exact, MASKS, drops).tolist() == pytest.approx([1.0, 1.0])
    assert infidelity(torch.zeros_like(exact), MASKS, drops).tolist() == pytest.approx([1.0, 1.0])
    noise = torch.randn(exact.shape, generator=torch.Generator().manual_seed(2))
    assert (infidelity(noise, MASKS, drops) > 0.2).all()


def test_where_the_score_never_falls_infidelity_is_undefined() -> None:
    assert infidelity(torch.rand(1, *SIZE), MASKS, torch.zeros(len(MASKS), 1)).isnan().all()


def test_captum_finds_the_same() -> None:
    baseline = torch.full_like(IMAGES, 0.5)
    drops = score_drops(curved, IMAGES, baseline, MASKS, at_once=5)
    maps = ((IMAGES - baseline) * WEIGHTS * linear(IMAGES)[:, None, None, None]).sum(1)

    def removed(images: Tensor) -> tuple[Tensor, Tensor]:
        copies = len(images) // len(IMAGES)  # Captum repeats each image, one after the other
        masks = MASKS[:copies].repeat(len(IMAGES), 1, 1)[:, None].expand_as(images)
        return masks.float(), torch.where(masks, 0.5, images)

    theirs = captums(
        curved, removed, IMAGES, maps[:, None].expand_as(IMAGES) / 3, n_perturb_samples=len(MASKS), normalize=True
    )
    torch.testing.assert_close(infidelity(maps, MASKS, drops), theirs / drops.square().mean(0), rtol=1e-4, atol=1e-4)


def test_squares_lie_in_the_picture_and_are_the_same_for_a_seed() -> None:
    assert MASKS.shape == (40, *SIZE)
    assert MASKS.flatten(1).any(1).all()
    random_squares.cache_clear()
    assert torch.equal(MASKS, random_squares(40, SIZE, seed=0))
    assert MASKS.flatten(1).sum(1).max() <= 4 * 5
