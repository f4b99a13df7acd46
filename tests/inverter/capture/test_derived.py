"""Layers that sets of directions add to a network: read, listed and climbed as its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from inverter import (
    BadInput,
    BadType,
    Directions,
    Inversion,
    LayerNotFound,
    Model,
    Settings,
    encode,
    layers,
    load_model,
    optimize,
    receptive_fields,
    stages,
)
from inverter.ascent.climbed_gates import ClimbedGates
from inverter.capture.derived import DerivedLayers
from objectives import channel, direction, layer, neuron
from priors import Fourier


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.Flatten(2))
    return load_model(net, input_size=16)


def a_set(**more: object) -> Directions:
    torch.manual_seed(1)
    given = {"layer": "3", "decoder": torch.randn(12, 8), "gate": "topk", "k": 2, "center": torch.rand(8)} | more
    return Directions(**given)  # type: ignore[arg-type]


def test_a_latent_is_a_channel_of_a_layer_of_its_own(model: Model) -> None:
    images, known = torch.rand(2, 3, 16, 16), a_set()
    read = encode(model.with_directions({"sae": known}), images, ["3", "3:sae", "3:sae.dot"])
    assert read["3:sae"].shape == (2, 12, 6, 6)
    assert torch.equal(read["3:sae"], known.encode(read["3"], axis=1))
    dots = torch.einsum("bchw,nc->bnhw", read["3"], known.decoder)
    torch.testing.assert_close(read["3:sae.dot"], dots)
    objective = direction("3", known.decoder[5])
    read_by_channel = channel("3:sae.dot", 5)
    assert torch.allclose(
        *(_scores(model.with_directions({"sae": known}), o, images) for o in (objective, read_by_channel))
    )


def _scores(model: Model, objective: object, images: Tensor) -> Tensor:
    from inverter import evaluate

    return evaluate(model, objective, images)  # type: ignore[arg-type]


def test_it_has_the_places_of_its_layer(model: Model) -> None:
    more = model.with_directions({"sae": a_set()})
    assert more.axes("3:sae") == more.axes("3")
    fields = receptive_fields(more, ["3:sae", "3"])
    assert fields["3:sae"] == fields["3"] is not None
    names = [row.name for row in layers(more)]
    assert names[names.index("3") + 1] == "3:sae"
    (row,) = (row for row in layers(more) if row.name == "3:sae")
    assert (row.channels, row.size, row.stage) == (12, (6, 6), False)
    assert stages(more) == stages(model)
    assert "3:sae" not in [row.name for row in layers(model)]  # the model that was given stays as it was


def test_a_pass_ends_at_its_layer(model: Model) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("was run")

    model.module.append(Broken())  # type: ignore[operator]
    assert model.with_directions({"sae": a_set()}).shapes(["3:sae"])["3:sae"] == (1, 12, 6, 6)


@pytest.mark.parametrize("reads", [["3", "1", "3"], ["3:sae", "2", "3:sae.dot", "0", "3"]])
def test_layers_come_in_the_order_in_which_they_run(model: Model, reads: list[str]) -> None:
    found = list(model.with_directions({"sae": a_set()}).shapes(reads))
    assert found == sorted(set(reads), key=lambda read: (read[0], reads.index(read)))


def test_tokens_keep_their_names() -> None:
    layers = DerivedLayers({"sae": a_set(layer="blocks.6@cls"), "end": a_set(layer="")})
    assert layers.address("sae") == "blocks.6:sae@cls"
    assert layers.address("sae", dots=True) == "blocks.6:sae.dot@cls"
    assert layers.base("blocks.6:sae@cls") == "blocks.6@cls"
    assert layers.base("blocks.6:sae@3") == "blocks.6@3"
    assert layers.address("end") == "output:end"
    assert layers.base("output:end") == ""
    assert layers.base("blocks.6:in") == "blocks.6:in"


def test_places_of_tokens_lie_on_their_grid() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.mix = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.patch(x).flatten(2).transpose(1, 2)
            first = torch.zeros_like(tokens[:, :1])
            found: Tensor = self.mix(torch.cat([first, tokens], 1))
            return found[:, 0]

    model = load_model(Tokens(), input_size=16).with_directions({"sae": a_set(layer="mix")})
    shapes = model.shapes(["mix:sae", "mix:sae@cls"])
    assert (shapes["mix:sae"], shapes["mix:sae@cls"]) == ((1, 12, 4, 4), (1, 12))


@pytest.mark.parametrize("gate", ["relu", "topk", "jumprelu"])
def test_latents_that_are_off_are_climbed(model: Model, gate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a gradient, their pictures would stay as they were."""
    bias, thresholds = torch.full((12,), -0.3), torch.full((12,), 0.1) if gate == "jumprelu" else None
    sae = model.with_directions({"sae": a_set(encoder_bias=bias, gate=gate, thresholds=thresholds)})

    def found() -> Inversion:
        return optimize(sae, channel("3:sae", range(12)), Fourier(12, size=16), Settings(steps=24, learning_rate=0.4))

    climbed = found()
    off = climbed.history[0] == 0
    assert off.sum() > 3 and (climbed.scores[off] > 0).any()
    torch.testing.assert_close(climbed.scores, _scores(sae, channel("3:sae", range(12)), climbed.images))
    monkeypatch.setattr(ClimbedGates, "__enter__", lambda self: self)
    monkeypatch.setattr(ClimbedGates, "__exit__", lambda *_: None)
    assert not found().scores[off].any()


def test_attribution_gets_the_true_gradient(model: Model) -> None:
    known = a_set()
    sae = model.with_directions({"sae": known})
    x = torch.rand(1, 3, 16, 16, requires_grad=True)
    with sae.capture(["3:sae", "3"]) as capture:
        seen = capture(sae.normalize(x))
    off = (seen["3:sae"] == 0).nonzero()[0]
    (gradient,) = torch.autograd.grad(seen["3:sae"][tuple(off)], x)
    assert not gradient.any()


def test_several_networks_each_have_their_own(model: Model) -> None:
    other = load_model(nn.Sequential(nn.Conv2d(3, 8, 1)), input_size=16)
    known = Directions("0", torch.randn(4, 8), model=other.spec, sha256=other.sha256)
    both = load_model({"a": model, "b": other}).with_directions({"mine": known})
    assert both.derived_layers() == ["b:0:mine"]
    assert both.shapes(["b:0:mine"]) == {"b:0:mine": (1, 4, 16, 16)}
    assert both.directions_of("b:0:mine") is known and both.directions_of("b:0") is None
    with pytest.raises(BadInput, match="not of"):
        load_model({"a": model}).with_directions({"mine": known})


def test_what_does_not_fit_is_refused(model: Model) -> None:
    with pytest.raises(BadInput, match="not of module with"):
        model.with_directions({"sae": a_set(sha256="0" * 64, model="other")})
    with pytest.raises(LayerNotFound, match="nearest"):
        model.with_directions({"sae": a_set(layer="features.9")})
    for name in ("a:b", "in", "attention", "head.3", "", "a.dot"):
        with pytest.raises(BadInput, match="which stands in the address"):
            model.with_directions({name: a_set()})
    with pytest.raises(BadType, match="expected a set of directions, got int"):
        model.with_directions({"sae": 3})  # type: ignore[dict-item]
    sae = model.with_directions({"sae": a_set(), "wide": a_set(decoder=torch.randn(2, 5), center=None)})
    with pytest.raises(BadInput, match="directions of 5 channels"):
        sae.shapes(["3:wide"])
    for address in ("1:sae", "3:sae@all"):
        with pytest.raises(LayerNotFound, match="are directions of '3', read as '3:sae'"):
            sae.check_layer(address)


def test_a_set_is_copied_to_a_device_once(model: Model) -> None:
    """A recorded step reads the tensors where they were when it was recorded."""
    sae = model.with_directions({"sae": a_set()})
    encode(sae, torch.rand(1, 3, 16, 16), ["3:sae"])
    assert sae.directions.on("sae", torch.device("cpu")) is sae.directions.on("sae", torch.device("cpu"))
    found = optimize(sae, neuron("3:sae", 1) + layer("3:sae"), Fourier(1, size=16), Settings(steps=2))
    assert found.images.shape == (1, 3, 16, 16)
