"""The rescue of pictures without a gradient: which are stuck, when it is known, and that it helps."""

import torch
from torch import Tensor, nn

from inverter import Settings, optimize
from inverter.ascent.relu_rules import RedirectedReLU
from inverter.ascent.rescue import Rescue
from objectives import channel
from priors import Pixels
from tests.pretended import PretendedDevice

CPU = torch.device("cpu")


def step(rescue: Rescue, number: int, *pulls: Tensor, views: int = 1) -> RedirectedReLU | None:
    """One step, in which the input of view i gets the gradient `pulls[i]`; returns the context of the network."""
    context = rescue.redirect(views) if rescue.needed(number) else None
    for pull in pulls:
        entering = torch.zeros_like(pull, requires_grad=True)
        image = entering.clone()
        rescue.watch(image)
        image.backward(pull)
    rescue.learn()
    rescue.send(number)
    return context


def rows(context: RedirectedReLU | None) -> list[int]:
    return [] if context is None else context.stuck.nonzero().flatten().tolist()


def pull(*pictures: float) -> Tensor:
    return torch.tensor(pictures, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous()


PULLS = [pull(1, 0, 1), pull(0, 0, 1), pull(1, 1, 1), pull(0, 1, 1), pull(0, 0, 0), pull(0, 0, 0)]


def test_a_picture_without_a_gradient_is_redirected_in_the_next_step() -> None:
    rescue = Rescue(3, 5, CPU)
    found = [rows(step(rescue, number, gradient)) for number, gradient in enumerate(PULLS)]
    assert found == [[], [1], [0, 1], [], [0], []]


def test_on_a_gpu_the_host_knows_a_step_later_that_some_picture_is_stuck_and_the_device_at_once_which() -> None:
    with PretendedDevice() as gpu:
        rescue = Rescue(3, 5, torch.device("cuda", 0))
        found = [rows(step(rescue, number, gradient.to("cuda"))) for number, gradient in enumerate(PULLS)]
    assert found == [[], [], [0, 1], [], [], []]
    assert not [place for place in gpu.waits if place.startswith("inverter")]


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
