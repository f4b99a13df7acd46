"""The laws of every prior, for those whose pictures a network draws: they fit pictures of their own range."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from inverter import Settings, optimize
from objectives import channel
from priors import Cppn, Decoder, DeepImage, GanLatent, PlugAndPlay, Prior

SIZE = (16, 12)


def smooth(count: int, height: int, width: int) -> Tensor:
    """Pictures with soft shapes and colours, none of them at the ends of the range."""
    y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)[None]
    waves = [torch.sin(6 * y * (k + 1) + 4 * x + 2 * c) for k in range(count) for c in range(3)]
    return (0.5 + 0.3 * torch.stack(waves)).view(count, 3, height, width)


def tiny_generator(channels: int = 3) -> nn.Module:
    """Eight numbers to pictures (B, channels, 8, 6) in [0, 1], always the same ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, channels * 48), nn.Unflatten(1, (channels, 8, 6)), nn.Sigmoid()
        )
        nn.init.normal_(net[2].weight, 0, 0.5)  # of some contrast
    return net


def gan(count: int) -> Prior:
    return GanLatent(count, SIZE, tiny_generator(), latent_size=8, penalty=1e-4)


def plug_and_play(count: int) -> Prior:
    return PlugAndPlay(count, SIZE, tiny_generator(), latent_size=8, prior_step=1e-4, noise=1e-4)


def deep_image(count: int) -> Prior:
    return DeepImage(count, SIZE, channels=(12, 16), inputs=8, bfloat16=False)


def plain_deep_image(count: int) -> Prior:
    return DeepImage(count, SIZE, channels=(12, 16), inputs=8, skip=0, average=0, bfloat16=False)


def cppn(count: int) -> Prior:
    return Cppn(count, SIZE, depth=4)


def decoder(count: int) -> Prior:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(6, 48, 3, padding=1), nn.PixelShuffle(4), nn.Sigmoid())
    return Decoder(count, SIZE, net, spread=1.0, penalty=1e-4, overshoot=1e-3, bfloat16=False)


def own_range(make: Callable[[int], Prior], count: int) -> Tensor:
    """Pictures that this prior can draw."""
    with torch.no_grad():
        return drawn(make, *range(100, 100 + count))()


@dataclass(frozen=True)
class Kind:
    make: Callable[[int], Prior]
    any_picture: bool = True  # it fits any picture, not only one of its own range
    steps: int = 150


KINDS = {
    "gan": Kind(gan, any_picture=False),
    "plug and play": Kind(plug_and_play, any_picture=False),
    "decoder": Kind(decoder, any_picture=False),
    "cppn": Kind(cppn),
    "deep image": Kind(deep_image),
    "deep image, plain": Kind(plain_deep_image),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawn(make: Callable[[int], Prior], *seeds: int) -> Prior:
    prior = make(len(seeds))
    prior.reset(generators(*seeds))
    return prior


def trained(prior: Prior, optimizer: torch.optim.Optimizer, target: Tensor, steps: int) -> Tensor:
    """The pictures after some steps; the rate falls to 0 over them, as in the engine."""
    peak = optimizer.param_groups[0]["lr"]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = peak * (1 - step / steps)
        optimizer.zero_grad()
        (prior() - target).square().sum().backward()
        optimizer.step()
        prior.project(step)
    optimizer.param_groups[0]["lr"] = peak
    with torch.no_grad():
        return prior()


def alike(a: Tensor, b: Tensor) -> bool:
    """Equal but for the last digits: sums over a batch of another size run in another order."""
    return torch.allclose(a, b, rtol=0, atol=1e-5)


@each_kind
def test_pictures_have_the_requested_size_and_lie_in_the_unit_range(kind: Kind) -> None:
    prior = drawn(kind.make, 1, 2)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.mul_(300)
        prior.project(0)
        image = prior()
    assert image.shape == (2, 3, *SIZE)
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1


@each_kind
def test_it_fits_a_given_picture(kind: Kind) -> None:
    target = smooth(2, *SIZE) if kind.any_picture else own_range(kind.make, 2)
    prior = drawn(kind.make, 3, 4)
    optimizer = torch.optim.Adam(prior.parameters(), lr=prior.learning_rate)
    start = prior().detach()
    found = trained(prior, optimizer, target, kind.steps)

    def psnr(image: Tensor) -> Tensor:
        return -10 * (image - target).square().mean((1, 2, 3)).log10()

    assert psnr(start).max() < 20
    assert psnr(found).min() > 30


@each_kind
def test_the_gradient_of_one_picture_touches_its_own_parameters_alone(kind: Kind) -> None:
    prior = drawn(kind.make, 1, 2, 3)
    image = prior()
    weights = torch.randn(image.shape[1:], generator=torch.Generator().manual_seed(5))
    ((image[1] * weights).sum() + prior.energy(image)[1]).backward()
    for parameter in prior.parameters():
        assert parameter.shape[0] == 3
        assert parameter.grad is not None
        assert parameter.grad[1].abs().sum() > 0
        assert parameter.grad[[0, 2]].abs().sum() == 0


@each_kind
def test_a_picture_comes_out_the_same_in_any_batch(kind: Kind) -> None:
    target = own_range(kind.make, 3)
    full, alone = drawn(kind.make, 1, 2, 3), drawn(kind.make, 2)
    together = trained(full, torch.optim.SGD(full.parameters(), lr=1e-3), target, 4)
    by_itself = trained(alone, torch.optim.SGD(alone.parameters(), lr=1e-3), target[1:2], 4)
    assert alike(together[1:2], by_itself)


@each_kind
def test_energy_is_one_number_of_at_least_zero_for_each_picture(kind: Kind) -> None:
    prior = drawn(kind.make, 1, 2)
    energy = prior.energy(prior())
    assert energy.shape == (2,)
    assert energy.min() >= 0


@each_kind
def test_a_fresh_start_depends_on_each_pictures_own_generator_alone(kind: Kind) -> None:
    ours, theirs = drawn(kind.make, 5, 6, 7), drawn(kind.make, 6, 5)
    assert alike(ours()[1], theirs()[0])
    assert alike(ours()[0], theirs()[1])
    assert not alike(ours()[0], ours()[1])
    assert ours.started
    assert not kind.make(1).started
    with pytest.raises(ValueError, match="zip"):
        kind.make(2).reset(generators(1))


@each_kind
def test_a_saved_state_continues_bit_for_bit(kind: Kind) -> None:
    target = own_range(kind.make, 2)
    full = drawn(kind.make, 1, 2)
    optimizer = torch.optim.SGD(full.parameters(), lr=1e-3)
    trained(full, optimizer, target, 3)
    file = io.BytesIO()
    torch.save(full.state_dict(), file)
    expected = trained(full, optimizer, target, 3)

    file.seek(0)
    again = kind.make(2)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert again.started
    assert torch.equal(trained(again, torch.optim.SGD(again.parameters(), lr=1e-3), target, 3), expected)
    assert again.state_dict().keys() == full.state_dict().keys()


@each_kind
def test_taking_and_putting(kind: Kind) -> None:
    prior = drawn(kind.make, 1, 2, 3)
    before = prior().detach().clone()
    rows = torch.tensor([2, 0])
    part = prior.take(rows)
    assert part.count == 2
    assert part.started
    assert alike(part(), before[[2, 0]])
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(1)
    assert alike(prior(), before)
    part.reset(generators(8, 9))
    prior.put(rows, part)
    assert alike(prior()[rows], part())
    assert alike(prior()[1], before[1])


@each_kind
def test_the_engine_raises_the_score_of_each_picture(kind: Kind, tiny_net: nn.Module) -> None:
    objective = channel("body", [0, 1, 2])
    prior = kind.make(3)
    short = optimize(tiny_net, objective, kind.make(3), Settings(steps=1, learning_rate=1e-9), "none")
    found = optimize(tiny_net, objective, prior, Settings(steps=24, batch_size=2), "none")
    assert found.status == ("ok",) * 3
    assert (found.scores > short.scores).all()
    with torch.no_grad():
        assert alike(prior(), found.images)
