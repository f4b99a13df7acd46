"""Accentuation: any prior that starts from images and stays close to them."""

import io
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from inverter import Settings, optimize
from objectives import channel
from priors import Accentuate, Fourier, Maco, Pixels, Prior, Pyramid
from priors.base import check_images

STARTS: dict[str, Callable[[Tensor], Prior]] = {
    "fourier": Fourier.from_image,
    "pixels": partial(Pixels.from_image, total_variation=0.1),
    "pyramid": Pyramid.from_image,
    "maco": partial(Maco.from_image, keep_magnitude=True),
}
each_start = pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)


def photographs(count: int, seed: int = 0) -> Tensor:
    image = torch.rand(count, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    return 0.1 + 0.8 * nn.functional.interpolate(image, size=(16, 12), mode="bilinear")


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def trained(prior: Prior, target: Tensor, steps: int, rate: float = 1e-2) -> Tensor:
    optimizer = torch.optim.SGD(prior.parameters(), lr=rate)
    for step in range(steps):
        optimizer.zero_grad()
        image = prior()
        ((image - target).square().sum() + prior.energy(image).sum()).backward()
        optimizer.step()
        prior.project(step)
    return prior().detach()


def perturbed(prior: Prior) -> Prior:
    with torch.no_grad():
        for index, parameter in enumerate(prior.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index))
            parameter.add_(0.1 * noise)
    prior.project(0)
    return prior


@each_start
def test_it_starts_at_the_images_without_a_penalty(start) -> None:
    images = photographs(3)
    prior = Accentuate(images, start)
    assert prior.started
    assert prior.count == 3
    assert torch.allclose(prior(), images, atol=1e-3)
    assert prior.distance(prior()).max() < 1e-4
    assert 0 < prior.learning_rate < prior.prior.learning_rate  # an accent is a small step


@each_start
def test_it_can_fit_another_picture_when_it_may(start) -> None:
    if start is STARTS["maco"]:
        pytest.skip("phases alone fit pictures of their own magnitudes: see Maco")
    target = photographs(2, seed=5)
    prior = Accentuate(photographs(2), start, strength=0)
    optimizer = torch.optim.Adam(prior.parameters(), lr=prior.prior.learning_rate)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = prior.prior.learning_rate * (1 - step / 200)
        optimizer.zero_grad()
        (prior() - target).square().sum().backward()
        optimizer.step()
        prior.project(step)
    assert (-10 * (prior() - target).square().mean((1, 2, 3)).log10()).min() > 30


@each_start
def test_pictures_lie_in_the_unit_range_and_are_independent(start) -> None:
    prior = Accentuate(photographs(3), start)
    image = perturbed(prior)()
    assert 0 <= image.min() <= image.max() <= 1
    (image[1].square().sum() + prior.energy(image)[1]).backward()
    for parameter in prior.parameters():
        assert parameter.shape[0] == 3
        assert parameter.grad is not None
        assert parameter.grad[1].abs().sum() > 0
        assert parameter.grad[[0, 2]].abs().sum() == 0


@each_start
def test_a_saved_state_continues_bit_for_bit(start) -> None:
    target = photographs(2, seed=3)
    full = Accentuate(photographs(2), start)
    trained(full, target, 3)
    file = io.BytesIO()
    torch.save(full.state_dict(), file)
    expected = trained(full, target, 3)
    file.seek(0)
    again = Accentuate(photographs(2, seed=9), start)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(trained(again, target, 3), expected)


@each_start
def test_taking_and_putting(start) -> None:
    prior = Accentuate(photographs(3), start)
    before, rows = prior().detach().clone(), torch.tensor([2, 0])
    part = prior.take(rows)
    assert part.count == part.prior.count == 2
    assert torch.equal(part.reference, prior.reference[rows])
    assert torch.allclose(part(), before[rows], atol=1e-5)
    perturbed(part)
    assert torch.allclose(prior(), before, atol=1e-5)
    prior.put(rows, part)
    assert torch.allclose(prior()[rows], part(), atol=1e-5)
    assert torch.allclose(prior()[1], before[1], atol=1e-5)


@each_start
def test_a_fresh_start_is_at_the_images_again(start) -> None:
    prior = Accentuate(photographs(3), start)
    for kept in (prior, prior.take(torch.tensor([2, 1]))):
        before = kept().detach().clone()
        perturbed(kept)
        assert not torch.allclose(kept(), before, atol=1e-3)
        kept.reset(generators(kept.count))
        assert torch.allclose(kept(), before, atol=1e-5)
        with pytest.raises(ValueError, match="one for each picture"):
            kept.reset(generators(1))


def test_the_distance_is_the_relative_change() -> None:
    images = photographs(2)
    prior = Accentuate(images, strength=3.0)
    changed = 0.5 + 1.5 * (images - 0.5)
    assert torch.allclose(prior.distance(changed), torch.tensor(0.25))
    assert torch.allclose(prior.energy(changed), torch.tensor(0.75))
    assert torch.isfinite(Accentuate(torch.full((1, 3, 8, 8), 0.5)).distance(torch.zeros(1, 3, 8, 8))).all()


def test_the_inner_priors_own_penalty_counts_too() -> None:
    images = photographs(1)
    prior = Accentuate(images, partial(Pixels.from_image, l2=2.0), strength=0)
    assert torch.allclose(prior.energy(images), prior.prior.energy(images))
    assert prior.energy(images).item() > 0


def test_distance_in_the_features_of_a_module_leaves_the_module_alone() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5))
    prior = Accentuate(photographs(2), features=net)
    names = {name for name, _ in prior.named_parameters()}
    assert names == {"prior.coefficients"}
    assert prior.distance(prior()).max() < 1e-4  # no dropout
    prior.energy(perturbed(prior)()).sum().backward()
    assert all(parameter.grad is None for parameter in net.parameters())
    assert prior.take(torch.tensor([0])).features is prior.features


def test_distance_in_features_ignores_what_they_do_not_depend_on() -> None:
    images = photographs(2)
    prior = Accentuate(images, features=lambda image: image[:, :1])
    changed = images.clone()
    changed[:, 1:] = 0
    assert prior.distance(changed).max() < 1e-6
    changed[:, :1] = 0
    assert torch.allclose(prior.distance(changed), torch.ones(2))


class Bound:
    """A large object that a user function is bound to."""

    def features(self, image: Tensor) -> Tensor:
        return image

    def __deepcopy__(self, memo: object) -> "Bound":
        raise AssertionError("copied")


def test_a_users_function_is_never_copied() -> None:
    assert Accentuate(photographs(2), features=Bound().features).take(torch.tensor([0])).count == 1


@each_start
def test_the_stronger_it_is_the_nearer_it_stays(start, tiny_net: nn.Module) -> None:
    images = photographs(3)
    distances, scores = [], []
    for strength in (0.0, 0.3, 30.0):
        prior = Accentuate(images, start, strength=strength)
        found = optimize(tiny_net, channel("body", [0, 1, 2]), prior, Settings(steps=24, batch_size=2), "none")
        assert found.status == ("ok",) * 3
        distances.append((found.images - images).square().mean().item())
        scores.append(found.scores.sum().item())
    assert distances[0] > distances[1] > distances[2]
    assert scores[0] > scores[1] > scores[2]


def test_pictures_that_the_start_does_not_accept_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        Accentuate(torch.rand(1, 1, 8, 8), lambda images: Fourier.from_image(check_images(images, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -1.0}, "strength"),
        ({"strength": float("nan")}, "strength"),
        ({"start": lambda images: Fourier(len(images), 8)}, "has started"),
        ({"start": lambda images: Fourier.from_image(images[:1])}, "2 pictures"),
        ({"start": lambda images: images}, "expected a prior"),
        ({"images": torch.full((1, 3, 4, 4), 2.0)}, r"\[0, 1\]"),
        ({"images": torch.zeros(4, 4)}, r"\[0, 1\]"),
    ],
)
def test_invalid_images_starts_and_strengths_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Accentuate(**({"images": photographs(2)} | options))  # type: ignore[arg-type]
