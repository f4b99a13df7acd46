"""A dream with a guide."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from inverter import Model, load_model
from inverter_errors import BadInput
from objectives import Activations
from recipes.deepdream.guide import Guide
from recipes.deepdream.octaves import dream, resized
from recipes.deepdream.targets import weighted_objectives
from recipes.pictures.reading import read_picture

USUAL = torch.ones(1, 2, 1, 1)
"""A layer's map of the photo: both channels are 1."""


def guide_of(guide: Tensor, shown: Tensor | None = None) -> Guide:
    return Guide.of("a", guide, torch.rand(1, 3, 32, 32) if shown is None else shown, USUAL)


def test_half_of_the_positions_count_those_that_differ_from_the_photo() -> None:
    maps = torch.tensor([[1.0, 4.0], [1.0, 1.0], [1.0, 1.5], [3.0, 1.0]]).T.reshape(1, 2, 2, 2)
    guide = guide_of(maps)
    assert sorted(guide.vectors.T.tolist()) == [[0.0, 3.0], [2.0, 0.0]]


def test_each_position_is_pulled_to_the_vector_of_the_most_alike_direction() -> None:
    maps = torch.tensor([[1.0, 1.0], [1.0, 1.0], [2.0, 1.0], [1.0, 9.0]]).T.reshape(1, 2, 2, 2)
    guide = guide_of(maps)  # (1, 0) and (0, 8), relative to the photo
    features = torch.tensor([[4.0, 1.5], [1.0, 2.0]]).T.reshape(1, 2, 1, 2).requires_grad_()
    score = guide.features().score(Activations({"a": features}, torch.rand(1, 3, 16, 32)))
    assert score.tolist() == [(3.0 + 8.0) / 2]  # (3, .5) has a larger product with (0, 8), and the direction of (1, 0)
    score.sum().backward()
    assert features.grad is not None
    assert features.grad[0, :, 0].T.tolist() == [[0.5, 0.0], [0.0, 4.0]]


def test_colours_are_pulled_to_those_of_the_match_where_there_is_one() -> None:
    shown = torch.zeros(1, 3, 32, 32)
    shown[:, 0, :16, :16] = 1  # the position with features is red, the others are black
    maps = torch.tensor([[3.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]).T.reshape(1, 2, 2, 2)
    guide = guide_of(maps, shown)
    features = torch.tensor([[2.0, 1.0], [0.0, 1.0]]).T.reshape(1, 2, 1, 2)  # alike, and the opposite
    image = torch.full((1, 3, 16, 32), 0.5, requires_grad=True)
    guide.coloured().score(Activations({"a": features}, image)).sum().backward()
    assert image.grad is not None
    assert bool((image.grad[0, 0, :, :16] > 0).all())
    assert bool((image.grad[0, 1:, :, :16] < 0).all())
    assert not image.grad[..., 16:].any()


def test_a_layer_finer_than_the_picture_is_cut_into_as_many_cells_as_there_are_pixels() -> None:
    guide = guide_of(torch.rand(1, 2, 16, 16))
    assert guide.detail == 2
    assert guide.colours.shape == (3 * 4, 128)


def test_a_large_layer_is_matched_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    guide = guide_of(torch.rand(1, 2, 5, 5))
    activations = Activations({"a": torch.rand(1, 2, 9, 7)}, torch.rand(1, 3, 36, 28))
    full = [part.score(activations) for part in (guide.features(), guide.coloured())]
    monkeypatch.setattr("recipes.deepdream.guide.CHUNK", 4)
    assert torch.allclose(guide.features().score(activations), full[0])
    assert torch.allclose(guide.coloured().score(activations), full[1])


def test_a_guide_needs_a_layer_with_maps(tmp_path: Path) -> None:
    net = Model(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), input_size=(32, 32))
    Image.new("RGB", (32, 32)).save(tmp_path / "guide.png")
    with pytest.raises(BadInput, match="a guide needs a layer with maps"):
        weighted_objectives(net, [("1", None, 1.0)], torch.rand(1, 3, 32, 32), str(tmp_path / "guide.png"))


def test_networks_recognise_the_guide_in_the_dream(mobilenet: Model, shared_data: Path) -> None:
    weights = shared_data / "weights" / "bvlc_googlenet.safetensors"
    googlenet = load_model("tests/shared_networks.py:bvlc_googlenet", weights, device="cpu")
    guide, alp = (next((shared_data / "images" / "imagenet").glob(f"{index}_*")) for index in ("0001", "0970"))
    goldfish, photo = 1, read_picture(alp)[None, :, 24:232, 24:232]
    parts = weighted_objectives(googlenet, [("inception5a", None, 1.0)], photo, str(guide))
    dreamt = dream(googlenet, photo, parts, natural_colours=False, precision="float32")
    for network, least in ((googlenet, 0), (mobilenet, 5)):  # the one that dreams, and one that took no part
        with torch.no_grad():
            logits = [network.module(network.normalize(resized(shown, (224, 224))))[0] for shown in (photo, dreamt)]
        before, after = (int((found > found[goldfish]).sum()) for found in logits)
        assert before > 100
        assert after <= least
