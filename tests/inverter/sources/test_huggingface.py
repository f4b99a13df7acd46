"""Networks of transformers from folders that `save_pretrained` wrote: their class, preprocessing, labels and output."""

import json
import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from inverter import BadInput, MissingFile, Model, Settings, layers, load_model, optimize
from objectives import logit
from priors import Fourier
from recipes import ClassModel, Explain, Gallery

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
VIT = SMALL | {"image_size": 32, "patch_size": 8}
TOWERS = {"text_config": SMALL | {"vocab_size": 64}, "vision_config": VIT}
LABELS = {0: "cat", 1: "dog", 2: "bird"}
BOTH = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
SQUARE = {"size": {"height": 32, "width": 32}}

KINDS: dict[str, tuple[str, str, dict[str, Any], str, dict[str, Any]]] = {
    "resnet": (
        "ResNetForImageClassification",
        "ResNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "id2label": LABELS},
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 384}},
    ),
    "convnextv2": (
        "ConvNextV2ForImageClassification",
        "ConvNextV2Config",
        {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "id2label": LABELS},
        "BitImageProcessor",
        BOTH,
    ),
    "vit": ("ViTForImageClassification", "ViTConfig", VIT | {"id2label": LABELS}, "ViTImageProcessor", SQUARE),
    "mobilevit": (
        "MobileViTForImageClassification",
        "MobileViTConfig",
        {"hidden_sizes": [8, 8, 8], "neck_hidden_sizes": [4, 4, 4, 4, 4, 4, 8], "num_attention_heads": 2},
        "MobileViTImageProcessor",
        BOTH | {"size": {"shortest_edge": 32}},
    ),
    "dinov2": ("Dinov2Model", "Dinov2Config", VIT, "BitImageProcessor", BOTH),
    "tower": (
        "CLIPVisionModelWithProjection",
        "CLIPVisionConfig",
        VIT | {"projection_dim": 6},
        "CLIPImageProcessor",
        BOTH,
    ),
    "clip": ("CLIPModel", "CLIPConfig", TOWERS | {"projection_dim": 6}, "CLIPImageProcessor", BOTH),
    "siglip": ("SiglipModel", "SiglipConfig", TOWERS, "SiglipImageProcessor", SQUARE),
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny network with random weights."""
    root = tmp_path_factory.mktemp("hf")

    def save(kind: str) -> Path:
        folder = root / kind
        if not folder.exists():
            network, config, options, processor, sizes = KINDS[kind]
            torch.manual_seed(0)
            made = getattr(transformers, network)(getattr(transformers, config)(**options))
            for tensor in made.parameters():
                torch.nn.init.normal_(tensor, std=1.0 if kind == "mobilevit" else 0.3)  # outputs that depend on it
            made.save_pretrained(folder)
            getattr(transformers, processor)(**sizes).save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def load(saved: Callable[[str], Path]) -> Callable[..., Model]:
    return lambda kind, *arguments, **options: load_model(f"hf:{saved(kind)}", *arguments, device="cpu", **options)


def output(model: Model, picture: Tensor) -> Tensor:
    with torch.no_grad(), model.capture(["output@all"]) as capture:
        return capture(model.normalize(picture))["output@all"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_gives_what_it_gives_in_transformers_with_their_preprocessing(
    kind: str, saved: Callable[[str], Path], load: Callable[..., Model]
) -> None:
    model = load(kind)
    original = getattr(transformers, KINDS[kind][0]).from_pretrained(saved(kind)).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(saved(kind))
    height, width = model.input_size
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8) // np.uint8([1, 2, 4])
    plain = processor(picture, do_resize=False, do_center_crop=False, return_tensors="pt")
    with torch.no_grad():
        if hasattr(original, "get_image_features"):
            found = original.get_image_features(**plain)
            expected = getattr(found, "pooler_output", found)
        else:
            found = original(**plain)
            expected = next(found[name] for name in ("logits", "image_embeds", "last_hidden_state") if name in found)
    shown = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    assert torch.allclose(output(model, shown), expected, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(output(model, shown.flip(1)), expected, atol=5e-3)  # the order of the colours matters
    assert type(model.module).__name__ == KINDS[kind][0]
    assert model.spec == f"hf:{saved(kind)}"
    assert model.weights == saved(kind) / "model.safetensors"
    assert model.input_size == ((384, 384) if kind == "resnet" else (32, 32))
    assert model.size_from == "network"
    assert model.categories == (tuple(LABELS.values()) if kind in ("resnet", "convnextv2", "vit") else ())


def test_a_network_that_has_no_head_to_keep_is_loaded_as_the_base_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    transformers.ViTForMaskedImageModeling(transformers.ViTConfig(**VIT)).save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="no weights for 2 tensors of ViTModel, which are random: pooler.dense.bias"):
        model = load_model(f"hf:{tmp_path}", device="cpu")
    assert type(model.module).__name__ == "ViTModel"
    assert output(model, torch.rand(1, 3, 32, 32)).shape == (1, 17, 16)
    assert model.mean == (0.485, 0.456, 0.406)  # there is no image processor


@pytest.mark.parametrize("kind", ["vit", "dinov2", "clip", "siglip"])
def test_positions_are_interpolated_for_pictures_of_other_sizes(kind: str, load: Callable[..., Model]) -> None:
    model = load(kind)
    assert output(model, torch.rand(2, 3, 48, 64)).shape[0] == 2
    assert model.shapes([""], size=(16, 40))


def test_a_size_that_it_cannot_process_is_one_line(load: Callable[..., Model]) -> None:
    with pytest.raises(BadInput, match="cannot process a picture of 4x4 pixels") as caught:
        load("vit").shapes([""], size=(4, 4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("copy", [deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_reads_its_own_weights(copy: Callable[[Model], Model], load: Callable[..., Model]) -> None:
    for kind in ("vit", "clip"):
        model, picture = load(kind), torch.rand(1, 3, 32, 32)
        before = output(model, picture)
        copied = copy(model)
        assert torch.allclose(output(copied, picture), before, atol=1e-6)
        with torch.no_grad():
            for tensor in model.module.parameters():
                tensor.zero_()
        assert torch.allclose(output(copied, picture), before, atol=1e-6)
        assert not torch.allclose(output(model, picture), before, atol=1e-2)


def test_the_text_tower_is_there(load: Callable[..., Model]) -> None:
    words = load("clip").module.get_text_features(torch.tensor([[3, 5, 2]]))
    assert getattr(words, "pooler_output", words).shape == (1, 6)


def test_weights_are_read_by_both_names_that_transformers_have_for_them(
    saved: Callable[[str], Path], load: Callable[..., Model], tmp_path: Path
) -> None:
    model, path = load("vit"), saved("vit") / "model.safetensors"
    torch.save(model.module.state_dict(), tmp_path / "own.pt")
    for file in (path, tmp_path / "own.pt", saved("vit")):
        assert load("vit", file).sha256 == model.sha256
    assert set(load_file(path)) != set(model.module.state_dict()) or transformers.__version__ < "5"
    assert load("vit", "random").sha256 == load("vit", "random").sha256 != model.sha256
    with pytest.raises(BadInput, match=r"does not fit ViTForImageClassification: .* missing"):
        load("vit", saved("resnet"))


@pytest.mark.parametrize("kind", ["resnet", "convnextv2", "vit"])
def test_recipes_run_on_its_layers(kind: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    common = {"model": f"hf:{saved(kind)}", "device": "cpu", "steps": 2, "size": 32}
    ends = ("encoder.stages.1", ".layers.1", ".layer.1")  # the blocks of a ViT by transformers' version
    layer = next(row.name for row in layers(load_model(common["model"])) if row.name.endswith(ends) and row.size)
    gallery = Gallery(layer=layer, channels="0,3", out=str(tmp_path / "gallery"), **common).run()
    classes = ClassModel(class_="cat,2", out=str(tmp_path / "classes"), **common).run()
    assert gallery.made == classes.made == 2
    Image.effect_noise((40, 40), 90).convert("RGB").save(tmp_path / "photo.png")
    explained = Explain(
        model=common["model"],
        image=str(tmp_path / "photo.png"),
        target="logit:bird",
        method="saliency" if kind == "vit" else "grad-cam",
        out=str(tmp_path / "explain"),
    ).run()
    assert explained.made == 1


def test_a_network_in_training_comes_back_as_it_was(snapshot: Callable[[nn.Module], Any]) -> None:
    torch.manual_seed(0)
    network = transformers.ViTForImageClassification(transformers.ViTConfig(**VIT))
    network.train()
    enable = getattr(network, "activation_checkpointing_enable", network.gradient_checkpointing_enable)  # v5 or v4
    enable()
    before = snapshot(network)
    found = optimize(load_model(network, input_size=32), logit(1), Fourier(1, size=32), Settings(steps=2))
    assert found.scores.isfinite().all()
    assert snapshot(network) == before
    assert any(getattr(part, "gradient_checkpointing", False) for part in network.modules())


def test_code_of_a_repository_does_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(f"open({str(trap)!r}, 'w')\n")
    with pytest.raises(BadInput, match="not run unasked") as caught:
        load_model(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value)
    assert not trap.exists()


def write(folder: Path, kind: str) -> Path:
    if kind == "text":
        config = transformers.BertConfig(**SMALL | {"vocab_size": 32})
        transformers.BertModel(config).save_pretrained(folder)
    elif kind == "patches":
        text, vision = SMALL | {"vocab_size": 64}, SMALL | {"num_patches": 16, "patch_size": 8}
        transformers.Siglip2Model(transformers.Siglip2Config(text_config=text, vision_config=vision)).save_pretrained(
            folder
        )
    elif kind == "unknown":
        (folder / "config.json").write_text('{"model_type": "no such thing"}')
    elif kind == "timm":
        (folder / "config.json").write_text(
            '{"architecture": "test_resnet", "num_classes": 1000, "pretrained_cfg": {}}'
        )
    elif kind == "damaged":
        (folder / "config.json").write_text("{")
    elif kind == "no weights":
        transformers.ViTConfig(**VIT).save_pretrained(folder)
    elif kind == "open_clip":
        (folder / "open_clip_config.json").write_text("{}")
    return folder  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("text", "is a BertModel, which takes no pictures"),
        ("patches", "takes spatial_shapes as well as pictures"),
        ("unknown", "could not be loaded: ValueError: .*no such thing"),
        ("timm", "is a network of timm: load it as timm:local-dir:"),
        ("damaged", "could not be loaded"),
        ("no weights", "could not be loaded: OSError: .*model.safetensors"),
    ],
)
def test_a_folder_that_it_cannot_use_is_one_line(kind: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        load_model(f"hf:{write(tmp_path, kind)}")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_or_of_another_library_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="no folder"):
        load_model(f"hf:{tmp_path / 'nowhere'}")
    with pytest.raises(MissingFile, match=r"no config.json in .*: expected a folder that save_pretrained wrote"):
        load_model(f"hf:{tmp_path}")
    with pytest.raises(MissingFile, match=r"no config.json in .*: load it as open_clip:local-dir:FOLDER"):
        load_model(f"hf:{write(tmp_path, 'open_clip')}")


def test_messages_stay_off_the_terminal(load: Callable[..., Model], capfd: pytest.CaptureFixture[str]) -> None:
    load("vit")
    assert capfd.readouterr() == ("", "")


def test_a_trained_transformer_names_photographs(shared_data: Path, photographs: Tensor, tmp_path: Path) -> None:
    """DeiT-tiny, its tensors under the names that transformers give them in files."""
    names = {
        "cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection", "norm.": "layernorm.", "blocks": "encoder.layer",
        "attn.proj": "attention.output.dense", "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense",
        "norm1": "layernorm_before", "norm2": "layernorm_after",
    }  # fmt: skip
    renamed: dict[str, Tensor] = {}
    for name, tensor in load_file(shared_data / "weights" / "deit_tiny_patch16_224.safetensors").items():
        place = name.replace("head", "classifier") if name.startswith("head") else f"vit.{name}"
        for ours, theirs in names.items():
            place = place.replace(ours, theirs)
        for which, part in zip(("query", "key", "value"), tensor.float().chunk(3), strict=False):
            renamed[place.replace("attn.qkv", f"attention.attention.{which}")] = part if "qkv" in name else tensor
    torch.save(renamed, tmp_path / "weights.pt")
    config = transformers.ViTConfig(
        hidden_size=192,
        num_attention_heads=3,
        intermediate_size=768,
        layer_norm_eps=1e-6,
        num_labels=1000,
        architectures=["ViTForImageClassification"],
    )
    config.save_pretrained(tmp_path)
    transformers.ViTImageProcessor(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]).save_pretrained(
        tmp_path
    )
    model = load_model(f"hf:{tmp_path}", tmp_path / "weights.pt", device="cpu")
    assert model.input_size == (224, 224)
    names_of = [path.name for path in sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::25][:16]]
    pictures = nn.functional.interpolate(photographs, (224, 224), mode="bilinear")
    best = output(model, pictures).topk(5).indices
    hits = sum(int(name[:4]) in row for name, row in zip(names_of, best.tolist(), strict=True))
    assert hits >= 12  # of 16; at random it would be .08
