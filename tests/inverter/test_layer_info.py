"""The table of layers: modules that run, their outputs, their receptive fields, and the stages."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from inverter import LayerInfo, Model, layers, load_model, receptive_fields, stages


def table(net: nn.Module, size: int = 64) -> dict[str, LayerInfo]:
    return {row.name: row for row in layers(load_model(net.eval(), input_size=size))}


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return models.resnet18(weights=None).eval()


def test_squeezenet_sees_what_its_kernels_and_strides_add_up_to() -> None:
    rows = table(models.squeezenet1_0(weights=None), 224)
    # 7x7 by 2, then pools 3x3 by 2 in 2, 6 and 11, and a 3x3 in every fire module.
    seen = {
        "0": 7,
        "2": 11,
        "3": 19,
        "4": 27,
        "5": 35,
        "6": 43,
        "7": 59,
        "8": 75,
        "9": 91,
        "10": 107,
        "11": 123,
        "12": 155,
    }
    assert {name: rows[f"features.{name}"].receptive_field for name in seen} == seen
    assert rows["features.3.squeeze"].receptive_field == 11
    assert rows["features.3.expand1x1"].receptive_field == 11
    assert rows["features.3.expand3x3"].receptive_field == 19
    assert rows["features.9"].channels == 512 - 128
    assert rows["features.9"].size == (27, 27)
    assert rows["features.9"].type == "Fire"
    assert rows["classifier.3"].receptive_field == math.inf
    assert rows["classifier.3"].size is None
    assert rows["classifier.3"].channels == 1000


def test_resnet18_sees_what_the_literature_says(resnet: nn.Module) -> None:
    rows = table(resnet, 128)  # Araujo et al. 2019, table 1: 435 in the end
    expected = {
        "conv1": 7,
        "maxpool": 11,
        "layer1": 43,
        "layer2": 99,
        "layer3": 211,
        "layer4": 435,
        "avgpool": math.inf,
    }
    assert {name: rows[name].receptive_field for name in expected} == expected
    assert rows["layer1.0.relu"].calls == 2
    assert rows["relu"].calls == 1
    assert rows["fc"] == LayerInfo("fc", "Linear", 1, 1000, None, math.inf, False, "BC")


def test_rows_come_in_the_order_of_their_first_call_and_what_never_runs_is_left_out(tiny_net: nn.Module) -> None:
    tiny_net.unused = nn.Conv2d(3, 3, 1)
    names = [row.name for row in layers(load_model(tiny_net, input_size=16))]
    assert names == ["stem.0", "stem.1", "stem.2", "stem", "body", "relu", "mix", "pool", "head"]


def test_the_stages_are_the_children_of_the_main_sequence_that_output_maps(resnet: nn.Module) -> None:
    squeezenet = load_model(models.squeezenet1_0(weights=None).eval(), input_size=224)
    assert stages(squeezenet) == [f"features.{i}" for i in range(13)]
    resnets = stages(load_model(resnet, input_size=64))
    assert [name for name in resnets if name.startswith("layer")] == ["layer1", "layer2", "layer3", "layer4"]
    assert not {"avgpool", "fc"} & set(resnets)
    assert stages(load_model(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), input_size=4)) == []


def test_the_stages_are_the_marked_rows(resnet: nn.Module) -> None:
    model = load_model(resnet, input_size=64)
    assert [row.name for row in layers(model) if row.stage] == stages(model)


def test_the_network_is_as_it_was_also_if_it_fails(tiny_net: nn.Module, snapshot) -> None:
    tiny_net.train()
    before = snapshot(tiny_net)
    layers(load_model(tiny_net, input_size=16))
    assert snapshot(tiny_net) == before
    tiny_net.head = nn.Linear(3, 5)
    before = snapshot(tiny_net)
    with pytest.raises(ValueError, match=r"module cannot process a picture of 16x16 pixels \(.*shapes.*\)"):
        layers(load_model(tiny_net, input_size=16))
    assert snapshot(tiny_net) == before


class OptionA(nn.Module):
    """A residual block whose shortcut takes every second row and column and pads channels with zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv2(torch.relu(self.conv1(x))) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)))


def test_slices_and_padding_are_followed() -> None:
    assert table(OptionA(), 16)["last"].receptive_field == 7

    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, stride=2)
            self.last = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            shifted = self.conv(F.pad(x, (0, 1, 0, 1)))  # pixels 2i to 2i + 2
            return self.last(shifted + self.conv(F.pad(x, (1, 0, 1, 0))))  # pixels 2i - 1 to 2i + 1

    rows = table(Same(), 16)
    assert rows["conv"].receptive_field == 3
    assert rows["last"].receptive_field == 4


def test_a_gate_that_sees_everything_makes_all_after_it_see_everything() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.squeeze = nn.AdaptiveAvgPool2d(1)
            self.gate = nn.Conv2d(4, 4, 1)
            self.after = nn.Conv2d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self.after(x * torch.sigmoid(self.gate(self.squeeze(x))))

    rows = table(Gated(), 16)
    assert rows["conv"].receptive_field == 3
    assert rows["gate"].receptive_field == rows["after"].receptive_field == math.inf


@pytest.mark.parametrize("how", ["upsample", "transposed", "shuffle", "tokens"])
def test_what_cannot_be_followed_is_unknown_and_not_guessed(how: str) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
            self.odd = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            if how == "upsample":
                x = F.interpolate(x, scale_factor=2)
            elif how == "transposed":
                x = self.up(x)
            elif how == "shuffle":
                x = x.view(x.shape[0], 2, 2, *x.shape[2:]).transpose(1, 2).reshape(x.shape)
            else:
                x = x.flatten(2)
            return self.odd(x)

    rows = table(Odd(), 8)
    assert rows["conv"].receptive_field == 3
    assert rows["odd"].receptive_field is None


def test_one_dimension_may_see_further_than_the_other() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, (1, 7)), nn.Conv2d(3, 3, (3, 1), dilation=(2, 1)), nn.MaxPool2d((2, 1)))
    assert [row.receptive_field for row in table(net, 16).values()] == [7, 7, 7]


def test_networks_with_tuples_maps_of_one_pixel_and_no_maps() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    class NoTensor(nn.Module):
        def forward(self, x: tuple[Tensor, Tensor]) -> None:
            return None

    rows = table(nn.Sequential(Pair(), NoTensor()), 8)
    assert rows["0"].size == (8, 8)
    assert rows["1"] == LayerInfo("1", "NoTensor", 1, None, None, None, False)


parts = st.one_of(
    st.tuples(st.just("conv"), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
    st.tuples(st.sampled_from(["avg", "max"]), st.integers(1, 3), st.integers(1, 3), st.just(0), st.just(1)),
)


class Positive(nn.Module):
    """A linear network without cancellation: its gradient is non-zero exactly where it sees."""

    def __init__(self, kinds: list[tuple[str, int, int, int, int]], residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.parts = nn.ModuleList()
        for kind, kernel, stride, padding, dilation in kinds:
            if kind == "conv":
                conv = nn.Conv2d(3, 3, kernel, stride, padding, dilation)
                nn.init.uniform_(conv.weight, 0.5, 1.5)
                self.parts.append(conv)
            else:
                self.parts.append(nn.AvgPool2d(kernel, stride) if kind == "avg" else nn.MaxPool2d(kernel, stride))
        self.branch = nn.Conv2d(3, 3, 3, padding=1)
        nn.init.uniform_(self.branch.weight, 0.5, 1.5)
        self.last = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return self.last(x + self.branch(x) if self.residual else x)


@settings(max_examples=25)
@given(st.lists(parts, min_size=1, max_size=4), st.booleans())
def test_the_receptive_field_is_where_the_gradient_is(
    kinds: list[tuple[str, int, int, int, int]], residual: bool
) -> None:
    net = Positive(kinds, residual).double()
    model = load_model(net.eval().float(), input_size=160)
    try:
        reported, field = table(net, 160)["last"].receptive_field, receptive_fields(model, ["last"])["last"]
    except ValueError:  # the map would be empty
        return
    assert field is not None
    # Its maxima become means: a maximum's gradient shows only the pixel that won.
    net = net.double()
    for i, part in enumerate(net.parts):
        if isinstance(part, nn.MaxPool2d):
            net.parts[i] = nn.AvgPool2d(part.kernel_size, part.stride)
    image = torch.ones(1, 3, 160, 160, dtype=torch.double, requires_grad=True)
    out = net(image)
    middle = out[0, 0, out.shape[2] // 2, out.shape[3] // 2]
    (gradient,) = torch.autograd.grad(middle, image)
    seen = (gradient[0].abs().sum(0) > 0).any(0).nonzero()
    extent = int(seen.max() - seen.min()) + 1
    middle_of = out.shape[3] // 2 * field.x.stride
    if middle_of + field.x.low >= 0 and middle_of + field.x.high < 160:  # else the picture's edge cuts it off
        assert reported == extent
    else:
        assert reported is not None
        assert reported >= extent


def test_every_row_can_be_captured_and_has_its_shape(squeezenet: Model) -> None:
    rows = layers(squeezenet)
    shapes = squeezenet.shapes([row.name for row in rows])
    for row in rows:
        shape = shapes[row.name]
        assert row.channels == shape[1]
        assert row.size == (tuple(shape[2:]) if len(shape) == 4 and shape[2:] != (1, 1) else None)


@pytest.fixture(scope="module")
def bundled() -> Model:
    return load_model("builtin", device="cpu")


def test_the_bundled_networks_stages_are_those_of_its_documentation(bundled: Model) -> None:
    from inverter.sources import builtin

    fields = {row.name: row.receptive_field for row in layers(bundled)}
    documented = {}
    for line in (builtin.BuiltinNet.__doc__ or "").splitlines():
        cells = [cell.strip(" `") for cell in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("features."):
            documented[cells[1]] = float(cells[3].split(" px")[0])
    assert len(documented) == 5
    assert {name: fields[name] for name in documented} == documented
    assert set(documented) <= set(stages(bundled))
    assert Path(builtin.WEIGHTS).is_file()
