"""The laws of every prior: pictures in [0, 1], independent of each other, and resumed bit for bit."""

import copy
import io
import pickle
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from priors import Fourier, Pixels, Prior, Pyramid
from priors.base import as_size, check_images, check_picture

KINDS: dict[str, Callable[..., Prior]] = {
    "pixels": Pixels,
    "pixels, blurred and bounded": lambda count, size: Pixels(count, size, blur=0.3, blur_every=100, bound=0.7),
    "fourier": Fourier,
    "fourier, decay 1.5": lambda count, size: Fourier(count, size, decay=1.5),
    "pyramid": Pyramid,
    "pyramid, 2 levels": lambda count, size: Pyramid(count, size, levels=2, decay=1.0),
}
SIZES = [(8, 8), (9, 9), (8, 13), (15, 6), (1, 1), (2, 7)]
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawn(make: Callable[..., Prior], size: tuple[int, int], *seeds: int) -> Prior:
    prior = make(len(seeds), size)
    prior.reset(generators(*seeds))
    return prior


def smooth(count: int, height: int, width: int) -> Tensor:
    """Pictures with soft shapes and natural colours (mostly light and dark), none at the ends of the range."""
    y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)[None]
    light = torch.stack([torch.sin(6 * y * (k + 1) + 4 * x) for k in range(count)])[:, None]
    tint = torch.stack([torch.sin(3 * x - 2 * y + 2 * c) for c in range(3)])
    return 0.5 + 0.25 * light + 0.05 * tint


def psnr(a: Tensor, b: Tensor) -> Tensor:
    return -10 * (a - b).square().mean((1, 2, 3)).log10()


@each_kind
@each_size
def test_pictures_have_the_requested_size_and_lie_in_the_unit_range(make, size) -> None:
    prior = drawn(make, size, 1, 2)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.mul_(300)  # as large as a diverging optimisation would make them
        prior.project(0)
        image = prior()
    assert image.shape == (2, 3, *size)
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1


@each_kind
@pytest.mark.parametrize("size", [(16, 16), (17, 11)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_prior_can_fit_a_given_picture(make, size) -> None:
    target = smooth(2, *size)
    prior = drawn(make, size, 3, 4)
    optimizer = torch.optim.Adam(prior.parameters(), lr=prior.learning_rate)
    start = psnr(prior().detach(), target)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for step in range(300):
        optimizer.zero_grad()
        (prior() - target).square().sum().backward()
        optimizer.step()
        schedule.step()
        prior.project(step)
    assert start.max() < 20
    assert psnr(prior().detach(), target).min() > 30


@each_kind
@each_size
def test_a_prior_starts_from_an_image_exactly(make, size) -> None:
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 0.98 + 0.01
    kind = type(make(1, size))
    prior = kind.from_image(image)
    assert prior.started
    assert prior.count == 2
    assert torch.allclose(prior(), image, atol=1e-4)


@pytest.mark.parametrize("kind", [Pixels, Fourier, Pyramid])
def test_black_and_white_start_to_within_half_a_step_of_8_bits(kind) -> None:
    image = torch.zeros(1, 3, 6, 6)
    image[:, :, ::2] = 1
    assert (kind.from_image(image)() - image).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("kind", [Pixels, Fourier, Pyramid])
def test_a_single_picture_without_a_batch_is_a_batch_of_one(kind) -> None:
    assert kind.from_image(torch.full((3, 4, 5), 0.25))().shape == (1, 3, 4, 5)


@pytest.mark.parametrize("kind", [Pixels, Fourier, Pyramid])
@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 0, 4, 4), torch.zeros(4, 4), torch.full((1, 3, 4, 4), 255.0), torch.full((1, 3, 4, 4), -0.1)],
    ids=["no channels", "no colours", "8 bits", "negative"],
)
def test_what_is_no_picture_in_the_unit_range_is_refused(kind, images) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        kind.from_image(images)


def test_a_picture_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        check_images(torch.full((1, 3, 2, 2), float("nan")))


@each_kind
@each_size
def test_the_gradient_of_one_picture_touches_its_own_parameters_alone(make, size) -> None:
    prior = drawn(make, size, 1, 2, 3)
    image = prior()
    weights = torch.randn(image.shape[1:], generator=torch.Generator().manual_seed(5))
    (image[1] * weights).sum().backward()
    for parameter in prior.parameters():
        assert parameter.shape[0] == 3
        assert parameter.grad is not None
        assert parameter.grad[1].abs().sum() > 0
        assert parameter.grad[[0, 2]].abs().sum() == 0


@each_kind
def test_energy_is_one_number_of_at_least_zero_for_each_picture(make) -> None:
    prior = drawn(make, (8, 8), 1, 2)
    energy = prior.energy(prior())
    assert energy.shape == (2,)
    assert energy.min() >= 0


@each_kind
def test_a_fresh_start_depends_on_each_pictures_own_generator_alone(make) -> None:
    ours, theirs = drawn(make, (8, 9), 5, 6, 7), drawn(make, (8, 9), 6, 5)
    assert torch.allclose(ours()[1], theirs()[0], rtol=0, atol=1e-6)
    assert torch.allclose(ours()[0], theirs()[1], rtol=0, atol=1e-6)
    assert not torch.allclose(ours()[0], ours()[1], rtol=0, atol=1e-4)
    assert ours.started


@each_kind
def test_a_fresh_start_needs_one_generator_for_each_picture(make) -> None:
    with pytest.raises(ValueError, match="zip"):
        make(2, (4, 4)).reset(generators(1))


@each_kind
def test_a_prior_has_not_started_until_it_is_drawn(make) -> None:
    assert not make(1, (4, 4)).started


def trained(prior: Prior, optimizer: torch.optim.Optimizer, target: Tensor, steps: int) -> Tensor:
    for step in range(steps):
        optimizer.zero_grad()
        (prior() - target).square().sum().backward()
        optimizer.step()
        prior.project(step)
    return prior().detach()


@each_kind
def test_a_saved_state_continues_bit_for_bit(make) -> None:
    target, size = smooth(2, 8, 9), (8, 9)
    full = drawn(make, size, 1, 2)
    optimizer = torch.optim.SGD(full.parameters(), lr=0.1)
    trained(full, optimizer, target, 3)
    file = io.BytesIO()
    torch.save(full.state_dict(), file)
    expected = trained(full, optimizer, target, 3)

    file.seek(0)
    again = make(2, size)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert again.started
    assert torch.equal(trained(again, torch.optim.SGD(again.parameters(), lr=0.1), target, 3), expected)


@each_kind
def test_taking_gives_those_pictures_with_parameters_of_their_own(make) -> None:
    prior = drawn(make, (8, 9), 1, 2, 3)
    before = prior().detach().clone()
    part = prior.take(torch.tensor([2, 0]))
    assert part.count == 2
    assert part.started
    # The last digit may differ: vector units compute the tail of a tensor another way than the rest.
    assert torch.allclose(part(), before[[2, 0]], rtol=0, atol=1e-6)
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(1)
    assert torch.equal(prior(), before)


@each_kind
def test_putting_is_the_inverse_of_taking(make) -> None:
    prior = drawn(make, (8, 9), 1, 2, 3)
    before = prior().detach().clone()
    rows = torch.tensor([2, 0])
    part = prior.take(rows)
    part.reset(generators(8, 9))
    prior.put(rows, part)
    assert torch.allclose(prior()[rows], part(), rtol=0, atol=1e-6)
    assert torch.allclose(prior()[1], before[1], rtol=0, atol=1e-6)


@each_kind
def test_exchanging_replaces_the_chosen_pictures_alone(make) -> None:
    prior, other = drawn(make, (8, 9), 1, 2, 3), drawn(make, (8, 9), 4, 5, 6)
    before = prior().detach().clone()
    prior.exchange(torch.tensor([True, False, True]), other)
    assert torch.equal(prior()[::2], other()[::2])
    assert torch.equal(prior()[1], before[1])


@each_kind
def test_putting_a_started_part_starts_the_prior(make) -> None:
    prior = make(2, (4, 4))
    part = prior.take(torch.tensor([1]))
    assert not part.started
    part.reset(generators(1))
    prior.put(torch.tensor([1]), part)
    assert prior.started


@each_kind
@pytest.mark.parametrize("count", [0, -1, 1.5, "2"])
def test_a_prior_has_at_least_one_picture(make, count) -> None:
    with pytest.raises(ValueError, match="count"):
        make(count, (4, 4))


@pytest.mark.parametrize("size", [0, -4, (4, 0), (4, 4.0), (4, "4"), (4, 4, 4), (), 4.0, "44", None])
def test_a_size_is_one_or_two_positive_integers(size) -> None:
    with pytest.raises(ValueError, match="positive integer"):
        as_size(size)


def test_one_number_is_a_square_and_two_are_height_and_width() -> None:
    assert as_size(5) == (5, 5)
    assert as_size((5, 7)) == (5, 7)
    assert Fourier(1, (5, 7))().shape == Pixels(1, (5, 7))().shape == (1, 3, 5, 7)


def test_a_prior_without_forward_or_reset_cannot_be_created() -> None:
    with pytest.raises(TypeError, match=r"forward.*reset"):
        Prior(1)  # type: ignore[abstract]

    class WithoutReset(Prior):
        def forward(self) -> Tensor:
            return torch.zeros(self.count, 3, 2, 2)

    with pytest.raises(TypeError, match="reset"):
        WithoutReset(1)  # type: ignore[abstract]


class Flat(Prior):
    """A prior with no more than it must have: one grey level for each picture."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.level = torch.nn.Parameter(torch.full((count, 1), 0.25))

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        self.level.data = torch.stack([torch.rand(1, generator=generator) for generator in generators])
        self.started = True

    def forward(self) -> Tensor:
        return self.level[:, :, None, None].expand(-1, 3, 2, 2)


def test_a_prior_of_ones_own_is_copied_pickled_and_loaded_and_has_no_penalty() -> None:
    prior = Flat(3)
    prior.reset(generators(1, 2, 3))
    for again in (copy.deepcopy(prior), pickle.loads(pickle.dumps(prior)), prior.take(torch.arange(3))):
        assert isinstance(again, Flat)
        assert again.started
        assert torch.equal(again(), prior())
    fresh = Flat(3)
    fresh.load_state_dict(prior.state_dict())
    assert torch.equal(fresh(), prior())
    assert prior.energy(torch.zeros(3, 3, 2, 2)).tolist() == [0, 0, 0]


@each_kind
def test_a_prior_can_be_pickled(make) -> None:
    prior = drawn(make, (4, 5), 1, 2)
    assert torch.equal(pickle.loads(pickle.dumps(prior))(), prior())


def test_a_picture_is_checked_and_converted() -> None:
    picture = check_picture(torch.full((3, 8, 9), 0.5, dtype=torch.float64, requires_grad=True), channels=3)
    assert picture.dtype == torch.float32
    assert not picture.requires_grad
    for wrong, says in [
        (torch.zeros(3, 7, 9), "8 px"),
        (torch.zeros(1, 3, 8, 8), "expected"),
        (torch.zeros(1, 8, 8), "expected 3 channels, got 1"),
        (torch.full((3, 8, 8), 255.0), "8-bit"),
    ]:
        with pytest.raises(ValueError, match=says):
            check_picture(wrong, channels=3)
