"""`inverter craft`: its components, their importance, its files, runs that resume, the page, and bad input."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from inverter import Directions, Model, to_pil
from inverter_errors import BadInput
from objectives import logit
from recipes import Craft
from recipes.cli.entry import main
from recipes.concepts.craft.components import amounts, concept_bank
from recipes.concepts.craft.crops import Crops
from recipes.concepts.craft.importance import continued, importance, runs_alone
from recipes.concepts.craft.page import render_craft
from recipes.concepts.craft.sobol import masks
from recipes.pictures.inputs import InputPictures
from recipes.runner.report import Report
from tools.bundled.world import CLASSES, draw, numbers

Run = Callable[..., Report]


class Spots(nn.Module):
    """Channels are the colours of places; class 0 is their mean red, class 1 three times green."""

    def __init__(self, joined: bool = False) -> None:
        super().__init__()
        self.conv, self.relu, self.joined = nn.Conv2d(3, 3, 4, stride=4), nn.ReLU(), joined
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[range(3), range(3)] = 1 / 16
            self.conv.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.relu(self.conv(x))
        if self.joined:
            maps = torch.cat([maps, x[:, :, ::4, ::4]], 1)
        means = maps.mean((2, 3))
        return torch.stack([means[:, 0], 3 * means[:, 1]], 1)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Four pictures of 16 x 16 pixels: red on the left, green on the right, blue in a corner."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(4):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:, :8, 0], pixels[:, 8:, 1] = 150 + 20 * index, 250 - 20 * index
        pixels[12:, :4] = (0, 0, 200)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def run(photographs: Path, tmp_path: Path) -> Run:
    model = Model(Spots(), normalize="none", input_size=(16, 16), categories=("red", "green"))

    def made(**options: Any) -> Report:
        given = {"images": str(photographs), "layer": "relu", "class_": "green", "count": 3, "crop": 4, "steps": 2}
        return Craft(model=model, **given | {"out": str(tmp_path / "out"), "prior": "pixels"} | options).run()

    return made


def test_the_colours_are_found_and_the_one_that_counts_is_important(run: Run, photographs: Path) -> None:
    report = run()
    units = list(report.manifest.units.values())
    assert [unit.file for unit in units] == [
        *(f"photographs/{index}.png" for index in range(4)),
        *(f"images/component-00{index}.png" for index in range(3)),
    ]
    found = Directions.load(report.out / "directions" / "relu.safetensors")
    assert (found.method, found.layer, found.count) == ("craft", "relu", 3)
    shares = found.decoder / found.decoder.sum(1, keepdim=True)
    assert sorted(shares.argmax(1).tolist()) == [0, 1, 2]
    assert shares.amax(1).min() > 0.95
    green = int(shares[:, 1].argmax())
    assert report.manifest.table[0]["component"] == green
    assert report.manifest.table[0]["importance"] == pytest.approx(1, abs=0.15)  # 32 rows of masks
    assert all(row["importance"] < 0.05 for row in report.manifest.table[1:])
    first, best = units[0].metrics, units[4 + green].metrics
    assert first["reconstructed"] == pytest.approx(first["value"], rel=0.05)
    assert (first["class"], first["predicted"], first["same_class"]) == ("green", "green", True)
    assert best["rank"] == 1
    assert best["error"] < 0.05
    assert {crop["at"][1] >= 8 for crop in best["crops"]} == {True}  # green is on the right
    assert len(best["maps"]) == 4
    strip = np.asarray(Image.open(report.out / units[4 + green].extra_files["crops"]))
    assert strip.shape == (4, 4 * len(best["crops"]), 3)
    assert strip[..., 1].min() > strip[..., 0].max()
    drawing = np.asarray(Image.open(report.out / "photographs/0.png")).astype(int)
    assert np.ptp(drawing[8, 13]) > 50  # coloured
    assert report.closing is not None
    assert "4 of 4 photographs keep their class" in report.closing


def test_it_resumes_and_starts_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    (first.out / "images/component-001.png").unlink()
    from recipes.concepts.craft import bank as craft_bank

    with monkeypatch.context() as patched:
        patched.setattr(craft_bank, "concept_bank", None)  # the components are on disk
        patched.setattr(craft_bank, "importance", None)
        second = run()
    assert (first.made, second.made) == (7, 1)
    assert second.manifest.table == first.manifest.table
    with pytest.raises(BadInput, match="count is 3, not 2"):
        run(count=2)
    assert run(count=2, fresh=True).made == 6


def test_crops_overlap_and_know_their_photograph(photographs: Path) -> None:
    crops = Crops(InputPictures.find([photographs]), (16, 16), 5)
    assert crops.corners[:4] == [(0, 0), (0, 4), (0, 8), (4, 0)]
    assert len(crops.pictures()) == 4 * 9
    assert crops.origin(9 + 4) == ("1", (4, 4))
    full = crops.photographs.read(["1"], (16, 16))[0]
    torch.testing.assert_close(crops.read(13), full[:, 4:9, 4:9])
    assert crops.pictures().read(13, (16, 16)).shape == (3, 16, 16)
    assert Crops(crops.photographs, (16, 32), 4).shape == (4, 8)


def test_components_are_not_negative_and_explain_what_they_can() -> None:
    draw = np.random.default_rng(0)
    bank, parts = draw.random((3, 12)).astype(np.float32), draw.random((60, 3)).astype(np.float32)
    found = concept_bank(parts @ bank, 3)
    weights = amounts(parts @ bank, found)
    assert min(found.min(), weights.min()) >= 0
    np.testing.assert_allclose(weights @ found, parts @ bank, atol=0.08)
    with pytest.raises(BadInput, match=r"reach -1, .* choose a layer after a ReLU"):
        amounts(-np.ones((2, 12), np.float32), found)
    with pytest.raises(BadInput, match="count 5: there are 4 crops and 12 channels; expected at most 4"):
        concept_bank(parts[:4] @ bank, 5)


@pytest.mark.parametrize("joined", [False, True])
def test_the_network_goes_on_from_many_activations(joined: bool) -> None:
    model, target = Model(Spots(joined), normalize="none", input_size=(16, 16)), logit(1)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with model.capture(["relu"]) as capture, torch.no_grad():
        activation = capture(model.normalize(image))["relu"]
    alone = runs_alone(model, "relu", target, image, activation)
    assert alone is not joined
    several = torch.cat([activation, 2 * activation, torch.zeros_like(activation)])
    with continued(model, "relu", target, image, alone) as run:
        scores = run(several)
    torch.testing.assert_close(scores, 3 * several[:, 1].mean((1, 2)))
    found = importance(model, "relu", target, image, activation[0], torch.eye(3), masks(3, 256), alone)
    np.testing.assert_allclose(found.indices, [0, 1, 0], atol=0.05)
    assert found.score == pytest.approx(float(scores[0]), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "nowhere"}, "nowhere"),
        ({"layer": ["relu", "conv"]}, "expected the address of one layer"),
        ({"count": 1}, "count must be an integer of at least 2"),
        ({"count": 4}, "count 4: there are 100 crops and 3 channels; expected at most 3"),
        ({"crop": 17}, "crop 17 is larger than the photographs, which are 16x16"),
        ({"class_": "purple"}, "no class of .* is named 'purple'"),
        ({"designs": 1}, "designs must be an integer of at least 2"),
        ({"images": "nowhere"}, "no picture or folder 'nowhere'"),
    ],
)
def test_bad_input_is_one_line(run: Run, options: dict[str, Any], message: str) -> None:
    with pytest.raises((BadInput, LookupError, FileNotFoundError), match=message) as error:
        run(**options)
    assert "\n" not in str(error.value)


def test_negative_activations_are_refused(run: Run, photographs: Path, tmp_path: Path) -> None:
    model = Model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), input_size=(16, 16))
    recipe = Craft(
        model=model, images=str(photographs), layer="0", class_=1, count=2, steps=1, out=str(tmp_path / "other")
    )
    with pytest.raises(BadInput, match=r"of layer '0' reach -.* choose a layer after a ReLU"):
        recipe.run()


def test_the_command_line(
    photographs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photographs.parent)
    command = (
        "craft --model builtin --layer features.stem --images photographs --count 2 --designs 2 --steps 1 --size 16 "
        "--crop 8 --out OUT"
    )
    assert main(command.split()) == 0
    assert "keep their class" in capsys.readouterr().out
    assert json.loads(Path("OUT/manifest.json").read_text())["settings"]["class"] == "top"
    for unit in ("images/component-001.png", "photographs/2.png"):
        assert main(["repeat", "OUT", "--unit", unit]) == 0


def test_the_page_shows_the_important_component_first(visit: Callable[..., Any], tmp_path: Path) -> None:
    name = '"><img src=x onerror=hacked=1>'
    components = [
        {
            "layer": "relu", "channel": index, "objective": "direction", "file": f"images/{index}.png",
            "extra_files": {"crops": f"images/{index}-crops.png"},
            "metrics": {"importance": value, "importance_error": 0.05, "rank": 2 - index, "error": 0.25,
                        "crops": [{"photograph": name, "at": [0, 0], "value": 1.0}] * 3},
        }
        for index, value in enumerate((0.1, 0.7))
    ]  # fmt: skip
    metrics = {"class": name, "predicted": name, "same_class": False, "importance": [0.1, 0.7], "value": 3.0}
    photograph = {
        "layer": "relu",
        "channel": None,
        "objective": "components",
        "image": name,
        "file": "p.png",
        "metrics": metrics,
    }
    manifest = {"recipe": "craft", "units": [photograph, *components]}
    (tmp_path / "index.html").write_text(render_craft(manifest))
    page = visit(tmp_path / "index.html").page
    assert [each.strip() for each in page.locator(".component h2").all_inner_texts()] == ["component 1", "component 0"]
    assert page.locator(".component .tiles .cut").count() == 6
    assert "0.700 ± 0.050" in page.locator(".component .value").first.inner_text()
    page.locator(".photographs .shot").click()
    assert name in page.locator("dialog[open] dl").inner_text()
    assert page.evaluate("window.hacked") is None


def test_what_makes_a_drawing_a_ladybird_is_important(tmp_path: Path) -> None:
    """The bundled network is trained on such drawings: a component of the beetle counts, one of the ground hardly."""
    folder = tmp_path / "ladybirds"
    folder.mkdir()
    label = torch.full((10,), CLASSES.index("ladybird"))
    for index, drawing in enumerate(draw(label, numbers(3, 0, 10), 64)):
        to_pil(drawing).save(folder / f"{index}.png")
    report = Craft(
        model="builtin", device="cpu", layer="features.stage3", class_="ladybird", images=str(folder), count=4,
        designs=16, size=64, steps=1, out=str(tmp_path / "out"),
    ).run()  # fmt: skip
    values = [row["importance"] for row in report.manifest.table]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.4 > 5 * values[-1]
    made = [unit.metrics for unit in report.manifest.units.values() if unit.channel is None]
    np.testing.assert_allclose(np.mean([each["importance"] for each in made], 0).max(), values[0])
