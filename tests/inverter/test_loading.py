"""Loading: every source and its metadata, and weights that are tensors or refused."""

import pickle
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inverter import Model, load_model
from inverter.checkpoints import read_state

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
    def forward(self, x):
        return self.conv(x)

def make():
    torch.manual_seed(1)
    return Net()

def fails():
    raise RuntimeError("no such\\nthing")

def text():
    return "no module"

constant = 3
"""


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(FACTORY)
    return path


def net() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_torchvision_with_local_weights_knows_preprocessing_size_and_categories(squeezenet: Model) -> None:
    assert squeezenet.spec == "torchvision:squeezenet1_0"
    assert squeezenet.mean == (0.485, 0.456, 0.406)
    assert squeezenet.std == (0.229, 0.224, 0.225)
    assert squeezenet.input_size == (224, 224)
    assert len(squeezenet.categories) == 1000
    assert squeezenet.categories[207] == "golden retriever"
    assert squeezenet.parameters == 1_248_424
    assert not squeezenet.module.training
    assert not any(parameter.requires_grad for parameter in squeezenet.module.parameters())
    assert {parameter.dtype for parameter in squeezenet.module.parameters()} == {torch.float32}


def test_the_trained_network_recognises_photographs(squeezenet: Model, photographs: Tensor, shared_data: Path) -> None:
    names = [path.name for path in sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::25][:16]]
    with torch.no_grad():
        best = squeezenet.module(squeezenet.normalize(photographs)).topk(5).indices
    hits = sum(int(name[:4]) in row for name, row in zip(names, best.tolist(), strict=True))
    assert hits >= 8  # of 16, at 128 px; at random it would be .08


def test_given_values_take_precedence_over_the_sources(squeezenet_weights: Path) -> None:
    model = load_model("torchvision:squeezenet1_0", squeezenet_weights, normalize="half", device="cpu", input_size=96)
    assert model.mean == model.std == (0.5, 0.5, 0.5)
    assert model.input_size == (96, 96)
    assert model.weights == squeezenet_weights


def test_timm_with_local_weights_knows_preprocessing_and_size(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    original = timm.create_model("test_resnet", pretrained=False)
    save_file(original.state_dict(), tmp_path / "w.safetensors")
    model = load_model("timm:test_resnet", tmp_path / "w.safetensors", device="cpu")
    assert same(model.module, original)
    config = timm.data.resolve_model_data_config(original)
    assert model.mean == config["mean"]
    assert model.std == config["std"]
    assert model.input_size == tuple(config["input_size"][1:])
    assert model.spec == "timm:test_resnet"


def test_a_factory_in_a_file(factory: Path) -> None:
    model = load_model(f"{factory}:make", device="cpu", input_size=16, normalize="none")
    assert model.shapes(["conv"]) == {"conv": (1, 4, 14, 14)}
    assert same(model.module, load_model(f"{factory}:make").module)


def test_a_module_that_one_has_stays_where_and_as_it_is(tiny_net: nn.Module, snapshot) -> None:
    tiny_net.train()
    before = snapshot(tiny_net)
    model = load_model(tiny_net, normalize="half", input_size=96)
    assert model.module is tiny_net
    assert model.input_size == (96, 96)
    assert snapshot(tiny_net) == before
    assert load_model(tiny_net).mean == (0.485, 0.456, 0.406)
    assert load_model(tiny_net).input_size == (224, 224)


def test_the_bundled_network_needs_no_files() -> None:
    model = load_model("builtin", device="cpu")
    height, width = model.input_size
    logits = model.module(torch.zeros(1, 3, height, width))
    assert logits.shape == (1, len(model.categories))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("how", ["plain", "half", "prefixed", "nested"])
def test_weights_are_copied_from_any_kind_of_file(tmp_path: Path, suffix: str, how: str) -> None:
    source, target = net(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    if how == "half":
        source = source.half()
    state = {("module." if how == "prefixed" else "") + name: tensor for name, tensor in source.state_dict().items()}
    path = tmp_path / f"w{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3} if how == "nested" else state, path)
    load_model(target, weights=path)
    assert same(target, source.float())
    assert target[0].weight.dtype == torch.float32


def test_weights_of_a_network_whose_own_names_begin_with_module(tmp_path: Path) -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Conv2d(3, 2, 1)

    source, target = Holder(), Holder()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_model(target, weights=tmp_path / "w.safetensors")
    assert same(source, target)


class Evil:
    """A pickle that, when loaded without care, makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_code_in_weights_is_refused_and_does_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    by_torch, by_pickle = tmp_path / "torch.pt", tmp_path / "pickle.pth"
    torch.save({"0.weight": Evil(trap)}, by_torch)
    by_pickle.write_bytes(pickle.dumps({"0.weight": Evil(trap)}))
    for path in (by_torch, by_pickle):
        with pytest.raises(ValueError, match="refused"):
            load_model(net(), weights=path)
    assert not trap.exists()
    pickle.loads(by_pickle.read_bytes())
    assert trap.exists()  # the trap works


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("w.safetensors", b"", "damaged"),
        ("w.safetensors", b"no tensors in here, only text", "damaged"),
        ("w.safetensors", b"\xff" * 64, "damaged"),
        ("w.pt", b"", "damaged"),
        ("w.pt", b"PK\x03\x04 a zip that is cut off", "damaged"),
        ("w.onnx", b"", "'.onnx'"),
        ("weights", b"", "no suffix"),
    ],
)
def test_damaged_and_other_files_are_told_by_name(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        load_model(net(), weights=tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_file_that_was_cut_off_is_reported(tmp_path: Path) -> None:
    for suffix in ("safetensors", "pt"):
        path = tmp_path / f"w.{suffix}"
        save_file(net().state_dict(), path) if suffix == "safetensors" else torch.save(net().state_dict(), path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match="damaged"):
            load_model(net(), weights=path)


@pytest.mark.parametrize("content", [[1, 2], {"a": 3}, torch.zeros(2), {"state_dict": {"a": "b"}}])
def test_a_file_without_tensors_by_name_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="no state_dict"):
        read_state(tmp_path / "w.pt")


def test_a_mismatch_names_the_first_missing_and_unexpected_and_changes_no_weights(tmp_path: Path) -> None:
    target = net()
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    state = {f"extra{i}": torch.zeros(1) for i in range(5)} | {
        "0.weight": torch.zeros(4, 3, 5, 5),
        "0.bias": torch.ones(4),
    }
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="does not fit Sequential") as caught:
        load_model(target, weights=tmp_path / "w.safetensors")
    text = str(caught.value)
    assert "4 missing (1.weight, 1.bias, 1.running_mean, ...)" in text
    assert "5 unexpected (extra0, extra1, extra2, ...)" in text
    assert "1 of another shape (0.weight (4, 3, 5, 5) instead of (4, 3, 3, 3))" in text
    assert all(torch.equal(tensor, before[name]) for name, tensor in target.state_dict().items())


@pytest.mark.parametrize(
    ("spec", "kind", "says"),
    [
        ("squeezenet1_0", ValueError, "expected builtin, torchvision:NAME"),
        ("", ValueError, "unknown model ''"),
        ("torchvision:", ValueError, "unknown model"),
        ("torchvision:squeezenet", ValueError, "squeezenet1_0"),
        ("torchvision:zzzzzzzz", ValueError, "torchvision has no model 'zzzzzzzz'"),
        ("timm:test_resnett", ValueError, "test_resnet"),
        ("keras:vgg16", ValueError, "unknown model 'keras:vgg16'"),
        ("nowhere.py:make", FileNotFoundError, "nowhere.py"),
        ("nets.py", ValueError, "unknown model 'nets.py'"),
    ],
)
def test_an_unknown_model_is_reported_with_the_nearest_names(spec: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        load_model(spec)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mak", "no function 'mak'; the nearest are: make"),
        ("constant", "no function 'constant'"),
        ("", "no function ''"),
        ("fails", r"fails\(\) of .*nets.py failed: RuntimeError: no such"),
        ("text", "returned str, expected an nn.Module"),
    ],
)
def test_a_factory_that_does_not_make_a_network_is_reported(factory: Path, name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_model(f"{factory}:{name}")


def test_a_python_file_that_cannot_be_imported_is_reported(tmp_path: Path) -> None:
    for text, says in (("def make(:", "SyntaxError"), ("import no_such_package", "no_such_package")):
        (tmp_path / "broken.py").write_text(text)
        with pytest.raises(ValueError, match=says):
            load_model(f"{tmp_path / 'broken.py'}:make")


@pytest.mark.parametrize("weights", ["nowhere.pt", "."])
def test_a_weights_file_that_is_not_there_is_reported(weights: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"no weights file {weights!r}"):
        load_model("torchvision:squeezenet1_0", weights=weights)


@pytest.mark.parametrize("size", [0, -1, (32, 0), 1.5])
def test_an_input_size_is_positive(size) -> None:
    with pytest.raises((ValueError, TypeError)):
        load_model(net(), input_size=size)


def test_a_hub_that_cannot_be_reached_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    from torchvision import models

    def unreachable(*_: object, **__: object) -> nn.Module:
        raise URLError("Name or service not known")

    def offline(*_: object, **__: object) -> nn.Module:
        raise OSError("We couldn't connect\nCheck your connection")

    monkeypatch.setattr("inverter.sources.hub._silence", lambda: None)
    monkeypatch.setattr(models, "get_model", unreachable)
    monkeypatch.setattr(timm, "create_model", offline)
    for spec, reason in (
        ("torchvision:squeezenet1_1", "Name or service"),
        ("timm:test_resnet", "Check your connection"),
    ):
        with pytest.raises(ConnectionError, match=reason) as caught:
            load_model(spec)
        assert spec in str(caught.value)
        assert "weights=" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_timm_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        load_model("timm:test_resnet")


def test_an_absent_device_is_refused_for_any_source(factory: Path) -> None:
    for spec in (net(), f"{factory}:make"):
        with pytest.raises(ValueError, match="cuda:99"):
            load_model(spec, device="cuda:99")


class SomeNet(nn.Module):
    pass


def make_net() -> nn.Module:
    return net()


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        (SomeNet, TypeError, r"got the class SomeNet, not a network: make one of it, as in load_model\(SomeNet\(\)\)"),
        (make_net, TypeError, r"got the function make_net, not a network: call it, as in load_model\(make_net\(\)\)"),
        (net().state_dict(), TypeError, "a state dict has weights and no architecture"),
        (Path("net.pkl"), ValueError, "a file of weights has no architecture .* and net.pkl as its weights"),
        ("runs/best.pth.tar", ValueError, "a file of weights has no architecture"),
        (Path("nets.py"), ValueError, "say which function makes the network, as in nets.py:make"),
        ("resnet18", ValueError, "did you mean torchvision:resnet18"),
        ("torchvision/ResNet18", ValueError, "did you mean torchvision:resnet18"),
        (3, TypeError, "a model must be a name, an nn.Module or a Model, got int; expected builtin"),
        (None, TypeError, "got NoneType"),
    ],
)
def test_what_is_no_model_gets_one_helpful_line(given: object, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        load_model(given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["torchvision:squeezenet1_1", "timm:test_resnet"])
def test_random_weights_are_the_same_each_time_without_a_download(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")

    def offline(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    state = torch.random.get_rng_state()
    first = load_model(spec, "random", device="cpu")
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(5)
    assert load_model(spec, "random", device="cpu").sha256 == first.sha256
    assert first.weights is None
    assert first.size_from == "network"


def test_random_weights_are_for_names_alone(factory: Path) -> None:
    for spec in (f"{factory}:make", net(), "builtin"):
        with pytest.raises(ValueError, match="weights random"):
            load_model(spec, "random")
