"""Codes: the activations of a layer, and their file."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inverter import Code, Model, encode, load_code, load_model


@pytest.fixture
def model(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=12)


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(18, 3, 12, 12, generator=torch.Generator().manual_seed(5))


def test_a_code_is_the_output_of_the_layer(model: Model, pictures: Tensor) -> None:
    codes = encode(model, pictures, ["stem.0", ""])
    with torch.no_grad():
        x = model.normalize(pictures)
        assert torch.allclose(codes["stem.0"], model.module.stem[0](x), atol=1e-5)
        assert torch.allclose(codes[""], model.module(x), atol=1e-5)
    assert list(codes) == ["stem.0", ""]
    assert not codes[""].requires_grad


def test_the_forward_pass_ends_at_the_deepest_layer(model: Model, pictures: Tensor) -> None:
    ran: list[str] = []
    for name in ("stem", "body", "head"):
        model.module.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    encode(model, pictures[:2], "body")
    assert set(ran) == {"stem", "body"}


def test_it_leaves_the_network_as_it_was(model: Model, pictures: Tensor, snapshot) -> None:
    before = snapshot(model.module)
    encode(model, pictures, ["stem", "body"])
    assert snapshot(model.module) == before


def test_a_file_gives_back_what_was_encoded(model: Model, pictures: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "code.safetensors"
    codes = encode(model, pictures[:, :, :10], ["body", "relu#1", ""], path)
    code = load_code(path)
    assert list(code.layers) == ["body", "relu#1", ""]
    assert all(torch.equal(code.layers[layer], codes[layer]) for layer in codes)
    assert (code.model, code.sha256, code.size, code.count) == (model.spec, model.sha256, (10, 12), 18)
    assert [file.name for file in path.parent.iterdir()] == ["code.safetensors"]
    code.check(model)


def test_a_code_of_other_weights_is_reported(model: Model, pictures: Tensor, tmp_path: Path) -> None:
    encode(model, pictures, "body", tmp_path / "code.safetensors")
    other = load_model(nn.Sequential(nn.Conv2d(3, 8, 3)), input_size=12)
    with pytest.raises(ValueError, match="the code was made by module with weights"):
        load_code(tmp_path / "code.safetensors").check(other)


@pytest.mark.parametrize(
    ("shape", "layers", "kind", "says"),
    [
        ((2, 3, 12, 12), [], ValueError, "no layers"),
        ((3, 12, 12), ["body"], ValueError, r"expected pictures \(N, 3, H, W\), got shape \(3, 12, 12\)"),
        ((2, 1, 12, 12), ["body"], ValueError, r"\(2, 1, 12, 12\)"),
        ((0, 3, 12, 12), ["body"], ValueError, r"\(0, 3, 12, 12\)"),
        ((2, 3, 12, 12), ["bodi"], LookupError, "nearest are: body"),
    ],
)
def test_bad_input_is_reported(model: Model, shape, layers, kind, says) -> None:
    with pytest.raises(kind, match=says):
        encode(model, torch.zeros(shape), layers)


def test_a_code_is_kept_in_safetensors_alone(model: Model, pictures: Tensor, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.safetensors file, got '.*code.pt'"):
        encode(model, pictures, "body", tmp_path / "code.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_code_is_reported_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(FileNotFoundError, match=r"no code file '.*x.safetensors'"):
        load_code(path)
    for data in (b"", b"{}", struct.pack("<Q", 9) + b"{broken}}", struct.pack("<Q", 2**60) + b"{}"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"x.safetensors is damaged or no safetensors file"):
            load_code(path)
    about = {"model": "module", "sha256": "ab", "size": "12x12", "layers": '["a"]'}
    cases = [
        ({"a": torch.ones(2, 3)}, None),
        ({"a": torch.ones(2, 3)}, about | {"size": "12"}),
        ({"a": torch.ones(2, 3)}, about | {"size": "axb"}),
        ({"a": torch.ones(2, 3), "b": torch.ones(3, 3)}, about | {"layers": '["a", "b"]'}),
        ({"a": torch.ones(2)}, about),
        ({}, about),
        ({"a": torch.ones(2, 3)}, about | {"layers": "[]"}),
        ({"a": torch.ones(2, 3)}, about | {"layers": "3"}),
    ]
    for tensors, metadata in cases:
        save_file(tensors, path, metadata)
        with pytest.raises(ValueError, match="holds no code"):
            load_code(path)


def test_the_metadata_is_readable_text(model: Model, pictures: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "code.safetensors"
    encode(model, pictures, "body", path)
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    about = json.loads(data[8 : 8 + length])["__metadata__"]
    assert about == {
        "inverter": "code",
        "model": "module",
        "sha256": model.sha256,
        "size": "12x12",
        "layers": '["body"]',
    }


def test_a_code_is_a_plain_value() -> None:
    code = Code({"a": torch.ones(4, 2)}, "builtin", "ab", (8, 8))
    assert code.count == 4
