"""Priors by name: one way to write them for Python, TOML and the command line, and every recipe runs with each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import priors
from inverter import Model, evaluate
from inverter.augment import Augment
from objectives import logit
from priors.registry import PRIORS
from recipes import ClassModel, Gallery, Invert
from recipes.cli.entry import main
from recipes.cli.recipe_file import load_recipe
from recipes.options.named import fits_type, option_types
from recipes.options.priors import NAMES, PriorChoice
from recipes.pictures.reading import read_picture

SIZE = 16
GENERATOR = """
from torch import nn

def make():
    return nn.Sequential(nn.Linear(8, 48), nn.Unflatten(1, (3, 4, 4)), nn.Sigmoid())

def denoise():
    return nn.Linear(8, 8)

def draw():
    return nn.Sequential(nn.Conv2d(3, 48, 3, padding=1), nn.PixelShuffle(4), nn.Sigmoid())

def read():
    return nn.Conv2d(3, 3, 4, stride=4)
"""


@pytest.fixture
def model(tiny_net: nn.Module) -> Model:
    return Model(tiny_net, normalize="half", input_size=(SIZE, SIZE))


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(path)
    return str(path)


@pytest.fixture
def generator(tmp_path: Path) -> str:
    path = tmp_path / "generator.py"
    path.write_text(GENERATOR)
    return str(path)


@pytest.fixture
def written(photo: str, generator: str) -> dict[str, str]:
    """Every prior as text, with options for a network of 16 pixels."""
    gan = f"generator={generator}:make,latent_size=8"
    return dict.fromkeys(("fourier", "pixels", "pyramid", "maco"), "") | {
        "deep-image": "channels=[4, 8]",
        "cppn": "width=4,depth=2",
        "gan": gan,
        "plug-and-play": f"{gan},denoiser={generator}:denoise",
        "decoder": f"decoder={generator}:draw,encoder={generator}:read",
        "accentuate": f"image={photo},layer=body,start=pixels",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_prior_serves_every_recipe(
    name: str, written: dict[str, str], model: Model, photo: str, tmp_path: Path
) -> None:
    prior = f"{name}:{written[name]}" if written[name] else name
    common: dict[str, Any] = {"model": model, "steps": 2, "precision": "float32", "prior": prior}
    recipes = {
        "gallery": Gallery(layer="body", channels="0-1", out=str(tmp_path / "gallery"), **common),
        "logits": Gallery(objective="logit", channels="0", out=str(tmp_path / "logits"), **common),
        "attempts": Gallery(layer="body", channels="0", attempts=2, out=str(tmp_path / "attempts"), **common),
        "classes": ClassModel(class_="0-1", out=str(tmp_path / "classes"), **common),
        "simonyan": ClassModel(class_="1", preset="simonyan", out=str(tmp_path / "simonyan"), **common),
        "invert": Invert(image=photo, layer="body", out=str(tmp_path / "invert"), **common),
    }
    for recipe in recipes.values():
        report = recipe.run()
        assert not report.failed
        made = [unit.file for unit in report.manifest.units.values() if unit.objective != "original"]
        assert made
        for file in made:
            with Image.open(report.out / file) as picture:
                assert picture.size == (SIZE, SIZE)
        settings = json.loads((report.out / "manifest.json").read_text())["settings"]
        assert settings["prior"] in (str(PriorChoice.parse(prior)), [str(PriorChoice.parse(prior))])


def test_every_prior_of_the_package_has_a_name() -> None:
    every = {kind for kind in vars(priors).values() if isinstance(kind, type) and issubclass(kind, priors.Prior)}
    assert {PriorChoice(name)._class() for name in NAMES} == every - {priors.Prior}
    assert tuple(PRIORS) == NAMES


@pytest.mark.parametrize(
    ("kind", "fitting", "others"),
    [
        ("Literal['unit', 'signed']", ["unit", "other"], [1, 0.5, True, None, [1]]),
        ("Literal['int', 'Sequence', 'None'] | float", ["int", 3, 0.5], [True, None, [1]]),
        ("Literal['a'] | None", ["a", None], [1, True]),
        ("float | None", [1, 0.5, None], ["a", True, [1]]),
        ("Sequence[int]", [[1], (1,)], [1.5, "a", None]),
    ],
)
def test_the_type_of_an_option_is_checked(kind: str, fitting: list[Any], others: list[Any]) -> None:
    assert all(fits_type(value, kind) for value in fitting)
    assert not any(fits_type(value, kind) for value in others)


def test_an_alias_of_words_is_resolved() -> None:
    def function(span: priors.Span = "unit", other: "priors.Span | None" = None, steps: "int | None" = 3) -> None:
        raise AssertionError

    words = "Literal['unit', 'signed']"
    types = option_types(function)
    assert (types["span"], types["other"], types["steps"]) == (words, f"{words} | None", "int | None")
    assert option_types(priors.GanLatent)["span"] == option_types(priors.PlugAndPlay)["span"] == words


@given(st.floats(0, allow_nan=False), st.lists(st.integers(1, 99), min_size=1), st.text("abc/_,. =:", min_size=1))
def test_a_choice_survives_a_round_trip_through_text(blur: float, channels: list[int], path: str) -> None:
    for choice in (
        PriorChoice("pixels", {"blur": blur, "bound": None, "blur_every": 3}),
        PriorChoice("deep-image", {"channels": channels, "bfloat16": False, "skip": 0}),
        PriorChoice("accentuate", {"image": path}),
    ):
        assert PriorChoice.parse(str(choice)) == choice


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("maco", {"name": "maco"}),
        (" pixels : blur = .5 , l2=1e-3", {"name": "pixels", "blur": 0.5, "l2": 0.001}),
        ("fourier:contrast=inf,decay=none", {"name": "fourier", "contrast": float("inf"), "decay": None}),
        ("deep-image:channels=[8, 16],skip=0", {"name": "deep-image", "channels": [8, 16], "skip": 0}),
        (
            "gan:generator=a b/c.py:make,bound=[-1, 2.5]",
            {"name": "gan", "generator": "a b/c.py:make", "bound": [-1, 2.5]},
        ),
    ],
)
def test_text_and_table_are_equivalent(text: str, table: Mapping[str, Any]) -> None:
    assert PriorChoice.parse(text) == PriorChoice.parse(table)


def test_toml_and_command_line_and_python_make_the_same_run(model: Model, tmp_path: Path, photo: str) -> None:
    def recipe(body: str) -> Any:
        path = tmp_path / "recipe.toml"
        path.write_text(body)
        return load_recipe(path, model=model)

    table = recipe('recipe = "gallery"\nlayer = "body"\n[prior]\nname = "pixels"\ntotal_variation = 4\nblur = 0.5\n')
    text = recipe('recipe = "gallery"\nlayer = "body"\nprior = "pixels:total_variation=4,blur=.5"\n')
    python = Gallery(model=model, layer="body", prior={"name": "pixels", "total_variation": 4, "blur": 0.5})
    assert table.settings() == text.settings() == python.settings()
    several = recipe(
        f'recipe = "invert"\nimage = "{photo}"\n[[prior]]\nname = "pixels"\n[[prior]]\nname = "fourier"\ndecay = 1.5\n'
    )
    assert several.priors == ("pixels", "fourier:decay=1.5")
    one = recipe(f'recipe = "invert"\nimage = "{photo}"\n[prior]\nname = "pixels"\n')
    assert one.priors == ("pixels",)


def test_an_option_reaches_the_prior(model: Model) -> None:
    made = PriorChoice.parse("pixels:blur=.5,bound=.3").make(2, (SIZE, 20), model, blur=9.0, l2=3.0)
    assert isinstance(made, priors.Pixels)
    assert (made.count, made().shape[2:], made.blur, made.bound, made.weights["l2"]) == (2, (SIZE, 20), 0.5, 0.3, 3.0)


def test_a_users_generator_comes_with_its_weights(generator: str, tmp_path: Path, model: Model) -> None:
    torch.save({"0.weight": torch.zeros(48, 8), "0.bias": torch.full((48,), 9.0)}, tmp_path / "g.pt")
    choice = PriorChoice.parse(f"gan:generator={generator}:make,latent_size=8,weights={tmp_path / 'g.pt'}")
    prior = choice.make(1, (SIZE, SIZE), model)
    assert prior().min() > 0.99


def test_a_cppn_is_drawn_at_any_size(model: Model, tmp_path: Path) -> None:
    report = Gallery(
        model=model,
        layer="body",
        channels="0",
        steps=2,
        prior="cppn:width=4,render=40",
        out=str(tmp_path / "o"),
    ).run()
    (file,) = report.manifest.units
    with Image.open(report.out / file) as picture:
        assert picture.size == (40, 40)


def test_maco_writes_its_importance_as_transparency_and_is_optimised_in_crops(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, ...]] = []
    forward = model.module.forward
    monkeypatch.setattr(model.module, "forward", lambda x: shown.append(tuple(x.shape)) or forward(x))
    prior = "maco:transparent=true"
    report = Gallery(
        model=model,
        layer="body",
        channels="0",
        steps=3,
        size=48,
        prior=prior,
        out=str(tmp_path / "o"),
    ).run()
    (file,) = report.manifest.units
    with Image.open(report.out / file) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (48, 48))
        alpha = np.asarray(picture)[:, :, 3]
    assert alpha.max() == 255
    assert alpha.min() < 128
    assert max(shape[2] for shape in shown) == SIZE  # never the full canvas
    assert max(shape[0] for shape in shown) > 1  # several crops of it in each step


def test_a_canvas_of_the_networks_own_size_is_not_cropped() -> None:
    assert Augment().cropped((SIZE, SIZE), (SIZE, SIZE)) == Augment()


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("fouier", "unknown prior 'fouier'; did you mean fourier?"),
        ("pixels:blurr=1", "prior pixels has no option 'blurr'; did you mean blur or blur_every?"),
        ("pixels:blur=much", "prior pixels: blur must be of type float, got 'much'"),
        ("pixels:blur", "'blur' is not OPTION=VALUE"),
        ("pixels:blur=-1", "expected a blur of >= 0 pixels"),
        ("deep-image:skip=true", "skip must be of type int, got True"),
        ("accentuate", "accentuate:image=PHOTO"),
        ("accentuate:image=nowhere.png", "no picture 'nowhere.png'"),
        ("accentuate:image=PHOTO,start=cppn", "unknown start 'cppn'"),
        ("accentuate:image=PHOTO,layer=bdy", "no layer 'bdy'"),
        ("gan:span=3", "prior gan: span must be of type Literal['unit', 'signed'], got 3"),
        ("gan:span=half", "unknown span 'half'; expected unit"),
        ("gan:generator=net", "expected path/to/file.py:factory, got 'net'"),
        ("gan:weights=x.pt", "weights requires generator"),
        ("gan:generator=nowhere.py:make", "no Python file 'nowhere.py'"),
        ({"blur": 1}, "a table needs a name"),
        (7, "prior must be text or a table"),
    ],
)
def test_bad_input_is_one_line_and_no_file_is_written(
    prior: Any, message: str, model: Model, photo: str, tmp_path: Path
) -> None:
    if isinstance(prior, str):
        prior = prior.replace("PHOTO", photo)
    out = tmp_path / "out"
    with pytest.raises((ValueError, LookupError, OSError)) as caught:
        Gallery(model=model, layer="body", prior=prior, out=str(out)).run()
    assert message in str(caught.value).replace(photo, "PHOTO") or message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_bad_input_on_the_command_line_exits_with_code_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["gallery", "--prior", "maco:contrast=no", "--out", str(tmp_path / "o")]) == 2
    assert "maco: contrast must be of type float, got 'no'" in capsys.readouterr().err


# ---- On trained networks ----


def test_a_generators_pictures_are_the_requested_classes(tmp_path: Path) -> None:
    """From one random start none of them would be reached."""
    recipe = ClassModel(class_="car", prior="gan", steps=12, augment="light", out=str(tmp_path / "o"))
    for record in recipe.run().manifest.units.values():
        assert record.metrics["network"][0]["name"] == record.name


def test_accentuation_raises_a_class_and_stays_near_the_photograph(
    squeezenet: Model, photographs: torch.Tensor, tmp_path: Path
) -> None:
    photo = photographs[2]
    Image.fromarray((photo.permute(1, 2, 0) * 255).round().byte().numpy()).save(tmp_path / "photo.png")
    before = evaluate(squeezenet, logit(207), photo[None]).item()
    found = {}
    for strength in (100, 3000):
        prior = f"accentuate:image={tmp_path / 'photo.png'},strength={strength}"
        report = Gallery(
            model=squeezenet,
            objective="logit",
            channels=207,
            size=128,
            steps=24,
            prior=prior,
            out=str(tmp_path / "o"),
            fresh=True,
        ).run()
        (record,) = report.manifest.units.values()
        change = (read_picture(report.out / record.file) - photo).square().mean().item()
        found[strength] = (record.score or 0.0, change)
    assert found[100][0] > found[3000][0] > before + 10
    assert 3 * found[3000][1] < found[100][1]
    assert found[3000][1] < 10**-2.5  # 25 dB


@pytest.mark.parametrize("prior", ["fourier", "pyramid", "maco"])
def test_squeezenet_knows_its_goldfish_and_ostrich(prior: str, squeezenet: Model, tmp_path: Path) -> None:
    recipe = ClassModel(model=squeezenet, class_="1,9", size=128, steps=40, prior=prior, out=str(tmp_path / "o"))
    for record in recipe.run().manifest.units.values():
        assert record.metrics["network"][0]["index"] == record.channel
