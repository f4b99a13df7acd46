"""The pretended GPU itself: what it must report, and what it must allow."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.pretended import PretendedDevice


def test_tensors_are_where_they_were_put() -> None:
    with PretendedDevice() as gpu:
        here, there = torch.arange(3.0), torch.arange(3.0, device="cuda")
        assert (here.device.type, there.device, there.is_cuda) == ("cpu", torch.device("cuda", 0), True)
        made = [torch.zeros_like(there), there.new_ones(2), torch.tensor([1.0], device=there.device), there[:1], -there]
        assert {tensor.device for tensor in made} == {there.device}
        assert torch.equal((there + 1).cpu(), here + 1)
        assert there.tolist() == [0, 1, 2]
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
    assert gpu.waits.total() == 2
    assert not torch.cuda.is_available()


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: there.mul_(here),
        lambda here, there: torch.cat([there, here]),
        lambda here, there: torch.stack([there.sum(), here.sum()]),
        lambda here, there: F.conv2d(there.view(1, 1, 2, 2), here.view(1, 1, 2, 2)),
        lambda here, there: there.index_select(0, here.long()),
        lambda here, there: here[there.long()],
        lambda here, there: there.index_put_((torch.tensor([1, 2]),), here[:2]),
        lambda here, there: torch.where(here > 0, there, 0),
        lambda here, there: here + there.sum(),
        lambda _, there: nn.Linear(4, 2)(there),
    ],
)
def test_two_devices_in_one_operation_are_refused(mix: Callable[[Tensor, Tensor], Tensor]) -> None:
    with PretendedDevice(), pytest.raises(RuntimeError, match="same device"):
        mix(torch.arange(4.0), torch.arange(4.0, device="cuda"))


def test_numbers_and_indices_of_the_host_may_come_along() -> None:
    with PretendedDevice() as gpu:
        there = torch.arange(4.0, device="cuda")
        assert torch.equal((there * torch.tensor(2.0)).cpu(), 2 * torch.arange(4.0))
        assert gpu.copies.total() == 0
        assert there[torch.tensor([3, 1])].tolist() == [3, 1]
        assert gpu.copies.total() == 1


def recorded() -> torch.cuda.Event:
    event = torch.cuda.Event()
    event.record()
    return event


@pytest.mark.parametrize(
    ("ask", "waits"),
    [
        (lambda x: x.sum().item(), 1),
        (lambda x: bool((x > 0).any()), 1),
        (lambda x: x.nonzero(), 1),
        (lambda x: x[x > 0], 1),
        (lambda x: x.cpu(), 1),
        (lambda x: torch.zeros(4).copy_(x), 1),
        (lambda x: torch.equal(x, x), 1),
        (lambda x: x.unique(), 1),
        (lambda _: recorded().synchronize(), 1),
        (lambda x: (recorded(), x + 1)[0].synchronize(), 0),
        (lambda x: x.to("cpu", non_blocking=True), 0),
        (lambda x: torch.where(x > 0, x, 0), 0),
        (lambda x: x.masked_fill(x > 0, 1.0), 0),
        (lambda x: x.double().sum(), 0),
        (lambda x: x[torch.arange(2, device=x.device)], 0),
        (lambda x: x.copy_(torch.zeros(4)), 0),
    ],
)
def test_it_counts_what_the_host_waits_for(ask: Callable[[Tensor], object], waits: int) -> None:
    with PretendedDevice() as gpu:
        ask(torch.arange(4.0, device="cuda"))
    assert gpu.waits.total() == waits
    assert all("test_pretended.py" in place for place in gpu.waits)


def test_it_says_which_line_of_the_project_waits() -> None:
    from priors.maco import transparency

    with PretendedDevice() as gpu:
        transparency(torch.rand(1, 3, 4, 4, device="cuda"))
    ((place, times),) = gpu.waits.items()
    assert place.startswith("priors/maco.py:")
    assert times == 1


def test_networks_learn_as_on_the_cpu() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 2))
    images = torch.randn(5, 3, 4, 4)

    def learned(net: nn.Module, images: Tensor) -> dict[str, Tensor]:
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            net(images).square().sum().backward()
            optimizer.step()
        return net.state_dict()

    expected = learned(copy.deepcopy(net), images)
    with PretendedDevice() as gpu:
        moved = copy.deepcopy(net).to("cuda")
        copied = copy.deepcopy(moved)
        assert all(isinstance(parameter, nn.Parameter) for parameter in copied.parameters())
        found = {name: tensor.cpu() for name, tensor in learned(copied, images.to("cuda")).items()}
        assert torch.equal(moved[0].weight.cpu(), net[0].weight)  # the copy learned alone
    assert gpu.waits.total() == len(found) + 1
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor)


def test_views_and_operations_in_place_are_those_of_one_tensor() -> None:
    with PretendedDevice():
        x = torch.zeros(2, 3, device="cuda")
        row = x[1]
        assert row.add_(1) is row
        torch.add(x, 1, out=x)
        x.data.clamp_(max=1.5)
        assert x.tolist() == [[1, 1, 1], [1.5, 1.5, 1.5]]
        spectrum = torch.fft.rfft2(torch.randn(4, 4).to("cuda"))
        assert (spectrum.conj() * spectrum).imag.abs().max().item() < 1e-5


def test_deterministic_mode_refuses_what_has_no_such_gradient() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    try:
        torch.use_deterministic_algorithms(True)
        with PretendedDevice():
            x = torch.rand(1, 1, 4, 4, device="cuda", requires_grad=True)
            F.pad(x, (1,) * 4, mode="replicate").sum().backward()  # torch makes it of others
            with pytest.raises(RuntimeError, match="deterministic"):
                F.pad(x, (1,) * 4, mode="reflect").sum().backward()
    finally:
        torch.use_deterministic_algorithms(before)
