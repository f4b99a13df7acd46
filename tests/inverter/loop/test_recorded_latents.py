"""Steps on the latents of directions, recorded as a CUDA graph."""

import pytest
import torch

from inverter import Directions, Graphs, Inversion, Model, Settings, optimize
from objectives import channel
from priors import Fourier
from tests.inverter.loop.test_recorder import STEPS, assert_recorded
from tests.inverter.test_on_device import SIZE
from tests.pretended import PretendedDevice

pytestmark = pytest.mark.usefixtures("float32_alone")


def latents(model: Model, seed: int, gate: str = "topk") -> Model:
    made = torch.Generator().manual_seed(seed)
    count = model.shapes(["deep"])["deep"][1]
    rows = torch.randn(12, count, generator=made)
    return model.with_directions({"sae": Directions("deep", rows, gate=gate, k=3, thresholds=torch.full((12,), 0.1))})


@pytest.mark.parametrize("gate", ["topk", "jumprelu"])
def test_every_gate(model: Model, gate: str) -> None:
    assert_recorded(latents(model, 0, gate), channel("deep:sae", [0, 3]), lambda: Fourier(2, SIZE))


def test_a_recording_serves_no_other_set_of_the_same_name(model: Model) -> None:
    def run(graphs: Graphs, seed: int) -> Inversion:
        there = latents(model, seed).on("cuda")
        return optimize(there, channel("deep:sae", [0, 3]), Fourier(2, SIZE), Settings(steps=STEPS), graphs=graphs)

    with PretendedDevice():
        graphs = Graphs()
        run(graphs, 0)
        assert torch.equal(run(graphs, 1).images, run(Graphs(), 1).images)
