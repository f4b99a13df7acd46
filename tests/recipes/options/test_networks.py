"""Several networks on the command line and in recipe files: recorded, resumed and repeated as they were given."""

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from inverter import BadInput
from recipes.cli.entry import main
from recipes.cli.recipe_file import load_recipe
from recipes.options.networks import by_network, networks, written

NETS = """
import torch
from torch import nn

def net(seed=0, classes=4):
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    return nn.Sequential(*layers).eval()

def other():
    return net(1), {"input_size": 16}
"""


def test_values_are_those_of_one_network_or_of_several_by_name() -> None:
    assert by_network("a=b.py:net", "model") == "a=b.py:net"
    assert by_network(["timm:resnet18"], "model") == "timm:resnet18"
    assert networks({"model": ("a=x", "b=y"), "weights": "a=F", "normalize": "half"}) == {
        "model": {"a": "x", "b": "y"},
        "weights": {"a": "F"},
        "normalize": "half",
    }
    assert written({"a": "x", "b": Path("y")}) == ["a=x", "b=y"]
    with pytest.raises(BadInput, match="got 'y' of several; name the network of each, as in a=y"):
        by_network(["a=x", "y"], "model")
    with pytest.raises(BadInput, match="two values for network a"):
        by_network(["a=x", "a=y"], "model")


def test_a_run_with_two_networks_is_recorded_resumed_and_repeated(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS)
    scope: dict = {}
    exec(NETS, scope)
    save_file(scope["net"](5).state_dict(), "w.safetensors")
    flags = ["--model", "a=nets.py:net", "--model", "b=nets.py:other", "--weights", "a=w.safetensors", "--size", "16"]
    flags += ["--class", "1,2", "--steps", "2", "--tries", "1", "--device", "cpu", "--out", "out"]
    assert main(["classes", *flags]) == 0
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["settings"]["model"] == ["a=nets.py:net", "b=nets.py:other"]
    assert manifest["model"]["spec"] == "a=nets.py:net + b=nets.py:other"
    assert {name: one["weights"] for name, one in manifest["model"]["networks"].items()} == {
        "a": "w.safetensors",
        "b": None,
    }
    assert len({one["sha256"] for one in manifest["model"]["networks"].values()} | {manifest["model"]["sha256"]}) == 3
    capsys.readouterr()
    assert main(["repeat", "out/manifest.json", "--unit", "output/1"]) == 0
    assert "the same" in capsys.readouterr().out
    assert main(["classes", *flags, "--normalize", "a=half"]) == 2  # another normalisation of one of them
    assert main(["gallery", *flags[:6], "--layer", "b:1", "--size", "16", "--steps", "1", "--out", "units"]) == 0
    assert json.loads(Path("units/manifest.json").read_text())["units"][0]["layer"] == "b:1"
    assert main(["layers", *flags[:8]]) == 0
    assert "outputs: a:output 4, b:output 4" in capsys.readouterr().out
    assert main(["explain", *flags[:8], "--image", "out/sheet.png", "--target", "logit:1", "--out", "maps"]) == 2
    assert "explain them one after the other" in capsys.readouterr().err


def test_a_recipe_file_names_networks_in_a_table(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('recipe = "classes"\nclass = "1"\n[model]\na = "builtin"\nb = "builtin"\n')
    recipe = load_recipe(file)
    assert list(recipe.load().networks) == ["a", "b"]
    assert recipe.settings()["model"] == ["a=builtin", "b=builtin"]
