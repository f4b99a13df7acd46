"""The pretended GPU's CUDA graphs: what a replay computes, and what must not happen while one is recorded."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.pretended import PretendedDevice


def recorded(work: Callable[[], object]) -> torch.cuda.CUDAGraph:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def test_recording_changes_no_values_and_a_replay_does_each_time() -> None:
    with PretendedDevice():
        x, made = torch.ones(3, device="cuda"), list[Tensor]()

        def work() -> None:
            x.mul_(2)
            made.append(x[1:] + 1)

        graph = recorded(work)
        assert x.tolist() == [1, 1, 1]
        assert made[0].isnan().all()
        graph.replay()
        graph.replay()
        assert x.tolist() == [4, 4, 4]
        assert made[0].tolist() == [5, 5]
        x.zero_()  # a replay reads what is there by then
        graph.replay()
        assert made[0].tolist() == [1, 1]


def test_gradients_are_recorded_as_well() -> None:
    with PretendedDevice():
        x, found = torch.tensor([3.0, -1.0], device="cuda").requires_grad_(), list[Tensor]()
        graph = recorded(lambda: found.extend(torch.autograd.grad((x.relu() ** 2).sum(), x)))
        graph.replay()
        assert found[0].tolist() == [6, 0]
        with torch.no_grad():
            x.copy_(torch.tensor([1.0, 2.0]))
        graph.replay()
        assert found[0].tolist() == [2, 4]


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.sum().item(),
        lambda x: x.cpu(),
        lambda x: x[x > 0],
        lambda x: x.copy_(torch.zeros(3)),
        lambda x: x[torch.tensor([1])],
        lambda x: x + torch.tensor(2.0),  # a number of the host would stay as it is now
        lambda _: torch.tensor([1.0], device="cuda"),
    ],
)
def test_what_needs_the_host_cannot_be_recorded(work: Callable[[Tensor], object]) -> None:
    with PretendedDevice():
        x = torch.ones(3, device="cuda")
        with pytest.raises(RuntimeError, match="capturing"):
            recorded(lambda: work(x))
        assert (x + 1).tolist() == [2, 2, 2]  # the device goes on


def test_an_allocation_of_another_size_is_refused() -> None:
    with PretendedDevice():
        x = torch.tensor([3], device="cuda")
        graph = recorded(lambda: torch.ops.aten.repeat_interleave.Tensor(x, output_size=None))
        x.fill_(2)
        with pytest.raises(RuntimeError, match="allocates"):
            graph.replay()
