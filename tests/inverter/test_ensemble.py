"""Several networks at once: addresses by network, each with its own preprocessing, and pictures that all agree on."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from inverter import BadInput, LayerNotFound, Settings, evaluate, layers, load_model, optimize, receptive_fields, stages
from objectives import channel, logit
from priors import Fourier

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "googlenet.py"


class Classifier(nn.Module):
    def __init__(self, classes: int = 4, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3, 2), nn.ReLU())
            self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def pair(small: int = 16, classes: int = 4):
    one = load_model(Classifier().eval(), normalize="imagenet", input_size=16)
    other = load_model(Classifier(classes, seed=1).eval(), normalize="half", input_size=small)
    return one, other, load_model({"a": one, "b": other})


def test_each_network_reads_the_picture_as_it_does_alone() -> None:
    one, other, both = pair()
    picture = torch.rand(2, 3, 16, 16)
    reads = ["b:body.0", "a:body.2", "a:", "", "b:output"]
    with torch.no_grad(), both.capture(reads) as capture:
        seen = capture(both.normalize(picture))
    assert list(seen) == reads
    for name, model in (("a", one), ("b", other)):
        with torch.no_grad(), model.capture(["body.0", "body.2", ""]) as capture:
            alone = capture(model.normalize(picture))
        for address in ("body.0", "body.2", ""):
            if f"{name}:{address}" in seen:
                torch.testing.assert_close(seen[f"{name}:{address}"], alone[address])
    torch.testing.assert_close(seen[""], (seen["a:"] + seen["b:output"]) / 2)


def test_the_passes_end_at_the_deepest_layer_that_is_read() -> None:
    one, _, both = pair()
    ran = list[int]()
    one.module.head.register_forward_hook(lambda *_: ran.append(1))
    both.shapes(["a:body.0", "b:head"])
    assert not ran


def test_a_network_of_a_smaller_input_gets_the_picture_scaled_down_and_the_gradient_comes_back() -> None:
    _, _, both = pair(small=8)
    assert both.input_size == (16, 16)
    assert both.shapes(["a:body.0", "b:body.0"], (32, 32)) == {"a:body.0": (1, 6, 30, 30), "b:body.0": (1, 6, 14, 14)}
    picture = torch.rand(1, 3, 16, 16, requires_grad=True)
    with both.capture(["b:"]) as capture:
        (gradient,) = torch.autograd.grad(capture(both.normalize(picture))["b:"].sum(), picture)
    assert gradient.abs().sum() > 0
    assert receptive_fields(both, ["a:body.0", "b:body.0", ""])["b:body.0"] is None


def test_objectives_of_several_networks_are_sums_of_theirs() -> None:
    one, other, both = pair()
    images = torch.rand(2, 3, 16, 16)
    parts = evaluate(one, logit([1, 2]), images) + evaluate(other, channel("body.2", 3), images)
    torch.testing.assert_close(evaluate(both, logit([1, 2], "a:") + channel("b:body.2", 3), images), parts)
    mean = (evaluate(one, logit([1, 2]), images) + evaluate(other, logit([1, 2]), images)) / 2
    torch.testing.assert_close(evaluate(both, logit([1, 2]), images), mean)
    before, found = both.sha256, optimize({"a": one, "b": other}, logit([1, 2]), Fourier(2, 16), Settings(steps=8))
    assert (found.scores > evaluate(both, logit([1, 2]), torch.full((2, 3, 16, 16), 0.5))).all()
    assert both.sha256 == before


def test_its_layers_and_stages_are_those_of_each_network() -> None:
    one, _, both = pair()
    assert stages(both) == [f"{name}:{stage}" for name in "ab" for stage in stages(one)]
    assert [row.name for row in layers(both)] == [f"{name}:{row.name}" for name in "ab" for row in layers(one)]
    assert receptive_fields(both, ["b:body.2"]) == {"b:body.2": receptive_fields(one, ["body.2"])["body.2"]}


def test_the_hash_depends_on_names_and_on_every_network() -> None:
    one, other, both = pair()
    assert load_model({"a": one, "c": other}).sha256 != both.sha256 == load_model({"a": one, "b": other}).sha256
    assert load_model({"a": one, "b": one}).sha256 != both.sha256


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("body.0", "expected NAME:LAYER with NAME of a, b, e.g. a:body.0"),
        ("c:body.0", "no network for layer 'c:body.0'"),
        ("a:bodi.0", "network a: no layer 'bodi.0' in Classifier; the nearest are: body.0"),
    ],
)
def test_an_unknown_layer_is_reported_with_near_names(address: str, text: str) -> None:
    _, _, both = pair()
    for read in (
        lambda: both.check_layer(address),
        lambda: evaluate(both, channel(address, 0), torch.rand(1, 3, 16, 16)),
    ):
        with pytest.raises(LayerNotFound) as error:
            read()
        assert text in str(error.value)


def test_networks_that_do_not_fit_are_refused() -> None:
    one, _, both = pair(classes=5)
    with pytest.raises(BadInput, match=r"outputs of different shapes have no mean \(a \(4,\), b \(5,\)\)"):
        optimize(both, logit(1), Fourier(1, 16), Settings(steps=1))
    grey = load_model(nn.Sequential(nn.Conv2d(1, 2, 3)), input_size=16)
    with pytest.raises(BadInput, match="network b takes pictures of 1 channels"):
        load_model({"a": one, "b": grey})
    with pytest.raises(BadInput, match="no network 'c': the networks are a, b"):
        load_model({"a": one, "b": one}, normalize={"c": "half"})
    with pytest.raises(BadInput, match="give them where it is loaded"):
        load_model(both, normalize="half")
    for names in ({}, {"a:b": one}):
        with pytest.raises(BadInput, match=r"several networks|expected a name of letters"):
            load_model(names)


def test_what_two_networks_agree_on_a_third_recognises_better(shared_data: Path) -> None:
    """Class models of SqueezeNet alone, and of SqueezeNet with GoogLeNet; EfficientNet-Lite0 takes no part."""
    weights = shared_data / "weights"
    squeezenet = load_model("torchvision:squeezenet1_0", weights / "squeezenet1_0.safetensors")
    googlenet = load_model(f"{EXAMPLE}:googlenet", weights / "bvlc_googlenet.safetensors")
    judge = load_model("timm:tf_efficientnet_lite0", weights / "tf_efficientnet_lite0.safetensors")
    classes, settings = [9, 130, 323, 980], Settings(steps=16, precision="float32", batch_size=4)
    found = {}
    for name, model in {"one": squeezenet, "both": load_model({"s": squeezenet, "g": googlenet})}.items():
        images = optimize(model, logit(classes), Fourier(4, 112), settings).images
        with torch.no_grad(), judge.capture([""]) as capture:
            scores = capture(judge.normalize(nn.functional.interpolate(images, (224, 224), mode="bilinear")))[""]
        found[name] = scores.log_softmax(1)[range(4), classes]
    assert found["both"].mean() > found["one"].mean() + 1
