"""The objective that reads the picture itself."""

import pytest
import torch
from torch import Tensor

from inverter import Settings, evaluate, no_network, optimize
from objectives import Activations, known_pixels
from priors import Pixels


@pytest.fixture
def target() -> Tensor:
    return torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def mask() -> Tensor:
    return (torch.rand(2, 1, 6, 5, generator=torch.Generator().manual_seed(2)) > 0.4).float()


def test_it_is_minus_the_mean_squared_error_of_the_known_values(target: Tensor, mask: Tensor) -> None:
    image = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(3))
    score = known_pixels(target, mask).score(Activations({}, image=image))
    for i in range(2):
        known = mask[i, 0].bool()
        assert score[i].item() == pytest.approx(-(image[i] - target[i])[:, known].square().mean().item())


def test_masked_pixels_have_no_influence(target: Tensor, mask: Tensor) -> None:
    image = torch.rand_like(target).requires_grad_()
    objective = known_pixels(target, mask)
    (gradient,) = torch.autograd.grad(objective.score(Activations({}, image=image)).sum(), image)
    hidden = (mask == 0).expand_as(target)
    assert not gradient[hidden].any()
    assert gradient[~hidden].all()
    assert torch.equal(objective.score(Activations({}, image=torch.where(hidden, 0.123, target))), torch.zeros(2))


def test_rows_choose_their_targets(target: Tensor, mask: Tensor) -> None:
    objective = known_pixels(target, mask, ["a", "b"])
    both = objective.score(Activations({}, image=target.flip(0)))
    last = objective.score(Activations({}, image=target[:1], rows=torch.tensor([1])))
    assert last.item() == pytest.approx(both[1].item())
    assert objective.labels == ("known_pixels(a)", "known_pixels(b)")
    one = known_pixels(target[:1], mask[:1])
    assert one.score(Activations({}, image=target))[0] == 0


def test_it_needs_no_network(target: Tensor, mask: Tensor) -> None:
    objective, model = known_pixels(target, mask), no_network("cpu")
    settings = Settings(steps=60, learning_rate=0.1, precision="float32")
    found = optimize(model, objective, Pixels(2, (6, 5)), settings, augment="none")
    hidden = (mask == 0).expand_as(target)
    assert (found.images - target)[~hidden].abs().max() < 0.05
    assert (found.images - 0.5)[hidden].abs().max() < 0.3  # there it stays where it began
    assert torch.allclose(evaluate(model, objective, found.images), found.scores)


@pytest.mark.parametrize(
    ("shape", "masked", "names", "says"),
    [
        ((1, 3, 4, 4), (1, 1, 4, 5), None, "expected targets"),
        ((1, 3, 4, 4), (1, 3, 4, 4), None, "expected targets"),
        ((3, 4, 4), (1, 4, 4), None, "expected targets"),
        ((2, 3, 4, 4), (2, 1, 4, 4), ["a"], "got 1 name for 2 targets"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    shape: tuple[int, ...], masked: tuple[int, ...], names: object, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        known_pixels(torch.zeros(shape), torch.ones(masked), names)  # type: ignore[arg-type]


def test_invalid_masks_are_refused(target: Tensor, mask: Tensor) -> None:
    with pytest.raises(ValueError, match="the mask of picture b hides all of it"):
        known_pixels(target, torch.stack([mask[0], torch.zeros_like(mask[0])]), ["a", "b"])
    with pytest.raises(ValueError, match="weights >= 0"):
        known_pixels(target, mask - 0.5)
    with pytest.raises(ValueError, match=r"the target has shape \(3, 6, 5\), but the pictures have \(3, 6, 6\)"):
        known_pixels(target, mask).score(Activations({}, image=torch.zeros(2, 3, 6, 6)))
