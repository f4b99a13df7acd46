"""Invalid problems are reported before the first step; a unit with a number that is not finite stops alone."""

import pytest
import torch
from torch import Tensor, nn

from inverter import Inversion, Progress, Settings, load_model, optimize
from objectives import Objective, channel, layer
from priors import Fourier, Pixels

EXACT = Settings(steps=6, precision="float32", device="cpu")


class Poison(nn.Module):
    """Turns the activations of bright red pictures into NaN."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        factor = torch.where(x[:, 0].mean((1, 2)) > self.limit, float("nan"), 1.0)
        return self.conv(x) * factor.view(-1, 1, 1, 1)


def redder(image: Tensor) -> Tensor:
    return image[:, 0].mean((1, 2))


def test_a_number_that_is_not_finite_stops_that_unit_alone_and_says_when() -> None:
    torch.manual_seed(3)
    net, healthy = Poison(0.6), Poison(9.9)
    healthy.load_state_dict(net.state_dict())
    start = torch.full((3, 3, 10, 10), 0.4)
    start[1, 0] = 0.55  # a step from where the network breaks

    def objective() -> Objective:
        return Objective(
            "red",
            ("conv", ""),
            lambda seen: redder(seen.image) + 0.1 * seen[""].mean((1, 2, 3)),
            labels=("a", "b", "c"),
        )

    def run(module: nn.Module) -> Inversion:
        settings = Settings(steps=8, learning_rate=0.015, schedule="constant", warmup=0, precision="float32")
        return optimize(load_model(module, normalize="none"), objective(), Pixels.from_image(start), settings, "none")

    result, reference = run(net), run(healthy)
    assert [status == "ok" for status in result.status] == [True, False, True]
    step = int(result.status[1].removeprefix("non-finite at step "))
    assert 1 <= step < 8
    assert result.history[:step, 1].isfinite().all()
    assert not result.history[step, 1].isfinite()
    assert result.images.isfinite().all()
    assert redder(result.images)[1] > 0.6  # the state it reached last is kept
    assert torch.equal(result.images[[0, 2]], reference.images[[0, 2]])
    assert torch.equal(result.scores[[0, 2]], reference.scores[[0, 2]])
    assert reference.status == ("ok",) * 3


def test_a_network_that_is_never_finite_leaves_the_start_untouched() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float("nan")

    start = torch.full((2, 3, 4, 4), 0.3)
    result = optimize(nn.Sequential(Broken()), layer("0"), Pixels.from_image(start), EXACT, "none")
    assert result.status == ("non-finite at step 0",) * 2
    assert torch.equal(result.images, start)


@pytest.mark.parametrize(
    ("objective", "prior", "kind", "says"),
    [
        (channel("body", [1, 2, 3]), Fourier(2, 12), ValueError, "3 targets, but the prior has 2 pictures"),
        (channel("bdy", 1), Fourier(1, 12), LookupError, "body"),
        (channel("relu#7", 1), Fourier(1, 12), LookupError, "ran 2 times"),
        (channel("body", 8), Fourier(1, 12), IndexError, "channel 8"),
    ],
)
def test_an_invalid_problem_is_an_error_before_the_first_step(tiny_net, objective, prior, kind, says) -> None:
    steps: list[Progress] = []
    with pytest.raises(kind, match=says):
        optimize(tiny_net, objective, prior, EXACT, "none", steps.append)
    assert steps == []


def test_a_picture_too_small_for_the_layer_is_reported_with_both_sizes() -> None:
    net = load_model(nn.Sequential(nn.Conv2d(3, 4, 7)), input_size=32)
    with pytest.raises(ValueError, match=r"5x5 pixels.*its own size is 32x32"):
        optimize(net, channel("0", 1), Fourier(1, 5), EXACT)


def test_a_gradient_that_cannot_reach_the_picture_is_reported() -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return x * 2

    net = nn.Sequential(Blind())
    with pytest.raises((ValueError, RuntimeError), match="grad"):
        optimize(net, channel("0", 1), Fourier(1, 5), EXACT)


def test_an_unknown_augmentation_and_an_absent_device_are_refused(tiny_net: nn.Module) -> None:
    with pytest.raises(ValueError, match="'wild'; expected one of none, light, standard, strong"):
        optimize(tiny_net, channel("body", 1), Fourier(1, 12), EXACT, "wild")
    with pytest.raises(ValueError, match="cuda:99"):
        optimize(tiny_net, channel("body", 1), Fourier(1, 12), Settings(device="cuda:99"))
