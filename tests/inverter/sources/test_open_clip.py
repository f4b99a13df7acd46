"""Networks of open_clip: pictures give what `encode_image` gives, the text tower is there, files of weights fit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from inverter import BadInput, MissingFile, Model, Settings, list_models, load_model, optimize
from objectives import logit
from priors import Fourier

open_clip = pytest.importorskip("open_clip")

TINY = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESSING = {"size": 32, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as open_clip saves it, with random weights; its architecture is registered as well, in two forms."""
    place = tmp_path_factory.mktemp("open_clip")
    (place / "tiny.json").write_text(json.dumps(TINY))
    (place / "tiny-custom.json").write_text(json.dumps(TINY | {"custom_text": True}))
    for name in ("tiny", "tiny-custom"):
        open_clip.add_model_config(place / f"{name}.json")
    torch.manual_seed(0)
    save_file(open_clip.create_model("tiny").state_dict(), place / "open_clip_model.safetensors")
    config = {"model_cfg": TINY, "preprocess_cfg": PREPROCESSING}
    (place / "open_clip_config.json").write_text(json.dumps(config))
    return place


def output(model: Model, picture: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), model.capture([""]) as capture:
        return capture(model.normalize(picture))[""]


def test_a_picture_gives_what_it_gives_in_open_clip_with_its_preprocessing(folder: Path) -> None:
    original, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = original.eval().encode_image(preprocess(Image.fromarray(picture))[None])
    model = load_model(f"open_clip:local-dir:{folder}", device="cpu")
    assert model.input_size == (32, 32)
    assert model.mean == (0.5, 0.4, 0.3)
    assert model.std == (0.2, 0.3, 0.4)
    assert torch.allclose(output(model, torch.from_numpy(picture).permute(2, 0, 1)[None] / 255), expected, atol=1e-5)
    assert model.module.encode_text(torch.tensor([[3, 5, 2, 0, 0, 0, 0, 63]])).shape == (1, 12)
    assert len(optimize(model, logit(1), Fourier(1, size=32), Settings(steps=2)).scores) == 1


@pytest.mark.parametrize("architecture", ["tiny", "tiny-custom"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_are_a_local_file(architecture: str, prefix: str, folder: Path, tmp_path: Path) -> None:
    """Those of `tiny` have other names in `tiny-custom`, whose text tower is a module: open_clip converts them."""
    state = load_file(folder / "open_clip_model.safetensors")
    torch.save({"state_dict": {prefix + name: tensor for name, tensor in state.items()}}, tmp_path / "w.pt")
    model = load_model(f"open_clip:{architecture}", tmp_path / "w.pt", device="cpu")
    picture = torch.rand(1, 3, 32, 32)
    expected = load_model(f"open_clip:local-dir:{folder}", device="cpu", normalize=(model.mean, model.std))
    assert torch.allclose(output(model, picture), output(expected, picture), atol=1e-6)
    assert model.weights == tmp_path / "w.pt"
    with pytest.raises(BadInput, match=r"w\.pt does not fit .* missing \("):
        torch.save({name: tensor for name, tensor in state.items() if name != "ln_final.bias"}, tmp_path / "w.pt")
        load_model(f"open_clip:{architecture}", tmp_path / "w.pt")


def test_random_weights_are_the_same_each_time(folder: Path) -> None:
    first = load_model("open_clip:tiny", "random", device="cpu")
    assert first.sha256 == load_model("open_clip:tiny", "random", device="cpu").sha256
    assert first.input_size == (32, 32)


@pytest.mark.parametrize(
    ("spec", "kind", "says"),
    [
        ("open_clip:ViT-B-33", BadInput, "no architecture 'ViT-B-33'; the nearest are: ViT-B-32"),
        (
            "open_clip:ViT-B-32",
            BadInput,
            r"has \d+ pretrained weights: give one as open_clip:ViT-B-32/TAG \(TAG: openai",
        ),
        ("open_clip:ViT-B-32/nobody", BadInput, "no weights 'nobody' of ViT-B-32; it has openai, "),
        ("open_clip:ViT-M-16", BadInput, "has no pretrained weights: give a file as weights"),
        ("open_clip:local-dir:nowhere", MissingFile, "no open_clip_config.json in 'nowhere'"),
    ],
)
def test_what_it_does_not_have_is_one_line(spec: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        load_model(spec)
    assert "\n" not in str(caught.value)


def test_its_names_are_listed_with_the_tags_of_their_weights() -> None:
    names = list_models("open_clip:ViT-B-32/laion2b*", source="open_clip")
    assert names == ["open_clip:ViT-B-32/laion2b_e16", "open_clip:ViT-B-32/laion2b_s34b_b79k"]
