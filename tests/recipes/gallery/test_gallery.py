"""The gallery: its units, and on a trained network, that its pictures activate them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from inverter import Model, evaluate, load_model
from objectives import channel, diversity
from recipes import Gallery
from recipes.gallery.posed import FOURIER_STEPS, PATCHES
from recipes.options.indices import parse_channels
from recipes.outputs.file_names import safe_name
from recipes.outputs.store import Store
from recipes.runner.context import RunContext
from recipes.runner.report import Report
from tests.recipes.attribution.conftest import TinyTransformer


@given(st.lists(st.integers(0, 99), min_size=1, max_size=8))
def test_a_list_of_channels_is_itself_without_repetition(numbers: list[int]) -> None:
    once = list(dict.fromkeys(numbers))
    assert parse_channels(",".join(map(str, numbers)), 100, "it") == once
    assert parse_channels(numbers, 100, "it") == once
    assert parse_channels(" , ".join(f" {n} " for n in numbers), 100, "it") == once


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=4))
def test_ranges_hold_both_their_ends(pairs: list[tuple[int, int]]) -> None:
    text = ",".join(f"{low}-{low + length}" for low, length in pairs)
    expected = [n for low, length in pairs for n in range(low, low + length + 1)]
    assert parse_channels(text, 61, "it") == list(dict.fromkeys(expected))


def test_all_one_and_mixtures() -> None:
    assert parse_channels("all", 4, "it") == [0, 1, 2, 3]
    assert parse_channels(3, 4, "it") == [3]
    assert parse_channels("3", 4, "it") == [3]
    assert parse_channels(range(2), 4, "it") == [0, 1]
    assert parse_channels("7,2-4,3", 9, "it") == [7, 2, 3, 4]


@pytest.mark.parametrize(
    ("channels", "says"),
    [
        ("", "'' is neither a number nor a range"),
        (",", "neither"),
        ("1,,2", "neither"),
        ("x", "'x' is neither"),
        ("1-", "'1-' is neither"),
        ("-3", "'-3' is neither"),
        ("1-2-3", "'1-2-3' is neither"),
        ("1.5", "neither"),
        ("٣", "neither"),
        ("5-3", "the range 5-3 is empty"),
        ("4", "channel 4 is out of range: it has 4 (0 to 3)"),
        ("0-99999999999999", "channel 99999999999999 is out of range"),
        (4, "channel 4 is out of range"),
        (-1, "channel -1 is out of range"),
        ([0, 9], "channel 9 is out of range"),
        ([], "got none"),
        (["1"], "integers"),
        (True, "integers"),
    ],
)
def test_other_channels_are_refused_with_what_was_given(channels: Any, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_channels(channels, 4, "it")
    assert says in str(caught.value)


@given(st.text(max_size=20))
def test_a_folders_name_is_one_plain_part_of_a_path(layer: str) -> None:
    name = safe_name(layer)
    assert name
    assert not set(name) & set('/\\:*?"<>|\0\n\r\t')


def test_addresses_of_layers_are_their_folders_names() -> None:
    assert safe_name("layer1.0.relu#1") == "layer1.0.relu#1"


def gallery(model: Any, out: Path | str = "out", **options: Any) -> Gallery:
    known = {"precision": "float32", "steps": 4}
    return Gallery(model=model, out=str(out), **(known | options))


@pytest.fixture
def tiny(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=12)


def files(recipe: Gallery, model: Model) -> list[str]:
    return [unit.file for unit in recipe.units(RunContext(recipe, model))]


def test_units_have_files_by_layer_channel_direction_and_attempt(tiny: Model) -> None:
    recipe = gallery(tiny, layer=["body", "stem.0"], channels=[3, 0], attempts=2, negative=True)
    tails = ("0003.png", "0003-1.png", "0000.png", "0000-1.png")
    negative = ("0003-negative.png", "0003-negative-1.png", "0000-negative.png", "0000-negative-1.png")
    assert files(recipe, tiny) == [
        f"images/{layer}/{tail}" for layer in ("body", "stem.0") for tail in (*tails, *negative)
    ]


def test_a_layer_named_twice_is_shown_once(tiny: Model) -> None:
    assert files(gallery(tiny, layer=["body", "body"], channels=1), tiny) == ["images/body/0001.png"]


def test_classes_are_units_of_the_output_and_have_names(tiny_net: nn.Module) -> None:
    model = Model(tiny_net, input_size=(12, 12), categories=("ant", "bee", "cat", "dog", "elk"))
    recipe = gallery(model, objective="logit", channels="1,4")
    units = recipe.units(RunContext(recipe, model))
    assert [(unit.layer, unit.channel, unit.name) for unit in units] == [("output", 1, "bee"), ("output", 4, "elk")]
    assert units[0].file == "images/output/0001-bee.png"


def test_a_range_over_all_stages_takes_as_many_as_each_has(squeezenet: Model) -> None:
    recipe = gallery(squeezenet, layer="all", channels="94-98", size=64)
    units = recipe.units(RunContext(recipe, squeezenet))
    by_layer = {
        layer: [u.channel for u in units if u.layer == layer] for layer in dict.fromkeys(u.layer for u in units)
    }
    assert by_layer["features.0"] == [94, 95]
    assert by_layer["features.3"] == [94, 95, 96, 97, 98]
    assert list(by_layer) == [f"features.{i}" for i in range(13)]


@pytest.mark.parametrize("prior", ["fourier", "pixels"])
@pytest.mark.parametrize("objective", ["channel", "neuron", "logit", "softmax"])
def test_every_objective_and_prior_raises_its_unit(tiny: Model, tmp_path: Path, objective: str, prior: str) -> None:
    where = {} if objective in ("logit", "softmax") else {"layer": "body"}
    options = {"objective": objective, "prior": prior, "channels": "1,3", "augment": "none", **where}
    short = gallery(tiny, tmp_path / "short", steps=1, learning_rate=1e-6, **options).run()
    long = gallery(tiny, tmp_path / "long", steps=24, **options).run()
    for file, record in long.manifest.units.items():
        assert record.objective == objective
        assert record.score > short.manifest.units[file].score  # type: ignore[operator]


def test_negative_pictures_lower_the_activation_and_say_so(tiny: Model, tmp_path: Path) -> None:
    report = gallery(tiny, tmp_path, layer="body", channels="1,3", negative=True, steps=24).run()
    units = report.manifest.units
    for number in (1, 3):
        high, low = units[f"images/body/{number:04d}.png"], units[f"images/body/{number:04d}-negative.png"]
        assert (high.direction, low.direction) == ("max", "min")
        assert low.score < high.score - 0.1  # type: ignore[operator]


def load(path: Path) -> Tensor:
    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def shown(report: Report, *names: str) -> Tensor:
    return torch.stack([load(report.out / name) for name in names])


@pytest.fixture(scope="module")
def trained(squeezenet_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("gallery") / "out"
    return Gallery(
        model="torchvision:squeezenet1_0",
        weights=str(squeezenet_weights),
        layer="features.9",
        channels="3,17,42",
        out=str(out),
        steps=24,
        size=128,
        device="cpu",
        seed=5,
    ).run()


def test_a_trained_networks_gallery_is_complete_on_disk(trained: Report, squeezenet: Model) -> None:
    names = [f"images/features.9/{number:04d}.png" for number in (3, 17, 42)]
    found = {path.relative_to(trained.out).as_posix() for path in trained.out.rglob("*") if path.is_file()}
    assert found == {".lock", "manifest.json", "index.html", "units.csv", "sheet.png", *names}
    data = json.loads((trained.out / "manifest.json").read_text())
    assert data["recipe"] == "gallery"
    assert data["inverter"]
    assert data["settings"]["steps"] == 24
    assert data["settings"]["channels"] == "3,17,42"
    assert data["model"]["spec"] == "torchvision:squeezenet1_0"
    assert data["model"]["sha256"] == squeezenet.sha256
    assert {"torch", "torchvision", "kornia", "numpy"} <= set(data["versions"])
    assert [unit["file"] for unit in data["units"]] == names
    for unit, number in zip(data["units"], (3, 17, 42), strict=True):
        assert unit["seconds"] > 0
        assert {key: unit[key] for key in ("layer", "channel", "objective", "attempt", "seed", "steps", "status")} == {
            "layer": "features.9",
            "channel": number,
            "objective": "channel",
            "attempt": 0,
            "seed": 5,
            "steps": 24,
            "status": "ok",
        }
    page = (trained.out / "index.html").read_text()
    assert "images/features.9/0003.png" in page
    assert trained.page == trained.out / "index.html"


def test_a_trained_networks_pictures_activate_their_units_far_more_than_photographs(
    trained: Report, squeezenet: Model, photographs: Tensor
) -> None:
    for record in trained.manifest.units.values():
        unit = channel("features.9", record.channel)
        responses = evaluate(squeezenet, unit, photographs)
        saved = evaluate(squeezenet, unit, shown(trained, record.file)).item()
        assert saved > 4 * responses.mean()
        assert saved > responses.max()
        assert record.score == pytest.approx(saved, rel=0.02)  # the manifest's score is that of the picture on disk


def test_each_picture_is_for_its_own_unit(trained: Report, squeezenet: Model) -> None:
    images = shown(trained, *trained.manifest.units)
    channels = [record.channel for record in trained.manifest.units.values()]
    scores = torch.stack([evaluate(squeezenet, channel("features.9", number), images) for number in channels])
    assert scores.argmax(1).tolist() == [0, 1, 2]


def test_attempts_are_different_and_repel_each_other(squeezenet: Model, tmp_path: Path) -> None:
    options = {"layer": "features.5", "channels": "3", "steps": 16, "size": 64}
    several = gallery(squeezenet, tmp_path / "a", attempts=3, **options).run()
    names = [f"images/features.5/0003{tail}.png" for tail in ("", "-1", "-2")]
    assert list(several.manifest.units) == names
    assert [record.attempt for record in several.manifest.units.values()] == [0, 1, 2]
    images = shown(several, *names)
    assert all((images[i] - images[j]).abs().mean() > 0.05 for i, j in ((0, 1), (0, 2), (1, 2)))
    alone = []
    for seed in range(3):
        report = gallery(squeezenet, tmp_path / f"s{seed}", seed=seed, **options).run()
        alone.append(shown(report, names[0])[0])

    def similarity(pictures: Tensor) -> float:
        return -evaluate(squeezenet, diversity("features.5"), pictures).mean().item()

    assert similarity(images) < similarity(torch.stack(alone))


def test_no_file_is_written_before_all_units_are_known_to_exist(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "open", lambda *_: pytest.fail("the store was opened"))
    for options in (
        {"layer": ["body", "bdy"]},
        {"layer": ["body", "head"], "channels": "0-7"},
        {"layer": "body", "size": 10**7},
        {"layer": "body", "augment": "wild"},
        {"layer": "body", "precision": "float8"},
        {"layer": "body", "steps": 0},
        {"objective": "logit", "channels": "5"},
    ):
        with pytest.raises((ValueError, LookupError)):
            gallery(tiny, tmp_path / "out", **options).run()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"augment": "standart"}, "unknown augment 'standart'; did you mean standard?"),
        ({"augment": ["light"]}, "unknown augment ['light']"),
        ({"objective": "loss"}, "unknown objective 'loss'; expected one of channel, neuron, direction, logit, softmax"),
        ({"prior": "wavelet"}, "unknown prior 'wavelet'"),
        ({"attempts": 0}, "attempts must be an integer of at least 1, got 0"),
        ({"attempts": 1.5}, "1.5"),
        ({"layer": ()}, "layer: got none"),
        ({"layer": ("a", "")}, "layer: got"),
        ({"objective": "logit", "layer": "body"}, "leave out layer"),
        ({"size": -4}, "size must be an integer of at least 1, got -4"),
        ({"out": ""}, "out is empty"),
    ],
)
def test_a_gallery_that_cannot_be_is_refused_when_it_is_made(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError) as caught:
        Gallery(**options)
    assert says in str(caught.value)


def test_a_network_that_reads_patches_has_defaults_of_its_own() -> None:
    patches = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.GELU())
    for net, augment, stage, mean in (
        (patches, "tokens", PATCHES, True),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU()), "standard", {"steps": FOURIER_STEPS}, False),
    ):
        recipe = gallery(Model(net, input_size=(16, 16)), layer="1", channels="0", steps=None)
        context = RunContext(recipe, recipe.load())
        problem = recipe.problem(context, recipe.units(context))
        assert recipe.recorded_settings(context)["augment"] == recipe.transforms(context) == augment
        assert problem.stages == [stage]
        assert bool(problem.prior.mean.any()) == mean  # of natural images, or grey
        own = gallery(recipe.model, layer="1", channels="0", steps=9, learning_rate=0.5, augment="light")
        (given,) = own.problem(context, recipe.units(context)).stages
        assert {"steps": 9, "learning_rate": 0.5}.items() >= given.items()
        assert own.transforms(context) == "light"


def test_it_is_a_frozen_value_of_json_settings(tiny: Model) -> None:
    recipe = gallery(tiny, layer=("body",), channels=range(3))
    assert recipe == gallery(tiny, layer=("body",), channels=range(3))
    settings = json.loads(json.dumps(recipe.settings()))
    assert settings["model"] == "module"
    assert settings["layer"] == ["body"]
    assert settings["channels"] == "0,1,2"
    with pytest.raises(AttributeError):
        recipe.steps = 3  # type: ignore[misc]


def test_the_channels_of_one_attention_head(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = Model(TinyTransformer().eval(), input_size=(16, 16))
    report = Gallery(model=model, layer="blocks.1.attn:head.2", channels="all", size=16, out=str(tmp_path)).run()
    assert [record.channel for record in report.manifest.units.values()] == [0, 1, 2, 3]
    pictures = shown(report, *report.manifest.units)
    start = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    unit = channel("blocks.1.attn:head.2", range(4))
    assert (evaluate(model, unit, pictures) > evaluate(model, unit, start) + 0.1).all()
