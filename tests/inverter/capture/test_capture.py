"""Capture: the requested layers only, no further than needed, exactly as computed, and the network is unchanged."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from inverter.capture.addresses import check_address, split_address
from inverter.capture.capture import Capture
from inverter.capture.outputs import first_tensor
from inverter.isolation.frozen import frozen
from inverter.isolation.wrappers import unwrap

Snapshot = Callable[[nn.Module], dict[str, object]]


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return resnet18(weights=None).eval()


@pytest.fixture(scope="module")
def picture() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


class Counted(nn.Module):
    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.part(x)


@torch.no_grad()
def test_an_in_place_relu_does_not_change_what_was_captured_before_it(resnet: nn.Module, picture: Tensor) -> None:
    with Capture(resnet, ["bn1", "layer1"]) as capture:
        seen = capture(picture)
    assert torch.equal(seen["bn1"], resnet.bn1(resnet.conv1(picture)))
    assert seen["bn1"].min() < 0


@torch.no_grad()
def test_a_module_that_runs_twice_is_addressed_by_its_call(resnet: nn.Module, picture: Tensor) -> None:
    block = resnet.layer1[0]
    x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(picture))))
    first = torch.relu(block.bn1(block.conv1(x)))
    second = torch.relu(block.bn2(block.conv2(first)) + x)
    addresses = ["layer1.0.relu#1", "layer1.0.relu", "layer1.0.relu#0"]
    with Capture(resnet, addresses) as capture:
        seen = capture(picture)
    assert torch.equal(seen["layer1.0.relu"], first)
    assert torch.equal(seen["layer1.0.relu#0"], first)
    assert torch.equal(seen["layer1.0.relu#1"], second)


@torch.no_grad()
def test_a_functional_in_place_sum_does_not_change_what_was_captured_before_it(tiny_net: nn.Module) -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    stem = tiny_net.stem(x)
    with Capture(tiny_net, ["mix", "head"]) as capture:
        seen = capture(x)
    assert torch.equal(seen["mix"], tiny_net.mix(torch.relu(tiny_net.body(stem))))
    assert torch.equal(seen["head"], tiny_net(x))


def test_gradients_flow_through_what_in_place_operations_overwrote(tiny_net: nn.Module) -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2), requires_grad=True)
    with Capture(tiny_net, ["stem.1", "relu", "mix", ""]) as capture:
        seen = capture(x)
        for address in seen:
            (gradient,) = torch.autograd.grad(seen[address].square().sum(), x, retain_graph=True)
            assert gradient.abs().sum() > 0, address


@torch.no_grad()
def test_no_layer_runs_beyond_the_deepest_layer_that_is_read(picture: Tensor) -> None:
    parts = [Counted(nn.Conv2d(3, 3, 1)) for _ in range(5)]
    net = nn.Sequential(*parts)
    with Capture(net, ["2", "0"]) as capture:
        capture(picture)
    assert [part.calls for part in parts] == [1, 1, 1, 0, 0]
    with Capture(net, ["3.part"]) as capture:
        capture(picture)
    assert [part.calls for part in parts] == [2, 2, 2, 1, 0]


@torch.no_grad()
def test_the_network_does_not_run_if_no_layer_is_read(picture: Tensor) -> None:
    net = Counted(nn.Identity())
    with Capture(net, []) as capture:
        assert capture(picture) == {}
    assert net.calls == 0


@torch.no_grad()
def test_one_context_serves_many_forward_passes(tiny_net: nn.Module) -> None:
    pictures = torch.randn(3, 1, 3, 8, 8)
    with Capture(tiny_net, ["relu#1"]) as capture:
        each = [capture(x)["relu#1"] for x in pictures]
    stem = tiny_net.stem(pictures[:, 0])
    together = torch.relu(tiny_net.mix(torch.relu(tiny_net.body(stem))) + stem)
    assert torch.allclose(torch.cat(each), together, atol=1e-6)


class Output(NamedTuple):
    text: str
    main: Tensor
    aux: Tensor


@pytest.mark.parametrize(
    "pack",
    [
        lambda x: (x, x + 1),
        lambda x: [x],
        lambda x: {"logits": x, "aux": x + 1},
        lambda x: OrderedDict(aux=None, main=x),
        lambda x: ((None, x), x + 1),
        lambda x: Output("text", x, x + 1),
    ],
    ids=["tuple", "list", "dict", "ordered dict", "nested", "named tuple"],
)
def test_the_first_tensor_of_a_structured_output_is_captured(pack: Callable[[Tensor], Any]) -> None:
    class Packs(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return pack(2 * x)

    net = nn.Sequential(Packs())
    x = torch.ones(1, 3, 2, 2)
    for address in ("0", ""):
        with Capture(net, [address]) as capture:
            assert torch.equal(capture(x)[address], 2 * x)


@pytest.mark.parametrize("value", [None, "text", 3, [], {"a": None}])
def test_a_layer_that_returns_no_tensor_is_reported(value: object) -> None:
    class NoTensor(nn.Module):
        def forward(self, x: Tensor) -> object:
            return value

    assert first_tensor(value) is None
    with Capture(nn.Sequential(NoTensor()), ["0"]) as capture, pytest.raises(TypeError, match=type(value).__name__):
        capture(torch.zeros(1))


def test_a_layer_that_is_never_reached_is_reported_with_how_often_it_ran(tiny_net: nn.Module) -> None:
    with (
        Capture(tiny_net, ["stem", "relu#2"]) as capture,
        pytest.raises(LookupError, match=r"'relu#2' was not reached: module 'relu' ran 2 times"),
    ):
        capture(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("address", "near"),
    [("layer1.0.rel", "layer1.0.relu"), ("layer5", "layer4"), ("Layer1.0.conv1", "layer1.0.conv1"), ("bn3#1", "bn1")],
)
def test_an_unknown_layer_shows_the_nearest_addresses(resnet: nn.Module, address: str, near: str) -> None:
    with pytest.raises(LookupError) as caught:
        Capture(resnet, ["conv1", address])
    assert repr(address) in str(caught.value)
    assert near in str(caught.value).split("nearest are: ")[1].split(", ")


def test_an_address_unlike_any_still_shows_some(tiny_net: nn.Module) -> None:
    with pytest.raises(LookupError, match="the nearest are: stem"):
        check_address(tiny_net, "%%%%")


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("a.b", ("a.b", 0)),
        ("a.b#2", ("a.b", 2)),
        ("", ("", 0)),
        ("a#b", ("a#b", 0)),
        ("a#", ("a#", 0)),
        ("#1", ("", 1)),
    ],
)
def test_an_address_is_a_name_and_a_call(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


def test_hooks_are_gone_when_the_context_ends_also_after_an_exception(tiny_net: nn.Module, snapshot: Snapshot) -> None:
    before = snapshot(tiny_net)
    with Capture(tiny_net, ["stem", "relu#1", ""]) as capture:
        capture(torch.zeros(1, 3, 8, 8))
        assert snapshot(tiny_net)["hooks"] != before["hooks"]
    assert snapshot(tiny_net) == before
    with pytest.raises(RuntimeError, match="channels"), Capture(tiny_net, ["stem", ""]) as capture:
        capture(torch.zeros(1, 5, 8, 8))
    assert snapshot(tiny_net) == before


def test_the_users_own_hooks_stay_and_run(tiny_net: nn.Module) -> None:
    seen = []
    tiny_net.body.register_forward_hook(lambda *_: seen.append("user"))
    with Capture(tiny_net, ["body"]) as capture:
        capture(torch.zeros(1, 3, 8, 8))
    assert seen == ["user"]
    tiny_net(torch.zeros(1, 3, 8, 8))
    assert seen == ["user", "user"]


@pytest.mark.parametrize("fails", [False, True])
def test_freezing_restores_mixed_modes_and_mixed_gradients(
    tiny_net: nn.Module, snapshot: Snapshot, fails: bool
) -> None:
    tiny_net.train()
    tiny_net.stem.eval()
    tiny_net.body.weight.requires_grad_(False)
    before = snapshot(tiny_net)
    try:
        with frozen(tiny_net):
            assert not any(part.training for part in tiny_net.modules())
            assert not any(parameter.requires_grad for parameter in tiny_net.parameters())
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert snapshot(tiny_net) == before


def test_freezing_does_not_call_an_overridden_eval() -> None:
    class Surprising(nn.Linear):
        def eval(self) -> "Surprising":
            raise AssertionError("eval() may do anything")

        def train(self, mode: bool = True) -> "Surprising":
            raise AssertionError("train() may do anything")

    net = Surprising(1, 1)
    with frozen(net):
        assert not net.training
    assert net.training


@torch.no_grad()
def test_wrappers_are_taken_off_whatever_their_order(tiny_net: nn.Module) -> None:
    compiled = torch.compile(tiny_net, backend="eager")
    for wrapped in (tiny_net, nn.DataParallel(tiny_net), compiled, nn.DataParallel(compiled)):
        assert unwrap(wrapped) is tiny_net


@torch.no_grad()
@pytest.mark.parametrize("how", ["complete", "part", "method"])
def test_compiled_networks_are_captured_and_stay_compiled(tiny_net: nn.Module, how: str) -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    expected = tiny_net(x)
    address = "stem.1"
    ran = 0

    def backend(graph: Any, _inputs: Any) -> Any:
        def run(*args: Any) -> Any:
            nonlocal ran
            ran += 1
            return graph.forward(*args)

        return run

    net = tiny_net
    if how == "complete":
        net = torch.compile(tiny_net, backend=backend)
    elif how == "part":
        tiny_net.stem = torch.compile(tiny_net.stem, backend=backend)
        address = "stem._orig_mod.1"
    else:
        tiny_net.compile(backend=backend)
    net(x)
    assert ran == 1
    with frozen(unwrap(net)), Capture(unwrap(net), [address, ""]) as capture:
        seen = capture(x)
    assert ran == 1
    assert torch.allclose(seen[""], expected, atol=1e-6)
    assert seen[address].min() < 0
    assert torch.allclose(net(x), expected, atol=1e-6)
    assert ran == 2
