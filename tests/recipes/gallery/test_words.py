"""Pictures from words and names of units, with a network that knows three colours, and a trained one of products."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import Directions, Model, load_model
from inverter.text import as_text_tower
from recipes import ClassModel, Explain, Names
from recipes.cli.entry import main
from tests.inverter.test_text import colours, fashion_clip
from tests.shared_networks import FASHION_CAPTIONS

__all__ = ["fashion_clip"]  # a fixture

VOCABULARY = ["red", "green", "dark"]


def speaker() -> Model:
    """A network whose embedding is the mean colour, from -1 to 1."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Model(net, normalize="half", input_size=(16, 16), text=as_text_tower(colours))


def detector() -> Model:
    """A network whose units respond to red, to green, to darkness, and to none."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    with torch.no_grad():
        net[0].weight[:] = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, -1], [0, 0, 0]])[:, :, None, None]
        net[0].bias[:] = torch.tensor([0.0, 0, 1, -1])
    return load_model(net, normalize="none", input_size=16)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Thirty pictures: ten reddish, ten greenish and ten dark ones."""
    folder, draw = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for index in range(30):
        colour = np.array([(200, 20, 20), (20, 200, 20), (10, 10, 10)][index % 3])
        pixels = np.clip(colour + draw.integers(-9, 10, (16, 16, 3)) + draw.integers(-9, 10, 3), 0, 255)
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{index:02d}.png")
    return folder


def test_the_picture_of_a_word_shows_it(tmp_path: Path) -> None:
    report = ClassModel(model=speaker(), text=["red", "green"], steps=16, tries=1, out=str(tmp_path)).run(None)
    assert [record.name for record in report.records] == ["red", "green"]
    means = [np.asarray(image).mean((0, 1)) for image in report.images]
    assert [mean.argmax() for mean in means] == [0, 1]
    assert all((record.score or 0) > 50 for record in report.records)  # 100 times the cosine, from about 0
    assert "2 of 2 first" in str(report.closing)
    assert report.manifest.settings["text"] == ["red", "green"]
    assert (tmp_path / "images/output/0001-green.png").is_file()


def test_some_of_the_texts_are_chosen_by_class(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("red\n\ngreen\ndark\nred\n")
    recipe = ClassModel(model=speaker(), text=str(words), class_="dark", steps=2, tries=1, out=str(tmp_path / "out"))
    (record,) = recipe.run(None).records
    assert (record.name, record.channel) == ("dark", 2)


def test_a_judge_of_words_has_the_same_texts(tmp_path: Path) -> None:
    recipe = ClassModel(model=speaker(), text=["red", "green"], steps=2, tries=1, judge=speaker(), out=str(tmp_path))
    report = recipe.run(None)
    assert {guess["name"] for guess in report.records[0].metrics["judge"]} == {"red", "green"}


def test_units_are_named_by_what_they_respond_to(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipe = Names(
        model=detector(), text_model=speaker(), layer="1", images=str(photos), vocabulary=VOCABULARY, out=str(out)
    )
    report = recipe.run(None)
    assert [record.name for record in report.records] == ["red", "green", "dark", None]
    rows = list(csv.DictReader((out / "names.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["red", "green", "dark", ""]
    assert [row["channel"] for row in rows] == ["0", "1", "2", "3"]
    tree = json.loads((out / "names.json").read_text())["1"]
    assert tree["0"][0]["text"] == "red"
    assert tree["0"][0]["score"] > tree["0"][1]["score"]
    assert tree["3"] == []
    page = (out / "index.html").read_text()
    assert "Unit names" in page
    assert "soft-wpmi" in page


@pytest.mark.parametrize("measure", ["wpmi", "cosine", "cosine-cubed"])
def test_the_simpler_measures_agree_where_it_is_clear(measure: str, photos: Path, tmp_path: Path) -> None:
    recipe = Names(
        model=detector(),
        text_model=speaker(),
        layer="1",
        channels="0-2",
        images=str(photos),
        vocabulary=VOCABULARY,
        measure=measure,  # type: ignore[arg-type]
        out=str(tmp_path / "out"),
    )
    assert [record.name for record in recipe.run(None).records] == VOCABULARY


def test_a_name_does_not_depend_on_which_units_are_asked_for(photos: Path, tmp_path: Path) -> None:
    options = {"model": detector(), "text_model": speaker(), "layer": "1", "images": str(photos)}
    alone, among = (
        Names(vocabulary=VOCABULARY, channels=channels, out=str(tmp_path / channels), **options).run(None)
        for channels in ("1", "0-2")
    )
    assert alone.records[0].metrics["words"] == among.records[1].metrics["words"]


def test_latents_are_named_like_channels(photos: Path, tmp_path: Path) -> None:
    """The latents are the layer's channels in another order, and so are their names."""
    turned = Directions("1", torch.eye(4)[[2, 0, 1]], gate="relu")
    options = {"model": detector(), "text_model": speaker(), "images": str(photos), "directions": turned}
    report = Names(vocabulary=VOCABULARY, out=str(tmp_path / "out"), **options).run(None)
    assert [record.name for record in report.records] == ["dark", "red", "green"]


def test_mistakes_are_one_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"model": detector(), "layer": "1", "images": str(photos), "out": str(tmp_path / "out")}
    for build, says in (
        (lambda: ClassModel(text=["red", " "], out=names["out"]).run(None), "text: got an empty text"),
        (lambda: ClassModel(text=str(tmp_path / "none.txt"), out=names["out"]).run(None), "text: no file"),
        (lambda: Names(vocabulary="red", **names).run(None), "vocabulary: got 'red' alone"),
        (lambda: Names(vocabulary=VOCABULARY, measure="loudness", **names), "unknown measure 'loudness'"),
        (lambda: Names(vocabulary=VOCABULARY, text_weights="w", **names), "text_weights is given but no text_model"),
        (lambda: Names(vocabulary=VOCABULARY, **names).run(None), "module has no text tower"),
        (lambda: ClassModel(model="builtin", text="red", out=str(tmp_path / "c")).run(None), "builtin has no text"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=says) as caught:
            build()
        assert "\n" not in str(caught.value)
    image = str(photos / "00.png")
    assert main(f"explain --image {image} --target text:red --out {tmp_path}/e".split()) == 2
    assert "builtin has no text tower" in capsys.readouterr().err


def test_words_are_targets_of_heat_maps(tmp_path: Path) -> None:
    """Half of the picture is red: the heat of "red" lies there, and that of "green" in the other half."""
    pixels = np.full((16, 16, 3), 20, np.uint8)
    pixels[:, :8, 0] = pixels[:, 8:, 1] = 220
    Image.fromarray(pixels).save(tmp_path / "halves.png")
    recipe = Explain(
        model=speaker(),
        image=str(tmp_path / "halves.png"),
        target=["text:red", "text: green"],
        method="gradient-x-input",
        out=str(tmp_path / "out"),
    )
    report = recipe.run(None)
    red, green = (
        np.load(tmp_path / f"out/images/text_{word}/gradient-x-input/halves.npy") for word in ("red", "green")
    )
    assert red[:, :8].sum() > red[:, 8:].sum()
    assert green[:, 8:].sum() > green[:, :8].sum()
    assert [record.metrics["target"] for record in report.records if "target" in record.metrics] == [
        "text:red",
        "text:green",
    ]


def test_pictures_of_trained_words_are_recognised(fashion_clip: Model, tmp_path: Path) -> None:
    recipe = ClassModel(
        model=fashion_clip,
        text=FASHION_CAPTIONS,
        class_="shoes,ties,bottomwear",
        prior="fourier:decay=2",
        augment="standard",
        learning_rate=0.4,
        steps=32,
        tries=1,
        out=str(tmp_path),
    )
    report = recipe.run(None)
    for record in report.records:
        assert record.name in [guess["name"] for guess in record.metrics["network"][:3]]
