"""Dead leaves: pictures with the colours of natural images, and edges."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from priors import Fourier, natural_statistics
from priors.dead_leaves import dead_leaves


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 24), st.integers(1, 24))
def test_any_size_gives_pictures_and_a_seed_the_same_again(seed: int, count: int, height: int, width: int) -> None:
    one, again = (dead_leaves(count, (height, width), torch.Generator().manual_seed(seed)) for _ in range(2))
    assert one.shape == (count, 3, height, width)
    assert bool(((one >= 0) & (one <= 1)).all())
    assert torch.equal(one, again)


def test_their_colours_are_natural() -> None:
    pictures = dead_leaves(64, 32, torch.Generator().manual_seed(0))
    pixels = pictures.transpose(0, 1).flatten(1)
    assert torch.allclose(pixels.mean(1), natural_statistics().mean, atol=0.08)
    mixed = torch.corrcoef(pixels)  # red, green and blue rise and fall together
    assert mixed[0, 1] > 0.7
    assert mixed[1, 2] > 0.7


def test_unlike_noise_of_the_same_spectrum_they_have_edges() -> None:
    """Differences of neighbours are mostly small and sometimes large: their kurtosis is far above a normal number's."""

    def kurtosis(pictures: torch.Tensor) -> float:
        steps = pictures.mean(1).diff(dim=2).flatten()
        return float((steps - steps.mean()).pow(4).mean() / steps.var().square())

    noise = Fourier(8, 64, spread=0.5)
    noise.reset([torch.Generator().manual_seed(seed) for seed in range(8)])
    assert kurtosis(dead_leaves(8, 64, torch.Generator().manual_seed(0))) > 3 * kurtosis(noise().detach())
