"""Augmentations: the identity without randomness, else one exact warp, with separate draws for each picture."""

import math
from dataclasses import replace

import kornia
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from inverter import PRESETS, Augment, Settings, optimize
from inverter.augment import as_augment
from objectives import channel
from priors import Fourier

CPU = torch.device("cpu")


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def smooth(height: int, width: int, count: int = 1) -> Tensor:
    y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)[None]
    planes = [torch.sin(5 * y * (c + 1) + 3 * x) * torch.cos(4 * x - y) for c in range(3)]
    return (0.5 + 0.4 * torch.stack(planes)).expand(count, -1, -1, -1)


def once(augment: Augment, image: Tensor, *seeds: int) -> Tensor:
    size = (image.shape[2], image.shape[3])
    return augment.prepare(generators(*(seeds or (0,))), size, 1, CPU)(image, 0)


@given(st.integers(1, 20), st.integers(1, 20))
def test_without_anything_random_every_picture_stays_as_it_is(height: int, width: int) -> None:
    image = smooth(height, width)
    assert torch.equal(once(PRESETS["none"], image), image)


@pytest.mark.parametrize("augment", [Augment(shift=1e-9), Augment(rotate=1e-9), Augment(scale=(1.0, 1.0 + 1e-9))])
@pytest.mark.parametrize("size", [(16, 16), (9, 14), (15, 8)])
def test_a_warp_by_almost_zero_is_the_identity(augment: Augment, size: tuple[int, int]) -> None:
    image = smooth(*size)
    assert torch.allclose(once(augment, image), image, atol=1e-4)


def drawn(seed: int) -> Tensor:
    """What `prepare` draws for one picture and one step: two shifts, scale and rotation, each in [0, 1)."""
    return torch.rand(1, 4, generator=torch.Generator().manual_seed(seed))[0]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(48, 48), (40, 56), (57, 39)])
def test_one_warp_is_kornias_scale_rotation_and_shift(size: tuple[int, int], seed: int) -> None:
    height, width = size
    image = smooth(height, width)
    augment = Augment(shift=0.08, scale=(0.8, 1.25), rotate=20)
    draws = drawn(seed)
    magnification = 0.8 * (1.25 / 0.8) ** draws[2]
    angle = (2 * draws[3] - 1) * 20
    shift = (2 * draws[:2] - 1) * 0.08 * torch.tensor([width, height])
    centre = torch.tensor([[(width - 1) / 2, (height - 1) / 2]])
    # prepare() composes the map from the shown picture back to the original; kornia's warp takes the forward map.
    back = kornia.geometry.get_affine_matrix2d(shift[None], centre, (1 / magnification).expand(1, 2), angle[None])
    reference = kornia.geometry.warp_affine(
        image, torch.linalg.inv(back)[:, :2], size, padding_mode="reflection", align_corners=False
    )
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert (once(augment, image, seed) - reference)[inside].abs().max() < 5e-3
    assert (once(augment, image, seed) - image)[inside].abs().max() > 0.01


def centre_of_mass(image: Tensor) -> tuple[float, float]:
    weight = image[0, 0] / image[0, 0].sum()
    y, x = torch.arange(image.shape[2]), torch.arange(image.shape[3])
    return (weight.sum(1) @ y.float()).item(), (weight.sum(0) @ x.float()).item()


def blob(height: int, width: int, y: float, x: float, radius: float = 3.0) -> Tensor:
    rows, columns = torch.arange(height)[:, None] - y, torch.arange(width)[None] - x
    return torch.exp(-(rows**2 + columns**2) / (2 * radius**2)).expand(1, 3, -1, -1)


def test_shifts_stay_within_their_fraction_of_each_side_and_use_it() -> None:
    image = blob(40, 80, 19.5, 39.5)
    moved = [centre_of_mass(once(Augment(shift=0.1), image, seed)) for seed in range(60)]
    rows, columns = ([abs(place[axis] - middle) for place in moved] for axis, middle in ((0, 19.5), (1, 39.5)))
    assert 3 < max(rows) < 4.1
    assert 6 < max(columns) < 8.1


def test_scale_magnifies_about_the_centre_within_its_range() -> None:
    image = blob(64, 64, 31.5, 31.5, radius=4)
    areas = [once(Augment(scale=(0.5, 2.0)), image, seed).sum() / image.sum() for seed in range(60)]
    factors = [math.sqrt(area) for area in areas]
    assert 0.49 < min(factors) < 0.65
    assert 1.6 < max(factors) < 2.05
    assert sum(factor > 1 for factor in factors) in range(18, 43)  # as often larger as smaller


def test_rotation_turns_about_the_centre_within_its_range() -> None:
    image = blob(64, 64, 31.5, 47.5)
    angles = []
    for seed in range(60):
        y, x = centre_of_mass(once(Augment(rotate=30), image, seed))
        angles.append(math.degrees(math.atan2(31.5 - y, x - 31.5)))
        assert math.hypot(y - 31.5, x - 31.5) == pytest.approx(16, abs=0.3)
    assert 25 < max(angles) < 30.5
    assert -30.5 < min(angles) < -25


def test_beyond_the_edge_the_picture_is_mirrored() -> None:
    flat = torch.full((1, 3, 16, 16), 0.7)
    assert torch.allclose(once(Augment(shift=0.5, scale=(0.3, 0.4), rotate=45), flat, 3), flat, atol=1e-5)
    ramp = torch.arange(16.0).expand(1, 3, 16, 16) / 15
    for seed in range(8):
        shown = once(Augment(shift=0.4), ramp, seed)[0, 0, 8]
        assert shown.min() >= -1e-5
        assert shown.max() <= 1 + 1e-5
        turns = (shown[1:] - shown[:-1]).sign().diff().abs().gt(1).sum()
        assert turns <= 2  # it turns back at the edge instead of jumping


@pytest.mark.parametrize("size", [(40, 40), (33, 57)])
def test_a_crop_is_a_window_of_the_picture_at_its_own_scale(size: tuple[int, int]) -> None:
    height, width = size
    rows = torch.arange(height).float()[:, None].expand(height, width)
    columns = torch.arange(width).float()[None].expand(height, width)
    image = torch.stack([rows, columns, rows])[None]
    tops, lefts = [], []
    for seed in range(50):
        shown = once(Augment(crop=0.5), image, seed)
        assert shown.shape == (1, 3, round(height / 2), round(width / 2))
        inside = shown[0, :, 1:-1, 1:-1]
        assert torch.allclose(inside[0].diff(dim=0), torch.ones(1), atol=1e-2)  # one pixel a row
        assert torch.allclose(inside[1].diff(dim=1), torch.ones(1), atol=1e-2)
        tops.append(inside[0, 0, 0].item() - 1)
        lefts.append(inside[1, 0, 0].item() - 1)
    assert min(tops) < 0.15 * height
    assert max(tops) > 0.35 * height
    assert min(lefts) < 0.15 * width
    assert max(lefts) > 0.35 * width


def test_a_tiny_crop_still_shows_a_pixel() -> None:
    assert once(Augment(crop=0.01), smooth(8, 8)).shape == (1, 3, 1, 1)


def test_noise_has_its_deviation_no_mean_and_is_new_in_each_step() -> None:
    image = torch.full((2, 3, 64, 64), 0.5)
    transform = Augment(noise=0.1).prepare(generators(1, 2), (64, 64), 8, CPU)
    shown = torch.stack([transform(image, step) - image for step in range(8)])
    assert shown.mean().abs() < 0.01
    assert shown.std().item() == pytest.approx(0.1, rel=0.05)
    assert (shown[0] - shown[1]).abs().max() > 0.1
    assert (shown[:, 0] - shown[:, 1]).abs().amax((1, 2, 3)).min() > 0.1


def test_a_colour_shift_is_one_gain_about_mid_grey_and_one_offset_for_each_channel() -> None:
    image = smooth(9, 12, count=2)
    transform = Augment(color=0.8).prepare(generators(1, 2), (9, 12), 40, CPU)
    shown = torch.stack([transform(image, step) for step in range(40)])
    lines = torch.stack([image.flatten(2), torch.ones_like(image).flatten(2)], dim=-1)  # of each picture and channel
    fits = torch.linalg.lstsq(lines.expand(40, -1, -1, -1, -1), shown.flatten(3)[..., None]).solution[..., 0]
    gain, offset = fits.unbind(-1)
    assert torch.allclose(gain[..., None, None] * image + offset[..., None, None], shown, atol=1e-4)
    contrast, brightness = gain.log(), offset + gain / 2 - 0.5
    assert contrast.abs().max() <= 0.8 + 1e-4
    assert brightness.abs().max() <= 0.2 + 1e-4
    assert contrast.std().item() == pytest.approx(0.8 / 3**0.5, rel=0.15)
    assert brightness.std().item() == pytest.approx(0.2 / 3**0.5, rel=0.15)
    assert (gain[:, :, 0] - gain[:, :, 1]).abs().max() > 0.1  # each channel has its own
    assert (gain[:, 0] - gain[:, 1]).abs().max() > 0.1  # and each picture


def test_a_flip_mirrors_half_of_the_views() -> None:
    image = smooth(10, 14)
    transform = Augment(flip=True).prepare(generators(3), (10, 14), 60, CPU)
    shown = torch.stack([transform(image, step) for step in range(60)])
    mirrored = torch.isclose(shown, image.flip(3), atol=1e-5).flatten(1).all(1)
    same = torch.isclose(shown, image, atol=1e-5).flatten(1).all(1)
    assert bool((mirrored ^ same).all())
    assert 15 < int(mirrored.sum()) < 45


def test_a_flip_mirrors_the_view_that_the_same_warp_would_show() -> None:
    image, plain = smooth(24, 24), Augment(shift=0.1, scale=(0.8, 1.2), rotate=10)
    for seed in range(6):
        flips = torch.rand(1, 5, generator=torch.Generator().manual_seed(seed))[0, 4] < 0.5
        # With five draws a step, the first four are those of a plain warp.
        other = once(plain, image, seed)
        torch.testing.assert_close(once(replace(plain, flip=True), image, seed), other.flip(3) if flips else other)


@pytest.mark.parametrize("name", PRESETS)
def test_a_pictures_draws_do_not_depend_on_its_batch(name: str) -> None:
    image = smooth(12, 17, count=3)
    together = PRESETS[name].prepare(generators(4, 5, 6), (12, 17), 3, CPU)
    alone = PRESETS[name].prepare(generators(6), (12, 17), 3, CPU)
    for step in range(3):
        assert torch.allclose(together(image, step)[2:], alone(image[2:], step), atol=1e-6)
    if name != "none":
        assert (together(image, 0)[0] - together(image, 0)[1]).abs().max() > 0.01
        assert (together(image, 0)[0] - together(image, 1)[0]).abs().max() > 0.01


def test_presets_grow_stronger() -> None:
    image = smooth(48, 48, count=16)
    changes = [
        (once(PRESETS[name], image, *range(16)) - image).abs().mean()
        for name in ("none", "light", "standard", "strong")
    ]
    assert changes == sorted(changes)
    assert changes[0] == 0
    assert len(set(changes)) == 4
    assert (once(PRESETS["tokens"], image, *range(16)) - image).abs().mean() > changes[-1]


def test_gradients_reach_the_picture_through_a_warp() -> None:
    image = smooth(12, 12).clone().requires_grad_()
    once(PRESETS["strong"], image).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "options",
    [
        {"shift": -0.1},
        {"shift": 1.5},
        {"scale": (0.0, 1.0)},
        {"scale": (1.2, 0.9)},
        {"rotate": -1},
        {"rotate": 181},
        {"noise": -0.1},
        {"noise": math.nan},
        {"crop": 0},
        {"crop": 1.1},
        {"color": -0.1},
        {"color": 4.5},
    ],
)
def test_a_value_out_of_range_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Augment(**options)  # type: ignore[arg-type]


def test_an_augmentation_is_a_name_a_value_or_a_callable() -> None:
    assert as_augment("light") == PRESETS["light"]
    own = Augment(rotate=5)
    assert as_augment(own) is own
    assert as_augment(torch.flip) is torch.flip  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'lite'; expected one of none, light, standard, strong"):
        as_augment("lite")
    with pytest.raises(TypeError, match="int"):
        as_augment(3)  # type: ignore[arg-type]


def test_a_kornia_pipeline_is_drawn_from_the_seed_and_leaves_the_global_generator_alone(tiny_net: nn.Module) -> None:
    pipeline = kornia.augmentation.AugmentationSequential(
        kornia.augmentation.RandomAffine(20, (0.1, 0.1), p=1.0), kornia.augmentation.RandomHorizontalFlip()
    )

    def run(seed: int) -> Tensor:
        settings = Settings(steps=4, seed=seed, precision="float32")
        return optimize(tiny_net, channel("body", [1, 2]), Fourier(2, 16), settings, pipeline).images

    torch.manual_seed(1)
    first = run(0)
    state = torch.get_rng_state()
    assert torch.equal(run(0), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert (run(1) - first).abs().max() > 0.05


@pytest.mark.parametrize("name", list(PRESETS))
@pytest.mark.parametrize("crop", [1.0, 0.4])
def test_several_views_at_once_are_those_of_the_steps_one_after_the_other(name: str, crop: float) -> None:
    image = smooth(20, 15, count=2).clone().requires_grad_()
    transform = replace(PRESETS[name], crop=crop).prepare(generators(1, 2), (20, 15), 6, CPU)
    together = transform(image, 2, 3)
    apart = torch.cat([transform(image, step) for step in (2, 3, 4)])
    torch.testing.assert_close(together, apart)
    (one,) = torch.autograd.grad(together.square().sum(), image)
    (other,) = torch.autograd.grad(apart.square().sum(), image)
    torch.testing.assert_close(one, other)
