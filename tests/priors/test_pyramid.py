"""The Laplacian pyramid: every scale has its own parameters, and they are local."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from priors import Pyramid

sides = st.integers(1, 40)


def drawn(size: int | tuple[int, int], **options: float) -> Pyramid:
    prior = Pyramid(1, size, **options)  # type: ignore[arg-type]
    prior.reset([torch.Generator().manual_seed(1)])
    return prior


@given(sides, sides, st.integers(1, 7))
def test_each_level_is_half_as_large_as_the_one_before(height: int, width: int, levels: int) -> None:
    shapes = [tuple(level.shape[2:]) for level in Pyramid(1, (height, width), levels=levels).levels]
    assert len(shapes) == levels
    assert shapes[0] == (height, width)
    for (tall, wide), (half_tall, half_wide) in pairwise(shapes):
        assert (half_tall, half_wide) == (-(-tall // 2), -(-wide // 2))


@given(sides, sides)
def test_by_default_it_goes_on_until_four_pixels(height: int, width: int) -> None:
    sizes = [min(level.shape[2:]) for level in Pyramid(1, (height, width)).levels]
    assert sizes[-1] <= 4 or len(sizes) == 1
    assert all(side > 4 for side in sizes[:-1])


@given(sides, sides, st.floats(-1, 2))
def test_any_image_survives_the_way_there_and_back(height: int, width: int, decay: float) -> None:
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * 41 + width)) * 0.9 + 0.05
    assert torch.allclose(Pyramid.from_image(image, decay=decay)(), image, atol=2e-4)


def test_a_flat_picture_is_all_in_the_coarsest_level() -> None:
    prior = Pyramid.from_image(torch.full((1, 3, 21, 33), 0.3))
    *finer, coarsest = prior.levels
    assert max(level.abs().max().item() for level in finer) < 1e-4
    assert coarsest.std(dim=(2, 3)).max() < 1e-4
    assert coarsest.abs().max() > 0.1


def test_a_level_changes_only_what_is_near() -> None:
    prior = drawn(32)
    before = prior().detach()
    with torch.no_grad():
        prior.levels[1][0, :, 4, 4] += 1.0
    change = (prior().detach() - before).abs().amax((0, 1))
    assert change[8:10, 8:10].min() > 0.01
    change[4:14, 4:14] = 0
    assert change.max() == 0


def test_higher_decay_is_smoother_and_more_spread_more_contrast() -> None:
    def roughness(**options: float) -> float:
        image = drawn(64, **options)().detach()
        return ((image[..., 1:] - image[..., :-1]).std() / image.std()).item()

    assert roughness(decay=0.0) > roughness(decay=0.5) > roughness(decay=1.0)
    assert drawn(32, spread=0.01)().std() < drawn(32, spread=0.1)().std() < drawn(32, spread=1.0)().std()


@pytest.mark.parametrize("levels", [0, -1, 1.5])
def test_levels_are_integers_of_at_least_one(levels: float) -> None:
    with pytest.raises(ValueError, match="levels"):
        Pyramid(1, 8, levels=levels)  # type: ignore[arg-type]


def test_contrast_stays_below_its_limit_however_far_it_climbs() -> None:
    for contrast in (1.0, 2.5):
        prior = Pyramid(2, 24, contrast=contrast, spread=50.0)
        prior.reset([torch.Generator().manual_seed(seed) for seed in (1, 2)])
        assert (prior().logit().square().mean((1, 2, 3)).sqrt() < contrast * 1.001).all()
        assert (prior().logit().square().mean((1, 2, 3)).sqrt() > contrast * 0.99).all()
