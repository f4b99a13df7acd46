"""Networks of timm: any name that timm itself takes, with the labels of its configuration."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inverter import MissingFile, load_model

timm = pytest.importorskip("timm")


def save(folder: Path, name: str, state: dict[str, Tensor], **config: object) -> str:
    """A folder as timm saves it, as a spec."""
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architecture": name, **config}))
    return f"timm:local-dir:{folder}"


def test_a_folder_brings_its_weights_preprocessing_and_labels(tmp_path: Path) -> None:
    original = timm.create_model("test_resnet", num_classes=3)
    known = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 96, 64]}
    labels = {"label_names": ["n1", "n2", "n3"], "label_descriptions": {"n1": "cat", "n3": "dog"}}
    spec = save(tmp_path, "test_resnet", original.state_dict(), num_classes=3, pretrained_cfg=known, **labels)
    model = load_model(spec, device="cpu")
    picture = torch.rand(1, 3, 96, 64)
    mean, std = (torch.tensor(known[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        expected = original.eval()((picture - mean) / std)
        assert torch.allclose(model.module(model.normalize(picture)), expected, atol=1e-5)
    assert model.input_size == (96, 64)
    assert model.categories == ("cat", "n2", "dog")
    other = load_model(spec, "random", device="cpu")
    assert other.sha256 != model.sha256
    assert other.categories == model.categories


def test_a_trained_transformer_names_photographs(shared_data: Path, photographs: Tensor, tmp_path: Path) -> None:
    """DeiT-tiny as a folder of timm."""
    from safetensors.torch import load_file

    state = load_file(shared_data / "weights" / "deit_tiny_patch16_224.safetensors")
    model = load_model(save(tmp_path, "deit_tiny_patch16_224", state, num_classes=1000), device="cpu")
    assert model.categories[207].startswith("golden retriever")
    assert model.input_size == (224, 224)
    names = [path.name for path in sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::25][:16]]
    pictures = nn.functional.interpolate(photographs, (224, 224), mode="bilinear")
    with torch.no_grad():
        best = model.module(model.normalize(pictures)).topk(5).indices
    hits = sum(int(name[:4]) in row for name, row in zip(names, best.tolist(), strict=True))
    assert hits >= 12  # of 16; at random it would be .08


def test_a_folder_without_a_configuration_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"no config.json in .*: expected a folder as timm saves it"):
        load_model(f"timm:local-dir:{tmp_path}")
