"""The rescue of pictures without a gradient: which are stuck, when it is known, and that it helps."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from inverter import Settings, optimize
from inverter.ascent.relu_rules import RedirectedReLU
from inverter.ascent.rescue import Rescue
from objectives import channel
from priors import Pixels

CPU = torch.device("cpu")


def step(rescue: Rescue, number: int, *pulls: Tensor, views: int = 1) -> object:
    """One step, in which the input of view i gets the gradient `pulls[i]`; returns the context of the network."""
    context = rescue.redirect(number, views)
    for pull in pulls:
        entering = torch.zeros_like(pull, requires_grad=True)
        image = entering.clone()
        rescue.watch(number, image)
        image.backward(pull)
    rescue.learn()
    return context


def rows(context: object) -> list[int]:
    if isinstance(context, nullcontext):
        return []
    assert isinstance(context, RedirectedReLU)
    return context.rows.tolist()


def pull(*pictures: float) -> Tensor:
    return torch.tensor(pictures, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous()


@pytest.mark.parametrize(("device", "delay"), [("cpu", 0), ("meta", 1)])
def test_a_picture_without_a_gradient_is_redirected_in_the_next_step_and_elsewhere_in_the_one_after(
    device: str, delay: int
) -> None:
    rescue = Rescue(3, 5, torch.device(device))
    pulls = [pull(1, 0, 1), pull(0, 0, 1), pull(1, 1, 1), pull(0, 1, 1), pull(0, 0, 0), pull(0, 0, 0)]
    found = [rows(step(rescue, number, gradient)) for number, gradient in enumerate(pulls)]
    assert found == ([[], [1], [0, 1], [], [0], []] if delay == 0 else [[], [], [1], [0, 1], [], []])


def test_one_view_with_a_gradient_is_enough() -> None:
    rescue = Rescue(2, 9, CPU)
    step(rescue, 0, torch.cat([pull(0, 0), pull(0, 1)]), views=2)  # two views at once
    assert rows(step(rescue, 1, pull(0, 0), pull(1, 0), views=2)) == [0, 2]  # one after the other: row 0 of both views
    assert rows(step(rescue, 2, pull(1, 1))) == [1]


def test_a_unit_that_is_silent_everywhere_is_reached_only_with_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 1), nn.ReLU())
    with torch.no_grad():
        for layer in (network[0], network[2]):
            layer.weight.fill_(0.1)
            layer.bias.fill_(0.05)
        network[2].bias[1] = -1.0  # far below 0 on a grey picture
    # The other picture of the batch is not touched by it.
    found = {}
    for steps in (0, 6):
        settings = Settings(steps=12, redirect=steps, precision="float32", learning_rate=0.1)
        found[steps] = optimize(network, channel("3", [0, 1]), Pixels(2, 8), settings, "none")
    assert found[0].scores[1] == 0
    assert found[6].scores[1] > 0
    assert torch.equal(found[0].images[0], found[6].images[0])
