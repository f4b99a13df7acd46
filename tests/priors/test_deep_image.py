"""The deep image prior: a network for each picture, run as one, on perturbed noise."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from priors import DeepImage


def drawn(*seeds: int, **options: object) -> DeepImage:
    given = {"count": len(seeds), "size": (16, 24), "channels": (6, 8), "inputs": 4, "bfloat16": False} | options
    prior = DeepImage(**given)  # type: ignore[arg-type]
    prior.reset([torch.Generator().manual_seed(seed) for seed in seeds])
    return prior


def by_hand(prior: DeepImage, index: int) -> Tensor:
    """Picture `index` from the definition: ungrouped convolutions on the noise of that picture alone."""
    kernels = iter([kernel[index] for kernel in prior.kernels])

    def layer(x: Tensor, stride: int) -> Tensor:
        kernel = next(kernels)
        side = kernel.shape[-1] // 2
        x = F.conv2d(F.pad(x, (side,) * 4, mode="reflect") if side else x, kernel, stride=stride)
        return F.leaky_relu(F.instance_norm(x), 0.2)

    x = prior.noise[index][None]
    ways = []
    for _ in prior.channels:
        ways.append((layer(x, 1) if prior.skip else x[:, :0], x.shape[2:]))
        x = layer(layer(x, 2), 1)
    for way, size in reversed(ways):
        x = torch.cat([F.interpolate(x, size=size, mode="bilinear"), way], 1)
        x = layer(layer(x, 1), 1)
    return torch.sigmoid(F.conv2d(x, prior.mixing[index]))[0]


@pytest.mark.parametrize("skip", [0, 3])
@pytest.mark.parametrize("size", [(16, 24), (13, 9), (33, 18)])
def test_grouped_networks_draw_what_each_network_draws_alone(skip: int, size: tuple[int, int]) -> None:
    prior = drawn(1, 2, 3, skip=skip, size=size)
    with torch.no_grad():
        together = prior()
        assert torch.allclose(together, torch.stack([by_hand(prior, i) for i in range(3)]), atol=1e-4)


@pytest.mark.parametrize(("side", "scales"), [(8, 1), (15, 1), (16, 2), (31, 2), (32, 3), (224, 5)])
def test_scales_end_before_they_are_smaller_than_four_pixels(side: int, scales: int) -> None:
    assert len(DeepImage(1, (side, 300)).channels) == scales


def test_the_noise_is_shaken_while_it_learns_and_still_when_it_shows() -> None:
    prior = drawn(1, 2, shake=0.5, average=0.0)
    with torch.no_grad():
        still = prior()
    first = prior().detach()
    prior.project(0)
    second = prior().detach()
    with torch.no_grad():
        assert torch.equal(prior(), still)
    assert not torch.allclose(first, still, atol=1e-3)
    assert not torch.allclose(first, second, atol=1e-3)
    quiet = drawn(1, 2, shake=0.0, average=0.0)
    assert torch.allclose(quiet(), still, atol=1e-6)


def test_shaking_never_repeats_within_a_thousand_steps() -> None:
    prior = drawn(1, size=(32, 32))
    seen = set()
    for step in range(1000):
        seen.add(tuple(prior.shaking[0, 0, 0, :3].tolist()))
        prior.project(step)
    assert len(seen) == 1000
    assert prior.shaking.std().item() == pytest.approx(0.1, rel=0.1)


def test_what_it_shows_is_the_average_of_what_it_drew() -> None:
    prior = drawn(1, 2, shake=0.5, average=0.5)
    pictures = []
    for step in range(3):
        pictures.append(prior().detach())
        prior.project(step)
    by_weight = (pictures[0] + 2 * pictures[1] + 4 * pictures[2]) / 7
    with torch.no_grad():
        assert torch.allclose(prior(), by_weight, atol=1e-6)
    prior.reset([torch.Generator().manual_seed(seed) for seed in (1, 2)])
    with torch.no_grad():
        assert torch.equal(prior(), drawn(1, 2)())  # the average starts anew


def test_brain_floats_draw_nearly_the_same_picture() -> None:
    with torch.no_grad():
        exact, rough = drawn(1, 2)(), drawn(1, 2, bfloat16=True)()
    assert rough.dtype == torch.float32
    assert (exact - rough).abs().max() < 0.05
    assert (exact - rough).abs().mean() < 0.005


def test_the_state_of_parameters_is_small_for_each_picture() -> None:
    assert sum(parameter.numel() for parameter in DeepImage(1, 224).parameters()) < 1_100_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (7, 100)}, "at least 8"),
        ({"channels": ()}, "channels"),
        ({"channels": (4, 0)}, "channels"),
        ({"inputs": 0}, "inputs"),
        ({"skip": -1}, "skip"),
        ({"average": 1.0}, "average"),
        ({"average": -0.1}, "average"),
        ({"shake": -1.0}, "shake"),
    ],
)
def test_an_option_out_of_its_range_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drawn(1, **options)
