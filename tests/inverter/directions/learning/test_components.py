"""Components by scikit-learn, as directions: what they find, and what they refuse."""

import pytest
import torch
from torch import Tensor

from inverter import BadInput, Directions
from inverter.directions.learning.components import METHODS, components
from inverter.directions.learning.quality import quality, stability

pytest.importorskip("sklearn")


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("method", METHODS)
def test_rows_have_length_1_and_a_seed_repeats_them(method: str) -> None:
    vectors = random(300, 6) ** 3
    one, other = (components(method, vectors, 4, 5, "conv") for _ in range(2))
    assert torch.allclose(one.decoder.norm(dim=1), torch.ones(4), atol=1e-5)
    assert torch.equal(one.decoder, other.decoder)
    assert (one.layer, one.method, one.count) == ("conv", method, 4)
    assert 0 < quality(one, [vectors]).explained_variance < 1


def test_nmf_finds_parts_that_add_up() -> None:
    parts = torch.eye(3, 7) + torch.eye(3, 7).roll(3, 1)
    found = components("nmf", random(200, 3) @ parts, 3, 0, "conv")
    assert quality(found, [random(50, 3, seed=1) @ parts]).explained_variance > 0.999
    assert stability(found, Directions("conv", parts)) > 0.99
    with pytest.raises(BadInput, match=r"activations below 0 \(the lowest is -1\), which NMF cannot take: set method"):
        components("nmf", -torch.ones(9, 3), 2, 0, "conv")


def test_pca_explains_what_its_components_explain() -> None:
    vectors = random(400, 5) * torch.tensor([9, 3, 1, 0.3, 0.1])
    spread = (vectors - vectors.mean(0)).double()
    values = torch.linalg.eigvalsh(spread.T @ spread)
    found = quality(components("pca", vectors, 2, 0, "conv"), vectors.split(100))
    assert found.explained_variance == pytest.approx(float(values[-2:].sum() / values.sum()), abs=1e-4)
    assert (found.l0, found.dead) == (2, 0)


def test_kmeans_finds_the_directions_of_clusters() -> None:
    centers = torch.eye(4, 8)
    vectors = centers.repeat(60, 1) * (1 + random(240, 1)) + 0.02 * random(240, 8) + 5
    found = components("kmeans", vectors, 4, 0, "conv")
    apart = torch.nn.functional.normalize(centers - centers.mean(0), dim=1)
    assert stability(Directions("conv", apart), found) > 0.97
    latents = found.encode(vectors)
    assert bool(((latents > 0).sum(1) == 1).all())
    assert len(set(latents.argmax(1)[:4].tolist())) == 4


def test_ica_finds_independent_sources_and_points_to_their_tails() -> None:
    sources = -torch.log(random(2000, 3).clamp_min(1e-6))  # exponential: heavier above
    mixing = random(3, 5, seed=2) - 0.5
    found = components("ica", sources @ mixing, 3, 0, "conv")
    assert stability(Directions("conv", mixing), found) > 0.98
    latents = found.encode(sources @ mixing)
    assert bool((((latents - latents.mean(0)) ** 3).mean(0) > 0).all())


def test_more_components_than_there_are_are_refused() -> None:
    with pytest.raises(BadInput, match="count 9: pca finds at most 5 directions of 50 vectors of 5 channels"):
        components("pca", random(50, 5), 9, 0, "conv")
