"""Priors of a trained generator: its weights do not change, and the latents stay in the training range."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from inverter_errors import MissingFile
from priors import GanLatent, PlugAndPlay
from priors.generator_net import WEIGHTS


def net(channels: int = 3, last: nn.Module | None = None) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(5, channels * 16), nn.Unflatten(1, (channels, 4, 4)), last or nn.Sigmoid())


def latent_prior(**options: object) -> GanLatent:
    return GanLatent(**({"count": 2, "generator": net(), "latent_size": 5} | options))  # type: ignore[arg-type]


def started(prior: GanLatent) -> GanLatent:
    prior.reset([torch.Generator().manual_seed(seed) for seed in range(prior.count)])
    return prior


@pytest.fixture(scope="session")
def digits(shared_data: Path) -> nn.Module:
    """The shared MNIST generator, 64 normal numbers to (B, 1, 28, 28) in [-1, 1]."""
    layers = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 784), nn.Tanh()
    )
    layers.load_state_dict(load_file(shared_data / "weights" / "mnist_gan_mlp.safetensors"))
    return layers.append(nn.Unflatten(1, (1, 28, 28)))


def test_the_generators_own_weights_are_neither_optimised_nor_touched() -> None:
    module = net().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    prior = started(latent_prior(generator=module))
    assert [name for name, _ in prior.named_parameters()] == ["latent"]
    assert set(prior.state_dict()) == {"latent", "_extra_state"}
    prior().sum().backward()
    assert module.training
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_parts_share_the_generator() -> None:
    prior = started(latent_prior())
    assert prior.take(torch.tensor([0])).generator is prior.generator


def test_a_generator_in_training_mode_draws_as_in_evaluation() -> None:
    module = nn.Sequential(net(), nn.Dropout(0.5)).train()
    prior = started(latent_prior(generator=module))
    assert torch.equal(prior(), prior())


def test_later_training_of_the_users_module_does_not_change_the_prior() -> None:
    module = net()
    prior = started(latent_prior(generator=module))
    before = prior().detach()
    with torch.no_grad():
        module[0].weight.add_(1)  # type: ignore[union-attr,operator]
    assert torch.equal(prior(), before)


def test_grey_pictures_get_three_equal_channels_and_signed_ones_the_unit_range() -> None:
    prior = started(latent_prior(generator=net(1, nn.Tanh()), span="signed"))
    image = prior().detach()
    assert image.shape == (2, 3, 4, 4)
    assert torch.equal(image[:, 0], image[:, 2])
    assert 0 <= image.min() < 0.3
    assert 0.7 < image.max() <= 1
    raw = net(1, nn.Tanh())(prior.latent)
    assert torch.allclose(image[:, :1], (raw + 1) / 2)


@pytest.mark.parametrize("size", [(4, 4), (9, 13), (2, 3)])
def test_pictures_are_resampled_to_the_requested_size(size: tuple[int, int]) -> None:
    assert started(latent_prior(size=size))().shape == (2, 3, *size)


def test_the_penalty_is_the_mean_square_of_the_latent() -> None:
    prior = started(latent_prior(penalty=0.5))
    assert torch.allclose(prior.energy(prior()), 0.5 * prior.latent.square().mean(1))
    assert latent_prior().energy(torch.zeros(2, 3, 4, 4)).tolist() == [0, 0]


@pytest.mark.parametrize(("bound", "low", "high"), [(1.5, -1.5, 1.5), ((0.0, 2.0), 0.0, 2.0)])
def test_latents_stay_within_their_bounds(bound: object, low: float, high: float) -> None:
    prior = started(latent_prior(bound=bound, spread=10.0))
    assert prior.latent.min() >= low
    assert prior.latent.max() <= high
    with torch.no_grad():
        prior.latent.copy_(torch.linspace(-9, 9, 10).view(2, 5))
    prior.project(0)
    assert prior.latent.min() == low
    assert prior.latent.max() == high


def test_without_bounds_latents_are_free() -> None:
    prior = started(latent_prior(bound=None))
    with torch.no_grad():
        prior.latent.fill_(50)
    prior.project(0)
    assert prior.latent.unique().tolist() == [50]


class Numbers(nn.Module):
    def forward(self, latent: Tensor) -> list[float]:
        return [1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"generator": nn.Linear(5, 48)}, r"Linear outputs shape \(2, 48\)"),
        ({"generator": net(2)}, r"shape \(2, 2, 4, 4\)"),
        ({"generator": Numbers()}, "list"),
        ({"generator": net(3, nn.Tanh())}, "span='signed'"),
        ({"generator": net(3, nn.Identity()), "span": "signed"}, "sigmoid"),
        ({"latent_size": 6}, "does not read latents"),
        ({"latent_size": None}, "latent_size"),
        ({"latent_size": 0}, "latent_size"),
        ({"span": "wide"}, "unknown span 'wide'"),
        ({"penalty": -1.0}, "penalty"),
        ({"bound": -1.0}, "bound"),
        ({"bound": (2.0, 1.0)}, "bound"),
        ({"count": 0}, "count"),
    ],
)
def test_a_generator_of_anything_but_pictures_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        latent_prior(**options)
    assert "\n" not in str(error.value)


def test_it_finds_a_given_digit(digits: nn.Module) -> None:
    """An image of the generator's own range, from eight starts, the best of which counts."""
    with torch.no_grad():
        target = (digits(torch.randn(1, 64, generator=torch.Generator().manual_seed(5))) + 1) / 2
    prior = started(GanLatent(8, generator=digits, latent_size=64, span="signed"))
    optimizer = torch.optim.Adam(prior.parameters(), lr=prior.learning_rate)
    steps = 600
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = prior.learning_rate * (1 - step / steps)
        optimizer.zero_grad()
        (prior() - target).square().sum().backward()
        optimizer.step()
        prior.project(step)
    psnr = -10 * (prior() - target).square().mean((1, 2, 3)).log10()
    assert psnr.max() > 30


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the bundled generator's weights are not there")
def test_the_bundled_generator_draws_any_size() -> None:
    assert started(GanLatent(2))().shape == (2, 3, 64, 64)
    assert started(GanLatent(1, size=(40, 96)))().shape == (1, 3, 40, 96)


def test_an_installation_without_the_bundled_generator_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("priors.generator_net.WEIGHTS", tmp_path / "generator.safetensors")
    with pytest.raises(MissingFile, match=r"generator\.safetensors.*without its bundled generator"):
        GanLatent(1)


def walk(**options: object) -> PlugAndPlay:
    given = {"count": 2, "generator": net(), "latent_size": 5, "bound": None} | options
    prior = PlugAndPlay(**given)  # type: ignore[arg-type]
    prior.reset([torch.Generator().manual_seed(seed) for seed in range(2)])
    return prior


def test_the_three_terms_of_a_step() -> None:
    """The step is h + eps1 (D(h) - h) + eps3 N(0, 1); the term of the condition is added by the engine."""

    class Halve(nn.Module):
        def forward(self, h: Tensor) -> Tensor:
            return h / 2 + 1

    prior = walk(denoiser=Halve(), prior_step=0.2, noise=0.1)
    h, noise = prior.latent.detach().clone(), prior.walk.clone()
    prior.project(0)
    first = h + 0.2 * (h / 2 + 1 - h) + 0.1 * noise[:, 0]
    assert torch.allclose(prior.latent, first, atol=1e-6)
    prior.project(1)
    assert torch.allclose(prior.latent, first + 0.2 * (1 - first / 2) + 0.1 * noise[:, 1], atol=1e-6)


def test_without_a_denoiser_the_prior_pulls_towards_the_normal_distributions_centre() -> None:
    prior = walk(prior_step=0.25, noise=0.0)
    h = prior.latent.detach().clone()
    prior.project(0)
    assert torch.allclose(prior.latent, 0.75 * h)


def test_a_walk_without_a_condition_samples_the_prior() -> None:
    # h <- (1 - e) h + s N has the stationary variance s^2 / (1 - (1 - e)^2), which is 1 here.
    prior = walk(count=2, prior_step=0.5, noise=0.75**0.5)
    places = []
    for step in range(120):
        prior.project(step)
        places.append(prior.latent.detach().clone())
    assert torch.stack(places[20:]).std().item() == pytest.approx(1, abs=0.15)


def test_noise_does_not_repeat_itself_from_step_to_step() -> None:
    prior = walk(prior_step=0.0, noise=1.0)
    moves = []
    for step in range(6):
        before = prior.latent.detach().clone()
        prior.project(step)
        moves.append((prior.latent.detach() - before).flatten())
    assert torch.corrcoef(torch.stack(moves)).triu(1).abs().max() < 0.95
    assert all(not torch.allclose(a, b) for i, a in enumerate(moves) for b in moves[:i])


def test_bounds_hold_after_the_noise() -> None:
    prior = walk(bound=0.5, noise=3.0)
    prior.project(0)
    assert prior.latent.abs().max() <= 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior_step": -0.1}, "prior_step"),
        ({"prior_step": 1.1}, "prior_step"),
        ({"noise": -1.0}, "noise"),
        ({"denoiser": nn.Linear(5, 4)}, r"\(2, 4\)"),
    ],
)
def test_steps_out_of_range_and_denoisers_of_another_shape_are_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        walk(**options)
