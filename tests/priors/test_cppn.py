"""Pattern-producing networks: coordinates to colours, at any resolution."""

import pytest
import torch

from priors import Cppn
from priors.cppn import SPAN, activation


def drawn(*seeds: int, size: int | tuple[int, int] = 16, **options: float) -> Cppn:
    prior = Cppn(len(seeds), size, **options)  # type: ignore[arg-type]
    prior.reset([torch.Generator().manual_seed(seed) for seed in seeds])
    return prior


@pytest.mark.parametrize("size", [(16, 16), (9, 14), (1, 1)])
def test_rendering_at_its_own_size_is_the_picture(size: tuple[int, int]) -> None:
    prior = drawn(1, 2, size=size)
    assert torch.allclose(prior.render(size), prior(), atol=1e-6)


def test_a_larger_rendering_is_the_same_view_and_finer() -> None:
    prior = drawn(1, 2, size=(12, 20), spread=2.0)
    large = prior.render((36, 60))
    # Of nine fine pixels in a coarse one, the one in the middle has the same centre.
    assert torch.allclose(large[..., 1::3, 1::3], prior(), atol=1e-5)
    assert not large.requires_grad


def test_a_rendering_in_parts_has_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = drawn(1, 2)
    full = prior.render((30, 41))
    monkeypatch.setattr("priors.cppn.ROWS", 100)
    assert torch.allclose(prior.render((30, 41)), full, atol=1e-6)


def test_places_span_the_shorter_side_and_pixels_are_square() -> None:
    places = drawn(1, size=(4, 10)).places.view(4, 10, 2)
    step = places[0, 1, 0] - places[0, 0, 0]
    assert torch.allclose(places[..., 0].diff(dim=1), step)
    assert torch.allclose(places[..., 1].diff(dim=0), step)
    assert places[-1, 0, 1].item() == pytest.approx(SPAN * 3 / 4)
    assert places.mean((0, 1)).abs().max() < 1e-6
    square = drawn(1, size=64).places
    assert square.square().mean(0).tolist() == pytest.approx([1, 1], abs=0.01)


def test_the_activation_keeps_the_mean_square() -> None:
    z = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0))
    odd, even = activation(z).chunk(2, -1)
    assert odd.square().mean().item() == pytest.approx(1, abs=0.15)
    assert even.square().mean().item() == pytest.approx(1, abs=0.3)
    assert torch.allclose(activation(-z), torch.cat([-odd, even], -1))


def test_more_frequency_is_more_change_across_the_picture() -> None:
    def roughness(frequency: float) -> float:
        image = drawn(1, 2, 3, 4, size=32, frequency=frequency)().detach()
        return (image.diff(dim=3).std() / image.std()).item()

    assert roughness(0.5) < roughness(2.0) < roughness(8.0)


def test_more_spread_is_more_contrast_and_none_is_grey() -> None:
    assert drawn(1, spread=0.1)().std() < drawn(1, spread=1.0)().std()
    assert torch.equal(drawn(1, spread=0.0)(), torch.full((1, 3, 16, 16), 0.5))


@pytest.mark.parametrize(
    ("options", "message"), [({"width": 0}, "width"), ({"depth": 0}, "depth"), ({"depth": 1.5}, "depth")]
)
def test_an_option_out_of_its_range_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drawn(1, **options)
