"""Files with a network and its code: layers of `torch.export` can be read, TorchScript is one layer, others say why."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from inverter import BadInput, MissingFile, Settings, layers, load_model, optimize
from objectives import channel, logit
from priors import Fourier
from recipes.attribution import explain

BATCH = torch.export.Dim("batch", min=1, max=1024)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Dropout(0.9), nn.Conv2d(4, 8, 3))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def export(path: Path, *inputs: Tensor, network: nn.Module | None = None, dynamic: object = ({0: BATCH},)) -> str:
    program = torch.export.export((network or Net()).eval(), inputs, dynamic_shapes=dynamic)  # type: ignore[arg-type]
    torch.export.save(program, path)
    return str(path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    return export(tmp_path_factory.mktemp("exported") / "net.pt2", torch.rand(2, 3, 24, 32))


def test_its_layers_are_those_of_the_network_it_was_made_from(exported: str) -> None:
    model, plain = load_model(exported, device="cpu"), load_model(Net().eval(), input_size=(24, 32))
    assert model.input_size == (24, 32)
    assert model.size_from == "network"
    picture = model.normalize(torch.rand(3, 3, 24, 32))
    reads = ["body.0", "body.1", "body", "head", ""]
    with torch.no_grad(), model.capture(reads) as ours, plain.capture(reads) as theirs:
        for name, tensor in ours(picture).items():
            assert torch.allclose(tensor, theirs(picture)[name], atol=1e-6), name
    assert {"body.0", "body.3", "head"} <= {row.name for row in layers(model)}


def test_a_layer_is_maximised_as_that_of_the_network_it_was_made_from(exported: str) -> None:
    scores = [
        optimize(model, channel("body.3", 1), Fourier(2, size=(24, 32)), Settings(steps=3)).scores
        for model in (load_model(exported, device="cpu"), load_model(Net().eval(), input_size=(24, 32)))
    ]
    assert torch.allclose(*scores, rtol=1e-3)


def test_relevance_passes_through_its_batch_normalisation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval()
    picture = torch.rand(2, 3, 8, 8)
    path = export(tmp_path / "net.pt2", picture, network=network)
    for method in ("lrp", "deeplift"):
        maps = [explain(load_model(net, input_size=8), picture, logit(1), method) for net in (path, network)]
        assert maps[0].abs().max() > 1e-3
        assert torch.allclose(*maps, atol=1e-6), method


def test_a_copy_and_other_weights(exported: str, tmp_path: Path) -> None:
    model = load_model(exported, device="cpu")
    copied, picture = deepcopy(model), torch.rand(2, 3, 24, 32)
    assert copied.sha256 == model.sha256
    assert torch.equal(copied.module(picture), model.module(picture))
    other = {name: tensor + 1 for name, tensor in Net().state_dict().items()}
    torch.save(other, tmp_path / "w.pt")
    assert torch.equal(load_model(exported, tmp_path / "w.pt").module.state_dict()["head.bias"], other["head.bias"])
    with pytest.raises(BadInput, match="weights random"):
        load_model(exported, "random")


def test_a_dynamic_size_is_not_known(tmp_path: Path) -> None:
    side = torch.export.Dim.DYNAMIC
    shapes = ({0: torch.export.Dim.DYNAMIC, 2: side, 3: side},)
    model = load_model(export(tmp_path / "net.pt2", torch.rand(2, 3, 24, 32), dynamic=shapes), device="cpu")
    assert model.size_from == "guess"
    assert model.shapes([""], size=(40, 16)) == {"": (1, 5)}


def test_another_size_than_the_exported_one_is_one_line(exported: str) -> None:
    with pytest.raises(
        BadInput, match=r"a picture of 16x16 pixels .*exported for 24x32: .* its own size is 24x32"
    ) as caught:
        load_model(exported, device="cpu").shapes(["head"], size=(16, 16))
    assert "\n" not in str(caught.value)


class Pair(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_what_it_cannot_use_is_one_line(tmp_path: Path) -> None:
    picture = torch.rand(2, 3, 8, 8)
    (tmp_path / "damaged.pt2").write_bytes(b"PK\x03\x04 and so on")
    cases = {
        export(
            tmp_path / "fixed.pt2", picture, dynamic=None
        ): "exported for batches of 2: export it with dynamic_shapes",
        export(tmp_path / "two.pt2", picture, picture, network=Pair(), dynamic=None): "takes 2 inputs",
        export(tmp_path / "flat.pt2", picture[:, 0, 0], network=nn.Linear(8, 2)): r"the first of shape \(.*8\)",
        str(tmp_path / "damaged.pt2"): "could not be loaded as an exported network",
    }
    for path, says in cases.items():
        with pytest.raises(BadInput, match=says) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(MissingFile, match=r"nowhere\.pt2"):
        load_model("nowhere.pt2")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_file_in_torchscript_is_loaded_by_its_content(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(Net().eval(), torch.rand(1, 3, 16, 16)), tmp_path / "net.pt")
    torch.save(Net().state_dict(), tmp_path / "weights.pt")
    model = load_model(tmp_path / "net.pt", device="cpu", input_size=16)
    assert model.shapes([""]) == {"": (1, 5)}
    assert model.spec == str(tmp_path / "net.pt")
    with pytest.raises(BadInput, match="a file of weights has no architecture"):
        load_model(tmp_path / "weights.pt")


def test_onnx_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"no converter from ONNX to torch is kept up to date; export .* \.pt2"
    ) as caught:
        load_model("net.onnx")
    assert "\n" not in str(caught.value)
