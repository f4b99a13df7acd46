"""The hub: a quick line when it cannot be reached, cached files without it, and names of both."""

import json
import logging
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inverter import BadInput, MissingLibrary, Unreachable, list_models, load_model
from inverter.sources import hub as hub_module
from inverter.sources import hub_names
from inverter.sources.hub import hub
from inverter.sources.quiet import quiet

pytest.importorskip("huggingface_hub.hf_api")  # reads the constants that are changed here when it is imported
constants = pytest.importorskip("huggingface_hub.constants")


@pytest.fixture(autouse=True)
def unplugged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No server answers, and no file is cached: the address is of this machine, where no program listens."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def cache(unplugged: Path) -> Callable[[str, Path], None]:
    """Puts a folder into the cache, as if it had been fetched from the hub."""

    def put(name: str, folder: Path) -> None:
        place = unplugged / f"models--{name.replace('/', '--')}"
        shutil.copytree(folder, place / "snapshots" / ("0" * 40))
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("0" * 40)

    return put


@pytest.mark.parametrize(
    ("spec", "library"),
    [
        ("hf:google/vit-base-patch16-224", "transformers"),
        ("timm:test_resnet.r160_in1k", "timm"),
        ("timm:hf-hub:timm/test_resnet.r160_in1k", "timm"),
        ("open_clip:ViT-B-32/laion2b_s34b_b79k", "open_clip"),
        ("open_clip:hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip"),
    ],
)
def test_without_a_hub_there_is_one_line_and_no_wait(
    spec: str, library: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(library)
    began, handlers = time.monotonic(), list(logging.root.handlers)
    with pytest.raises(Unreachable, match=f"weights of {spec} could not be fetched .*does not answer") as caught:
        load_model(spec)
    assert time.monotonic() - began < 20  # the libraries retry for 23 s for each file; importing them takes some
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert logging.root.handlers == handlers
    assert not constants.HF_HUB_OFFLINE


def test_cached_files_are_used_without_a_hub(cache: Callable[[str, Path], None], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    options = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    network = transformers.ResNetForImageClassification(transformers.ResNetConfig(**options))
    network.save_pretrained(tmp_path / "net")
    transformers.ConvNextImageProcessor(size={"shortest_edge": 384}).save_pretrained(tmp_path / "net")
    cache("someone/tiny", tmp_path / "net")
    model = load_model("hf:someone/tiny", device="cpu")
    assert model.input_size == (384, 384)
    assert model.sha256 == load_model(f"hf:{tmp_path / 'net'}", device="cpu").sha256
    assert list_models(source="hf") == ["hf:someone/tiny"]
    assert "hf:someone/tiny" in list_models()
    with pytest.raises(Unreachable, match="hf:someone/other"):
        load_model("hf:someone/other")


def test_only_cached_networks_of_pictures_are_listed(cache: Callable[[str, Path], None], tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    for name, files in (
        ("text", {"config.json": {"model_type": "bert"}}),
        ("timm", {"config.json": {"architecture": "resnet18"}, "preprocessor_config.json": {}}),
        ("vision", {"config.json": {"model_type": "vit"}, "preprocessor_config.json": {}}),
    ):
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_text(json.dumps(content))
        cache(f"org/{name}", tmp_path / name)
    assert list_models(source="hf") == ["hf:org/vision"]


def test_an_empty_cache_lists_no_names() -> None:
    pytest.importorskip("transformers")
    assert list_models(source="hf") == []


def test_a_search_without_a_hub_is_one_line() -> None:
    pytest.importorskip("transformers")
    with pytest.raises(Unreachable, match=r"search for 'dinov2' could not be fetched .*lists what is cached"):
        list_models("hf:*dinov2*", source="hf")


def test_a_search_asks_the_hub_for_the_longest_part_of_the_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    requests: list[dict[str, Any]] = []

    class Api:
        def list_models(self, **options: Any) -> Iterator[SimpleNamespace]:
            requests.append(options)
            yield from (SimpleNamespace(id=name) for name in ("facebook/dinov2-base", "other/dinov2-base"))

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    monkeypatch.setattr(hub_module, "_silence", lambda: None)
    assert list_models("hf:facebook/*dinov2-bas?", source="hf") == ["hf:facebook/dinov2-base"]
    assert {each["pipeline_tag"] for each in requests} == set(hub_names.TASKS)
    assert {each["search"] for each in requests} == {"dinov2-bas"}


def test_a_source_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for library, spec, extra in (
        ("timm", "timm:resnet18", "timm"),
        ("transformers", "hf:google/vit-base-patch16-224", "hf"),
        ("open_clip", "open_clip:ViT-B-32/openai", "clip"),
    ):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(MissingLibrary, match=rf"pip install 'inverter-vis\[{extra}\]'"):
            load_model(spec)
        with pytest.raises(MissingLibrary, match=rf"inverter-vis\[{extra}\]"):
            list_models(source=spec.partition(":")[0])  # type: ignore[arg-type]
    assert {name.partition(":")[0] for name in list_models()} == {"builtin", "torchvision"}


def absent(name: str) -> Exception:
    """An error as huggingface_hub raises it, and as the libraries wrap it."""
    error = OSError("not a valid model identifier\nlog in with hf auth login")
    error.__cause__ = type(name, (OSError,), {})("404")
    return error


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (absent("RepositoryNotFoundError"), BadInput, r"no public hf:a/b \(it does not exist, or is private\)"),
        (absent("GatedRepoError"), BadInput, "its owner grants access"),
        (OSError("no network\nno route to host"), Unreachable, r"could not be fetched \(no route to host\); give"),
        (RuntimeError("size mismatch\nfor head"), BadInput, "not be loaded: RuntimeError: size mismatch for head"),
        (MemoryError("full"), MemoryError, "full"),
    ],
)  # fmt: skip
def test_errors_of_the_libraries_are_one_line(
    error: Exception, kind: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_silence", lambda: None)
    with pytest.raises(kind, match=says) as caught, hub("hf:a/b"):
        raise error
    assert "\n" not in str(caught.value)


def test_it_is_quiet_for_a_while_only(capfd: pytest.CaptureFixture[str]) -> None:
    handlers, level = list(logging.root.handlers), logging.root.manager.disable
    with quiet():
        logging.error("from a library")
        warnings.warn("advice", stacklevel=1)
        sys.stderr.write("progress")
    assert capfd.readouterr() == ("", "")
    assert logging.root.handlers == handlers
    assert logging.root.manager.disable == level
    with pytest.warns(UserWarning, match="again"):
        warnings.warn("again", stacklevel=1)
