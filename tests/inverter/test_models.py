"""A model: normalisation, device and metadata; the user's module is never moved and never changed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inverter import Model, load_model, no_network
from inverter.devices import as_device
from inverter.input_values import as_normalization


@pytest.mark.parametrize(
    ("given", "mean", "std"),
    [
        ("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        ("0.1,0.2,0.3/1,2,4", (0.1, 0.2, 0.3), (1.0, 2.0, 4.0)),
        (([0.1, 0.2, 0.3], torch.tensor([1.0, 2.0, 4.0])), (0.1, 0.2, 0.3), (1.0, 2.0, 4.0)),
    ],
)
def test_a_picture_enters_less_the_mean_by_the_deviation(given, mean, std) -> None:
    model = Model(nn.Identity(), normalize=given)
    image = torch.rand(2, 3, 4, 5)
    expected = torch.stack([(image[:, c] - mean[c]) / std[c] for c in range(3)], dim=1)
    assert torch.allclose(model.normalize(image), expected, atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        "imagnet",
        "",
        "1,2,3",
        "1,2/1,2,3",
        "1,2,3/1,0,1",
        "1,2,3/1,-1,1",
        "a,b,c/1,1,1",
        "1,2,3/1,1,1/1,1,1",
        ((0.5,), (0.5, 0.5)),
    ],
)
def test_another_normalization_is_refused_with_what_was_given(given) -> None:
    with pytest.raises(ValueError, match="expected imagenet, half, none") as caught:
        as_normalization(given)
    assert repr(given) in str(caught.value)


def test_devices_that_are_here_and_those_that_are_not() -> None:
    assert as_device("cpu") == torch.device("cpu")
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert as_device("auto") == as_device(None) == torch.device(best)
    for absent in ("cuda:99", "gpu", "", "cpu:x"):
        with pytest.raises(ValueError, match=repr(absent)):
            as_device(absent)


def test_it_names_its_spec_size_and_parameters() -> None:
    model = load_model(nn.Conv2d(3, 8, 3), input_size=(20, 30))
    assert repr(model) == "Model(module, 224 parameters, 20x30, on cpu)"
    assert model.parameters == 224


def test_the_digest_is_of_the_weights_wherever_they_come_from(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    bare = load_model(net).sha256
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": net.state_dict()}, tmp_path / "w.ckpt")
    for file in ("w.safetensors", "w.ckpt"):
        assert load_model(net, weights=tmp_path / file).sha256 == bare
    with torch.no_grad():
        net[0].weight[0, 0] += 1
    assert load_model(net).sha256 != bare


def test_where_it_is_already_a_model_is_itself_and_elsewhere_a_copy() -> None:
    model = load_model(nn.Conv2d(3, 2, 1))
    assert model.on("cpu") is model
    assert load_model(model) is model
    assert load_model(model, device="cpu") is model
    moved = model.on(torch.device("meta"))
    assert moved.device.type == "meta"
    assert model.device.type == "cpu"


def test_a_model_without_parameters_is_on_the_cpu() -> None:
    assert load_model(nn.Identity()).device == torch.device("cpu")


def test_shapes_are_those_of_a_forward_pass_at_the_given_size(tiny_net: nn.Module, snapshot) -> None:
    before = snapshot(tiny_net)
    model = load_model(tiny_net, input_size=(10, 12))
    assert model.shapes(["stem", "", "relu#1"]) == {"stem": (1, 8, 10, 12), "relu#1": (1, 8, 10, 12), "": (1, 5)}
    assert model.shapes(["stem"], (6, 7)) == {"stem": (1, 8, 6, 7)}
    assert snapshot(tiny_net) == before


def test_a_picture_that_the_network_cannot_take_is_reported_in_one_line_with_both_sizes() -> None:
    class Strict(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.shape[2] == 32, f"expected 32 rows\nand not {x.shape[2]}"
            return x

    for net in (nn.Conv2d(3, 2, 9), Strict()):
        model = load_model(nn.Sequential(net), input_size=32)
        with pytest.raises(ValueError, match=r"^module cannot process a picture of 4x6 pixels.*32x32$"):
            model.shapes(["0"], (4, 6))


def test_a_layer_that_comes_out_empty_is_reported() -> None:
    class Crop(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :, 8:]

    with pytest.raises(ValueError, match=r"layer '0' of module is empty for a picture of 8x8"):
        load_model(nn.Sequential(Crop())).shapes(["0"], (8, 8))


def test_no_memory_for_a_picture_is_reported_too(tiny_net: nn.Module) -> None:
    with pytest.raises(ValueError, match="10000000x10000000"):
        load_model(tiny_net).shapes(["stem"], (10**7, 10**7))


def test_check_layer_takes_what_is_there_and_shows_the_nearest_else(tiny_net: nn.Module) -> None:
    model = load_model(tiny_net)
    model.check_layer("stem.2")
    model.check_layer("relu#1")
    with pytest.raises(LookupError, match=r"no layer 'stem.3' in TinyNet; the nearest are: .*stem.2"):
        model.check_layer("stem.3")


def test_normalizing_in_inference_mode_does_not_spoil_later_gradients() -> None:
    model = Model(nn.Identity(), normalize="0.11,0.22,0.33/0.44,0.55,0.66")  # numbers that no other test uses
    with torch.inference_mode():
        model.normalize(torch.rand(1, 3, 2, 2))
    image = torch.rand(1, 3, 2, 2, requires_grad=True)
    (model.normalize(image) * torch.rand(1, 3, 2, 2, requires_grad=True)).sum().backward()
    assert image.grad is not None


def test_no_network_passes_pictures_on() -> None:
    model, image = no_network("cpu"), torch.rand(2, 3, 5, 4)
    assert torch.equal(model.normalize(image), image)
    with model.capture([""]) as capture:
        assert torch.equal(capture(image)[""], image)
    assert (model.spec, model.parameters, model.device.type) == ("none", 0, "cpu")
    assert model.sha256 == no_network().sha256
    assert no_network(torch.device("meta")).device.type == "meta"
