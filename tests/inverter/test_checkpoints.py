"""Files of weights as training scripts and hubs write them: found, read without running code, and fitted to names."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inverter import load_model
from inverter.checkpoints import read_state


def net(seed: int = 1) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Conv2d(4, 2, 1)))


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


TRAINED = dict(net().state_dict())
OTHER = dict(net(2).state_dict())
MOMENTS = {"state": {0: {"exp_avg": torch.zeros(4), "step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]}

CHECKPOINTS: dict[str, Any] = {
    "plain": TRAINED,
    "state_dict, and tensors of the script": {"state_dict": TRAINED, "best_acc1": torch.tensor(91.2), "epoch": 3},
    "model": {"model": TRAINED, "optimizer": MOMENTS},
    "model_state_dict": {"epoch": 1, "model_state_dict": TRAINED, "optimizer_state_dict": MOMENTS},
    "moments first": {"optimizer_state": MOMENTS, "model_state": TRAINED},
    "ema alone": {"ema": {"decay": 0.99, "shadow": TRAINED}},
    "ema, with others that count first": {"ema": OTHER, "state_dict": TRAINED},
    "a key of one's own": {"classifier": TRAINED, "discriminator": {"0.weight": torch.zeros(1)}},
    "deeply nested": {"state": {"net": {"weights": TRAINED}}},
    "DataParallel": prefixed("module.", TRAINED),
    "torch.compile": prefixed("_orig_mod.", TRAINED),
    "both": prefixed("module._orig_mod.", TRAINED),
    "Lightning": {
        "state_dict": prefixed("model.", TRAINED) | {"criterion.weight": torch.ones(10)},
        "pytorch-lightning_version": "2.2.0",
        "hyper_parameters": {"lr": 0.1},
    },
    "Lightning, an attribute of another name": {"state_dict": prefixed("classifier.", TRAINED)},
    "options of a script": {"state_dict": TRAINED, "args": argparse.Namespace(lr=0.1), "path": Path("runs/3")},
    "numbers of NumPy": {"state_dict": TRAINED, "best": np.float64(0.93), "history": np.arange(3.0)},
}


@pytest.mark.parametrize("suffix", ["pt", "bin", "ckpt", "pth.tar"])
@pytest.mark.parametrize("content", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints_as_people_have_them(tmp_path: Path, content: Any, suffix: str) -> None:
    torch.save(content, tmp_path / f"w.{suffix}")
    target = net(3)
    load_model(target, weights=tmp_path / f"w.{suffix}")
    assert same(target, net())


def test_a_wrapped_module_takes_names_with_and_without_the_prefix(tmp_path: Path) -> None:
    for name, state in (("with", prefixed("module.", TRAINED)), ("without", TRAINED)):
        torch.save(state, tmp_path / f"{name}.pt")
        target = net(3)
        load_model(nn.DataParallel(target), weights=tmp_path / f"{name}.pt")
        assert same(target, net())


def test_tensors_next_to_a_prefix_that_no_wrapper_adds_are_reported(tmp_path: Path) -> None:
    torch.save(prefixed("teachers.", TRAINED) | {"pupil.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="unexpected"):
        load_model(net(3), weights=tmp_path / "w.pt")


def test_a_part_of_a_network_is_no_match_for_another(tmp_path: Path) -> None:
    torch.save(prefixed("backbone.", TRAINED) | {"head.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"does not fit Conv2d: 2 missing \(weight, bias\)"):
        load_model(nn.Conv2d(9, 9, 3), weights=tmp_path / "w.pt")


def test_the_error_is_about_the_weights_that_fit_best(tmp_path: Path) -> None:
    short = {name: tensor for name, tensor in TRAINED.items() if name != "1.bias"}
    torch.save({"extra": {"a": torch.zeros(1)}, "ours": short}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"does not fit Sequential: 1 missing \(1.bias\)"):
        load_model(net(3), weights=tmp_path / "w.pt")


def sharded(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    files = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(TRAINED)}
    for file in set(files.values()):
        save_file({name: TRAINED[name] for name in files if files[name] == file}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return index


def test_sharded_weights_by_their_index_or_their_folder(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    for place in (index, tmp_path):
        target = net(3)
        assert load_model(target, weights=place).weights == index
        assert same(target, net())


def test_a_folder_with_one_file(tmp_path: Path) -> None:
    torch.save(TRAINED, tmp_path / "pytorch_model.bin")
    target = net(3)
    load_model(target, weights=tmp_path)
    assert same(target, net())


def test_shards_that_are_missing_or_elsewhere_are_reported(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="00002-of-00002"):
        read_state(index)
    index.write_text(json.dumps({"weight_map": {"0.weight": "../outside.safetensors"}}))
    with pytest.raises(ValueError, match="is not the name of a file next to it"):
        read_state(index)
    index.write_text(json.dumps({"weight_map": dict.fromkeys([*TRAINED, "9.bias"], "one.safetensors")}))
    save_file(TRAINED, tmp_path / "one.safetensors")
    with pytest.raises(ValueError, match=r"lack 1 tensor \(9.bias\)"):
        read_state(index)
    for text in ("{}", "[", "[1]"):
        index.write_text(text)
        with pytest.raises(ValueError, match="no index of shards"):
            read_state(index)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"expected one of model.safetensors"):
        load_model(net(), weights=tmp_path / "empty")


def test_what_a_refused_file_holds_is_named(tmp_path: Path) -> None:
    torch.save(net(), tmp_path / "pickled.pt")
    with pytest.raises(ValueError, match=r"more than tensors \(torch.nn.modules.container.Sequential\)"):
        read_state(tmp_path / "pickled.pt")
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "none.pt")
    with pytest.raises(ValueError, match="got a dict with the keys epoch, lr"):
        read_state(tmp_path / "none.pt")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(net()), tmp_path / "net.pt")
    with pytest.raises(ValueError, match="is a network in TorchScript"):
        load_model(net(), weights=tmp_path / "net.pt")
