"""A recorded step finds what the step finds that is started from Python, to the bit, and is used again."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inverter import BadInput, Graphs, Inversion, Model, OutOfRange, Progress, Settings, evaluate, load_model, optimize
from inverter.isolation.determinism import deterministic
from inverter.loop.recorder import WARM
from objectives import FeatureStatistics, Objective, channel, code, layer, logit, naturally
from objectives.feature_statistics import LayerStatistics
from priors import Accentuate, Fourier, Maco, Pixels, Prior
from tests.inverter.test_on_device import OBJECTIVES, PRIORS, SIZE, Dwarf
from tests.pretended import PretendedDevice
from tests.pretended_graphs import RecordedGraph

pytestmark = pytest.mark.usefixtures("float32_alone")
STEPS = WARM + 4


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return Dwarf().eval()


@pytest.fixture
def model(network: nn.Module) -> Model:
    return load_model(network, input_size=SIZE, device="cpu")


@pytest.fixture
def graphs_made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RecordedGraph]]:
    made: list[RecordedGraph] = []
    begin = RecordedGraph.__init__

    def kept(self: RecordedGraph) -> None:
        begin(self)
        made.append(self)

    monkeypatch.setattr(RecordedGraph, "__init__", kept)
    yield made


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


def test_batches_of_one_form_use_one_recording_and_the_last_one_is_filled_up(
    model: Model, graphs_made: list[RecordedGraph]
) -> None:
    def make(graph: str) -> Inversion:
        targets = channel("deep", [0, 3, 1, 2, 5])
        return found(model, targets, lambda: Fourier(5, SIZE), batch_size=2, redirect=0, graph=graph)

    with PretendedDevice():
        eager, recorded = make("off"), make("on")
    assert torch.equal(recorded.images[:4], eager.images[:4])
    # In a batch of another size, sums may be made in another order.
    torch.testing.assert_close(recorded.images[4:], eager.images[4:], rtol=0, atol=2e-3)
    torch.testing.assert_close(recorded.scores, eager.scores, rtol=1e-3, atol=1e-5)
    assert len(graphs_made) == 1
    assert graphs_made[0].replays == 3 * STEPS - WARM


def test_calls_with_other_targets_use_a_recording_again(model: Model, graphs_made: list[RecordedGraph]) -> None:
    graphs, settings = Graphs(), Settings(steps=STEPS, seed=3, redirect=0)

    def run(kept: Graphs | None, targets: list[int]) -> Inversion:
        objective = channel("deep", targets) - 0.5 * channel("first", [c + 1 for c in targets])
        return optimize(there, objective, Fourier(len(targets), SIZE), settings, graphs=kept)

    with PretendedDevice():
        there = model.on("cuda")
        for targets in ([0, 1, 2], [5, 4, 3], [6, 2]):
            assert torch.equal(run(graphs, targets).images, run(None, targets).images)
    assert [graph.replays for graph in graphs_made] == [3 * STEPS - WARM, *[STEPS - WARM] * 3]


def test_an_objective_that_was_recorded_keeps_its_own_targets(model: Model) -> None:
    graphs, settings = Graphs(), Settings(steps=STEPS)
    with PretendedDevice():
        there, first = model.on("cuda"), channel("deep", [0, 1])
        images = optimize(there, first, Fourier(2, SIZE), settings, graphs=graphs).images
        scores = evaluate(there, first, images)
        optimize(there, channel("deep", [5, 4]), Fourier(2, SIZE), settings, graphs=graphs)
        assert torch.equal(evaluate(there, first, images), scores)


def test_parts_that_share_targets_are_another_form_and_more_targets_than_recorded_are_recorded_anew(
    model: Model, graphs_made: list[RecordedGraph]
) -> None:
    graphs, settings, one = Graphs(), Settings(steps=STEPS, batch_size=2, redirect=0), channel("deep", [0, 1])
    two = channel("deep", [0, 1]) + 0.5 * channel("deep", [2, 3])
    many = channel("deep", [0, 1, 2, 3, 4, 5])
    with PretendedDevice():
        there = model.on("cuda")
        for objective in (one + 0.5 * one, two, one, many):
            kept = optimize(there, objective, Fourier(objective.count, SIZE), settings, graphs=graphs)
            alone = optimize(there, objective, Fourier(objective.count, SIZE), settings)
            assert torch.equal(kept.images, alone.images)
    assert len(graphs_made) == 8


@pytest.mark.parametrize(
    ("other", "prior"),
    [
        (lambda: 2.0 * channel("deep", [0, 1]), lambda: Fourier(2, SIZE)),
        (lambda: 0.5000001 * channel("deep", [0, 1]), lambda: Fourier(2, SIZE)),
        (lambda: 0.5 * channel("first", [0, 1]), lambda: Fourier(2, SIZE)),
        (lambda: 0.5 * channel("deep", 1), lambda: Fourier(2, SIZE)),
        (lambda: 0.5 * channel("deep", [0, 1]), lambda: Fourier(2, SIZE, spread=0.5)),
        (lambda: 0.5 * channel("deep", [0, 1]), lambda: Fourier(2, SIZE + 4)),
        (lambda: 0.5 * channel("deep", [0, 1]), lambda: Pixels(2, SIZE)),
        (lambda: 0.5 * channel("deep", [0, 1]), lambda: Accentuate(torch.full((2, 3, SIZE, SIZE), 0.4))),
    ],
)
def test_another_form_is_recorded_anew(
    model: Model, other: Callable[[], Objective], prior: Callable[[], Prior], graphs_made: list[RecordedGraph]
) -> None:
    graphs, settings = Graphs(), Settings(steps=STEPS)
    with PretendedDevice():
        there = model.on("cuda")
        optimize(there, 0.5 * channel("deep", [0, 1]), Fourier(2, SIZE), settings, graphs=graphs)
        with_kept = optimize(there, other(), prior(), settings, graphs=graphs)
        alone = optimize(there, other(), prior(), settings)
    assert torch.equal(with_kept.images, alone.images)
    assert len(graphs_made) == 3


def test_statistics_of_a_prior_are_those_of_each_call(model: Model, tmp_path: Any) -> None:
    """Priors whose tensors differ in their values alone share a recording."""
    graphs, settings, images = Graphs(), Settings(steps=STEPS), []
    with PretendedDevice():
        there = model.on("cuda")
        for decay in (0.5, 1.5):
            for kept in (graphs, None):
                prior = Fourier(1, SIZE, decay=decay)
                images += [optimize(there, channel("deep", 1), prior, settings, graphs=kept).images]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[2], images[3])


def test_a_wrong_target_of_a_later_batch_is_reported_before_the_device_reads_it(model: Model) -> None:
    graphs, settings = Graphs(), Settings(steps=STEPS)
    with PretendedDevice():
        there = model.on("cuda")
        optimize(there, channel("deep", [0, 1]), Fourier(2, SIZE), settings, graphs=graphs)
        with pytest.raises(OutOfRange, match="channel 8 is out of range"):
            optimize(there, channel("deep", [0, 8]), Fourier(2, SIZE), settings, graphs=graphs)
        with pytest.raises(BadInput, match="target has shape"):
            optimize(there, code("deep", torch.ones(2, 3)), Fourier(2, SIZE), settings, graphs=graphs)


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
