"""Recordings that are kept: which batches and calls use one again, and that each finds its own pictures."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from inverter import BadInput, Graphs, Inversion, Model, OutOfRange, Settings, evaluate, optimize
from inverter.loop.recorder import WARM
from objectives import Objective, channel, code
from priors import Accentuate, Fourier, Pixels, Prior
from tests.inverter.loop.test_recorder import STEPS, found
from tests.inverter.test_on_device import SIZE
from tests.pretended import PretendedDevice
from tests.pretended_graphs import RecordedGraph

pytestmark = pytest.mark.usefixtures("float32_alone")


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
