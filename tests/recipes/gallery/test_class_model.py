"""Class models: classes, presets and metrics, and that the network recognises its own pictures."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inverter import Model
from inverter_errors import BadInput
from objectives import Activations
from recipes import ClassModel
from recipes.cli.entry import main
from recipes.cli.recipe_file import load_recipe
from recipes.evidence.appearance import burnt
from recipes.gallery.class_model import PRESETS
from recipes.options.indices import parse_classes
from recipes.outputs.manifest import Record
from recipes.runner.context import RunContext

NAMES = ("tench", "great white shark", "crane", "salt, pepper", "crane")


def model_of(net: nn.Module, size: int = 16) -> Model:
    return Model(net, normalize=((0.4, 0.5, 0.6), (0.2, 0.2, 0.2)), input_size=(size, size), categories=NAMES)


def recipe(net: nn.Module, out: Path, **more: Any) -> ClassModel:
    return ClassModel(**({"model": model_of(net), "steps": 2, "out": str(out), "precision": "float32"} | more))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("all", [0, 1, 2, 3, 4]),
        ("3,1", [3, 1]),
        (2, [2]),
        ([4, 0], [4, 0]),
        ("Tench, 3-4", [0, 3, 4]),
        ("great white SHARK", [1]),
        (["salt, pepper", "0"], [3, 0]),
        (["1", 1, "great white shark"], [1]),
    ],
)
def test_classes_are_indices_ranges_and_names(given: Any, expected: list[int]) -> None:
    assert parse_classes(given, 5, NAMES) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tensh", "named 'tensh'; did you mean tench?"),
        ("crane", "class 'crane' is the name of 2 and 4: give the index"),
        ("5", "channel 5 is out of range: the output of the model has 5"),
        (7, "out of range"),
        ([], "class: got none"),
        ("", "neither a number nor a range"),
        (True, "integers"),
        ([0.5], "integers"),
    ],
)
def test_a_class_that_does_not_exist_is_an_error(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        parse_classes(given, 5, NAMES)


def test_a_preset_fills_in_only_what_was_not_given() -> None:
    best = ClassModel(preset="best")
    assert (best.steps, best.learning_rate, best.augment) == (
        PRESETS["best"].steps,
        PRESETS["best"].learning_rate,
        PRESETS["best"].augment,
    )
    own = ClassModel(preset="simonyan", steps=7, learning_rate=0.3, augment="light")
    assert (own.steps, own.learning_rate, own.augment) == (7, 0.3, "light")
    assert ClassModel(preset="simonyan").augment == "none"
    with pytest.raises(ValueError, match="unknown preset 'worst'; expected one of auto, best, natural, tokens"):
        ClassModel(preset="worst")


def test_simonyan_starts_at_the_data_mean_with_no_penalty(tiny_net: nn.Module, tmp_path: Path) -> None:
    model = model_of(tiny_net)
    simonyan = recipe(tiny_net, tmp_path, preset="simonyan", class_="0,1")
    context = RunContext(simonyan, model)
    problem = simonyan.problem(context, simonyan.units(context))
    problem.prior.reset([torch.Generator(), torch.Generator()])
    start = problem.prior()
    assert model.normalize(start).abs().max().item() < 1e-6  # the zero image of the normalised input
    assert problem.prior.energy(start).abs().max().item() < 1e-9
    assert problem.prior.energy(start + 0.1).tolist() == pytest.approx([1.0, 1.0], rel=1e-4)
    assert problem.objective.score(Activations({"": torch.eye(5)[:2]})).tolist() == [1, 1]


def test_burnt_counts_values_near_the_ends() -> None:
    image = torch.tensor([0.0, 0.019, 0.021, 0.5, 0.979, 0.981, 1.0, 0.5]).view(1, 2, 2, 2)
    assert burnt(image).tolist() == [0.5]


def test_a_run_records_the_predictions_of_network_and_judge(tiny_net: nn.Module, tmp_path: Path) -> None:
    made = recipe(tiny_net, tmp_path, class_="0-2", judge=model_of(tiny_net, size=12))
    report = made.run()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["settings"]["class"] == "0-2"
    assert manifest["settings"]["judge"] == "module"
    assert [unit["name"] for unit in manifest["units"]] == list(NAMES[:3])
    for unit in manifest["units"]:
        assert (tmp_path / unit["file"]).is_file()
        assert 0 <= unit["metrics"]["burnt"] <= 1
        for who in ("network", "judge"):
            guesses = unit["metrics"][who]
            assert sorted(guess["index"] for guess in guesses) == [0, 1, 2, 3, 4]
            probabilities = [guess["probability"] for guess in guesses]
            assert probabilities == sorted(probabilities, reverse=True)
            assert sum(probabilities) == pytest.approx(1)
    again = recipe(tiny_net, tmp_path, class_="0-2", judge=model_of(tiny_net, size=12)).run()
    assert again.made == 0
    assert again.manifest.units == report.manifest.units


def record(index: int, network: list[int], judge: list[int], share: float) -> Record:
    guesses = {
        who: [{"index": i, "name": str(i), "probability": 0.2} for i in indices]
        for who, indices in (("network", network), ("judge", judge))
    }
    return Record("output", index, "logit", 0, 0, f"{index}.png", 1.0, 2, 0.1, "ok", metrics=guesses | {"burnt": share})


def test_the_closing_line_counts() -> None:
    records = [record(3, [3, 1], [1, 3], 0.02), record(4, [1, 4], [2, 1], 0.04), record(0, [0], [0], 0.0)]
    assert ClassModel(judge="builtin").closing(records) == (
        "the network puts 2 of 3 first; the judge has 2 of 3 in its top 5, 1 first; "
        "2.0% of the channel values lie within 0.02 of 0 or 1"
    )
    assert "judge" not in ClassModel().closing(records)


def test_several_judges_have_a_column_each(tiny_net: nn.Module, tmp_path: Path) -> None:
    other = model_of(tiny_net, size=12)
    made = recipe(tiny_net, tmp_path, class_="1-2", judge=[other, other], judge_input_size=["16", "default"])
    report = made.run()
    for unit in report.records:
        assert {"network", "judge module", "judge module 2"} <= unit.metrics.keys()
    assert report.manifest.settings["judge_input_size"] == [[16, 16], None]
    assert "the judge module 2 has" in str(report.closing)
    assert "judge module 2" in (tmp_path / "units.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("given", [{"judge_weights": "a.pt"}, {"judge_normalize": ["half", "half", "none"]}])
def test_each_judge_has_its_own_options(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="for 2 judges: give one for each judge, in their order, or default"):
        ClassModel(judge=["builtin", "builtin"], **given)


def test_a_judge_must_know_the_same_classes(tiny_net: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the judge builtin has 56 classes and module has 5"):
        recipe(tiny_net, tmp_path / "out", judge="builtin").run()
    assert not (tmp_path / "out").exists()
    tokens = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(1), nn.Unflatten(1, (5, 1, 1, -1)))
    with pytest.raises(ValueError, match="expected one number per class"):
        recipe(tokens, tmp_path / "out").run()


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    for arguments, said in (
        (["--class", "geer"], "did you mean gear"),
        (["--class", "56"], "out of range"),
        (["--judge-weights", "w.safetensors"], "judge_weights is given but no judge: set judge to a network"),
        (["--judge", "torchvision:missing"], "torchvision has no model 'missing'"),
    ):
        assert main(["classes", "--steps", "1", *arguments, *out]) == 2
        error = capsys.readouterr().err.splitlines()
        assert len(error) == 1
        assert said in error[0]
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="unknown augment 'wild'; did you mean wide"):
        ClassModel(augment="wild")


def test_the_key_in_toml_is_the_flag(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('recipe = "classes"\nclass = ["gear", 3]\nsteps = 1\n')
    loaded = load_recipe(path, out="elsewhere")
    assert isinstance(loaded, ClassModel)
    assert loaded.class_ == ("gear", 3)
    assert loaded.out == "elsewhere"
    path.write_text('recipe = "classes"\nclass_ = "gear"\n')
    with pytest.raises(ValueError, match="unknown key 'class_'; did you mean class"):
        load_recipe(path)


def test_the_command_line_says_how_it_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    arguments = ["classes", "--class", "gear", "--class", "2", "--steps", "2", "--judge", "builtin", "--out", out]
    assert main(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 5
    assert said[1].split() == ["layer", "pictures", "judge", "first", "judge", "top5", "fools"]
    assert "the judge has" in said[3]


def test_squeezenet_names_its_own_class_models(squeezenet: Model, tmp_path: Path) -> None:
    classes = {9: "ostrich", 130: "flamingo", 207: "golden retriever"}
    made = ClassModel(model=squeezenet, class_=tuple(classes), tries=1, out=str(tmp_path))
    report = made.run()
    predicted = [[guess["name"] for guess in unit.metrics["network"]] for unit in report.manifest.units.values()]
    assert [names[0] for names in predicted] == list(classes.values())
    assert all(unit.metrics["burnt"] < 0.1 for unit in report.manifest.units.values())


def test_progress_over_several_tries_goes_up_to_all_units_and_no_further(tiny_net: nn.Module, tmp_path: Path) -> None:
    reported: list[float] = []
    recipe(tiny_net, tmp_path / "out", class_="0-2", tries=3, steps=4).run(lambda update: reported.append(update.done))
    assert reported == sorted(reported)
    assert reported[-1] == 3
    assert max(done for done in reported if done < 3) > 2.5
    assert len({round(done, 6) for done in reported}) > 10  # it moves in every try


@pytest.mark.parametrize("tries", [0, -1, 1.5, True, 10**40])
def test_an_invalid_number_of_tries_is_an_error(tiny_net: nn.Module, tmp_path: Path, tries: Any) -> None:
    with pytest.raises(ValueError, match=r"tries must be (an integer of at least 1|at most 1000)"):
        recipe(tiny_net, tmp_path / "out", tries=tries)


def test_the_network_decides_between_the_presets_and_the_manifest_says_which(tmp_path: Path) -> None:
    patches = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    conv = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for net, name in ((patches, "tokens"), (conv, "best")):
        one = recipe(net, tmp_path / name, class_="0", steps=None)
        context = RunContext(one, one.load())
        assert one.transforms(context) == PRESETS[name].augment
        (stage,) = one.problem(context, one.units(context)).stages
        assert stage == {
            "tries": PRESETS[name].tries,
            "steps": PRESETS[name].steps,
            "learning_rate": PRESETS[name].learning_rate,
        }
        settings = one.recorded_settings(context)
        assert settings["preset"] == name
        assert settings["prior"] == PRESETS[name].prior
        assert settings["augment"] == PRESETS[name].augment
        own = recipe(net, tmp_path / name, class_="0", prior="pixels", augment="light")
        assert own.transforms(context) == "light"
        assert own.recorded_settings(RunContext(own, own.load()))["learning_rate"] is None  # that of the prior
