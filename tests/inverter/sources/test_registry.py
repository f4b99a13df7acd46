"""The one list of sources: errors, `list_models` and the help of the command line read it."""

from pathlib import Path
from typing import get_args

import pytest

from inverter import BadInput, load_model
from inverter.listing import ModelSource
from inverter.sources.registry import SOURCES, find, forms
from recipes.runner.network_fields import NetworkFields


def test_each_spec_has_one_source() -> None:
    for spec, source, name in (
        ("builtin", "builtin", "builtin"),
        ("torchvision:resnet18", "torchvision", "resnet18"),
        ("timm:hf-hub:org/name", "timm", "hf-hub:org/name"),
        ("hf:org/name", "hf", "org/name"),
        ("open_clip:ViT-B-32/openai", "open_clip", "ViT-B-32/openai"),
        ("a/nets.py:make", "python_file", "a/nets.py:make"),
        ("a/net.pt2", "exported", "a/net.pt2"),
    ):
        found = find(spec)
        assert found is not None
        assert (found[0].name, found[1]) == (source, name)
        assert [each.name for each in SOURCES.values() if each.takes(spec)] == [source]
    assert [find(spec) for spec in ("", "hf:", "resnet18", "keras:vgg16", "nets.py", "net.onnx")] == [None] * 6


def test_texts_name_every_source() -> None:
    with pytest.raises(BadInput) as caught:
        load_model("keras:vgg99")
    assert forms() in str(caught.value)
    assert set(get_args(ModelSource)) == {name for name, each in SOURCES.items() if each.names is not None}
    docs = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
    text = NetworkFields.__dataclass_fields__["model"].metadata["help"]
    for name in ("builtin", "torchvision:NAME", "timm:NAME", "hf:ORG/NAME", "hf:FOLDER", "open_clip:ARCH/TAG"):
        assert all(name in each for each in (text, docs, forms())), name
    assert all("FILE.py:FACTORY" in each and "FILE.pt2" in each for each in (text, docs))


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("google/vit-base-patch16-224", "hf:google/vit-base-patch16-224"),
        ("hf-hub:timm/resnet18.a1_in1k", "timm:hf-hub:timm/resnet18.a1_in1k"),
        ("resnet18", "torchvision:resnet18"),
    ],
)
def test_a_name_without_its_source_is_recognised(spec: str, meant: str) -> None:
    with pytest.raises(BadInput, match=rf"did you mean {meant}\?"):
        load_model(spec)


@pytest.mark.parametrize(
    ("file", "content", "meant"),
    [
        ("config.json", '{"model_type": "vit"}', "hf"),
        ("config.json", '{"architecture": "resnet18"}', "timm:local-dir"),
        ("open_clip_config.json", "{}", "open_clip:local-dir"),
    ],
)
def test_a_folder_without_its_source_is_recognised(file: str, content: str, meant: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(BadInput, match=rf"did you mean {meant}:{tmp_path}\?"):
        load_model(tmp_path)
