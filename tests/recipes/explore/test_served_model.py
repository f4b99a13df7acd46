"""A served network is the network, and finds out its digest and shapes once."""

import pytest
import torch
from torch import nn

from inverter import load_model
from recipes.explore.server.served_model import served


def test_digest_and_shapes_are_found_out_once(tiny_net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(tiny_net, input_size=12)
    expected = model.sha256, model.shapes(["body", ""]), model.shapes(["body"], (9, 9))
    copied = served(model)
    assert copied.module is not model.module
    for _ in range(2):
        assert (copied.sha256, copied.shapes(["body", ""]), copied.shapes(["body"], (9, 9))) == expected
        monkeypatch.setattr(copied, "_seen", lambda *_: pytest.fail("a forward pass"))
        monkeypatch.setattr("inverter.layer_reader.sha256_of", lambda _: pytest.fail("a digest"))
    picture = torch.rand(1, 3, 12, 12)
    assert torch.equal(copied.module(picture), model.module(picture))
    assert repr(copied) == repr(model)


def test_several_networks_are_copied_as_they_are(tiny_net: nn.Module) -> None:
    both = load_model({"a": load_model(tiny_net, input_size=12), "b": load_model(tiny_net, input_size=12)})
    copied = served(both)
    assert copied.shapes(["a:body", ""]) == both.shapes(["a:body", ""])
    assert copied.sha256 == both.sha256
