"""A prior resumes from its state, keeps what an interrupted run reached, and may be the user's own."""

import pytest
import torch
from torch import Tensor, nn

from inverter import Progress, Settings, optimize
from inverter.engine import unit_seeds
from objectives import Objective, channel
from priors import Fourier, Pixels, Prior

EXACT = Settings(steps=6, precision="float32", device="cpu")


@pytest.mark.parametrize("kind", [Fourier, Pixels])
def test_a_result_is_plain_data_without_a_graph_and_the_prior_resumes_without_changing_it(tiny_net, kind) -> None:
    prior = kind(1, 12)
    result = optimize(tiny_net, channel("body", 1), prior, EXACT, "none")
    images = result.images.clone()
    assert not result.images.requires_grad
    assert not result.scores.requires_grad
    assert not result.history.requires_grad
    again = optimize(tiny_net, channel("body", 1), prior, EXACT, "none")
    assert torch.equal(result.images, images)
    assert again.scores > result.scores


def test_a_prior_resumes_from_its_state(tiny_net: nn.Module) -> None:
    photograph = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    tiny = Settings(steps=1, learning_rate=1e-6, precision="float32", batch_size=1)
    for kind in (Fourier, Pixels):
        result = optimize(tiny_net, channel("body", 1), kind.from_image(photograph), tiny, "none")
        assert torch.allclose(result.images, photograph, atol=1e-3)


def test_progress_counts_every_step_of_every_batch(tiny_net: nn.Module) -> None:
    reports: list[Progress] = []
    optimize(
        tiny_net,
        channel("body", [0, 1, 2]),
        Fourier(3, 8),
        Settings(steps=2, batch_size=2),
        "none",
        progress=reports.append,
    )
    steps = [(1, 0, 2), (2, 0, 2), (1, 2, 1), (2, 2, 1)]
    assert reports == [Progress(step, 2, done, 3, batch=batch) for step, done, batch in steps]


def test_the_prior_keeps_what_an_interrupted_run_reached(tiny_net: nn.Module) -> None:
    prior, complete = Pixels(3, 8), Pixels(3, 8)
    settings = Settings(steps=4, batch_size=2, precision="float32")

    def interrupt(report: Progress) -> None:
        if report.done == 2 and report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize(tiny_net, channel("body", [0, 1, 2]), prior, settings, "none", progress=interrupt)
    expected = optimize(tiny_net, channel("body", [0, 1, 2]), complete, settings, "none")
    assert torch.equal(prior().detach()[:2], expected.images[:2])
    fresh = Pixels(3, 8)
    fresh.reset(
        [torch.Generator().manual_seed(s) for s in unit_seeds([channel("body", i).label(0) for i in range(3)], 0)]
    )
    moved = (prior() - fresh()).detach()[2].abs().max()
    assert 0 < moved < (expected.images[2] - fresh().detach()[2]).abs().max()


class Kinked(Prior):
    """A prior outside the package, with a buffer that has the batch first."""

    batched = ("offset",)

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.level = nn.Parameter(torch.zeros(count, 3))
        self.register_buffer("offset", torch.zeros(count, 1))

    def reset(self, generators) -> None:
        with torch.no_grad():
            for level, offset, generator in zip(self.level, self.offset, generators, strict=True):
                level.zero_()
                offset.copy_(torch.rand(1, generator=generator))
        self.started = True

    def forward(self) -> Tensor:
        return torch.sigmoid(self.level + self.offset)[:, :, None, None].expand(-1, 3, 8, 8)


def test_a_prior_of_ones_own_needs_no_more_than_the_protocol(tiny_net: nn.Module) -> None:
    prior = Kinked(3)
    objective = Objective("dark", (), lambda seen: -seen.image.mean((1, 2, 3)))
    result = optimize(tiny_net, objective, prior, Settings(steps=5, batch_size=2), "none")
    assert (result.history[-1] > result.history[0]).all()
    assert prior.offset.unique().numel() == 3
    assert torch.equal(prior().detach(), result.images)
