"""Names to choose from: models by source and pattern, and the addresses of a model's layers."""

import sys
from importlib.util import find_spec

import pytest
from torch import nn
from torchvision import models

from inverter import BadInput, MissingLibrary, Model, layers, list_layers, list_models, load_model


def test_every_listed_model_is_one_that_load_model_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    names = list_models()
    assert names == sorted(set(names))
    expected = {"builtin", "timm", "torchvision"} | ({"open_clip"} if find_spec("open_clip") else set())
    assert {name.partition(":")[0] for name in names} - {"hf"} == expected  # of hf, what this machine has cached
    assert set(timm.list_models()) == {name.partition(":")[2] for name in names if name.startswith("timm:")}

    def found(name: str, **_: object) -> nn.Module:
        raise OSError(f"found {name}")

    monkeypatch.setattr("inverter.sources.hub._silence", lambda: None)
    monkeypatch.setattr(models, "get_model", found)
    monkeypatch.setattr(timm, "create_model", found)
    for name in (*list_models("alex", source="torchvision"), *list_models("timm:resnet1*")):
        with pytest.raises(OSError, match=f"found {name.partition(':')[2]}"):
            load_model(name)


def test_torchvision_lists_classifiers_only() -> None:
    names = list_models(source="torchvision")
    assert "torchvision:resnet18" in names
    assert not {"torchvision:fcn_resnet50", "torchvision:raft_small", "torchvision:mvit_v1_b"} & set(names)


def test_a_pattern_is_a_wildcard_for_the_full_name_or_a_text_in_it() -> None:
    assert list_models("torchvision:vgg1?") == [f"torchvision:vgg{n}" for n in (11, 13, 16, 19)]
    assert list_models("squeezenet", source="torchvision") == [f"torchvision:squeezenet1_{n}" for n in (0, 1)]
    assert list_models("vgg1?", source="torchvision") == []
    assert list_models("builtin") == list_models(source="builtin") == ["builtin"]


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(BadInput, match="unknown source 'keras'; expected one of builtin, torchvision, timm"):
        list_models(source="keras")  # type: ignore[arg-type]


def test_timm_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    names = list_models()
    assert "torchvision:resnet18" in names
    assert not [name for name in names if name.startswith("timm:")]
    with pytest.raises(MissingLibrary, match=r"inverter-vis\[timm\]"):
        list_models(source="timm")


def test_layers_are_listed_in_their_order_and_filtered(squeezenet: Model, tiny_net: nn.Module) -> None:
    assert list_layers(tiny_net) == ["stem.0", "stem.1", "stem.2", "stem", "body", "relu", "mix", "pool", "head"]
    assert list_layers(tiny_net, "stem.*") == ["stem.0", "stem.1", "stem.2"]
    assert list_layers(squeezenet) == [row.name for row in layers(squeezenet)]
    assert list_layers(squeezenet, "9.expand") == [
        f"features.9.{name}" for name in ("expand1x1", "expand1x1_activation", "expand3x3", "expand3x3_activation")
    ]
