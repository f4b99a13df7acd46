"""The training of sparse autoencoders: it finds directions that are there, revives dead latents, and resumes."""

import pytest
import torch
from torch import Tensor

from inverter import BadInput
from inverter.directions.learning import sparse_autoencoder
from inverter.directions.learning.quality import quality
from inverter.directions.learning.sparse_autoencoder import SparseSettings, SparseTraining, geometric_median, train
from inverter.directions.learning.step_function import step

COUNT, CHANNELS = 20, 12


def truth() -> Tensor:
    rows = torch.randn(COUNT, CHANNELS, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.normalize(rows, dim=1)


def vectors(count: int, seed: int = 0) -> Tensor:
    """Sums of two random directions, away from the origin and of any length."""
    random = torch.Generator().manual_seed(seed)
    which = torch.rand(count, COUNT, generator=random).topk(2).indices
    amounts = 1 + torch.rand(count, 2, generator=random)
    latents = torch.zeros(count, COUNT).scatter(1, which, amounts)
    return 50 * (latents @ truth()) + 7


def trained(**options: object) -> SparseTraining:
    given = {"count": 24, "k": 2, "steps": 300, "batch": 64, "rate": 1e-2}
    training = SparseTraining.begin(vectors(2000), SparseSettings(**(given | options)))  # type: ignore[arg-type]
    for _ in train(training, lambda at: vectors(training.settings.batch, at + 1)):
        pass
    return training


@pytest.mark.parametrize("gate", ["topk", "jumprelu"])
def test_it_finds_the_directions_that_are_there(gate: str) -> None:
    directions = trained(gate=gate).directions("conv")
    closest = (truth() @ directions.decoder.T).max(1).values
    assert float(closest.median()) > 0.9
    found = quality(directions, [vectors(2000, 99)])
    assert found.explained_variance > 0.8 and abs(found.l0 - 2) < 0.5
    assert torch.allclose(directions.decoder.norm(dim=1), torch.ones(24), atol=1e-5)
    assert (directions.layer, directions.gate, directions.method) == ("conv", gate, "sae")


def test_dead_latents_are_revived(monkeypatch: pytest.MonkeyPatch) -> None:
    def share(weight: float) -> float:
        monkeypatch.setattr(sparse_autoencoder, "REVIVED", weight)
        training = SparseTraining.begin(vectors(2000), SparseSettings(count=24, k=2, steps=300, batch=64, rate=1e-2))
        with torch.no_grad():
            training.autoencoder.bias[:12] = -1  # below what any vector reaches
        for _ in train(training, lambda at: vectors(64, at + 1)):
            pass
        return quality(training.directions("conv"), [vectors(2000, 99)]).dead

    assert share(0.0) > 0.4
    assert share(1 / 32) < 0.3


def test_a_training_that_is_continued_is_that_which_was_not_interrupted() -> None:
    def batch(at: int) -> Tensor:
        return vectors(64, at + 1)

    settings = SparseSettings(count=24, k=2, steps=12, batch=64)
    full, first = (SparseTraining.begin(vectors(500), settings) for _ in range(2))
    for _ in train(full, batch):
        pass
    for training in train(first, batch):
        if training.done == 5:
            break
    second = SparseTraining.begin(vectors(500), settings)
    second.restore(first.state())
    for _ in train(second, batch):
        pass
    assert torch.equal(full.directions("conv").decoder, second.directions("conv").decoder)


def test_the_derivative_of_the_step_is_that_of_its_kernel() -> None:
    values = torch.tensor([[0.9, 2.0], [1.04, 2.2], [1.2, 1.98]])
    thresholds = torch.tensor([1.0, 2.0], requires_grad=True)
    active = step(values, thresholds, 0.1)
    assert active.tolist() == [[0, 0], [1, 1], [1, 0]]
    active.sum().backward()
    assert thresholds.grad is not None
    assert torch.allclose(thresholds.grad, -torch.tensor([1.0, 2.0]) / 0.1)  # of one and of two values within 0.05


def test_the_geometric_median_does_not_follow_far_vectors() -> None:
    near = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)) * 0.1
    far = torch.full((10, 3), 1000.0)
    assert float(geometric_median(torch.cat([near, far])).abs().max()) < 0.1


def test_bad_input_is_refused() -> None:
    with pytest.raises(BadInput, match="unknown gate 'relu'"):
        SparseSettings(gate="relu")
    with pytest.raises(BadInput, match="4 latents with k 4"):
        SparseSettings(count=4, k=4)
    with pytest.raises(BadInput, match="all activation vectors are the same"):
        SparseTraining.begin(torch.ones(5, 3), SparseSettings())
