"""Targets as text: their objectives, and errors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from inverter import Model, evaluate, load_model
from objectives import Objective, attention, attention_head, channel, direction, layer, logit, neuron, softmax
from recipes.options.targets import FORMS, Target
from tests.recipes.attribution.conftest import TinyTransformer

CATEGORIES = ("ant", "bee, honey", "cat", "dog", "eel")


@pytest.fixture
def model(tiny_net: nn.Module) -> Model:
    return Model(tiny_net, input_size=(12, 12), categories=CATEGORIES)


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("logit:3", logit(3)),
        ("logit: Dog ", logit(3)),
        ("logit:bee, honey", logit(1)),
        ("softmax:0", softmax(0)),
        ("channel:mix:5", channel("mix", 5)),
        ("channel:output:2", logit(2)),
        ("neuron:relu#1:5", neuron("relu#1", 5)),
        ("neuron:mix:5:3,4", neuron("mix", 5, 3, 4)),
        ("layer:mix", layer("mix")),
        ("direction:mix:5*0.5, 2*-1,0", direction("mix", [1, 0, -1, 0, 0, 0.5, 0, 0])),
    ],
)
def test_a_text_means_the_objective(text: str, expected: object, model: Model, pictures: Tensor) -> None:
    meant = Target.parse(text).objective(model, pictures)
    assert torch.equal(evaluate(model, meant, pictures), evaluate(model, expected, pictures))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("head:blocks.1:2", attention_head("blocks.1", 2)),
        ("channel:blocks.1.attn:head.2:3", attention_head("blocks.1.attn", 2, channel=3)),
        ("attention:blocks.1:2", attention("blocks.1", 2)),
        ("attention:blocks.1:2:cls:1,3", attention("blocks.1", 2, "cls", (1, 3))),
        ("attention:blocks.1:0:3,0:2,2", attention("blocks.1", 0, (3, 0), (2, 2))),
        ("attention:blocks.1:0:5", attention("blocks.1", 0, 5)),
        ("attention:blocks.1:1:3:16", attention("blocks.1", 1, 3, 16)),
        ("neuron:blocks.1@cls:3", neuron("blocks.1", 3, token="cls")),
        ("neuron:blocks.1@5:3", neuron("blocks.1", 3, token=5)),
        ("neuron:blocks.1.attn.proj:in:3:0,1", neuron("blocks.1.attn.proj:in", 3, 0, 1)),
        ("direction:blocks.1.attn:head.0:1*2", direction("blocks.1.attn:head.0", [0, 2, 0, 0])),
        ("layer:blocks.1.attn:head.0", attention_head("blocks.1.attn", 0)),
    ],
)
def test_units_of_transformers(text: str, expected: Objective) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = load_model(TinyTransformer().eval(), normalize="none", input_size=16, device="cpu")
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    meant = Target.parse(text)
    assert str(meant) == text
    found = evaluate(model, meant.objective(model, pictures), pictures)
    assert torch.equal(found, evaluate(model, expected, pictures))
    assert found.abs().min() > 0


def test_a_direction_from_a_file(model: Model, pictures: Tensor, tmp_path: Path) -> None:
    vector = np.arange(8, dtype=np.float32) - 3
    np.save(tmp_path / "v.npy", vector)
    meant = Target.parse(f"direction:mix:{tmp_path / 'v.npy'}").objective(model, pictures)
    expected = evaluate(model, direction("mix", torch.from_numpy(vector)), pictures)
    assert torch.equal(evaluate(model, meant, pictures), expected)


@pytest.mark.parametrize("kind", ["logit", "softmax"])
def test_top_is_each_pictures_own_strongest_class(kind: str, model: Model, pictures: Tensor) -> None:
    with torch.no_grad():
        strongest = model.module(model.normalize(pictures)).argmax(1).tolist()
    target = Target.parse(f"{kind}:top")
    assert target.channels(model, pictures) == strongest
    assert target.objective(model, pictures).labels == tuple(f"{kind}({c})" for c in strongest)


def test_a_class_by_name_is_written_by_its_index(model: Model) -> None:
    assert str(Target.parse("logit:DOG").resolved(model)) == "logit:3"
    assert str(Target.parse("logit:top").resolved(model)) == "logit:top"
    assert Target.parse("logit:DOG").resolved(model) == Target.parse("logit:3").resolved(model)


@given(st.sampled_from(["logit", "softmax"]), st.integers(0, 999), st.integers(0, 99), st.sampled_from(["a", "b.0#1"]))
def test_texts_are_written_as_they_are_read(kind: str, number: int, place: int, where: str) -> None:
    for text in (f"{kind}:{number}", f"channel:{where}:{number}", f"neuron:{where}:{number}:{place},{number}"):
        assert str(Target.parse(text)) == text
        assert Target.parse(text).channel == number
    assert str(Target.parse(f"layer:{where}")) == f"layer:{where}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("logits:3", "unknown kind 'logits'; did you mean logit"),
        ("207", "unknown kind '207'"),
        ("", "unknown kind ''"),
        ("logit:", f"expected {FORMS['logit']}"),
        ("channel:mix", f"expected {FORMS['channel']}"),
        ("channel:mix:x", f"expected {FORMS['channel']}"),
        ("neuron:mix:3:4", "layer 'mix' returned no tensor named '3'"),
        ("neuron:mix:3:4:5", "expected neuron:LAYER:CHANNEL or"),
        ("layer:mix:3", "layer 'mix' returned no tensor named '3'"),
        ("layer:mix:3:4", f"expected {FORMS['layer']}"),
        ("head:mix", "expected head:LAYER:HEAD"),
        ("head:mix:1", "no attention is computed in layer 'mix'"),
        ("attention:mix:1:class", "expected attention:LAYER:HEAD"),
        ("attention:mix:1:cls:3:4", "expected attention:LAYER:HEAD"),
        ("attention:mix:1:2,3:4", "expected cls or the index of a token"),
        ("neuron:mix@cls:3", "layer 'mix' has no tokens"),
        ("logit:7", "7 is out of range: the output of .* has 5"),
        ("logit:0-2", "expected one class"),
        ("logit:doge", "no class of .* is named 'doge'; did you mean dog"),
        ("channel:mux:1", "no layer 'mux'.*mix"),
        ("direction:mix:1*x", r"got '1\*x', expected CHANNEL\*WEIGHT"),
        ("direction:mix:9", r"the layer has 8 channels \(0 to 7\)"),
        ("direction:mix:nowhere.npy", "no file 'nowhere.npy'"),
    ],
)
def test_bad_input_is_one_line(text: str, message: str, model: Model, pictures: Tensor) -> None:
    with pytest.raises((ValueError, LookupError, OSError), match=message) as caught:
        evaluate(model, Target.parse(text).objective(model, pictures), pictures)
    assert "\n" not in str(caught.value)


def test_an_array_of_another_shape_is_rejected(model: Model, pictures: Tensor, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(3,\), expected 8 numbers"):
        Target.parse(f"direction:mix:{tmp_path / 'v.npy'}").objective(model, pictures)
    (tmp_path / "w.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match="is not a NumPy array"):
        Target.parse(f"direction:mix:{tmp_path / 'w.npy'}").objective(model, pictures)


def test_top_needs_a_classifier(pictures: Tensor) -> None:
    volumes = load_model(nn.Sequential(nn.Unflatten(3, (3, 4))), input_size=12)
    with pytest.raises(ValueError, match="expected one number per class"):
        Target.parse("logit:top").objective(volumes, pictures)
