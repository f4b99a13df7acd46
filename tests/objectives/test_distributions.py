"""Sort matching: values, gradients that reach the distribution, and its errors."""

import pytest
import torch

from inverter import BadInput, NotFound
from objectives import Activations, FeatureStatistics, LayerStatistics, distribution
from objectives.distributions import sorted_values


def reference(maps: torch.Tensor, ranks: int = 16) -> FeatureStatistics:
    layer = LayerStatistics(*torch.ones(4, maps.shape[1]), sorted_values=sorted_values(maps, ranks).mean(0))
    return FeatureStatistics({"a": layer}, "net", "", len(maps), (8, 8), "photographs")


def test_positions_do_not_count_and_constant_channels_score_minus_one() -> None:
    maps = torch.randn(1, 3, 4, 4)
    objective = distribution(None, reference(maps))
    order = torch.randperm(16)
    shuffled = maps.flatten(2)[:, :, order].view(1, 3, 4, 4)
    constant = maps.mean((2, 3), keepdim=True).expand_as(maps)
    scores = objective.score(Activations({"a": torch.cat([maps, shuffled, constant])}))
    torch.testing.assert_close(scores, torch.tensor([0.0, 0.0, -1.0]))


def test_ascent_finds_the_distribution_at_another_map_size() -> None:
    torch.manual_seed(0)
    objective = distribution(["a"], reference(torch.randn(4, 3, 8, 8).exp(), 32))
    x = torch.randn(2, 3, 6, 6).requires_grad_()
    before = objective.score(Activations({"a": x}))
    optimizer = torch.optim.Adam([x], 0.3)
    for _ in range(100):
        optimizer.zero_grad()
        (-objective.score(Activations({"a": x}))).sum().backward()
        optimizer.step()
    assert bool((objective.score(Activations({"a": x})) > 0.4 * before).all())


def test_relevance_weighs_the_channels() -> None:
    maps = torch.randn(1, 2, 4, 4)
    off = maps.clone()
    off[:, 1] += 5
    seen = Activations({"a": off})
    only_first = distribution(None, reference(maps), {"a": torch.tensor([1.0, 0.0])})
    assert float(only_first.score(seen)) == pytest.approx(0, abs=1e-6)
    assert float(distribution(None, reference(maps)).score(seen)) < -1


def test_each_image_may_have_a_reference_of_its_own() -> None:
    maps = torch.randn(3, 2, 4, 4)
    references = [reference(one[None]) for one in maps]
    relevances = [{"a": torch.tensor([1.0, 2.0])}] * 3
    objective = distribution(None, references, relevances)
    torch.testing.assert_close(objective.score(Activations({"a": maps})), torch.zeros(3))
    assert bool((objective.score(Activations({"a": maps.flip(0)}))[[0, 2]] < -0.01).all())
    rest = objective.score(Activations({"a": maps[[2, 0]]}, rows=torch.tensor([2, 0])))
    torch.testing.assert_close(rest, torch.zeros(2))
    with pytest.raises(BadInput, match="got 3 references and 2 relevances"):
        distribution(None, references, relevances[:2])


def test_errors() -> None:
    photos = reference(torch.randn(1, 3, 4, 4))
    with pytest.raises(BadInput, match="no layers"):
        distribution([], photos)
    with pytest.raises(NotFound, match="no layer 'b'"):
        distribution(["b"], photos)
    with pytest.raises(BadInput, match="expected 3 numbers of at least 0"):
        distribution(None, photos, {"a": torch.ones(2)})
    with pytest.raises(BadInput, match="are constant"):
        distribution(None, reference(torch.ones(1, 3, 4, 4)))
    with pytest.raises(BadInput, match="has 4 channels, the reference 3"):
        distribution(None, photos).score(Activations({"a": torch.ones(1, 4, 2, 2)}))
    bare = FeatureStatistics({"a": LayerStatistics(*torch.ones(4, 3))}, "net", "", 1, (8, 8), "")
    with pytest.raises(BadInput, match="no sorted values"):
        distribution(None, bare)
