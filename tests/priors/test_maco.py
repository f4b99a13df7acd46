"""Laws of MACO: the magnitude is fixed for any phase, and pictures keep natural contrast."""

from __future__ import annotations

import io
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from priors.color import decorrelate, from_image
from priors.maco import Maco, _odd, _own, _Phased, transparency
from priors.statistics import ImageStatistics, natural_statistics

DATA = Path(os.environ.get("INVERTER_TEST_DATA", Path(__file__).parents[2] / ".." / "shared"))
PHOTOGRAPHS = DATA / "images" / "imagenet"


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawn(size: int | tuple[int, int], *seeds: int, **options: float) -> Maco:
    prior = Maco(len(seeds), size, **options)  # type: ignore[arg-type]
    prior.reset(generators(*seeds))
    return prior


def psnr(a: Tensor, b: Tensor) -> Tensor:
    return -10 * (a - b).square().mean((1, 2, 3)).log10()


def channels_of(prior: Maco) -> Tensor:
    """The decorrelated channels behind the picture, in double precision."""
    logits = torch.logit(prior().detach().double())
    return decorrelate(logits - prior.centre, prior.basis)


sides = st.integers(1, 40)


@settings(max_examples=30, deadline=None)
@given(height=sides, width=sides, seed=st.integers(0, 10**6))
def test_the_magnitude_is_fixed_whatever_the_phase(height: int, width: int, seed: int) -> None:
    prior = drawn((height, width), seed)
    with torch.no_grad():  # any numbers at all, not only a fresh draw
        prior.phase.add_(5 * torch.randn(prior.phase.shape, generator=torch.Generator().manual_seed(seed + 1)))
    channels = channels_of(prior)
    magnitude = torch.fft.rfft2(channels, norm="ortho").abs().float()
    torch.testing.assert_close(magnitude, prior.magnitude, atol=2e-3, rtol=2e-3)
    if height * width > 1:
        expected = natural_statistics().spectrum(height, width)
        share = prior.magnitude[0] / expected
        share[:, 0, 0] = share[:, -1, -1]
        torch.testing.assert_close(share, share[:, -1:, -1:].expand_as(share))
        torch.testing.assert_close(channels.var((2, 3), correction=0).float(), torch.ones(1, 3), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [(128, 128), (512, 512), (255, 321)])
def test_mean_and_contrast_are_natural(size: tuple[int, int]) -> None:
    images = drawn(size, *range(6))()
    pixels = images.detach().transpose(0, 1).flatten(1)
    torch.testing.assert_close(pixels.mean(1), natural_statistics().mean, atol=0.01, rtol=0)
    torch.testing.assert_close(pixels.std(1), natural_statistics().covariance.diagonal().sqrt(), atol=0, rtol=0.05)
    deviation = natural_statistics().covariance.diagonal().sqrt()
    correlation = natural_statistics().covariance / deviation.outer(deviation)
    torch.testing.assert_close(torch.corrcoef(pixels), correlation, atol=0.04, rtol=0)


def test_contrast_scales_the_deviation() -> None:
    pixels = drawn(256, 0, 1, contrast=0.5)().detach().transpose(0, 1).flatten(1)
    torch.testing.assert_close(pixels.std(1), natural_statistics().covariance.diagonal().sqrt() / 2, atol=0, rtol=0.05)
    torch.testing.assert_close(pixels.mean(1), natural_statistics().mean, atol=0.01, rtol=0)


def test_a_large_canvas_works() -> None:
    prior = drawn(2048, 0)
    image = prior()
    assert image.shape == (1, 3, 2048, 2048)
    image[..., 100:200, 100:200].sum().backward()
    assert prior.phase.grad is not None
    assert bool(prior.phase.grad.isfinite().all())


def test_images_are_in_range_and_depend_on_their_own_parameters_only() -> None:
    prior = drawn((24, 33), 0, 1, 2)
    image = prior()
    assert image.shape == (3, 3, 24, 33)
    assert bool(((image >= 0) & (image <= 1)).all())
    (gradient,) = torch.autograd.grad(image[1].square().sum(), prior.phase)
    assert gradient[1].abs().max() > 0
    assert gradient[[0, 2]].abs().max() == 0


def test_a_picture_is_the_same_in_every_batch() -> None:
    torch.testing.assert_close(drawn(32, 7)(), drawn(32, 3, 7)()[1:])
    assert not torch.equal(drawn(32, 7)(), drawn(32, 8)())


def test_state_dict_round_trip_is_bit_for_bit() -> None:
    prior = drawn((20, 31), 4, 5)
    assert prior.started
    file = io.BytesIO()
    torch.save(prior.state_dict(), file)
    file.seek(0)
    other = Maco(2, (20, 31), contrast=0.5)
    assert not other.started
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.started
    assert torch.equal(prior(), other())


def fitted(prior: Maco, target: Tensor, steps: int) -> Tensor:
    optimizer = torch.optim.Adam(prior.parameters(), lr=prior.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (prior() - target).square().sum().backward()
        optimizer.step()
        schedule.step()
    return prior().detach()


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_it_fits_pictures_of_its_own_range(seed: int) -> None:
    # "Any picture to 30 dB" cannot hold with fixed magnitudes: its own range is what it can reach. The coefficients
    # that are real by symmetry keep their signs: the target shares them.
    target = drawn((40, 48), seed, seed + 1)
    prior = drawn((40, 48), seed + 2, seed + 3)
    with torch.no_grad():
        for row in (0, 20):
            prior.phase[..., row, [0, 24]] = target.phase[..., row, [0, 24]]
    assert bool((fitted(prior, target().detach(), 300) - target()).square().mean((1, 2, 3)).lt(1e-3).all())


def test_a_foreign_picture_is_out_of_range() -> None:
    image = torch.full((1, 3, 32, 32), 0.5)
    image[..., 8:24, 8:24] = 0.9
    assert psnr(fitted(drawn(32, 0), image, 200), image).item() < 30
    torch.testing.assert_close(Maco.from_image(image, keep_magnitude=True)(), image, atol=2e-3, rtol=0)


def test_it_starts_from_a_picture_of_its_own_exactly() -> None:
    image = drawn((33, 40), 0, 1, contrast=0.5)().detach()
    again = Maco.from_image(image, contrast=0.5)
    assert again.started
    assert bool((psnr(again(), image) > 50).all())


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"needs the shared photographs in {PHOTOGRAPHS}")
def test_it_starts_from_photographs() -> None:
    paths = sorted(PHOTOGRAPHS.glob("*.jpg"))[:4]
    images = torch.stack([torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) / 255 for path in paths])
    exact = Maco.from_image(images, keep_magnitude=True)
    assert bool((psnr(exact(), images) > 50).all())
    start = Maco.from_image(images)
    # Natural magnitudes: another picture, and yet the edges are where they were.
    assert bool((psnr(start(), images) < 30).all())
    phases = [torch.fft.rfft2(decorrelate(from_image(x), start.basis))[:, 0, 1:9, 1:9] for x in (images, start())]
    difference = (phases[0] / phases[1]).angle().abs()
    assert difference.mean() < 0.05


def test_files_of_statistics_are_accepted(tmp_path: Path) -> None:
    other = replace(natural_statistics(), mean=torch.tensor([0.2, 0.5, 0.7]))
    other.save(tmp_path / "other.json")
    for statistics in (tmp_path / "other.json", str(tmp_path / "other.json"), other):
        prior = Maco(1, 128, statistics=statistics)
        prior.reset(generators(0))
        torch.testing.assert_close(prior().mean((0, 2, 3)).detach(), other.mean, atol=0.02, rtol=0)


@pytest.mark.parametrize("channels", [1, 5])
def test_pictures_have_the_channels_of_their_statistics(channels: int) -> None:
    mean, covariance = torch.full((channels,), 0.4), 0.04 * torch.eye(channels)
    statistics = ImageStatistics(
        mean, covariance, torch.tensor([0.01, 0.5]), torch.tensor([[9.0, 0.1]] * channels), 1, ""
    )
    prior = Maco(2, 64, statistics)
    prior.reset(generators(0, 1))
    image = prior().detach()
    assert image.shape == (2, channels, 64, 64)
    torch.testing.assert_close(image.transpose(0, 1).flatten(1).std(1), torch.full((channels,), 0.2), atol=0.02, rtol=0)
    assert bool((psnr(Maco.from_image(image, statistics)(), image) > 50).all())
    with pytest.raises(ValueError, match=rf"statistics of pictures of {channels} channels?, expected 3"):
        Maco.from_image(torch.rand(1, 3, 8, 8), statistics)


def test_a_part_taken_and_put_back_is_the_same_picture() -> None:
    prior = Maco.from_image(torch.rand(3, 3, 12, 17, generator=torch.Generator().manual_seed(0)), keep_magnitude=True)
    rows = torch.tensor([2, 0])
    part = prior.take(rows)
    torch.testing.assert_close(part(), prior()[rows])
    with torch.no_grad():
        part.phase.add_(1)
    before = prior().detach()
    prior.put(rows, part)
    torch.testing.assert_close(prior()[rows], part())
    torch.testing.assert_close(prior()[1], before[1])


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="contrast"):
        Maco(1, 8, contrast=0)
    with pytest.raises(ValueError, match="standard deviation"):
        Maco(1, 8, contrast=10)
    with pytest.raises(ValueError, match="size"):
        Maco(1, 0)
    with pytest.raises(FileNotFoundError):
        Maco(1, 8, statistics=tmp_path / "none.json")
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Maco.from_image(torch.full((1, 3, 8, 8), 2.0))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-6, 1e6), percentile=st.floats(1, 100))
def test_transparency_is_a_share_of_importance(seed: int, scale: float, percentile: float) -> None:
    importance = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(seed))
    opacity = transparency(importance, percentile)
    assert opacity.shape == (2, 1, 9, 11)
    assert opacity.min() >= 0
    assert opacity.max() == 1
    torch.testing.assert_close(transparency(scale * importance, percentile), opacity, rtol=1e-4, atol=1e-5)
    share = (opacity == 1).float().mean((1, 2, 3))
    assert bool((share >= 1 - percentile / 100).all()) and bool((share <= 1 - percentile / 100 + 2 / 99).all())
    assert torch.equal(transparency(importance[1:], percentile), opacity[1:])


def test_transparency_of_a_sparse_or_zero_importance() -> None:
    importance = torch.zeros(2, 3, 8, 8)
    importance[1, :, 2, 3] = 4.0  # a single pixel mattered: fewer than the percentile leaves out
    opacity = transparency(importance)
    assert opacity[0].max() == 0
    assert opacity[1].sum() == 1 and opacity[1, 0, 2, 3] == 1


@pytest.mark.parametrize(
    ("importance", "percentile", "message"),
    [
        (torch.zeros(3, 8, 8), 80.0, "shape"),
        (-torch.ones(1, 3, 8, 8), 80.0, "absolute"),
        (torch.full((1, 3, 8, 8), math.nan), 80.0, "absolute"),
        (torch.ones(1, 3, 8, 8), 0.0, "percentile"),
    ],
)
def test_invalid_importance_is_refused(importance: Tensor, percentile: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transparency(importance, percentile)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_the_gradient_by_the_phase_is_that_of_the_formula(height: int, width: int) -> None:
    magnitude = torch.rand(1, 2, height, width // 2 + 1, dtype=torch.float64)
    phase = (6 * torch.rand(1, 2, height, width // 2 + 1, dtype=torch.float64)).requires_grad_()
    weight = torch.randn(1, 2, height, width, dtype=torch.float64)

    def plainly() -> Tensor:
        own = _own(width)
        odd = phase.clone()
        odd[..., own] = _odd(phase[..., own])
        return torch.fft.irfft2(torch.polar(magnitude, odd), s=(height, width), norm="ortho")

    torch.testing.assert_close(_Phased.apply(phase, magnitude, width), plainly())
    (found,) = torch.autograd.grad((_Phased.apply(phase, magnitude, width) * weight).sum(), phase)
    (expected,) = torch.autograd.grad((plainly() * weight).sum(), phase, allow_unused=True)
    torch.testing.assert_close(found, torch.zeros_like(phase) if expected is None else expected)
