"""Laws of the image statistics: known statistics are measured back, at any size, in any order."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from priors.color import LUCID_BASIS, recorrelate
from priors.measuring import measure
from priors.spectrum import multiplicity, radial_frequencies
from priors.statistics import ImageStatistics, natural_statistics

DATA = Path(os.environ.get("INVERTER_TEST_DATA", Path(__file__).parents[2] / ".." / "shared"))
PHOTOGRAPHS = DATA / "images" / "imagenet"
NAMES = ("mean", "covariance", "frequencies", "magnitude")


def field(slope: float, size: int, seed: int, channels: int = 3) -> Tensor:
    """White noise times f^slope, cut out of a larger field (as photographs are), centred in [0, 1]."""
    noise = torch.randn(channels, 3 * size, 3 * size, generator=torch.Generator().manual_seed(seed)).double()
    scale = radial_frequencies(3 * size, 3 * size)
    scale[0, 0] = math.inf
    full = torch.fft.irfft2(torch.fft.rfft2(noise) * scale**slope, noise.shape[1:])
    full = 0.5 + 0.1 * full / full.std()
    return full[:, :size, :size].clamp(0, 1).float()


def pictures(*sizes: tuple[int, int], channels: int = 3, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(channels, *size, generator=generator) for size in sizes]


def same(a: ImageStatistics, b: ImageStatistics) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in NAMES)


@settings(max_examples=6, deadline=None)
@given(slope=st.floats(-1.7, -0.7), seed=st.integers(0, 100))
def test_a_known_power_law_is_measured_back(slope: float, seed: int) -> None:
    found = measure([field(slope, 64, 100 * seed + index) for index in range(8)])
    torch.testing.assert_close(found.slope(0.04, 0.5), torch.full((3,), slope), atol=0.1, rtol=0)


@settings(max_examples=10, deadline=None)
@given(
    slope=st.floats(-1.9, -0.8),
    small=st.tuples(st.integers(40, 130), st.integers(40, 130)),
    large=st.tuples(st.integers(200, 400), st.integers(200, 400)),
)
def test_spectra_of_two_sizes_are_one_law(slope: float, small: tuple[int, int], large: tuple[int, int]) -> None:
    frequencies = torch.logspace(-2, math.log10(0.7), 20)
    statistics = ImageStatistics(
        torch.full((3,), 0.5), 0.05 * torch.eye(3) + 0.02, frequencies, (frequencies**slope).expand(3, -1), 1, "a law"
    )
    for height, width in (small, large):
        radius = radial_frequencies(height, width).flatten()[1:]
        magnitude = statistics.spectrum(height, width)
        assert magnitude.shape == (3, height, width // 2 + 1)
        torch.testing.assert_close(magnitude.flatten(1)[0, 1:], radius.pow(slope).float(), rtol=1e-3, atol=0)
        assert magnitude[0, 0, 0] == pytest.approx((0.5 / max(height, width)) ** slope, rel=1e-3)


@pytest.mark.parametrize("octave", [(1 / 32, 1 / 16), (1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2)])
@pytest.mark.parametrize("size", [(512, 512), (511, 300), (300, 511)])
def test_variance_of_an_octave_does_not_depend_on_the_canvas(
    size: tuple[int, int], octave: tuple[float, float]
) -> None:
    def variance(height: int, width: int) -> Tensor:
        radius = radial_frequencies(height, width)
        inside = (radius >= octave[0]) & (radius < octave[1])
        power = natural_statistics().spectrum(height, width).double().square() * multiplicity(height, width)
        return (power * inside).sum((1, 2)) / (height * width)

    torch.testing.assert_close(variance(*size), variance(128, 128), rtol=0.08, atol=0)


@pytest.mark.parametrize("size", [128, 512])
def test_pictures_made_from_the_spectrum_have_it(size: int) -> None:
    # Random phases and magnitudes (complex normal numbers), so that the mean magnitude is that of the statistics.
    generator = torch.Generator().manual_seed(0)
    magnitude = natural_statistics().spectrum(size, size)
    magnitude[:, 0, 0] = 0

    def texture() -> Tensor:
        noise = torch.fft.rfft2(torch.randn(3, size, size, generator=generator), norm="ortho")
        channels = torch.fft.irfft2(noise * magnitude / math.sqrt(math.pi / 4), norm="ortho")
        return (0.5 + channels / 30).clamp(0, 1)

    textures = [texture() for _ in range(2048 // size)]
    expected = natural_statistics().slope(0.06, 0.4)
    for channel in range(3):
        found = measure([picture[channel : channel + 1] for picture in textures])
        assert found.slope(0.06, 0.4).item() == pytest.approx(expected[channel].item(), abs=0.1)
        # The same magnitude too, once the channel has its variance back.
        octave = (found.frequencies > 0.1) & (found.frequencies < 0.2)
        place = natural_statistics().frequencies.log().double().numpy()
        known = np.interp(
            found.frequencies[octave].log().double().numpy(),
            place,
            natural_statistics().magnitude[channel].log().double().numpy(),
        )
        deviation = 30 * found.covariance.item() ** 0.5
        np.testing.assert_allclose((found.magnitude[0, octave] * deviation).log().numpy(), known, atol=0.08)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), channels=st.sampled_from([1, 3, 5]))
def test_a_known_mixing_is_measured_back(seed: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator) * 0.03 + 0.05 * torch.eye(channels)
    mean = 0.3 + 0.4 * torch.rand(channels, generator=generator)
    noise = (torch.rand(4, channels, 96, 96, generator=generator) - 0.5) * math.sqrt(12)
    images = (recorrelate(noise, mixing) + mean[:, None, None]).clamp(0, 1)
    pixels = images.transpose(0, 1).flatten(1).double()
    found = measure(list(images))
    torch.testing.assert_close(
        found.covariance, torch.cov(pixels, correction=0).float().view(channels, channels), rtol=1e-4, atol=1e-7
    )
    torch.testing.assert_close(found.mean, pixels.mean(1).float())
    torch.testing.assert_close(found.covariance, mixing @ mixing.T, atol=0.15 * found.covariance.max().item(), rtol=0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), channels=st.integers(1, 6))
def test_the_basis_is_a_square_root_of_the_covariance(seed: int, channels: int) -> None:
    root = torch.randn(channels, channels, generator=torch.Generator().manual_seed(seed)) + 2 * torch.eye(channels)
    covariance = root @ root.T + 0.1 * torch.eye(channels)
    magnitude = torch.ones(channels, 2)
    statistics = ImageStatistics(torch.zeros(channels), covariance, torch.tensor([0.1, 0.2]), magnitude, 1, "")
    basis = statistics.color_basis()
    torch.testing.assert_close(basis @ basis.T, covariance, rtol=1e-4, atol=1e-4)
    assert bool((basis[0] >= 0).all())
    assert torch.equal(basis.norm(dim=0).sort(descending=True).values, basis.norm(dim=0))


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(5)))
def test_neither_order_nor_sizes_matter(order: list[int]) -> None:
    images = pictures((16, 24), (33, 9), (64, 64), (8, 8), (16, 24))
    first, second = measure(images), measure([images[index] for index in order])
    for name in NAMES:
        torch.testing.assert_close(getattr(first, name), getattr(second, name), rtol=1e-5, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(8, 200), width=st.integers(8, 200))
def test_pictures_of_any_shape_are_measured(height: int, width: int) -> None:
    found = measure(pictures((height, width), channels=1))
    assert found.frequencies[0] >= 0.99 / max(height, width)
    assert found.frequencies[-1] <= math.sqrt(0.5)
    assert bool(found.spectrum(width, height).isfinite().all())


def test_every_picture_counts_the_same() -> None:
    small, large = torch.full((1, 8, 8), 0.2), torch.full((1, 80, 80), 0.6)
    small[0, 0, 0], large[0, 0, 0] = 0.21, 0.61
    assert measure([small, large]).mean.item() == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_white_noise_is_white(channels: int) -> None:
    found = measure(pictures((64, 64), (64, 64), (63, 65), channels=channels))
    assert found.channels == channels
    # Unit variance and no slope: the mean magnitude of complex normal numbers is sqrt(pi / 4). (The lowest frequencies
    # come out high: the jumps at the borders of white noise are no trend.)
    high = found.magnitude[:, found.frequencies > 0.15]
    torch.testing.assert_close(high, torch.full_like(high, math.sqrt(math.pi / 4)), atol=0.1, rtol=0)


@settings(max_examples=10, deadline=None)
@given(
    source=st.text(max_size=20), images=st.integers(1, 10**9), scale=st.floats(1e-6, 1e6), seed=st.integers(0, 10**6)
)
def test_saved_and_loaded_they_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, source: str, images: int, scale: float, seed: int
) -> None:
    path = tmp_path_factory.mktemp("statistics") / "deep" / "file.json"
    generator = torch.Generator().manual_seed(seed)
    frequencies = torch.rand(7, generator=generator).cumsum(0) / 10 + 0.001
    magnitude = scale * (torch.rand(3, 7, generator=generator) + 0.01)
    root = torch.randn(3, 3, generator=generator)
    covariance = root @ root.T + torch.eye(3)
    saved = ImageStatistics(torch.rand(3, generator=generator), covariance, frequencies, magnitude, images, source)
    saved.save(path)
    loaded = ImageStatistics.load(path)
    assert same(saved, loaded)
    assert (loaded.images, loaded.source) == (images, source)
    assert [file.name for file in path.parent.iterdir()] == ["file.json"]
    assert json.loads(path.read_text())["images"] == images


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("mean"), "lack mean"),
        (lambda found: found.update(format="other"), "'other'"),
        (lambda found: found.update(mean=[0.5, 0.5]), "covariance of shape"),
        (lambda found: found.update(mean="grey"), "file.json"),
        (lambda found: found.update(images="many"), "integer"),
        (lambda found: found["covariance"].pop(), "covariance"),
        (lambda found: found["covariance"][0].__setitem__(0, -1), "positive definite"),
        (lambda found: found["covariance"][0].__setitem__(0, math.nan), "finite"),
        (lambda found: found["covariance"][0].pop(), "file.json"),
        (lambda found: found["frequencies"].reverse(), "rising"),
        (lambda found: found["magnitude"][0].__setitem__(3, 0), "positive magnitudes"),
        (lambda found: found["mean"].__setitem__(0, 10**400), "file.json"),
    ],
)
def test_an_invalid_file_is_reported_in_one_line(
    tmp_path: Path, change: Callable[[dict[str, object]], None], message: str
) -> None:
    path = tmp_path / "file.json"
    natural_statistics().save(path)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(ValueError, match=message) as error:
        ImageStatistics.load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "12", "{}"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(ValueError, match=r"file\.json: expected image statistics"):
        ImageStatistics.load(tmp_path / "file.json")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "got none"),
        (iter(pictures((8, 8))), "read twice"),
        (pictures((7, 8)), "8 px"),
        ([torch.rand(8, 8)], r"\(C, H, W\)"),
        ([torch.rand(3, 8, 8) * 2 + 0.5], r"\[0, 1\]"),
        ([torch.full((3, 8, 8), math.nan)], r"\[0, 1\]"),
        ([*pictures((8, 8)), torch.rand(1, 8, 8)], "picture 1: expected 3 channels"),
        ([torch.full((1, 8, 8), 0.3)], "constant"),
        ([torch.rand(1, 8, 8).expand(3, -1, -1)], "one channel"),
    ],
)
def test_pictures_that_cannot_be_measured_are_refused(images: list[Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(images)


def test_pictures_that_change_between_the_passes_are_refused() -> None:
    class Shrinking:
        left = 3

        def __iter__(self):  # type: ignore[no-untyped-def]
            self.left -= 1
            return iter(pictures(*[(8, 8)] * self.left))

    with pytest.raises(ValueError, match="2 and then 1"):
        measure(Shrinking())


def test_the_range_of_a_slope_is_checked() -> None:
    with pytest.raises(ValueError, match="cycles per pixel"):
        natural_statistics().slope(0.9, 1.0)
    with pytest.raises(ValueError, match="at least one pixel"):
        natural_statistics().spectrum(0, 4)


def test_the_bundled_statistics_are_natural() -> None:
    found = natural_statistics()
    assert found is natural_statistics()
    assert found.channels == 3
    assert bool(((found.mean > 0.35) & (found.mean < 0.55)).all())
    assert bool((found.magnitude.diff(dim=1) < 0).all())
    # The published matrix of Lucid, up to the scale of its channels: the same axes within 6 degrees.
    ours, lucid = (basis / basis.norm(dim=0) for basis in (found.color_basis(), LUCID_BASIS))
    assert bool(((ours * lucid).sum(0).abs() > math.cos(math.radians(6))).all())


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"needs the shared photographs in {PHOTOGRAPHS}")
def test_the_bundled_statistics_are_those_of_the_photographs() -> None:
    class Photographs:
        def __iter__(self):  # type: ignore[no-untyped-def]
            for path in sorted(PHOTOGRAPHS.glob("*.jpg"))[::4]:
                array = np.array(Image.open(path).convert("RGB"))
                yield torch.from_numpy(array).permute(2, 0, 1) / 255

    found = measure(Photographs())
    assert found.images == 100
    # A quarter of them agrees with all of them within the sampling error.
    torch.testing.assert_close(found.mean, natural_statistics().mean, atol=0.03, rtol=0)
    torch.testing.assert_close(found.covariance, natural_statistics().covariance, atol=0, rtol=0.15)
    torch.testing.assert_close(found.slope(), natural_statistics().slope(), atol=0.1, rtol=0)
