"""Text towers: found in each form of network, encoding what the network itself encodes, and refused in one line."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, load_model
from inverter.text import LaterTokenizer, as_text_tower
from inverter.zero_shot import zero_shot

WORDS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "dark": (-1.0, -1.0, -1.0)}


def colours(texts: list[str]) -> Tensor:
    return torch.tensor([WORDS[text] for text in texts])


class Joint(nn.Module):
    """A network with both towers in the form of CLIP; its text tower takes the length of a text as its token."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
        self.words = nn.Embedding(20, 4)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, pictures: Tensor, tokens: Tensor) -> Tensor:
        return self.encode_image(pictures) @ self.encode_text(tokens).T

    def encode_image(self, pictures: Tensor) -> Tensor:
        return self.visual(pictures)

    def encode_text(self, tokens: Tensor) -> Tensor:
        return self.words(tokens)


def lengths(texts: list[str]) -> Tensor:
    return torch.tensor([len(text) for text in texts])


def as_it_encodes(vectors: Tensor) -> Tensor:
    return F.normalize(vectors.detach().float(), dim=1)


@pytest.fixture
def joint() -> Any:
    torch.manual_seed(0)
    network: Any = Joint()
    network.tokenizer = lengths
    return network


def test_the_image_tower_of_a_network_in_memory_is_under_inspection(joint: Any) -> None:
    model = load_model(joint, normalize="none", input_size=9)
    picture = torch.rand(2, 3, 9, 9)
    with torch.no_grad(), model.capture(["", "visual.0"]) as capture:
        found = capture(picture)
    assert torch.equal(found[""], joint.encode_image(picture).detach())
    assert found["visual.0"].shape == (2, 5, 7, 7)
    assert torch.allclose(model.encode_text(["red", "green"]), as_it_encodes(joint.words.weight[[3, 5]]))
    assert model.text.scale == pytest.approx(torch.tensor(2.0).exp().item())  # type: ignore[union-attr]
    assert joint(picture, torch.tensor([1])).shape == (2, 1)  # the user's own still takes both
    assert joint.training


def test_a_copy_of_it_works_wherever_it_goes(joint: Any) -> None:
    model = load_model(joint, normalize="none", input_size=9)
    with torch.no_grad():
        expected = joint.encode_image(torch.ones(1, 3, 9, 9))
    for module in (copy.deepcopy(model.module), pickle.loads(pickle.dumps(model.module))):
        with torch.no_grad():
            assert torch.equal(module(torch.ones(1, 3, 9, 9)), expected)
            module.visual[3].bias += 1
            assert not torch.equal(module(torch.ones(1, 3, 9, 9)), expected)  # its own weights, not the first one's


def test_a_pair_from_a_factory_with_its_weights(joint: Any, tmp_path: Path) -> None:
    (tmp_path / "clip.py").write_text(
        "from tests.inverter.test_text import Joint, lengths, colours\nfrom torch import nn\n"
        "def make(): return Joint(), {'tokenizer': lengths, 'input_size': 9}\n"
        "def pair(): return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), {'text': colours, 'input_size': 9}\n"
        "def wrong(): return nn.Sequential(), {'text': 3}\n"
        "def untowered(): return nn.Sequential(), {'tokenizer': lengths}\n"
    )
    save_file(joint.state_dict(), tmp_path / "clip.safetensors")
    model = load_model(f"{tmp_path / 'clip.py'}:make", tmp_path / "clip.safetensors")
    assert torch.allclose(model.encode_text(["red"]), as_it_encodes(joint.words.weight[[3]]))
    assert model.shapes([""]) == {"": (1, 4)}
    pair = load_model(f"{tmp_path / 'clip.py'}:pair", normalize="none")
    assert torch.allclose(pair.encode_text(["dark"]), torch.full((1, 3), -(3**-0.5)))
    with pytest.raises(ValueError, match="text must have encode_text"):
        load_model(f"{tmp_path / 'clip.py'}:wrong")
    with pytest.raises(ValueError, match="Sequential has no text tower: expected the methods encode_image"):
        load_model(f"{tmp_path / 'clip.py'}:untowered")


def test_mistakes_are_one_line(joint: Any) -> None:
    model = load_model(joint, normalize="none", input_size=9)
    for texts in ([], "red", ["red", " "], [3]):
        with pytest.raises(ValueError, match="expected one or more texts that are not empty"):
            model.encode_text(texts)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"the text tower of module failed on 'a text of many letters'"):
        model.encode_text(["a text of many letters"])
    with pytest.raises(ValueError, match="builtin has no text tower: give a network with one"):
        load_model("builtin").encode_text(["red"])
    odd = Model(nn.Sequential(), text=as_text_tower(lambda _texts: torch.ones(3)))
    with pytest.raises(ValueError, match=r"returned shape \(3,\) for 1 text; expected finite \(N, D\)"):
        odd.encode_text(["red"])


def test_a_tokenizer_is_made_when_the_first_text_comes() -> None:
    made: list[int] = []

    def make() -> Any:
        made.append(1)
        return lengths

    tokenizer = LaterTokenizer(make)
    assert not made
    assert tokenizer(["ab"]).tolist() == tokenizer(["cd"]).tolist() == [2]
    assert made == [1]


def test_zero_shot_scores_are_scaled_cosines(joint: Any) -> None:
    model = load_model(joint, normalize="none", input_size=9)
    classifier = zero_shot(model, ["red", "green"])
    picture = torch.rand(3, 3, 9, 9)
    with torch.no_grad():
        expected = as_it_encodes(joint.encode_image(picture)) @ as_it_encodes(joint.words.weight[[3, 5]]).T
        found = classifier.module(picture)
    assert torch.allclose(found, expected * joint.logit_scale.exp(), atol=1e-5)
    assert classifier.categories == ("red", "green")
    assert model.categories == ()
    assert "network.visual.0" in dict(classifier.module.named_modules())


def words_tokenizer() -> Any:
    """A tokenizer of single letters, made on the spot."""
    transformers = pytest.importorskip("transformers")
    letters = [chr(code) for code in range(97, 123)]
    units = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return transformers.CLIPTokenizer(
        vocab={unit: index for index, unit in enumerate(units)}, merges=[], model_max_length=12
    )


def tiny(kind: str) -> Any:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": 60, "max_position_embeddings": 12, "projection_dim": 8, "bos_token_id": 0}
    text |= {"eos_token_id": 1, "pad_token_id": 1}
    vision = {**sizes, "image_size": 16, "patch_size": 4, "projection_dim": 8}
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(text_config=text, vision_config=vision, projection_dim=8)
    return getattr(transformers, f"{kind}Model")(config).eval()


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_networks_of_transformers(kind: str, tmp_path: Path) -> None:
    network, tokenizer = tiny(kind), words_tokenizer()
    options = {"padding": "max_length", "max_length": 12} if kind == "Siglip" else {"padding": True}
    with torch.no_grad():
        tokens = tokenizer(["a red bird", "sky"], return_tensors="pt", truncation=True, **options)
        expected = as_it_encodes(network.get_text_features(**tokens).pooler_output)
        picture = torch.rand(2, 3, 16, 16)
        embedding = network.get_image_features(picture).pooler_output
    network.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    network.tokenizer = tokenizer
    for model in (load_model(network, input_size=16), load_model(f"hf:{tmp_path}", device="cpu")):
        assert torch.allclose(model.encode_text(["a red bird", "sky"]), expected, atol=1e-5)
        assert torch.allclose(model.encode_text(["a red bird that is long " * 9, "sky"])[1], expected[1], atol=1e-5)
        with torch.no_grad(), model.capture(["", "vision_model.encoder.layers.1.mlp.fc1"]) as capture:
            found = capture(picture)
        assert torch.allclose(found[""], embedding, atol=1e-5)
        assert found["vision_model.encoder.layers.1.mlp.fc1"].shape[1] == 24


def test_a_folder_without_a_tokenizer_says_so_when_a_text_comes(tmp_path: Path) -> None:
    tiny("CLIP").save_pretrained(tmp_path)
    model = load_model(f"hf:{tmp_path}", device="cpu")
    assert model.shapes([""]) == {"": (1, 8)}
    with pytest.raises(FileNotFoundError, match="has no tokenizer, so that it cannot work with words"):
        model.encode_text(["red"])


def test_networks_of_open_clip() -> None:
    open_clip = pytest.importorskip("open_clip")
    torch.manual_seed(0)
    network = open_clip.CLIP(
        8,
        open_clip.CLIPVisionCfg(layers=2, width=16, head_width=8, patch_size=4, image_size=16),
        open_clip.CLIPTextCfg(context_length=12, width=16, heads=2, layers=2),
    ).eval()
    network.tokenizer = open_clip.SimpleTokenizer(context_length=12)
    model = load_model(network, input_size=16)
    with torch.no_grad():
        expected = network.encode_text(network.tokenizer(["a red bird"]))
        picture = torch.rand(1, 3, 16, 16)
        with model.capture([""]) as capture:
            assert torch.allclose(capture(picture)[""], network.encode_image(picture), atol=1e-5)
    assert torch.allclose(model.encode_text(["a red bird"]), as_it_encodes(expected), atol=1e-5)


@pytest.fixture(scope="session")
def fashion_clip(shared_data: Path) -> Model:
    weights = shared_data / "weights" / "fashion_clip_mira.safetensors"
    return load_model(f"{Path(__file__).parents[1] / 'shared_networks.py'}:fashion_clip_mira", weights, device="cpu")


def product_pictures(shared_data: Path) -> tuple[Tensor, list[str]]:
    """58 pictures of products, (58, 3, 80, 80) in [0, 1] between black columns, and their captions."""
    import numpy as np
    from PIL import Image

    files = sorted((shared_data / "images" / "fashion").glob("*.jpg"))
    pictures = np.zeros((len(files), 80, 80, 3), np.float32)
    for picture, file in zip(pictures, files, strict=True):
        with Image.open(file) as opened:
            picture[:, 10:70] = np.asarray(opened.convert("RGB"), np.float32) / 255
    captions = [file.stem.rpartition("_")[0].replace("-", " ") for file in files]
    return torch.from_numpy(pictures).permute(0, 3, 1, 2), captions


def test_a_trained_network_names_product_pictures(fashion_clip: Model, shared_data: Path) -> None:
    from tests.shared_networks import FASHION_CAPTIONS

    pictures, captions = product_pictures(shared_data)
    classifier = zero_shot(fashion_clip, FASHION_CAPTIONS)
    with torch.no_grad(), classifier.capture([""]) as capture:
        best = capture(classifier.normalize(pictures))[""].topk(5).indices.tolist()
    hits = [
        [FASHION_CAPTIONS[index] for index in row].index(caption)
        if caption in {FASHION_CAPTIONS[index] for index in row}
        else 5
        for row, caption in zip(best, captions, strict=True)
    ]
    assert [sum(place < 1 for place in hits), sum(place < 5 for place in hits)] == [44, 54]  # 75.9 % and 93.1 % of 58
