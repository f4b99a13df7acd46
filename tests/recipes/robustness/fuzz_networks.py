"""Odd networks, in odd contexts: each question is answered or refused in one line, and the network is left as it was.

    python tests/recipes/robustness/fuzz_networks.py --cases 2000

Hypothesis draws a network (blocks in any order, type of weights, mode, wrapper, output), a context of torch and a
question. An `InverterError` is an answer. Any other exception must be the network's own: raised in its forward pass, or
by the same network without the engine. Whatever happens, the network must be as it was before, and so must the
global switches and random generators.
"""

from __future__ import annotations

import argparse
import random
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune
from torch.utils import checkpoint

from inverter import Settings, encode, evaluate, layers, load_model, optimize, receptive_fields, stages
from inverter_errors import InverterError
from objectives import Objective, channel, code, direction, diversity, logit, neuron, softmax
from priors import Fourier, Pixels
from recipes.attribution import explain

OURS = ("inverter", "objectives", "priors", "recipes")
BROKEN = "that broke the rule"
ROOT = Path(__file__).resolve().parents[3]
Block = Callable[[int], tuple[nn.Module, int]]
"""Channels of its input -> a module, and the channels of its output."""


class Does(nn.Module):
    """A layer that is a function of its input (and itself), around other modules."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module, **attributes: Any) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def _same(function: Callable[..., Any], **attributes: Callable[[int], Any]) -> Block:
    """A block that keeps the number of channels."""
    return lambda c: (Does(function, **{name: make(c) for name, make in attributes.items()}), c)


def _around(function: Callable[..., Any]) -> Block:
    """A block around a convolution that keeps the number of channels."""
    return lambda c: (Does(function, nn.Conv2d(c, c, 3, padding=1)), c)


def _module(make: Callable[[int], nn.Module], channels: Callable[[int], int] = lambda c: c) -> Block:
    return lambda c: (make(c), channels(c))


def _tokens(self: Does, x: Tensor) -> Tensor:
    tokens = x.flatten(2).transpose(1, 2)
    tokens = tokens + self.parts[0](tokens, tokens, tokens)[0]
    return tokens.transpose(1, 2).reshape(x.shape)


def _rows(self: Does, x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    rows, _ = self.parts[0](x.permute(0, 2, 3, 1).reshape(batch * height, width, channels))
    return rows.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _bare(self: Does, x: Tensor) -> Tensor:
    try:
        return self.parts[0](x)
    except:  # noqa: E722 - as people write it
        return x


def _keeps(self: Does, x: Tensor) -> Tensor:
    self.last, self.calls = self.parts[0](x), self.calls + 1
    self.all.append(self.last)
    self.cache[tuple(x.shape)] = self.last
    return self.last


def _statistics(self: Does, x: Tensor) -> Tensor:
    self.mean.mul_(0.9).add_(0.1 * x.detach().mean())
    self.replaced = self.replaced + 1
    self.in_place.add_(1)
    return x - self.mean


def _raises(self: Does, x: Tensor) -> Tensor:
    raise RuntimeError("this network does not work")


def _small(self: Does, x: Tensor) -> Tensor:
    assert x.shape[2] >= 12, "too small"
    return x


def _one(self: Does, x: Tensor) -> Tensor:
    if len(x) > 1:
        raise ValueError("one picture at a time")
    return x


def _buffered(c: int) -> tuple[nn.Module, int]:
    net = Does(_statistics, in_place=torch.zeros(3))
    net.register_buffer("mean", torch.zeros(()))
    net.register_buffer("replaced", torch.zeros((), dtype=torch.long))
    return net, c


def _hooked(c: int) -> tuple[nn.Module, int]:
    net = nn.Conv2d(c, c, 1)
    net.register_forward_hook(lambda *of: of[2] * 2)
    net.register_forward_pre_hook(lambda _, inputs: (inputs[0] + 1,))
    return net, c


def _mixed(c: int) -> tuple[nn.Module, int]:
    net = nn.Sequential(nn.Conv2d(c, c, 1), nn.BatchNorm2d(c), nn.Dropout(0.5))
    net[0].weight.requires_grad_(False)
    net[1].train()
    return net, c


def _no_grad(self: Does, x: Tensor) -> Tensor:
    with torch.no_grad():
        return self.parts[0](x)


def _leaves_switches(self: Does, x: Tensor) -> Tensor:
    self.train()
    for parameter in self.parameters():
        parameter.requires_grad_()
    return self.parts[0](x)


def _attend(c: int) -> tuple[nn.Module, int]:
    return Does(_tokens, nn.MultiheadAttention(c, 1, batch_first=True)), c


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * 2


BLOCKS: dict[str, Block] = {
    "conv": _module(lambda c: nn.Conv2d(c, 5, 3, padding=1), lambda c: 5),
    "conv without padding": _module(lambda c: nn.Conv2d(c, 4, 3), lambda c: 4),
    "strided": _module(lambda c: nn.Conv2d(c, 6, 4, 2, 1), lambda c: 6),
    "dilated, reflected": _module(lambda c: nn.Conv2d(c, c, 3, padding=2, dilation=2, padding_mode="reflect")),
    "depthwise": _module(lambda c: nn.Conv2d(c, 2 * c, 3, padding=1, groups=c), lambda c: 2 * c),
    "transposed": _module(lambda c: nn.ConvTranspose2d(c, 3, 2, 2), lambda c: 3),
    "batch norm": _module(nn.BatchNorm2d),
    "batch norm without statistics": _module(lambda c: nn.BatchNorm2d(c, track_running_stats=False)),
    "group norm": _module(lambda c: nn.GroupNorm(1, c)),
    "instance norm": _module(nn.InstanceNorm2d),
    "relu in place": _module(lambda c: nn.ReLU(inplace=True)),
    "gelu": _module(lambda c: nn.GELU()),
    "prelu": _module(nn.PReLU),
    "max pool": _module(lambda c: nn.MaxPool2d(2, ceil_mode=True)),
    "max pool with indices": _same(lambda _, x: F.max_pool2d(x, 2, return_indices=True)[0]),
    "average pool": _module(lambda c: nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
    "adaptive pool": _module(lambda c: nn.AdaptiveMaxPool2d(3)),
    "random pool": _module(lambda c: nn.FractionalMaxPool2d(2, output_ratio=0.7)),
    "dropout always": _same(lambda _, x: F.dropout(x, 0.3, True)),
    "upsample": _module(lambda c: nn.Upsample(scale_factor=2, mode="bicubic")),
    "unshuffle": _module(lambda c: nn.PixelUnshuffle(2), lambda c: 4 * c),
    "softmax": _module(lambda c: nn.Softmax2d()),
    "clamp": _same(lambda _, x: x.clamp(min=0)),
    "where": _same(lambda _, x: torch.where(x > 0, x, torch.zeros((), dtype=x.dtype, device=x.device))),
    "residual": _around(lambda self, x: self.parts[0](x).relu_().add_(x)),
    "concatenated": lambda c: (Does(lambda self, x: torch.cat([x, self.parts[0](x)], 1), nn.Conv2d(c, 2, 1)), c + 2),
    "gate": _around(lambda self, x: x * self.parts[0](x.mean((2, 3), keepdim=True)).sigmoid()),
    "attention": _attend,
    "linear on channels": lambda c: (
        Does(lambda s, x: s.parts[0](x.movedim(1, -1)).movedim(-1, 1), nn.Linear(c, c)),
        c,
    ),
    "view": _same(lambda _, x: x.view(len(x), -1).view(x.shape)),
    "as_strided": _same(lambda _, x: x.as_strided(x.shape, x.contiguous().stride())),
    "fft": _same(lambda _, x: torch.fft.ifft2(torch.fft.fft2(x)).real),
    "sort": _same(lambda _, x: x.sort(dim=3).values),
    "flip": _same(lambda _, x: x.flip(3).roll(1, 2)),
    "index": _same(lambda _, x: x[:, :, ::2, torch.arange(x.shape[3] - 1, -1, -1)]),
    "masked": _same(lambda _, x: x.masked_fill(x < 0, 0)),
    "grid sample": _same(lambda _, x: F.grid_sample(x, x[:, :2].movedim(1, -1).tanh(), align_corners=False)),
    "rows": lambda c: (Does(_rows, nn.GRU(c, c, batch_first=True)), c),
    "embedded": lambda c: (Does(lambda s, x: s.parts[0](x.argmax(1)).movedim(-1, 1) + x, nn.Embedding(c, c)), c),
    "detached": _same(lambda _, x: x.detach()),
    "data": _same(lambda _, x: x.data + x),
    "no_grad": _around(_no_grad),
    "checkpointed": _around(lambda s, x: checkpoint.checkpoint(s.parts[0], x, use_reentrant=False)),
    "checkpointed with reentry": _around(lambda s, x: checkpoint.checkpoint(s.parts[0], x, use_reentrant=True)),
    "bare except": _around(_bare),
    "keeps activations": lambda c: (Does(_keeps, nn.Conv2d(c, c, 1), last=None, calls=0, all=[], cache={}), c),
    "counts": _buffered,
    "leaves switches": _around(_leaves_switches),
    "mixed modes": _mixed,
    "noise": _same(lambda _, x: x + torch.randn_like(x)),
    "random of Python and NumPy": _same(lambda _, x: x * random.random() + float(np.random.rand())),
    "dead": _same(lambda _, x: x * 0),
    "not a number": _same(lambda _, x: x.log()),
    "infinite": _same(lambda _, x: x / 0),
    "tiny": _same(lambda _, x: x * 1e-30),
    "huge": _same(lambda _, x: x * 1e30),
    "rounded": _same(lambda _, x: x.round()),
    "weight norm": _module(lambda c: torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(c, c, 1))),
    "old weight norm": _module(lambda c: torch.nn.utils.weight_norm(nn.Conv2d(c, c, 1))),
    "spectral norm": _module(lambda c: torch.nn.utils.spectral_norm(nn.Conv2d(c, c, 1))),
    "pruned": _module(lambda c: prune.random_unstructured(nn.Conv2d(c, c, 3, padding=1), "weight", 0.5)),
    "twice": _around(lambda self, x: self.parts[0](self.parts[0](x).relu())),
    "hooked": _hooked,
    "scripted": _module(lambda c: torch.jit.script(nn.Sequential(nn.Conv2d(c, c, 1), nn.ReLU()))),
    "compiled": _module(lambda c: torch.compile(nn.Conv2d(c, c, 1), backend="eager")),
    "tuple": _around(lambda self, x: (self.parts[0](x), x)),
    "dictionary": _around(lambda self, x: {"a": self.parts[0](x), "b": x}),
    "in float64": _same(lambda _, x: (x.double() * 2).to(x.dtype)),
    "in bfloat16": _same(lambda _, x: (x.bfloat16() * 2).to(x.dtype)),
    "own gradient": _same(lambda _, x: Twice.apply(x)),
    "plain weight": _same(lambda self, x: x * self.w.to(x), w=lambda c: torch.ones(c, 1, 1, requires_grad=True)),
    "integer weight": _same(lambda self, x: x * self.w.to(x), w=lambda c: torch.arange(c).view(c, 1, 1)),
    "complex": _same(lambda _, x: x * (1 + 1j)),
    "absolute": _same(lambda _, x: x.abs()),
    "sparse": _same(lambda _, x: x.to_sparse()),
    "empty": _same(lambda _, x: x[:, :, :0]),
    "no maps": _same(lambda _, x: x.mean((2, 3), keepdim=True)),
    "vector": _same(lambda _, x: x.mean((2, 3))),
    "five dimensions": _same(lambda _, x: x[:, :, None]),
    "batch last": _same(lambda _, x: x.movedim(0, -1)),
    "half of the batch": _same(lambda _, x: x[: len(x) // 2]),
    "none": _same(lambda _, x: None),
    "text": _same(lambda _, x: "text"),
    "raises": _same(_raises),
    "not small": _same(_small),
    "one at a time": _same(_one),
}
CALM = [name for name in BLOCKS if list(BLOCKS).index(name) < list(BLOCKS).index("complex")]
"""Blocks after which most others work."""


@dataclass
class Out:
    """An output of several tensors."""

    scores: Tensor
    loss: Tensor


def _linear(self: Does, x: Tensor) -> Tensor:
    return self.parts[0](x.mean((2, 3)) if x.ndim == 4 else x)


HEADS: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    "logits": _linear,
    "maps": lambda _, x: x,
    "tokens": lambda _, x: x.flatten(2).transpose(1, 2),
    "one number": lambda _, x: x.flatten(1).mean(1),
    "one number for all": lambda _, x: x.mean(),
    "a column": lambda _, x: x.flatten(1).mean(1, keepdim=True),
    "integers": lambda _, x: x.argmax(1),
    "truth": lambda _, x: x.flatten(1) > 0,
    "complex": lambda _, x: torch.fft.rfft(x.flatten(1)),
    "a tuple": lambda self, x: (_linear(self, x), x),
    "a list": lambda self, x: [x, _linear(self, x)],
    "logits in a dictionary": lambda self, x: {"loss": x.mean(), "logits": _linear(self, x)},
    "a dictionary": lambda self, x: {"x": x, "y": _linear(self, x)},
    "a dataclass": lambda self, x: Out(_linear(self, x), x.mean()),
    "nested": lambda self, x: {"a": {"b": (_linear(self, x), x)}},
    "none": lambda _, x: None,
    "text": lambda _, x: "cat",
    "empty": lambda _, x: [],
    "no gradient": lambda self, x: _linear(self, x).detach(),
}
WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "as it is": lambda net: net,
    "parallel": nn.DataParallel,
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "nested": lambda net: nn.Sequential(nn.Sequential(net)),
}


@contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


CONTEXTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "none": nullcontext,
    "float64": lambda: default_type(torch.float64),
    "no_grad": torch.no_grad,
    "inference mode": torch.inference_mode,
    "another device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": deterministic,
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
}
OBJECTIVES: dict[str, Callable[[str], Objective]] = {
    "channel": lambda layer: channel(layer, 1),
    "neuron": lambda layer: neuron(layer, [0, 1]),
    "direction": lambda layer: direction(layer, [1.0, -1.0]),
    "logit": lambda layer: logit(1),
    "softmax": lambda layer: softmax([0, 1]),
    "sum": lambda layer: channel(layer, 0) + 0.1 * logit(0) - neuron(layer, 1),
    "diversity": lambda layer: channel(layer, [0, 1]) + diversity(layer),
}
METHODS = """
    saliency grad-cam guided-backprop deconvnet gradient-x-input integrated-gradients:steps=2 smoothgrad:samples=2
    grad-cam++ layer-cam score-cam occlusion:size=6,stride=6 rise:masks=3 deeplift lrp excitation-backprop
""".split()  # noqa: SIM905 - a list of words
QUESTIONS = ("layers", "optimize", "invert", "evaluate", "explain", "fields")


@dataclass(frozen=True)
class Case:
    """A network, its context, and a question."""

    channels: int
    size: tuple[int, int]
    blocks: tuple[str, ...]
    head: str
    wrapper: str
    dtype: torch.dtype
    training: bool
    channels_last: bool
    context: str
    question: str
    place: int
    suffix: str
    objective: str
    method: str
    precision: str

    def network(self) -> nn.Module:
        torch.manual_seed(len(self.blocks))
        parts, width = [], self.channels
        for name in self.blocks:
            part, width = BLOCKS[name](width)
            parts.append(part)
        net = WRAPPERS[self.wrapper](nn.Sequential(*parts, Does(HEADS[self.head], nn.Linear(width, 4))))
        net.to(self.dtype).train(self.training)
        return net.to(memory_format=torch.channels_last) if self.channels_last else net


def cases() -> st.SearchStrategy[Case]:
    """Strategy: odd networks and questions; most networks work at least as far as some layer."""
    blocks = st.lists(st.sampled_from(CALM), min_size=1, max_size=5)
    odd = st.lists(st.sampled_from(list(BLOCKS)), max_size=2)
    return st.builds(
        Case,
        channels=st.sampled_from((3, 3, 1, 4)),
        size=st.sampled_from(((16, 16), (16, 16), (9, 13), (8, 8), (24, 24), (1, 1))),
        blocks=st.tuples(blocks, st.one_of(st.just([]), odd)).map(lambda both: (*both[0], *both[1])),
        head=st.one_of(st.just("logits"), st.sampled_from(list(HEADS))),
        wrapper=st.one_of(st.just("as it is"), st.sampled_from(list(WRAPPERS))),
        dtype=st.sampled_from((torch.float32, torch.float32, torch.float64, torch.bfloat16, torch.float16)),
        training=st.booleans(),
        channels_last=st.booleans(),
        context=st.one_of(st.just("none"), st.sampled_from(list(CONTEXTS))),
        question=st.sampled_from(QUESTIONS),
        place=st.integers(0, 9),
        suffix=st.sampled_from(("", "", "", "#1", ":0", ":a")),
        objective=st.sampled_from(list(OBJECTIVES)),
        method=st.sampled_from(METHODS),
        precision=st.sampled_from(("float32", "bfloat16")),
    )


def ask(case: Case, net: nn.Module) -> None:
    """Asks a network what the case says."""
    plain = (0.5,) * case.channels, (0.5,) * case.channels
    model = load_model(net, input_size=case.size, normalize=plain)
    names = [name for name, _ in model.module.named_modules()]
    layer = names[case.place % len(names)] + case.suffix
    generator = torch.Generator("cpu").manual_seed(0)
    images = torch.rand(2, case.channels, *case.size, dtype=torch.float32, device="cpu", generator=generator)
    settings = Settings(steps=2, precision=case.precision)
    if case.question == "layers":
        layers(model)
        stages(model)
        assert len(model.sha256) == 64
    elif case.question == "optimize":
        objective = OBJECTIVES[case.objective](layer)
        prior = (Pixels if case.place % 2 else Fourier)(objective.count, case.size, image_channels=case.channels)
        optimize(model, objective, prior, settings)
    elif case.question == "invert":
        target = encode(model, images, [layer])[layer]
        prior = Fourier(2, case.size, image_channels=case.channels)
        optimize(model, code(layer, target), prior, settings, "none")
    elif case.question == "evaluate":
        evaluate(model, OBJECTIVES[case.objective](layer), images)
    elif case.question == "explain":
        target = OBJECTIVES["logit" if case.place % 2 else case.objective](layer)
        explain(model, images, target, case.method, layer=layer if case.place % 3 == 0 else None)
    else:
        receptive_fields(model, [layer])


KINDS = ("attributes", "tensors", "values", "switches", "draws", "modes")
"""What `snapshot` takes."""


def snapshot(net: nn.Module) -> Any:
    """Everything in a network, and in torch, that its use could change."""
    attributes = {
        name: {key: _shown(value) for key, value in vars(part).items()}
        for name, part in net.named_modules()
        if not isinstance(part, torch.jit.ScriptModule)
    }
    tensors = {
        name: (tensor.dtype, tensor.stride(), tensor.data_ptr(), tensor.requires_grad, tensor.grad is None)
        for name, tensor in (*net.named_parameters(), *net.named_buffers())
    }
    values = {name: tensor.detach().clone() for name, tensor in (*net.named_parameters(), *net.named_buffers())}
    switches = (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch._dynamo.eval_frame._stance.stance,
    )
    draws = (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()[1:]))
    modes = {name: part.training for name, part in net.named_modules()}
    return attributes, tensors, {name: _values(value) for name, value in values.items()}, switches, draws, modes


def _values(tensor: Tensor) -> Any:
    return tensor.cpu().to(torch.complex128 if tensor.is_complex() else torch.float64).numpy().tobytes()


def _shown(value: Any) -> Any:
    """A value by which a change shows: identities, and contents of collections and tensors."""
    if isinstance(value, Tensor):
        return id(value), None if isinstance(value, nn.Parameter) else _values(value.detach()), value.grad is None
    if isinstance(value, dict):
        return id(value), [(key, _shown(each)) for key, each in value.items()]
    if isinstance(value, list):
        return id(value), [_shown(each) for each in value]
    return value if isinstance(value, int | float | str | bool | None) else id(value)


def fault(error: Exception) -> bool:
    """True for an exception that a line of the engine raised: the nearest code to it that is not a library's."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path == Path(__file__):
            return False
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
            return True
    return True


def own_error(case: Case, error: Exception) -> bool:
    """True if the network raises an error like this one without the engine, forward or backward."""
    for order in (torch.channels_last, torch.contiguous_format):
        for count in (1, 2, 4):
            x = torch.rand(count, case.channels, *case.size).to(case.dtype).contiguous(memory_format=order)
            try:
                _run_alone(case.network(), x.requires_grad_())
            except Exception as other:
                if type(other) is type(error) and str(other)[:20] == str(error)[:20]:
                    return True
    return False


def _run_alone(net: nn.Module, x: Tensor) -> None:
    """A forward pass, and a backward pass from the output of each module."""
    outputs: list[Any] = []
    for part in net.modules():
        if not isinstance(part, torch.jit.ScriptModule):
            part.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.compiler.set_stance("force_eager"):
        net(x)
    for output in filter(_real, outputs):
        torch.autograd.grad(output.sum(), x, retain_graph=True, allow_unused=True)


def _real(out: Any) -> bool:
    return isinstance(out, Tensor) and out.is_floating_point() and out.requires_grad


def check(case: Case) -> str:
    """Asks, and checks the rule.

    Returns:
        How it ended: `answered`, `refused` or `own error`.

    Raises:
        AssertionError: if it breaks the rule.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = case.network()
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        before, met = snapshot(net), None
        try:
            with CONTEXTS[case.context]():
                ask(case, net)
        except Exception as error:
            met = error
        for kind, one, other in zip(KINDS, before, snapshot(net), strict=True):
            assert one == other, f"{kind} have changed: {_difference(one, other)}"
        if met is None:
            return "answered"
        if isinstance(met, InverterError):
            assert len(str(met).splitlines()) == 1, str(met)
            return "refused"
        if fault(met) and not own_error(case, met):
            raise AssertionError(f"{type(met).__name__}: {met}") from met
        return "own error"


def _difference(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        changed = [key for key in one | other if one.get(key) != other.get(key)]
        return str([(key, _difference(one.get(key), other.get(key))) for key in changed])[:600]
    return f"{one!r:.200} -> {other!r:.200}"


def run(number: int, count: int) -> Counter[str]:
    """Checks generated cases with a seed: how many ended in which way; those that broke the rule are shown."""
    ends: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def checked(case: Case) -> None:
        try:
            ends[check(case)] += 1
        except AssertionError:
            ends[BROKEN] += 1
            print(f"{case}\n{traceback.format_exc(-4)}", file=sys.stderr, flush=True)

    checked()
    return ends


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ends = run(options.seed, options.cases)
    print(f"{sum(ends.values())} networks: {', '.join(f'{times} {end}' for end, times in sorted(ends.items()))}")
    sys.exit(1 if ends[BROKEN] else 0)
