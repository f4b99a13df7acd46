"""The axes of layers: found in a forward pass, arranged as maps, and put back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from inverter import load_model
from inverter.capture.axes import Axes
from inverter.layer_info import layers, stages
from inverter_errors import BadInput, OutOfRange
from objectives import channel, neuron

SIDE, PATCH, WIDTH = 32, 8, 12


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 20), nn.GELU(), nn.Linear(20, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x))


class Transformer(nn.Module):
    """Tokens of patches, `prefix` tokens before them, in any order of axes; one picture size, as most of its kind."""

    def __init__(self, prefix: int = 1, order: str = "BNC") -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.prefix = nn.Parameter(torch.randn(1, prefix, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, prefix + (SIDE // PATCH) ** 2, WIDTH))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.out = nn.Identity()
        self.head = nn.Linear(WIDTH, 5)
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.prefix.expand(len(x), -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        shown = {"BNC": x, "NBC": x.transpose(0, 1), "BCN": x.transpose(1, 2)}[self.order]
        shown = self.out(shown)
        return self.head(x.mean(1))


class ChannelsLast(nn.Module):
    """Maps whose channels come last, as in Swin and in ConvNeXt's LayerNorm; C = H = W at the second convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 2, 2), nn.Conv2d(8, 8, 2, 2)
        self.last, self.norm = nn.Identity(), nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(x))
        return self.norm(self.last(x.permute(0, 2, 3, 1)))


class Windows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix = nn.Conv2d(3, WIDTH, 4, 4), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        batch, _, height, width = x.shape
        parts = x.view(batch, WIDTH, height // 4, 4, width // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, WIDTH)
        return self.mix(parts).view(batch, -1, WIDTH).mean(1)


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
@pytest.mark.parametrize("order", ["BNC", "NBC", "BCN"])
def test_tokens_lie_on_the_grid_of_their_patches(prefix: int, order: str) -> None:
    model = load_model(Transformer(prefix, order), input_size=SIDE)
    assert str(model.axes("out")) == order + (f"+{prefix}" if prefix else "")
    picture = torch.rand(3, 3, SIDE, SIDE)
    with model.capture(["out", "out@all", "embed"]) as capture:
        found = capture(model.normalize(picture))
    raw = {"BNC": found["out@all"], "NBC": found["out@all"].transpose(0, 1), "BCN": found["out@all"].transpose(1, 2)}
    assert found["out"].shape == (3, WIDTH, SIDE // PATCH, SIDE // PATCH)
    assert torch.equal(found["out"].flatten(2), raw[order][:, prefix:].transpose(1, 2))


def test_tokens_that_would_fill_another_grid_are_those_of_the_patches() -> None:
    network = Transformer(prefix=5)
    network.embed = nn.Conv2d(3, WIDTH, 14, 14)
    network.positions = nn.Parameter(torch.randn(1, 9, WIDTH))
    assert str(load_model(network, input_size=28).axes("out")) == "BNC+5"  # four patches, not a grid of three by three


def test_a_place_of_a_token_is_that_of_its_patch() -> None:
    model = load_model(Transformer(), normalize="none", input_size=SIDE)
    picture = torch.zeros(1, 3, SIDE, SIDE)
    picture[:, :, 8:16, 24:] = 1  # row 1, column 3
    with model.capture(["blocks.1"]) as capture:
        changed = (capture(picture)["blocks.1"] - capture(0 * picture)["blocks.1"]).abs().sum(1)
    assert changed.nonzero().tolist() == [[0, 1, 3]]


def test_channels_last_maps_are_told_by_another_picture_size_where_shapes_alone_say_nothing() -> None:
    model = load_model(ChannelsLast(), input_size=SIDE)
    assert str(model.axes("last")) == str(model.axes("norm")) == str(model.axes("output")) == "BHWC"
    assert str(model.axes("two")) == "BCHW"
    picture = model.normalize(torch.rand(2, 3, SIDE, SIDE))
    with model.capture(["two", "last"]) as capture:
        found = capture(picture)
    assert torch.equal(found["two"], found["last"])
    assert {row.name: row.size for row in layers(model)} == dict.fromkeys(["two", "last", "norm"], (8, 8)) | {
        "one": (16, 16)
    }


def test_windows_are_joined_to_their_pictures() -> None:
    model = load_model(Windows(), input_size=SIDE)
    assert str(model.axes("mix")) == "(BM)NC?"
    picture = torch.rand(2, 3, SIDE, SIDE)
    both = channel("mix", [1, 1])
    with model.capture(["mix"]) as capture:
        maps = capture(model.normalize(picture))["mix"]
        alone = capture(model.normalize(picture[1:]))["mix"]
    assert maps.shape == (2, WIDTH, 64, 1)
    assert torch.allclose(maps[1:], alone, atol=1e-6)
    assert both.count == 2
    assert {row.name: row.size for row in layers(model)}["mix"] is None


def test_tokens_have_names_and_indices() -> None:
    model = load_model(Transformer(prefix=2), input_size=SIDE)
    with model.capture(["out@cls", "out@0", "out@3", "out@all", "head:in"]) as capture:
        found = capture(model.normalize(torch.rand(2, 3, SIDE, SIDE)))
    assert torch.equal(found["out@cls"], found["out@0"])
    assert torch.equal(found["out@3"], found["out@all"][:, 3])
    assert found["head:in"].shape == (2, WIDTH)
    assert neuron("out", 3, token="cls").reads == ("out@cls",)
    with pytest.raises(BadInput, match="got a position and token 'cls'"):
        neuron("out", 3, y=1, token="cls")


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("out@18", OutOfRange, "layer 'out' has 18 tokens"),
        ("out@first", BadInput, "expected cls, all, or the index of a token"),
        ("embed@cls", BadInput, "layer 'embed' has no tokens"),
    ],
)
def test_tokens_that_are_not_there_are_said_in_one_line(address: str, error: type[Exception], message: str) -> None:
    model = load_model(Transformer(prefix=2), input_size=SIDE)
    with pytest.raises(error, match=message):
        model.shapes([address])


def test_no_class_token_is_said() -> None:
    with pytest.raises(BadInput, match="its 16 tokens are those of the patches"):
        load_model(Transformer(prefix=0), input_size=SIDE).shapes(["out@cls"])


def test_axes_can_be_set() -> None:
    model = load_model(Transformer(prefix=1), input_size=SIDE, axes={"blocks.*": "BNC+5"})
    assert model.shapes(["blocks.1"])["blocks.1"] == (1, WIDTH, 4, 3)
    again = load_model(model, axes={"out": "BCN"})
    assert str(again.axes("blocks.1")) == "BNC+1"
    assert str(again.axes("out")) == "BCN"
    with pytest.raises(BadInput, match="axes must be BCHW"):
        load_model(model, axes={"out": "CHW"})


ALL = ["BHWC", "BNC", "BNC+1", "NBC+2", "BCN", "BCHW"]


@given(text=st.sampled_from(ALL), batch=st.integers(1, 3), channels=st.integers(1, 3), rows=st.integers(1, 4))
def test_put_is_the_inverse_of_maps(text: str, batch: int, channels: int, rows: int) -> None:
    axes = Axes.parse(text)
    columns = rows + 1
    sizes = {"B": batch, "C": channels, "H": rows, "W": columns, "N": rows * columns + axes.prefix}
    tensor = torch.rand([sizes[letter] for letter in axes.letters])
    size = (8 * rows, 8 * columns)
    maps = axes.maps(tensor, batch, size)
    assert maps.shape == (batch, channels, rows, columns)
    assert torch.equal(axes.put(tensor, maps, size), tensor)
    assert torch.equal(axes.maps(axes.put(tensor, 2 * maps, size), batch, size), 2 * maps)


def test_every_layer_of_a_trained_transformer_has_its_places(shared_data: Path) -> None:
    model = load_model("timm:deit_tiny_patch16_224", weights=shared_data / "weights/deit_tiny_patch16_224.safetensors")
    assert stages(model) == [f"blocks.{k}" for k in range(12)]
    rows = {row.name: row for row in layers(model)}
    assert {row.size for name, row in rows.items() if "blocks" in name} == {(14, 14)}
    assert rows["blocks.3.mlp.act"].channels == 768
    assert rows["blocks.3.mlp.act"].axes == "BNC+1"


def test_the_looking_leaves_the_network_alone() -> None:
    network = Transformer().train()
    load_model(network, input_size=SIDE).axes("blocks.0")
    assert network.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())
