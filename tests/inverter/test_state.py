"""Everything of a network comes back: whatever a forward pass changes, torch's switches, and between threads."""

import random
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils import checkpoint

from inverter import BadInput, Settings, encode, evaluate, layers, load_model, optimize
from inverter.isolation.frozen import frozen
from objectives import channel, logit
from priors import Fourier
from recipes.attribution import explain

SETTINGS = Settings(steps=3, precision="float32")
Snapshot = Callable[[nn.Module], dict[str, object]]


class Changing(nn.Module):
    """A layer whose forward pass changes a buffer, in one of several ways, also in eval mode."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.register_buffer("seen", torch.ones(4) if way != "resized" else torch.ones(0))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.detach().mean((0, 2, 3))
        if self.way == "in place":
            self.seen.mul_(0.9).add_(0.1 * mean)
        elif self.way == "replaced":
            self.seen = 0.9 * self.seen + 0.1 * mean
        elif self.way == "data":
            self.seen.data.copy_(mean)
        else:
            self.seen.resize_(4).copy_(mean)
        self.count += 1
        return x


class Trains(nn.BatchNorm2d):
    """Batch statistics, whatever the mode."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, True)


class SpectralNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 12))
        self.register_buffer("u", torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.view(4, -1)
        with torch.no_grad():
            v = nn.functional.normalize(weight.T @ self.u, dim=0)
            self.u.copy_(nn.functional.normalize(weight @ v, dim=0))
        return nn.functional.conv2d(x, (weight / (self.u @ weight @ v)).view(4, 3, 2, 2))


def observed() -> nn.Module:
    from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver

    return FakeQuantize(MovingAverageMinMaxObserver, quant_min=0, quant_max=255, dtype=torch.quint8)


CHANGES: dict[str, Callable[[], nn.Module]] = {
    **{way: (lambda way=way: Changing(way)) for way in ("in place", "replaced", "data", "resized")},
    "batch statistics": lambda: Trains(4),
    "spectral norm": lambda: nn.Sequential(nn.Conv2d(4, 3, 1), SpectralNorm()),
    "observer": observed,
}


@pytest.mark.filterwarnings("ignore:torch.ao.quantization")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("training", [False, True])
def test_buffers_that_a_forward_pass_changes_come_back(change, training: bool, snapshot: Snapshot) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), change(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train(training)
    before = snapshot(net)
    model, images = load_model(net, input_size=16), torch.rand(1, 3, 16, 16)
    optimize(model, channel("0", 1) + logit(1), Fourier(1, size=16), SETTINGS)
    evaluate(model, logit(1), images)
    encode(model, images, "")
    layers(model)
    explain(model, images, logit(1), "saliency")
    assert snapshot(net) == before


def test_a_switch_that_a_forward_pass_leaves_is_put_back(snapshot: Snapshot) -> None:
    class Leaves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.train()
            torch.set_grad_enabled(False)
            raise RuntimeError("no")

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Leaves()).eval()
    before = snapshot(net)
    with pytest.raises(BadInput, match="no"):
        optimize(load_model(net, input_size=16), logit(1), Fourier(1, size=16), SETTINGS)
    assert torch.is_grad_enabled()
    assert torch._dynamo.eval_frame._stance.stance == "default"
    assert snapshot(net) == before


class Keeping(nn.Module):
    """A layer that keeps things in attributes, and in what they hold."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.last, self.calls = torch.ones(3, 1, 1), None, 0
        self.every: list[Tensor] = []
        self.cache: dict[str, list[Tensor]] = {"maps": []}
        self.pair = (torch.zeros(2), "fixed")
        self.weight = nn.Parameter(torch.ones(()))
        self.free = torch.ones((), requires_grad=True)

    def forward(self, x: Tensor) -> Tensor:
        self.scale *= 1.5
        self.calls += 1
        self.last = x = x * self.scale * self.weight * self.free
        self.every.append(x)
        self.cache["maps"].append(x)
        self.cache["new"] = [x]
        self.pair[0].add_(1)
        self.added = x
        self.weight = nn.Parameter(torch.ones(()) * 2)
        self.register_forward_hook(lambda *_: None)
        return x


def test_attributes_that_a_forward_pass_changes_come_back() -> None:
    part = Keeping()
    net = nn.Sequential(part, nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    before, weight, scale = dict(vars(part)), part.weight, part.scale
    model, images = load_model(net, input_size=16), torch.rand(1, 3, 16, 16)
    optimize(model, channel("1", 0) + logit(1), Fourier(1, size=16), SETTINGS)
    evaluate(model, logit(1), images)
    layers(model)
    explain(model, images, logit(1), "grad-cam")
    assert vars(part) == before
    assert part.weight is weight
    assert part.scale is scale
    assert torch.equal(scale, torch.ones(3, 1, 1))
    assert (part.calls, part.last, part.every, part.cache) == (0, None, [], {"maps": []})
    assert torch.equal(part.pair[0], torch.zeros(2))
    assert part.free.grad is None
    assert not part._forward_hooks


def test_gradients_of_a_forward_pass_that_switches_them_on_do_not_stay() -> None:
    class Trains(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            self.requires_grad_(True)
            return super().forward(x)

    net = nn.Sequential(Trains(3, 4, 3))
    net[0].weight.requires_grad_(False)
    net[0].bias.grad = kept = torch.ones(4)
    optimize(load_model(net, input_size=16), channel("0", 1), Fourier(1, size=16), SETTINGS)
    assert net[0].bias.grad is kept
    assert torch.equal(kept, torch.ones(4))
    assert net[0].weight.grad is None
    assert not net[0].weight.requires_grad


def test_parameters_that_a_forward_pass_writes_are_reported() -> None:
    class Writes(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.weight.mul_(0.5)
            return super().forward(x)

    net = nn.Sequential(Writes(3, 4, 3))
    with pytest.warns(UserWarning, match=r"writes into its parameters \(0.weight\), which are not put back"):
        evaluate(load_model(net, input_size=16), channel("0", 1), torch.rand(1, 3, 16, 16))


class Draws(nn.Module):
    """Random in eval mode too, by every global generator."""

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.rand(x.shape[1:]) + random.random() + float(np.random.rand())
        return nn.functional.dropout(x * noise, 0.5, True)


def test_random_draws_of_a_network_are_its_own_and_can_be_repeated() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Draws(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model, found = load_model(net, input_size=16), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        generators = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        images = optimize(model, logit(1), Fourier(1, size=16), SETTINGS).images
        found.append((images, evaluate(model, logit(1), images), explain(model, images, logit(1), "saliency")))
        layers(model)
        assert torch.equal(torch.get_rng_state(), generators[0])
        assert random.getstate() == generators[1]
        assert np.random.get_state()[1].tolist() == generators[2]
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    with model.capture([""]) as capture:
        x = model.normalize(images)
        assert not torch.equal(capture(x)[""], capture(x)[""]), "each forward pass draws anew"


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(inplace=True))
        self.fc, self.reentrant = nn.Linear(8, 4), reentrant

    def forward(self, x: Tensor) -> Tensor:
        for part in (self.a, self.b):
            x = part(x) if self.reentrant is None else checkpoint.checkpoint(part, x, use_reentrant=self.reentrant)
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_checkpointing_changes_no_result(reentrant: bool, precision: str) -> None:
    found = []
    for saving in (None, reentrant):
        torch.manual_seed(0)
        model = load_model(Checkpointed(saving).eval(), input_size=32)
        images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
        settings = Settings(steps=3, precision=precision)
        parts = [
            optimize(model, objective, Fourier(1, size=32), settings).images
            for objective in (logit(1), channel("b.0", 2), channel("a.1", 2) + channel("b", 0))
        ]
        parts += [explain(model, images, logit(1), method) for method in ("saliency", "grad-cam", "guided-backprop")]
        found.append(parts)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_checkpointing_works_as_before_afterwards_and_in_other_threads() -> None:
    part, ran = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.Tanh()), []
    part[0].register_forward_hook(lambda *_: ran.append(1))
    names = [name for name in vars(checkpoint) if "heckpoint" in name]
    before = {name: getattr(checkpoint, name) for name in names}

    def saving() -> None:
        ran.clear()
        checkpoint.checkpoint(part, torch.ones(1, 3, requires_grad=True), use_reentrant=False).sum().backward()

    with frozen(nn.Sequential()):
        saving()
        assert len(ran) == 1
        thread = threading.Thread(target=saving)
        thread.start()
        thread.join()
        assert len(ran) == 2  # once more in the backward pass
    saving()
    assert len(ran) == 2
    assert all(getattr(checkpoint, name) is before[name] for name in names)


def test_timm_with_checkpointing() -> None:
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = timm.create_model("resnet10t", pretrained=False).eval()
    found = []
    for saving in (False, True):
        net.set_grad_checkpointing(saving)
        objective = channel("layer2.0.conv2", 1) + logit(3)
        found.append(optimize(load_model(net, input_size=64), objective, Fourier(1, size=64), SETTINGS).images)
    assert torch.equal(*found)


def test_torchvision_that_saves_memory() -> None:
    from torchvision.models import DenseNet

    found = []
    for saving in (False, True):
        torch.manual_seed(0)
        model = load_model(DenseNet(8, (2, 2), 8, memory_efficient=saving).eval(), input_size=32)
        objective = channel("features.denseblock1", 1) + logit(3)
        images = optimize(model, objective, Fourier(1, size=32), SETTINGS).images
        found.append(torch.stack([images[0, 0], explain(model, images, logit(1), "grad-cam")[0]]))
    assert torch.equal(*found)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
def test_transformers_with_checkpointing() -> None:
    transformers = pytest.importorskip("transformers")
    small = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = transformers.ViTForImageClassification(transformers.ViTConfig(**small))
    found = []
    for saving in (False, True):
        if saving:
            net.gradient_checkpointing_enable()
            net.train()  # it checkpoints in training alone
        model = load_model(net, input_size=32)
        images = optimize(model, logit(1), Fourier(1, size=32), SETTINGS).images
        found.append(torch.stack([images[0, 0], explain(model, images, logit(1), "saliency")[0]]))
    assert torch.equal(*found)
    assert any(getattr(part, "gradient_checkpointing", False) for part in net.modules())


def test_threads_that_read_networks_with_a_common_part_take_turns(snapshot: Snapshot) -> None:
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.ReLU())
    heads = [nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)) for _ in range(2)]
    models = [load_model(nn.Sequential(body, head).train(), input_size=16) for head in heads]
    before = [snapshot(model.module) for model in models]
    inside, go_on, order = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        with models[0].capture([""]):
            inside.set()
            go_on.wait(10)
            order.append("first leaves")

    def second() -> None:
        with models[1].capture([""]):
            order.append("second enters")

    threads = [threading.Thread(target=work) for work in (first, second)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    threads[1].join(0.2)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first leaves", "second enters"]
    assert [snapshot(model.module) for model in models] == before


def test_threads_that_read_different_networks_do_not_wait() -> None:
    models = [load_model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_size=16) for _ in range(2)]
    with models[0].capture([""]):
        thread = threading.Thread(target=lambda: evaluate(models[1], channel("0", 1), torch.rand(1, 3, 16, 16)))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()


def test_threads_that_read_one_network_take_turns(tiny_net: nn.Module, snapshot: Snapshot) -> None:
    model = load_model(tiny_net.train(), input_size=16)
    before, faults = snapshot(tiny_net), list[str]()

    def work(i: int) -> Tensor:
        settings = Settings(steps=2 + i, precision="float32")
        return optimize(model, logit(i), Fourier(1, size=16), settings).images

    alone = [work(i) for i in range(4)]

    def check(i: int) -> None:
        try:
            if not torch.equal(work(i), alone[i]):
                faults.append(f"thread {i}: another picture")
        except BaseException as error:
            faults.append(f"thread {i}: {error!r}")

    threads = [threading.Thread(target=check, args=(i % 4,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert snapshot(tiny_net) == before
    assert torch._dynamo.eval_frame._stance.stance == "default"


def test_a_thread_of_the_user_that_runs_the_network_meanwhile_is_left_alone(tiny_net: nn.Module) -> None:
    x, found = torch.rand(1, 3, 8, 8), list[Tensor]()
    expected = tiny_net(x)
    model = load_model(tiny_net, input_size=8)
    with model.capture(["stem"]) as capture:
        thread = threading.Thread(target=lambda: found.append(tiny_net(x)))
        thread.start()
        thread.join()
        assert set(capture(x)) == {"stem"}
    assert torch.equal(found[0], expected)
