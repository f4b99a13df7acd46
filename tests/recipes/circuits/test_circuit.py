"""The recipe of circuits: its units, chains of layers, resuming, its page, and bad input in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from inverter import load_model
from recipes import Circuit
from recipes.circuits.filters import first_filters
from recipes.circuits.weights import expanded_weights

Command = Callable[..., tuple[int, str, str]]
NETS = """
import torch
from torch import nn
def stages():
    torch.manual_seed(3)
    block = lambda a, b: nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU())
    return nn.Sequential(block(3, 6), block(6, 8), nn.MaxPool2d(2), block(8, 5), nn.Softmax(1)), {"input_size": 24}
"""
RUN = ("circuit", "--model", "stages.py:stages", "--device", "cpu", "--steps", "1", "--count", "2", "--out", "OUT")


@pytest.fixture(autouse=True)
def _network(here: Path) -> None:
    (here / "stages.py").write_text(NETS)


def units() -> dict[str, dict[str, Any]]:
    return {unit["file"]: unit for unit in json.loads(Path("OUT/manifest.json").read_text())["units"]}


def test_a_circuit_has_the_strongest_kernels_of_both_sides(command: Command) -> None:
    code, _, err = command(*RUN, "--layer", "1", "--channels", "2")
    assert code == 0, err
    found = units()["images/1/0002.png"]["metrics"]["circuit"]
    assert (found["inputs"]["layer"], found["outputs"]["layer"]) == ("0", "3")
    model = load_model("stages.py:stages", device="cpu")
    for side, kernels in (
        ("inputs", expanded_weights(model, "1", [2], "0").kernels[0]),
        ("outputs", expanded_weights(model, "3", range(5), "1").kernels[:, 2]),
    ):
        weights, norms = kernels.sum((1, 2)), kernels.flatten(1).norm(dim=1)
        for sign, mine in (("positive", weights > 0), ("negative", weights < 0)):
            expected = [c for c in norms.argsort(descending=True).tolist() if mine[c]][:2]
            assert [each["channel"] for each in found[side][sign]] == expected
            for each in found[side][sign]:
                assert f"images/{found[side]['layer']}/{each['channel']:04d}.png" in units()
                assert each["norm"] == pytest.approx(float(norms[each["channel"]]))
                torch.testing.assert_close(torch.tensor(each["kernel"]), kernels[each["channel"]], rtol=1e-3, atol=0)
    assert sum(unit["objective"] == "filter" for unit in units().values()) == 6


def test_inputs_are_a_chain_down_to_the_filters(command: Command) -> None:
    chain = ("--inputs", "1", "--inputs", "0", "--outputs", "none")
    assert command(*RUN, "--layer", "3", "--channels", "0,4", *chain)[0] == 0
    before = units()
    sides = {key: unit["metrics"]["circuit"] for key, unit in before.items() if "circuit" in unit.get("metrics", {})}
    assert {"images/3/0000.png", "images/3/0004.png"} < set(sides) and len(sides) > 3
    assert all(list(each) == ["inputs"] for each in sides.values())
    assert {each["inputs"]["layer"] for key, each in sides.items() if key.startswith("images/1/")} == {"0"}
    code, out, _ = command(*RUN, "--layer", "3", "--channels", "0,4", *chain)
    assert code == 0 and "all were finished already" in out and units() == before
    code, out, _ = command(*RUN, "--layer", "3", "--channels", "0,4,2", *chain)
    assert code == 0 and "images/3/0002.png" in units() and set(before) < set(units())


def test_units_are_connected_by_attribution_where_there_is_no_kernel(command: Command, photos: Path) -> None:
    layers = ("--layer", "4", "--channels", "1", "--inputs", "3", "--outputs", "none")
    code, _, err = command(*RUN, *layers)
    assert code == 2 and err.endswith("'4' has no kernel: softmax is not linear: set images, for attribution\n")
    assert command(*RUN, *layers, "--images", str(photos))[0] == 0
    side = units()["images/4/0001.png"]["metrics"]["circuit"]["inputs"]
    assert (side["method"], side["patches"]) == ("attribution", 2)
    # Of a softmax over channels, the unit's own input raises it, and all others lower it.
    assert [each["channel"] for each in side["positive"]] == [1] and len(side["negative"]) == 2
    page = Path("OUT/index.html").read_text()
    assert "softmax is not linear: attribution instead of weights." in page


def test_the_path_is_compared_with_the_real_one_on_images(command: Command, photos: Path) -> None:
    assert command(*RUN, "--layer", "1", "--channels", "0-7", "--outputs", "none", "--images", str(photos))[0] == 0
    found = [unit["metrics"]["circuit"]["inputs"]["linearity"] for key, unit in units().items() if "/1/" in key]
    assert len(found) == 8 and all(r is None or r == pytest.approx(1, abs=1e-3) for r in found) and any(found)


def test_the_page_draws_kernels_and_links_units(command: Command, visit: Callable[..., Any]) -> None:
    chain = ("--inputs", "1", "--inputs", "0", "--outputs", "none")
    assert command(*RUN, "--layer", "3", "--channels", "0", *chain)[0] == 0
    page = visit(Path("OUT/index.html").resolve()).page
    circuits = sum("circuit" in unit.get("metrics", {}) for unit in units().values())
    assert page.locator(".circuit").count() == circuits
    assert page.locator(".circuit").first.locator("canvas.kernel").count() == len(
        [*(side := units()["images/3/0000.png"]["metrics"]["circuit"]["inputs"])["positive"], *side["negative"]]
    )
    link = page.locator(".circuit").first.locator(".row a").first
    link.click()
    assert page.locator(".circuit:target h2").inner_text().startswith("1 · ")
    assert page.locator("#filters li").count() == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--layer", "0", "--channels", "1"), "layer '0' is the first stage of stages.py:stages, or none of them"),
        (("--layer", "1", "--channels", "8"), "channel 8 is out of range: layer '1' has 8 (0 to 7)"),
        (("--layer", "1", "--channels", "1", "--inputs", "3"), "layer '1' does not depend on '3'"),
        (("--layer", "1", "--channels", "1", "--inputs", "nowhere"), "nowhere"),
        (("--layer", "1", "--channels", "1", "--method", "guess"), "guess"),
        (("--layer", "1", "--channels", "1", "--count", "0"), "count must be an integer of at least 1"),
        (("--channels", "1"), "--layer"),
    ],
)
def test_bad_input_is_one_line(command: Command, options: tuple[str, ...], message: str) -> None:
    code, _, err = command(*RUN, *options)
    assert code == 2 and message in err.splitlines()[-1] and "Traceback" not in err
    assert not Path("OUT").exists() or not list(Path("OUT").rglob("*.png"))


def test_kernels_where_the_user_asks_for_them(command: Command) -> None:
    options = ("--layer", "4", "--channels", "1", "--inputs", "3", "--method", "weights")
    code, _, err = command(*RUN, *options)
    assert code == 2 and "set method to attribution, and images" in err


def test_filters_are_the_weights_of_the_first_convolution() -> None:
    model = load_model("builtin", device="cpu")
    found = first_filters(model)
    assert found is not None and found.layer == "features.stem.conv1"
    weight = model.module.get_submodule(found.layer).weight  # type: ignore[union-attr]
    assert torch.equal(found.kernels, weight.detach())
    pictures = found.pictures()
    assert pictures.shape[:2] == weight.shape[:2] and float(pictures.min()) >= 0 and float(pictures.max()) <= 1
    at = weight[5].detach().abs().argmax()
    times = pictures.shape[3] // weight.shape[3]
    assert float((pictures[5, :, ::times, ::times] - 0.5).abs().flatten()[at]) == pytest.approx(0.5)


def test_a_circuit_is_of_one_layer() -> None:
    with pytest.raises(Exception, match="expected the address of one layer"):
        Circuit(layer="", channels="1")
