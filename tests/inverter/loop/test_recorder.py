"""A recorded step finds what the step finds that is started from Python, to the bit, and is used again."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inverter import BadInput, Inversion, Model, Progress, Settings, load_model, optimize
from inverter.isolation.determinism import deterministic
from inverter.loop.recorder import WARM
from objectives import FeatureStatistics, Objective, channel, layer, logit, naturally
from objectives.feature_statistics import LayerStatistics
from priors import Fourier, Maco, Pixels, Prior
from tests.inverter.test_on_device import OBJECTIVES, PRIORS, SIZE, Dwarf
from tests.pretended import PretendedDevice

pytestmark = pytest.mark.usefixtures("float32_alone")
STEPS = WARM + 4


def found(
    model: Model, objective: Objective, prior: Callable[[], Prior], augment: Any = "standard", **settings: Any
) -> Inversion:
    torch.manual_seed(2)
    chosen = Settings(**({"steps": STEPS} | settings))
    return optimize(model.on("cuda"), objective, prior(), chosen, augment)


def assert_recorded(
    model: Model, objective: Objective, prior: Callable[[], Prior], augment: Any = "standard", **settings: Any
) -> Inversion:
    """Runs both loops, and compares them; returns the result of the recorded one."""
    with PretendedDevice():
        eager = found(model, objective, prior, augment, graph="off", **settings)
        recorded = found(model, objective, prior, augment, graph="on", **settings)
    assert eager.loop == "eager: graph='off'"
    assert recorded.loop == "graph"
    assert recorded.status == eager.status
    for name in ("images", "scores", "history"):
        mine, theirs = getattr(recorded, name), getattr(eager, name)
        assert torch.equal(mine.nan_to_num(), theirs.nan_to_num()), name
    return recorded


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior(model: Model, prior: str, optimizer: str) -> None:
    assert_recorded(model, channel("deep", [0, 3]), PRIORS[prior], optimizer=optimizer)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective(model: Model, objective: str) -> None:
    pictures = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    made = OBJECTIVES[objective](model, pictures)
    with PretendedDevice():  # one that is recorded for another batch has targets of its own
        assert made.form == OBJECTIVES[objective](model, pictures).form is not None
    assert_recorded(model, made, lambda: Fourier(2, SIZE), "none" if made.reads == () else "standard")


def test_natural_statistics(model: Model) -> None:
    usual = LayerStatistics(*torch.rand(4, 8, generator=torch.Generator().manual_seed(1)))
    statistics = FeatureStatistics({"first": usual}, "module", "", 400, (SIZE, SIZE), "photographs")
    objective = naturally(channel("deep", [0, 3]), statistics)
    assert objective.form != naturally(channel("deep", [0, 3]), statistics, 2.0).form
    assert_recorded(model, objective, lambda: Fourier(2, SIZE))


@pytest.mark.parametrize("augment", ["none", "light", "strong", "wide", "tokens"])
@pytest.mark.parametrize("views", [1, 3])
def test_every_augmentation(model: Model, augment: str, views: int) -> None:
    assert_recorded(model, channel("deep", [0, 3]), lambda: Pixels(2, SIZE), augment, views=views)


def test_crops_of_a_canvas_and_what_is_seen_of_their_gradients(model: Model) -> None:
    priors = []

    def canvas() -> Prior:
        priors.append(Maco(2, 3 * SIZE))
        return priors[-1]

    assert_recorded(model, logit([0, 3]), canvas)
    assert torch.equal(priors[0].importance, priors[1].importance)
    assert priors[0].importance.sum() > 0


def test_deterministic_algorithms(model: Model) -> None:
    with deterministic():
        assert_recorded(model, channel("deep", [0, 3]), lambda: Fourier(2, SIZE))


def test_a_picture_without_a_gradient_is_led_to_one_and_one_that_is_not_finite_stops() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(2, 3, 1), nn.ReLU())
    with torch.no_grad():
        for part in (network[0], network[2]):
            part.weight.fill_(0.1)
            part.bias.fill_(0.05)
        network[2].bias[1] = -1.0  # far below 0 on a grey picture
        network[2].bias[2] = float("inf")
    model = load_model(network, input_size=8, device="cpu")
    result = assert_recorded(model, channel("3", [0, 1, 2]), lambda: Pixels(3, 8), "none", steps=14, learning_rate=0.1)
    assert result.scores[1] > 0
    assert result.status[2] == "non-finite at step 0"


def test_a_unit_below_the_dip_of_a_gelu() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GELU())
    with torch.no_grad():
        network[0].weight.fill_(0.1)
        network[0].bias.fill_(-3.0)
    model = load_model(network, input_size=8, device="cpu")
    assert_recorded(model, channel("1", [0, 1]), lambda: Pixels(2, 8), "none", steps=20, redirect=9)


class Hooked(Dwarf):
    def __init__(self) -> None:
        super().__init__()
        self.deep.register_forward_hook(lambda *_: None)


class Random(Dwarf):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.01 * torch.rand(1).item())


class Reading(Dwarf):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * float(x.detach().mean()))


class Slow(Fourier):
    recordable = False


PLAIN = Objective("mine", ("deep",), lambda activations: activations["deep"].flatten(1).mean(1))


@pytest.mark.parametrize(
    ("network", "objective", "prior", "augment", "settings", "reason"),
    [
        (Dwarf, layer("deep"), Fourier, lambda x: x, {}, "augmentation is a function"),
        (Dwarf, PLAIN, Fourier, "none", {}, "mine does not say"),
        (Dwarf, layer("deep") + PLAIN, Fourier, "none", {}, "does not say"),
        (Dwarf, layer("deep"), Slow, "none", {}, "Slow does not say"),
        (Dwarf, layer("deep"), Fourier, "none", {"steps": WARM}, "no more than 3 steps"),
        (Hooked, layer("deep"), Fourier, "none", {}, "hooks"),
        (Random, layer("deep"), Fourier, "none", {}, "random numbers"),
        (Reading, layer("deep"), Fourier, "none", {}, "cannot be recorded: operation not permitted"),
    ],
)
def test_what_cannot_be_recorded_runs_as_it_is_and_says_why(
    network: type[nn.Module],
    objective: Objective,
    prior: type[Prior],
    augment: Any,
    settings: dict[str, Any],
    reason: str,
) -> None:
    torch.manual_seed(5)
    model = load_model(network().eval(), input_size=SIZE, device="cpu")
    with PretendedDevice():
        result = found(model, objective, lambda: prior(1, SIZE), augment, **settings)
        eager = found(model, objective, lambda: prior(1, SIZE), augment, graph="off", **settings)
    assert result.loop.startswith("eager: ")
    assert reason in result.loop
    torch.testing.assert_close(result.images, eager.images, rtol=0, atol=2e-3)  # folded anew after a failed recording


def test_a_recording_that_is_demanded_and_impossible_is_an_error(model: Model) -> None:
    with pytest.raises(BadInput, match=r"graph='on'.*no CUDA graphs on cpu"):
        optimize(model, layer("deep"), Fourier(1, SIZE), Settings(graph="on"))
    assert optimize(model, layer("deep"), Fourier(1, SIZE), Settings(steps=1)).loop == "eager: no CUDA graphs on cpu"


def test_the_host_starts_almost_no_operation_and_progress_comes_in_order(model: Model) -> None:
    seen: list[int] = []
    launched: dict[int, int] = {}
    with PretendedDevice() as gpu:

        def progress(at: Progress) -> None:
            seen.append(at.step)
            launched[at.step] = gpu.launched
            if at.step == 9:
                assert at.images.shape == (2, 3, SIZE, SIZE)

        settings = Settings(steps=30, redirect=4)
        optimize(model.on("cuda"), channel("deep", [0, 3]), Fourier(2, SIZE), settings, "standard", progress)
    assert seen == list(range(1, 31))
    assert launched[22] - launched[14] == 8  # as many replayed steps
    assert not [place for place in gpu.waits if place.startswith("inverter/loop/recorder")]


def test_an_interrupted_run_keeps_its_pictures(model: Model) -> None:
    prior = Fourier(3, SIZE)

    def stop(at: Progress) -> None:
        if at.step == STEPS - 1:
            raise KeyboardInterrupt

    with PretendedDevice(), pytest.raises(KeyboardInterrupt):
        optimize(model.on("cuda"), channel("deep", [0, 3, 1]), prior, Settings(steps=STEPS), progress=stop)
    assert prior.started
    fresh = Fourier(3, SIZE)
    assert not torch.equal(prior().detach(), fresh().detach())
