"""Memory order, rank and type of a network are the user's."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import BadInput, LayerNotFound, Settings, encode, evaluate, layers, load_model, optimize, receptive_fields
from objectives import channel, logit
from priors import Fourier
from recipes.attribution import explain

SETTINGS = Settings(steps=3, precision="float32")
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Tutorial(nn.Module):
    """PyTorch's own tutorial network, which flattens its maps with `view`."""

    def __init__(self, way: str = "view", channels: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv1, self.pool, self.conv2 = nn.Conv2d(channels, 6, 5), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 5)
            self.bn, self.fc = nn.BatchNorm2d(16), nn.Linear(16 * 5 * 5, 10)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.bn(self.conv2(x))))
        if self.way == "view":
            x = x.view(-1, 16 * 5 * 5)
        elif self.way == "as_strided":
            assert x.stride()[-1] == 1
            x = x.as_strided((len(x), 400), (400, 1))
        else:
            x = x.flatten(1)
        return self.fc(x)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels", [3, 1])
def test_view_gives_what_flatten_gives(channels: int, precision: str) -> None:
    found, normalize = [], ((0.5,) * channels, (0.5,) * channels)
    images = IMAGES[:, :channels]
    for way in ("view", "flatten"):
        model = load_model(Tutorial(way, channels).eval(), normalize=normalize, input_size=32)
        assert model.layout == torch.channels_last
        scores = evaluate(model, logit(1), images)
        assert (model.layout == torch.channels_last) == (way == "flatten")
        found.append((scores, explain(model, images, logit(1), "saliency"), encode(model, images, "conv2")["conv2"]))
        assert [row.name for row in layers(load_model(model.module, normalize=normalize, input_size=32))]
        if channels == 3:
            settings = Settings(steps=3, precision=precision)
            optimize(model, logit(1) + channel("conv2", 2), Fourier(1, size=32), settings)
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_other_code_that_reads_strides_works_too() -> None:
    model = load_model(Tutorial("as_strided").eval(), input_size=32)
    assert receptive_fields(model, ["conv2"])["conv2"] is not None
    assert optimize(model, logit(1), Fourier(1, size=32), SETTINGS).scores.isfinite()


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_a_script_module_that_views_works() -> None:
    model = load_model(torch.jit.trace(Tutorial().eval(), torch.rand(1, 3, 32, 32)), input_size=32)
    assert optimize(model, logit(1), Fourier(1, size=32), SETTINGS).scores.isfinite()


def test_the_usual_network_runs_once(tiny_net: nn.Module) -> None:
    ran = []
    tiny_net.register_forward_pre_hook(lambda _, inputs: ran.append(inputs[0].stride(1)))
    evaluate(load_model(tiny_net), logit(1), IMAGES)
    assert ran == [1]


def test_the_order_is_decided_once(tiny_net: nn.Module) -> None:
    ran, model = [], load_model(Tutorial().eval(), input_size=32)
    model.module.register_forward_pre_hook(lambda _, inputs: ran.append(inputs[0].stride(1) == 1))
    for _ in range(2):
        evaluate(model, logit(1), IMAGES)
    assert ran == [True, False, False]


def test_a_network_from_a_file_may_view_and_have_parameters_of_any_rank(tmp_path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.c = nn.Conv2d(3, 8, 3)\n        self.d = nn.Conv2d(8, 8, 3)\n"
        "        self.table = nn.Parameter(torch.zeros(1, 1, 8, 1, 1))\n    def forward(self, x):\n"
        "        x = self.d(self.c(x) + self.table[0])\n        return x.view(len(x), -1)\n"
    )
    model = load_model(f"{tmp_path}/net.py:Net", input_size=32, device="cpu")
    assert optimize(model, logit(1), Fourier(1, size=32), SETTINGS).scores.isfinite()
    assert model.module.d.weight.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_of_any_type_work(tiny_net: nn.Module, dtype: torch.dtype, precision: str) -> None:
    images = IMAGES[:, :, :16, :16]
    expected = evaluate(load_model(tiny_net, input_size=16), logit(1), images)
    model = load_model(tiny_net.to(dtype), input_size=16)
    assert model.dtype == dtype
    found = evaluate(model, logit(1), images)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=0.05)
    settings = Settings(steps=3, precision=precision)
    made = optimize(model, channel("body", 1) + logit(1), Fourier(1, size=16), settings)
    assert made.images.dtype == torch.float32
    assert made.status == ("ok",)
    for method in ("saliency", "grad-cam"):
        assert explain(model, images, logit(1), method).isfinite().all()
    assert layers(model)


@pytest.mark.filterwarnings("ignore")
def test_quantised_weights_work() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    dynamic = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
    assert evaluate(load_model(dynamic, input_size=32), logit(1), IMAGES).isfinite().all()
    assert evaluate(load_model(dynamic, input_size=32), channel("0", 1), IMAGES).isfinite().all()


class Quantised(nn.Module):
    """A network whose convolution and linear layer compute in eight bits."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        self.conv, self.relu, self.pool = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(self.enter(x)))
        return self.leave(self.fc(self.pool(x).flatten(1)))


@pytest.mark.filterwarnings("ignore")
def test_a_statically_quantised_network_works_but_has_no_gradient() -> None:
    quantization = torch.ao.quantization
    net = Quantised().eval()
    net.qconfig = quantization.get_default_qconfig("fbgemm")
    prepared = quantization.prepare(net)
    prepared(IMAGES)
    model = load_model(quantization.convert(prepared), input_size=32)
    assert [row.name for row in layers(model)] == ["enter", "conv", "relu", "pool", "fc", "leave"]
    assert evaluate(model, logit(1) + channel("conv", 2), IMAGES).isfinite().all()
    code = encode(model, IMAGES, "conv")["conv"]
    assert code.dtype == torch.float32
    assert code.shape == (2, 8, 30, 30)
    assert explain(model, IMAGES, logit(1), "occlusion:size=8,stride=8").isfinite().all()
    for objective in (logit(1), channel("conv", 2)):
        with pytest.raises(BadInput, match="quantised layers"):
            optimize(model, objective, Fourier(1, size=32), SETTINGS)
        with pytest.raises(BadInput, match="quantised layers"):
            explain(model, IMAGES, objective, "saliency")


def test_weights_in_integer_buffers_work() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.randint(-8, 8, (4, 3, 3, 3), dtype=torch.int8))
            self.register_buffer("scale", torch.tensor(0.1))

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight.to(x.dtype) * self.scale).mean((2, 3))

    model = load_model(Packed(), input_size=32)
    before = model.sha256
    assert optimize(model, logit(1), Fourier(1, size=32), SETTINGS).scores.isfinite()
    assert explain(model, IMAGES, logit(1), "saliency").any()
    model.module.weight[0, 0, 0, 0] += 1
    assert model.sha256 != before


def test_lazy_layers_without_weights_are_reported() -> None:
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU())
    with pytest.raises(BadInput, match=r"lazy layers without weights \(0.weight\): run it on a picture first"):
        load_model(net, input_size=32)
    net(IMAGES)
    assert optimize(load_model(net, input_size=32), channel("0", 1), Fourier(1, size=32), SETTINGS).scores.isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("operation", [torch.linalg.svdvals, torch.linalg.inv, lambda x: torch.fft.rfft2(x).abs()])
def test_what_the_processor_does_not_compute_in_half_precision_is_reported(operation, dtype: torch.dtype) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return operation(self.conv(x)).flatten(1)

    name = str(dtype).removeprefix("torch.")
    with pytest.raises(BadInput, match=f"the CPU does not compute all of it in {name}: load the network in float32"):
        evaluate(load_model(Own().to(dtype), input_size=32), logit(1), IMAGES)
    assert evaluate(load_model(Own(), input_size=32), logit(1), IMAGES).isfinite().all()


def test_complex_numbers_are_reported() -> None:
    class Spectrum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.rfft2(x)

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Spectrum())
    with pytest.raises(BadInput, match="layer '1' outputs complex numbers"):
        optimize(load_model(net, input_size=32), channel("1", 0), Fourier(1, size=32), SETTINGS)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_network_with_a_part_in_torchscript_works() -> None:
    part = torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU()))
    model = load_model(nn.Sequential(nn.Conv2d(3, 4, 3), part, nn.Conv2d(4, 4, 1)), input_size=32)
    assert [row.name for row in layers(model)] == ["0", "2"]
    assert optimize(model, channel("2", 1), Fourier(1, size=32), SETTINGS).scores.isfinite()
    assert explain(model, IMAGES, channel("2", 1), "grad-cam").isfinite().all()
    with pytest.raises(LayerNotFound, match="layer '1' is in TorchScript"):
        evaluate(model, channel("1", 1), IMAGES)


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (nn.Sequential(nn.Conv3d(3, 4, 3)), r"four dimensions .* Conv3d, takes video \(B, C, T, H, W\)"),
        (nn.Sequential(nn.Conv1d(3, 4, 3)), r"four dimensions .* Conv1d, takes audio or other sequences \(B, C, T\)"),
        (nn.Sequential(nn.Linear(3072, 4)), r"Linear that takes 3,072 numbers"),
    ],
)
def test_a_network_of_another_rank_is_reported_in_one_line(net: nn.Module, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        optimize(load_model(net, input_size=32), channel("0", 1), Fourier(1, size=32), SETTINGS)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=says):
        layers(load_model(net, input_size=32))


def test_a_prior_of_other_channels_than_the_network_takes_is_reported_in_one_line() -> None:
    net = load_model(nn.Sequential(nn.Conv2d(4, 4, 3)), input_size=32)
    with pytest.raises(BadInput, match=r"takes pictures of 4 channels and Fourier has 3: set its image_channels=4"):
        optimize(net, channel("0", 1), Fourier(1, size=32), SETTINGS)


def test_a_fault_of_the_network_is_not_explained_by_its_first_layer() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return x.unknown

    with pytest.raises(BadInput) as caught:
        layers(load_model(Broken(), input_size=32))
    assert "first layer" not in str(caught.value)


def test_a_failure_at_any_size_is_not_called_a_matter_of_size() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.unknown

    with pytest.raises(BadInput, match="fails in the same way at its own size"):
        load_model(Broken(), input_size=32).shapes([""], (16, 16))


def test_a_network_without_a_gradient_is_reported() -> None:
    class Frozen(nn.Module):
        def __init__(self, way: str) -> None:
            super().__init__()
            self.c, self.way = nn.Conv2d(3, 4, 3), way

        def forward(self, x: Tensor) -> Tensor:
            if self.way == "no_grad":
                with torch.no_grad():
                    return self.c(x).mean((2, 3))
            y = self.c(x).mean((2, 3))
            return y.detach() if self.way == "detach" else y.argmax(1)

    for way in ("no_grad", "detach", "argmax"):
        with pytest.raises(BadInput, match="no gradient"):
            optimize(load_model(Frozen(way), input_size=16), logit(0), Fourier(1, size=16), SETTINGS)


def test_a_network_that_fails_in_bfloat16_runs_in_the_type_of_its_weights() -> None:
    class Strict(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            assert x.dtype == self.conv.weight.dtype
            return x.mean((2, 3))

    model, found = load_model(Strict(), input_size=32), []
    for precision in ("float32", "bfloat16"):
        settings = Settings(steps=3, precision=precision)
        found.append(optimize(model, logit(1), Fourier(1, size=32), settings).images)
        assert model.layout == torch.channels_last
    assert torch.equal(*found)
