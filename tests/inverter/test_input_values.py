"""What numbers a network takes: channels, the range of values, normalisation, and the channels that are shown."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import BadInput, Model, encode, load_model
from inverter.input_values import as_normalization, as_show_channels, as_value_range, in_unit_range, in_values


class Blocks(nn.Module):
    """Takes colours, and makes twelve channels of them before its first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pixel_unshuffle(x, 2))


class Backwards(nn.Module):
    """Its last convolution is declared first."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Conv2d(16, 2, 1), nn.Conv2d(6, 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x))


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        (nn.Conv2d(3, 4, 1), 3),
        (nn.Conv2d(1, 4, 1), 1),
        (nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)), 8),  # it fails before its convolution
        (nn.Sequential(nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(7, 2)), 8),  # and this one behind it
        (Blocks(), 3),
        (Backwards(), 6),
        (nn.Linear(12, 2), 3),
    ],
    ids=["colours", "grey", "norm first", "eight", "blocks of pixels", "declared backwards", "linear"],
)
def test_a_network_tells_how_many_channels_it_takes(network: nn.Module, channels: int) -> None:
    model = load_model(network, input_size=16)
    assert len(model.mean) == channels
    if channels != 3:
        assert (set(model.mean), set(model.std)) == ({0.0}, {1.0})
    assert not any(part._forward_pre_hooks for part in network.modules())


def test_one_number_is_that_of_all_channels_but_not_of_colours() -> None:
    assert as_normalization("0.4/0.5", 8) == ((0.4,) * 8, (0.5,) * 8)
    assert as_normalization("half", 6) == ((0.5,) * 6, (0.5,) * 6)
    assert as_normalization("0.4/0.5", 3) == ((0.4,), (0.5,))
    assert as_normalization("imagenet", 8) == as_normalization("imagenet")


@pytest.mark.parametrize("normalize", [None, "half", "-20,-10/2,4"])
def test_the_network_gets_the_values_that_pictures_stand_for(normalize: str | None) -> None:
    network = nn.Conv2d(2, 2, 1, bias=False)
    network.weight.data = torch.eye(2)[:, :, None, None]
    model = load_model(network, normalize=normalize, input_size=8, value_range="-80,0")
    picture = torch.rand(1, 2, 8, 8)
    values = -80 + 80 * picture
    mean, std = as_normalization(normalize or "none", 2)
    expected = (values - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert torch.allclose(encode(model, picture, "").popitem()[1], expected, atol=1e-4)


def test_a_range_of_values_is_kept_when_a_model_is_given_again() -> None:
    first = load_model(nn.Conv2d(2, 2, 1), normalize="-20,-10/2,4", value_range=(-80, 0), show_channels=1)
    again = load_model(first, show_channels=(1, 0))
    assert again.mean == pytest.approx(first.mean)
    assert again.std == pytest.approx(first.std)
    assert (again.value_range, again.show_channels, first.show_channels) == ((-80, 0), (1, 0), (1,))
    mean, std = in_unit_range((1.0, 2.0), (3.0, 4.0), (-1.0, 7.0))
    assert in_values(mean, std, (-1.0, 7.0)) == ((1.0, 2.0), (3.0, 4.0))


def test_a_factory_says_them_too(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def radar():\n"
        "    return nn.Conv2d(6, 4, 3), {'value_range': (-30, 10), 'show_channels': [3, 2, 1], 'normalize': '-10/5'}\n"
    )
    model = load_model(f"{tmp_path}/net.py:radar", device="cpu")
    assert (model.value_range, model.show_channels, len(model.mean)) == ((-30, 10), (3, 2, 1), 6)
    assert model.mean == pytest.approx([0.5] * 6)
    assert model.std == pytest.approx([0.125] * 6)


@pytest.mark.parametrize("given", ["", "1", "1,0", "0,0", "a,b", "0,inf", "0,1,2", 5, (1,)])
def test_another_range_is_refused(given) -> None:
    with pytest.raises(BadInput, match="two numbers low,high with low < high"):
        as_value_range(given)


@pytest.mark.parametrize("given", ["", "a", "-1", "1,,2", 1.5, (-1,), []])
def test_other_channels_to_show_are_refused(given) -> None:
    with pytest.raises(BadInput, match="channels from 0, as 0 or 3,2,1"):
        as_show_channels(given)


def test_channels_that_pictures_do_not_have_are_refused() -> None:
    with pytest.raises(BadInput, match=r"show_channels 4 is out of range: module has 4 channels \(0 to 3\)"):
        Model(nn.Conv2d(4, 4, 1), show_channels=(0, 4))


def test_the_trained_network_puts_out_what_its_authors_did(shared_data: Path) -> None:
    from safetensors.torch import load_file

    from tests.shared_networks import basic_pitch

    weights = shared_data / "weights" / "basic_pitch.safetensors"
    example = load_file(shared_data / "weights" / "basic_pitch_example.safetensors")
    model = load_model(basic_pitch(), weights, device="cpu", input_size=(172, 264), value_range=(-0.9, 1.7))
    picture = (example["input"].float() + 0.9) / 2.6
    for name in ("contour", "note", "onset"):
        found = encode(model, picture, f"output:{name}")[f"output:{name}"]
        assert (found[0] - example[name].float()).abs().max() < 2e-3  # the example is in half precision
