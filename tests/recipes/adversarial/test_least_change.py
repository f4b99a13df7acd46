"""The least change: on a linear network it is known exactly, and every change survives 8 bits."""

import math

import pytest
import torch
from torch import Tensor, nn

from inverter import Model
from objectives import channel
from recipes.adversarial.goals import above, other_class, this_class
from recipes.adversarial.least_change import NORMS, as_bytes, least_change, size_of

SIDE = 8


@pytest.fixture
def linear() -> Model:
    """Four classes, linear in the picture."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 4))
    return Model(net, normalize="none", input_size=(SIDE, SIDE))


@pytest.fixture
def images() -> Tensor:
    """Five pictures away from black and white, in 8 bits."""
    return as_bytes(0.3 + 0.4 * torch.rand(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)))


def scores(model: Model, images: Tensor) -> Tensor:
    return model.module(images).detach()


def nearest(model: Model, images: Tensor, classes: Tensor, norm: str) -> Tensor:
    """The distance of the nearest boundary of each picture's class: the gap over the dual norm of the difference."""
    weight, found = model.module[1].weight, scores(model, images)
    distances = torch.full((len(images), 4), math.inf)
    for row, own in enumerate(classes.tolist()):
        for other in set(range(4)) - {own}:
            dual = (weight[own] - weight[other]).norm(p=2 if norm == "l2" else 1)
            distances[row, other] = (found[row, own] - found[row, other]) / dual
    return distances.amin(1).detach()


@pytest.mark.parametrize("norm", NORMS)
def test_of_a_linear_network_it_is_the_distance_of_the_nearest_boundary(
    linear: Model, images: Tensor, norm: str
) -> None:
    classes = scores(linear, images).argmax(1)
    found = least_change(linear, other_class("", classes.tolist()), images, norm, 60)
    truth = nearest(linear, images, classes, norm)
    assert bool(found.reached.all())
    assert bool((found.continuous > 0.999 * truth).all())
    assert bool((found.continuous < 1.03 * truth).all())


@pytest.mark.parametrize("norm", NORMS)
def test_the_picture_of_8_bits_has_the_goal_too(linear: Model, images: Tensor, norm: str) -> None:
    classes = scores(linear, images).argmax(1)
    found = least_change(linear, other_class("", classes.tolist()), images, norm, 30)
    torch.testing.assert_close(found.images * 255, (found.images * 255).round(), atol=1e-4, rtol=0)
    assert 0 <= float(found.images.min()) <= float(found.images.max()) <= 1
    assert bool((scores(linear, found.images).argmax(1) != classes).all())
    size = size_of(found.images - images, norm)
    assert bool((size >= found.continuous * 0.999).all())
    most = {"l2": 1.5 * found.continuous + 3 / 255, "linf": torch.ceil(255 * found.continuous * 1.03) / 255 + 1e-6}
    assert bool((size <= most[norm]).all())


def test_no_picture_depends_on_the_others(linear: Model, images: Tensor) -> None:
    classes = scores(linear, images).argmax(1).tolist()
    together = least_change(linear, other_class("", classes), images, "l2", 20).images
    alone = least_change(linear, other_class("", classes[2:3]), images[2:3], "l2", 20).images
    torch.testing.assert_close(together[2:3], alone)


def test_a_certain_class_is_reached(linear: Model, images: Tensor) -> None:
    found = least_change(linear, this_class("", 3), images, "l2", 40)
    assert scores(linear, found.images).argmax(1).tolist() == [3] * 5


def test_a_class_behind_a_dead_relu_is_reached(linear: Model, images: Tensor) -> None:
    with torch.no_grad():
        linear.module[1].bias[3] -= 1.5
    dead = Model(nn.Sequential(*linear.module, nn.ReLU()), normalize="none", input_size=(SIDE, SIDE))
    assert float(scores(dead, images)[:, 3].max()) == 0
    found = least_change(dead, this_class("", 3), images, "l2", 60)
    assert bool(found.reached.all())
    assert scores(dead, found.images).argmax(1).tolist() == [3] * 5


def test_a_unit_exceeds_a_value_by_little(images: Tensor) -> None:
    torch.manual_seed(2)
    net = Model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), normalize="none", input_size=(SIDE, SIDE))
    before = scores(net, images)[:, 1].mean((1, 2))
    value = float(before.max()) + 0.05
    found = least_change(net, above(channel("1", 1), value), images, "l2", 40)
    after = scores(net, found.images)[:, 1].mean((1, 2))
    assert bool((after > value).all())
    assert bool((after < value + 0.02).all())


def test_a_goal_out_of_reach_is_not_reached(images: Tensor) -> None:
    net = Model(nn.Conv2d(3, 4, 3), normalize="none", input_size=(SIDE, SIDE))
    found = least_change(net, above(channel("", 1), 1e6), images, "linf", 5)
    assert not found.reached.any()
    assert not found.continuous.isfinite().any()
    assert bool(found.images.isfinite().all())


def test_a_goal_that_is_reached_already_needs_no_change(linear: Model, images: Tensor) -> None:
    (first, *_) = scores(linear, images).argmax(1).tolist()
    found = least_change(linear, this_class("", first), images[:1], "l2", 5)
    assert bool(found.reached.all())
    assert float(found.continuous) == 0
    torch.testing.assert_close(found.images, images[:1])
