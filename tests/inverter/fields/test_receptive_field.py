"""Receptive fields, compared with the gradients of real and of random networks."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models, ops

from inverter import Model, load_model, receptive_fields


def support(model: Model, layer: str, y: int, x: int, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The box around the pixels that have a gradient of the unit (all channels) at (y, x); None if there is none."""
    torch.manual_seed(1)
    picture = torch.rand(1, 3, *size, requires_grad=True)
    with model.capture([layer]) as capture:
        activation = capture(model.normalize(picture))[layer]
        weights = torch.rand(activation.shape[1])
        (gradient,) = torch.autograd.grad((activation[0, :, y, x] * weights).sum(), picture)
    touched = (gradient.abs().sum((0, 1)) > 0).nonzero()
    if not len(touched):
        return None
    (top, left), (bottom, right) = touched.amin(0).tolist(), touched.amax(0).tolist()
    return top, left, bottom + 1, right + 1


def corners(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    height, width = shape[2:]
    return [(0, 0), (height - 1, width - 1), (height // 2, width // 3), (0, width // 2)]


NETWORKS = {
    "squeezenet1_0": ["features.0", "features.2", "features.4", "features.9", "features.12"],
    "resnet18": ["conv1", "maxpool", "layer1.1", "layer2.0", "layer3"],
    "mobilenet_v2": ["features.1", "features.4", "features.7", "features.14"],
    "alexnet": ["features.2", "features.5", "features.12"],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_of_a_unit_lies_in_its_window(name: str) -> None:
    """It also fills the window, except for what ReLUs and max pooling block at its edges."""
    torch.manual_seed(0)
    size = (160, 192)
    model = load_model(models.get_model(name, weights=None).eval(), input_size=size)
    fields = receptive_fields(model, NETWORKS[name], size)
    for layer in NETWORKS[name]:
        field = fields[layer]
        assert field is not None
        for y, x in corners(tuple(model.shapes([layer], size)[layer])):
            seen, window = support(model, layer, y, x, size), field.window(y, x, size)
            assert seen is not None
            assert all(s >= w for s, w in zip(seen[:2], window[:2], strict=True)), (layer, y, x, seen, window)
            assert all(s <= w for s, w in zip(seen[2:], window[2:], strict=True)), (layer, y, x, seen, window)
            slack = max(abs(s - w) for s, w in zip(seen, window, strict=True))
            assert slack <= 0.25 * field.size, (layer, y, x, seen, window)


def test_the_trained_squeezenets_units_see_their_windows(squeezenet: Model, photographs: Tensor) -> None:
    """A picture that is changed outside of the window leaves the unit as it was; inside, it changes it."""
    field = receptive_fields(squeezenet, ["features.12"])["features.12"]
    assert field is not None
    picture = F.interpolate(photographs[:1], (224, 224))
    for y, x in ((0, 0), (6, 6), (12, 3)):
        top, left, bottom, right = field.window(y, x, (224, 224))
        inside = torch.zeros(1, 1, 224, 224)
        inside[:, :, top:bottom, left:right] = 1
        with torch.no_grad(), squeezenet.capture(["features.12"]) as capture:
            units = [
                capture(squeezenet.normalize(image))["features.12"][0, :, y, x]
                for image in (picture, picture * inside, picture * (1 - inside))
            ]
        torch.testing.assert_close(units[0], units[1], rtol=1e-4, atol=1e-3)
        assert (units[0] - units[2]).abs().max() > 1


@st.composite
def linear_networks(draw: st.DrawFn) -> nn.Module:
    """Networks whose units depend on their full receptive field: without ReLU and max pooling."""
    parts: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
        stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        padding = tuple(draw(st.integers(0, side // 2)) for side in kernel)
        kind = draw(st.sampled_from(["conv", "pool", "pad", "slice"]))
        if kind == "conv":
            parts.append(nn.Conv2d(3, 3, kernel, stride, padding, dilation))
        elif kind == "pool":
            parts.append(nn.AvgPool2d(kernel, stride, padding))
        elif kind == "pad":
            parts.append(nn.ZeroPad2d((1, 0, 2, draw(st.integers(0, 2)))))
        else:
            parts.append(Cut(draw(st.integers(-20, 3)), draw(st.integers(1, 2))))
    return nn.Sequential(*parts)


class Cut(nn.Module):
    def __init__(self, start: int, step: int) -> None:
        super().__init__()
        self.start, self.step = start, step

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :, max(self.start, -x.shape[3]) :: self.step]


@given(net=linear_networks(), place=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_in_a_linear_network_the_window_is_the_support_of_the_gradient(
    net: nn.Module, place: tuple[float, float]
) -> None:
    size = (40, 50)
    torch.manual_seed(2)
    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.uniform_(part.weight, 0.1, 1)
    layer = str(len(net) - 1)  # type: ignore[arg-type]
    model = load_model(net, input_size=size)
    try:
        shape = model.shapes([layer])[layer]
    except ValueError:  # the map would be empty
        return
    y, x = (min(int(share * side), side - 1) for share, side in zip(place, shape[2:], strict=True))
    field = receptive_fields(model, [layer])[layer]
    assert field is not None
    seen, window = support(model, layer, y, x, size), field.window(y, x, size)
    if seen is not None:
        assert all(s >= w for s, w in zip(seen[:2], window[:2], strict=True))
        assert all(s <= w for s, w in zip(seen[2:], window[2:], strict=True))
    inside = min(window[:2]) > 0 and window[2] < size[0] and window[3] < size[1]
    if inside and not any(map(_gaps, net)):  # type: ignore[call-overload]
        assert seen == window


def _gaps(part: nn.Module) -> bool:
    """Whether a part skips pixels or cuts some off: the outermost ones of a window may be among them."""
    if isinstance(part, Cut) or (isinstance(part, nn.Conv2d) and part.dilation != (1, 1)):
        return True
    kernel = part.kernel_size if isinstance(part, nn.Conv2d | nn.AvgPool2d) else (9, 9)
    stride = part.stride if isinstance(part, nn.Conv2d | nn.AvgPool2d) else 1
    strides = stride if isinstance(stride, tuple) else (stride, stride)
    return any(k < s for k, s in zip(kernel, strides, strict=True))  # type: ignore[arg-type]


def test_a_unit_that_sees_everything_has_the_full_picture_as_its_window(squeezenet: Model) -> None:
    field = receptive_fields(squeezenet, ["classifier"], (100, 120))["classifier"]
    assert field is not None
    assert field.size == math.inf
    assert field.window(0, 0, (100, 120)) == (0, 0, 100, 120)


def test_an_untraceable_layer_is_unknown_and_a_wrong_name_is_reported(tiny_net: nn.Module) -> None:
    class Up(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.last(F.interpolate(x, scale_factor=2))

    assert receptive_fields(load_model(Up(), input_size=8), ["last"]) == {"last": None}
    model = load_model(tiny_net, input_size=16)
    twice = receptive_fields(model, ["relu", "relu#1", "relu#2"])
    assert twice["relu"] is not None
    assert twice["relu"].size == 5
    assert twice["relu#1"] is not None
    assert twice["relu#2"] is None
    with pytest.raises(LookupError, match="no layer 'rel'"):
        receptive_fields(model, ["rel"])


class After(nn.Module):
    """An operation on the maps of a 3x3 convolution."""

    def __init__(self, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.operation, self.last = nn.Conv2d(3, 4, 3, padding=1), operation, nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.operation(self.conv(x)))


def deformed(x: Tensor) -> Tensor:
    return ops.deform_conv2d(x, torch.full((1, 18, 8, 8), 2.0), torch.ones(4, 4, 3, 3), padding=1)


def sampled(x: Tensor) -> Tensor:
    return F.grid_sample(x, torch.zeros(1, 8, 8, 2), align_corners=False)


def shifted_in_place(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, :, :-3] = x[:, :, 3:]
    return y + x


def added_to_a_part(x: Tensor) -> Tensor:
    x[:, :, 4:, 4:] += x[:, :, :4, :4].clone()
    return x * 2


def filtered_by_itself(x: Tensor) -> Tensor:
    return F.conv2d(x, x[:, :, :1, :1].transpose(0, 1).expand(4, 4, 1, 1))


UNKNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "deformable convolution": deformed,
    "grid_sample": sampled,
    "rows by index": lambda x: x[:, :, [7, 6, 5, 4, 3, 2, 1, 0]],
    "index_select": lambda x: x.index_select(3, torch.arange(8).flip(0)),
    "gather": lambda x: x.gather(2, torch.zeros(1, 4, 8, 8, dtype=torch.long)),
    "take_along_dim": lambda x: x.take_along_dim(x.argsort(3), 3),
    "transposed maps": lambda x: x.transpose(2, 3),
    "permuted maps": lambda x: x.permute(0, 1, 3, 2),
    "rotated maps": lambda x: x.rot90(1, (2, 3)),
    "roll": lambda x: x.roll(3, 2),
    "cumulative sum": lambda x: x.cumsum(3),
    "cumulative product": lambda x: x.cumprod(2),
    "topk": lambda x: x.topk(8, 3).values,
    "matrix product": lambda x: x @ x,
    "product with a matrix": lambda x: torch.einsum("bchw,hk->bckw", x, torch.rand(8, 8)),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "softmax of positions": lambda x: x.softmax(3),
    "Fourier transform": lambda x: torch.fft.ifft2(torch.fft.fft2(x) * torch.rand(8, 8)).real,
    "instance normalisation": nn.InstanceNorm2d(4),
    "batch statistics": nn.BatchNorm2d(4, track_running_stats=False),
    "group normalisation": nn.GroupNorm(2, 4),
    "parts written in place": shifted_in_place,
    "a part added in place": added_to_a_part,
    "weights from the picture": filtered_by_itself,
    "pooling over channels and rows": lambda x: F.avg_pool3d(x[:, None], (2, 3, 1), 1, (0, 1, 0))[:, 0],
    "custom": lambda x: torch.special.bessel_j0(x),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_operation_without_a_rule_is_unknown_and_not_pointwise(name: str) -> None:
    fields = receptive_fields(load_model(After(UNKNOWN[name]), input_size=8), ["conv", "last"])
    assert fields["conv"] is not None
    assert fields["conv"].size == 3
    assert fields["last"] is None or fields["last"].size == math.inf


POINTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "activations": lambda x: F.gelu(F.silu(F.relu6(F.hardswish(F.softplus(F.elu(x.clamp(min=-1))))))),
    "prelu": nn.PReLU(),
    "arithmetic": lambda x: (x.exp() / (1 + x.abs()) - x.square()).sqrt() ** 1.5,
    "maximum": lambda x: torch.max(x, torch.zeros(())) + torch.where(x > 0, x, 0).masked_fill(x > 3, 1),
    "batch normalisation": nn.BatchNorm2d(4),
    "channel shuffle": lambda x: x.index_select(1, torch.tensor([1, 0, 3, 2])),
    "split": lambda x: torch.cat(x.split(2, 1)[::-1], 1),
    "softmax of channels": lambda x: x.softmax(1),
    "mean over channels": lambda x: x * x.mean(1, keepdim=True).sigmoid() + x.amax(1, keepdim=True),
    "in place": lambda x: x.mul_(2).add_(1).relu_(),
    "identity resizing": lambda x: F.adaptive_avg_pool2d(F.interpolate(x, (8, 8)), 8),
    "a copy": lambda x: torch.empty_like(x).copy_(x),
    "dropout": nn.Dropout2d(),
    "response normalisation": nn.LocalResponseNorm(3),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise_operations_keep_the_receptive_field(name: str) -> None:
    fields = receptive_fields(load_model(After(POINTWISE[name]), input_size=8), ["conv", "last"])
    assert fields["last"] == fields["conv"]


def test_a_mean_over_one_axis_sees_all_of_it_alone() -> None:
    field = receptive_fields(load_model(After(lambda x: x.mean(2, keepdim=True)), input_size=8), ["last"])["last"]
    assert field is not None
    assert (field.y.size, field.x.size) == (math.inf, 3)


def test_local_response_normalisation_works_on_the_channels_alone() -> None:
    """GoogLeNet of Caffe and AlexNet of its paper have it after their first layers."""
    net = nn.Sequential(nn.Conv2d(3, 8, 5, 2), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2))
    field = receptive_fields(load_model(net, input_size=40), ["2"])["2"]
    assert field == receptive_fields(load_model(nn.Sequential(net[0], net[2]), input_size=40), ["1"])["1"]
    assert field is not None and field.size == 9
