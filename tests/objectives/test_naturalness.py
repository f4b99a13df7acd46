"""Natural feature statistics: the objective's values and gradients, its errors, and the file."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inverter import BadInput, MissingFile, NotFound
from objectives import Activations, FeatureStatistics, LayerStatistics, channel, natural
from objectives.naturalness import moments


def statistics(channels: int = 6, **tensors: Tensor) -> FeatureStatistics:
    layer = LayerStatistics(
        torch.zeros(channels), torch.ones(channels), torch.ones(channels), torch.full((channels,), 0.5)
    )
    return FeatureStatistics({"a": layer, "b": replace(layer, **tensors)}, "net", "0" * 64, 400, (32, 48), "photos")


def maps(*mean_and_std: tuple[float, float], channels: int = 6) -> Tensor:
    half = torch.tensor([1.0, -1.0]).repeat(8).view(1, 1, 4, 4).expand(1, channels, 4, 4)
    return torch.cat([mean + std * half for mean, std in mean_and_std])


def test_the_score_is_the_squared_distance_beyond_one_spread() -> None:
    seen = Activations({"a": maps((0.5, 1.2), (3.0, 1.0), (0.0, 2.5)), "b": maps((0, 1), (0, 1), (0, 1))})
    # within; mean 3 spreads off: 2^2 over two moments and two layers; deviation 3 spreads off: the same
    torch.testing.assert_close(natural(None, statistics()).score(seen), torch.tensor([0.0, -1.0, -1.0]))
    torch.testing.assert_close(natural(["a"], statistics()).score(seen), torch.tensor([0.0, -2.0, -2.0]))


def test_it_is_added_to_any_objective_and_no_picture_influences_another() -> None:
    both = channel("a", [0, 1]) + 2 * natural(["b"], statistics())
    assert both.reads == ("a", "b") and both.count == 2 and not both.coupled
    seen = torch.randn(2, 6, 4, 4)
    apart = [natural(None, statistics()).score(Activations({"a": x, "b": x})) for x in seen.split(1)]
    torch.testing.assert_close(natural(None, statistics()).score(Activations({"a": seen, "b": seen})), torch.cat(apart))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_moments_and_their_gradients_are_those_of_torch(layout: torch.memory_format) -> None:
    x = (torch.randn(2, 3, 5, 7) + 2).to(memory_format=layout)
    found, expected = (x.clone().requires_grad_() for _ in range(2))
    weights = torch.randn(2, 2, 3)
    mean, std = moments(found)
    deviation, average = torch.std_mean(expected, (2, 3), correction=0)
    torch.testing.assert_close((mean, std), (average, deviation))
    (weights[0] * mean + weights[1] * std).sum().backward()
    (weights[0] * average + weights[1] * deviation).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)


def test_moments_of_bfloat16_maps_are_float32_and_survive_a_large_mean() -> None:
    x = (torch.randn(2, 16, 64, 64) + 8).bfloat16().requires_grad_()
    mean, std = moments(x)
    reference = torch.std_mean(x.double(), (2, 3), correction=0)
    assert mean.dtype == std.dtype == torch.float32
    torch.testing.assert_close(mean.double(), reference[1], rtol=1e-3, atol=0)
    torch.testing.assert_close(std.double(), reference[0], rtol=3e-2, atol=0)
    std.sum().backward()
    assert x.grad is not None and x.grad.dtype == torch.bfloat16


def test_a_constant_channel_has_no_deviation_and_a_finite_gradient() -> None:
    x = torch.full((1, 2, 4, 4), 3.7, requires_grad=True)
    _, std = moments(x)
    std.sum().backward()
    assert std.tolist() == [[0.0, 0.0]] and x.grad is not None and not x.grad.any()


def test_a_channel_that_is_dead_on_photographs_does_not_outweigh_the_others() -> None:
    dead = torch.ones(6)
    dead[0] = 0.0
    score = natural(["b"], statistics(mean_spread=dead)).score(Activations({"b": maps((1.5, 1.0))}))
    assert -30 < float(score) < 0


def test_vectors_have_means_alone() -> None:
    score = natural(["a"], statistics()).score(Activations({"a": torch.full((1, 6), 3.0)}))
    torch.testing.assert_close(score, torch.tensor([-4.0]))


def test_errors_say_what_does_not_fit() -> None:
    with pytest.raises(NotFound, match="no layer 'c'; they have 'a', 'b'"):
        natural(["c"], statistics())
    with pytest.raises(BadInput, match="no layers"):
        natural([], statistics())
    with pytest.raises(BadInput, match="layer 'a' has 3 channels, its feature statistics 6"):
        natural(["a"], statistics()).score(Activations({"a": torch.ones(1, 3, 4, 4)}))
    with pytest.raises(BadInput, match=r"of net with weights 000000000000, not of other with ffffffffffff"):
        statistics().check("other", "f" * 64)
    statistics().check("net", "0" * 64)
    with pytest.raises(BadInput, match=r"std of 6 channels has shape \(5,\)"):
        statistics(std=torch.ones(5))
    with pytest.raises(BadInput, match="mean_spread has negative"):
        statistics(mean_spread=-torch.ones(6))
    with pytest.raises(BadInput, match="mean is not finite"):
        statistics(mean=torch.full((6,), float("nan")))


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    saved = statistics(sorted_values=torch.rand(6, 16).sort().values, covariance=torch.eye(6))
    saved.save(tmp_path / "new" / "s.safetensors")
    found = FeatureStatistics.load(tmp_path / "new" / "s.safetensors")
    assert list(found.layers) == ["a", "b"] and found["a"].sorted_values is None
    for layer in found.layers:
        for name, value in saved[layer].tensors().items():
            assert torch.equal(getattr(found[layer], name), value)
    for name in ("model", "sha256", "images", "size", "source"):
        assert getattr(found, name) == getattr(saved, name)


def test_other_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(MissingFile, match="no feature statistics"):
        FeatureStatistics.load(tmp_path / "none.safetensors")
    path = tmp_path / "s.safetensors"
    path.write_bytes(b"text")
    with pytest.raises(BadInput, match="damaged"):
        FeatureStatistics.load(path)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(BadInput, match="holds no feature statistics"):
        FeatureStatistics.load(path)
    with pytest.raises(BadInput, match=r"in a \.safetensors file"):
        statistics().save(tmp_path / "s.json")
