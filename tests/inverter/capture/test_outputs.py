"""Outputs of several tensors: the main one, others by their addresses, and one line where there is a choice to make."""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from inverter import BadInput, Settings, encode, evaluate, load_model, optimize
from objectives import channel, layer, logit, neuron, softmax
from priors import Fourier
from recipes.attribution import explain
from recipes.options.targets import Target

SETTINGS = Settings(steps=3, precision="float32")


@dataclasses.dataclass
class Fields:
    logits: Tensor
    features: Tensor | None = None


class Named(NamedTuple):
    features: Tensor
    logits: Tensor


class Net(nn.Module):
    def __init__(self, form: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.c, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)
        self.form = form

    def forward(self, x: Tensor) -> Any:
        h = self.c(x).relu().mean((2, 3))
        return self.form(h, self.fc(h))


IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
PLAIN = Net(lambda _, y: y)
FORMS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "dict, features first": lambda h, y: {"features": h, "logits": y},
    "dict, out": lambda h, y: {"aux": h, "out": y},
    "dict, a loss first": lambda _, y: {"loss": y.sum(), "scores": y},
    "dict, integers first": lambda _, y: {"labels": y.argmax(1), "scores": y},
    "ordered dict": lambda h, y: OrderedDict(features=h, logits=y),
    "nested": lambda h, y: {"aux": {"hidden": h}, "main": {"logits": y}},
    "dataclass": lambda h, y: Fields(y, h),
    "dataclass of one": lambda _, y: Fields(y),
    "named tuple": lambda h, y: Named(h, y),
    "tuple": lambda h, y: (y, h),
    "a loss and a tuple": lambda h, y: (y.sum(), y, h),
    "object": lambda h, y: SimpleNamespace(logits=y, hidden=h, note="text"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_main_tensor_is_found(form) -> None:
    assert torch.equal(evaluate(Net(form), logit(1), IMAGES), evaluate(PLAIN, logit(1), IMAGES))


def test_where_none_is_the_main_one_the_names_are_listed() -> None:
    net = Net(lambda h, y: {"boxes": h, "scores": y})
    with pytest.raises(BadInput, match=r"returned 2 tensors: .*output:boxes, output:scores$"):
        evaluate(net, logit(1), IMAGES)
    with pytest.raises(BadInput, match=r"named 'score'; expected output:boxes, output:scores$"):
        evaluate(net, logit(1, "output:score"), IMAGES)
    with pytest.raises(BadInput, match="it is one tensor"):
        evaluate(PLAIN, logit(1, "output:score"), IMAGES)


@pytest.mark.parametrize(
    ("objective", "same"),
    [
        (lambda where: logit(1, where), logit(1)),
        (lambda where: softmax(1, where), softmax(1)),
        (lambda where: neuron(where, 2), neuron("", 2)),
        (lambda where: channel(where, 3) + logit(0, "output:scores"), channel("", 3) + logit(0)),
        (lambda where: layer(where), layer("")),
    ],
)
def test_an_output_has_an_address(objective, same) -> None:
    net = Net(lambda h, y: {"boxes": h, "scores": y})
    for where in ("output:scores", ":scores", "output#0:scores"):
        assert torch.equal(evaluate(net, objective(where), IMAGES), evaluate(PLAIN, same, IMAGES))
    assert evaluate(Net(lambda h, y: (y, h)), channel("output:1", 7), IMAGES).shape == (2,)


def test_inner_layers_and_nested_tensors_have_addresses() -> None:
    net = nn.Sequential(Net(lambda h, y: {"aux": [h, {"y": y}]}), nn.Identity())
    expected = encode(PLAIN, IMAGES, "")[""]
    for address in ("0:aux.1.y", "0:y", "output:aux.1.y", "1:y"):
        assert torch.equal(encode(net, IMAGES, address)[address], expected)


def test_a_module_called_output_keeps_its_address() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output, self.last = nn.Conv2d(3, 4, 3), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.output(x))

    found = encode(Own(), IMAGES, ["output", ""])
    assert (found["output"] < 0).any()
    assert not (found[""] < 0).any()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("form", [lambda _, y: y[:, 1], lambda _, y: y[:, 1:2].squeeze()], ids=["(B,)", "squeezed"])
def test_one_number_for_each_picture_is_a_logit(form, count: int) -> None:
    net = Net(form)
    expected = evaluate(PLAIN, logit(1), IMAGES[:count])
    assert torch.equal(evaluate(net, logit(0), IMAGES[:count]), expected)
    assert optimize(load_model(net, input_size=16), logit(0), Fourier(count, size=16), SETTINGS).scores.shape == (
        count,
    )
    assert explain(load_model(net, input_size=16), IMAGES[:count], "logit:0", "saliency").shape == (count, 16, 16)
    with pytest.raises(LookupError, match=r"has 1 channel \(0 to 0\)"):
        evaluate(net, logit(1), IMAGES)


def test_the_logits_of_a_segmentation_are_targets_as_well() -> None:
    net = load_model(nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 1)), input_size=16)
    mean = encode(net, IMAGES, "")[""].mean((2, 3))
    assert torch.allclose(evaluate(net, Target.parse("logit:2").objective(net, IMAGES), IMAGES), mean[:, 2])
    assert Target.parse("logit:top").channels(net, IMAGES) == mean.argmax(1).tolist()
    assert explain(net, IMAGES, "logit:top", "saliency").shape == (2, 16, 16)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("logit:output:aux:3", ("logit", "output:aux", "3")),
        ("softmax:output:0:top", ("softmax", "output:0", "top")),
        ("channel:output:aux:3", ("channel", "output:aux", "3")),
        ("neuron:output:aux:3:1,2", ("neuron", "output:aux", "3:1,2")),
        ("neuron:output:3:1,2", ("neuron", "output", "3:1,2")),
        ("neuron:output:0:3", ("neuron", "output:0", "3")),
        ("direction:output:aux:0*1,2*-1", ("direction", "output:aux", "0*1,2*-1")),
        ("layer:output:aux", ("layer", "output:aux", "")),
        ("layer:output", ("layer", "output", "")),
    ],
)
def test_targets_name_outputs(text: str, parts: tuple[str, str, str]) -> None:
    target = Target.parse(text)
    assert (target.kind, target.layer, target.which) == parts
    assert str(target) == text
    assert Target.parse(str(target)) == target


def test_targets_of_outputs_score_them() -> None:
    net = load_model(Net(lambda h, y: {"boxes": h, "scores": y}), input_size=16)
    plain = load_model(PLAIN, input_size=16)
    for text, same in (("logit:output:scores:2", "logit:2"), ("channel:output:scores:1", "channel:output:1")):
        scores = [
            evaluate(one, Target.parse(each).objective(one, IMAGES), IMAGES)
            for one, each in ((net, text), (plain, same))
        ]
        assert torch.equal(*scores)


class Swallows(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.a, self.b, self.way = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), way

    def forward(self, x: Tensor) -> Tensor:
        y = x
        try:
            y = self.a(x)
            return self.b(y)
        except:  # noqa: E722
            if self.way == "converts":
                raise ValueError("mine") from None
            if self.way == "overwrites":
                x = self.a.__dict__.get("none", x)
            return self.b(x + 0)
        finally:
            if self.way == "returns":
                return x  # noqa: B012


@pytest.mark.parametrize("way", ["goes on", "converts", "overwrites", "returns"])
def test_a_bare_except_does_not_swallow_the_end(way: str) -> None:
    net = Swallows(way)
    expected = nn.functional.conv2d((IMAGES - 0.5) / 0.5, net.a.weight, net.a.bias)
    model = load_model(net, normalize="half", input_size=16)
    found = encode(model, IMAGES, ["a", "b"])
    assert torch.allclose(found["a"], expected, atol=1e-6)
    assert torch.allclose(found["b"], expected.relu(), atol=1e-6)
    assert optimize(model, channel("a", 1), Fourier(1, size=16), SETTINGS).scores.isfinite()
