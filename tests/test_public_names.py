"""The public face: names are pinned with equality, complete in a notebook, and no function hides a module."""

import importlib
import importlib.util
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = {
    "objectives": (
        "Activations DISTANCES Distance FeatureStatistics LayerStatistics OUTPUT Objective Position attention "
        "attention_head caricature centred_direction channel code direction distribution diverse diversity facet "
        "known_pixels layer list_objectives logit natural naturally neuron softmax text_match"
    ),
    "priors": (
        "Accentuate Cppn Decoder DeepImage Fourier GanLatent ImageStatistics Maco Pixels PlugAndPlay Prior Pyramid "
        "Span alpha_norm l2 list_priors measure natural_statistics total_variation transparency"
    ),
    "inverter": (
        "Augment BadInput BadType Code Directions Film Graphs GuessedSizeWarning Inversion InverterError LayerInfo "
        "LayerNotFound MissingFile MissingLibrary Model NotFound OutOfMemory OutOfRange PRESETS Progress "
        "ProgressCallback ReceptiveField RunFailed Settings Unreachable __version__ batch_norm_statistics "
        "encode evaluate layers list_layers list_models load_code load_model no_network optimize "
        "receptive_fields stages to_pil"
    ),
    "recipes": (
        "Adversarial Atlas Circuit ClassModel Compare Concepts Craft DeepDream Dictionary Explain Gallery Grid Inpaint "
        "Invert JudgeMaps LearnDirections Microscope Mix Names Patches Polysemantic Statistics TrainInverter "
        "list_methods list_recipes"
    ),
}

each_package = pytest.mark.parametrize("package", PUBLIC)


@each_package
def test_the_public_names_are_exactly_these(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(module.__all__) == sorted(PUBLIC[package].split())
    for name in module.__all__:
        assert getattr(module, name) is not None


@each_package
def test_a_notebook_completes_the_public_names_alone(package: str) -> None:
    assert dir(importlib.import_module(package)) == sorted(PUBLIC[package].split())


@each_package
def test_the_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


@each_package
def test_no_public_name_is_that_of_a_module(package: str) -> None:
    folder = ROOT / package
    modules = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir() if path.is_dir()}
    assert not modules & set(PUBLIC[package].split())


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Galery"):
        importlib.import_module("recipes").Galery  # noqa: B018


def test_every_error_is_public_and_also_the_built_in_error_that_users_expect() -> None:
    errors = importlib.import_module("inverter_errors")
    classes = {name for name, each in vars(errors).items() if inspect.isclass(each)}
    assert classes <= set(PUBLIC["inverter"].split())
    for name in classes - {"InverterError", "GuessedSizeWarning"}:
        error = getattr(errors, name)
        assert issubclass(error, errors.InverterError)
        assert any(
            base.__module__ == "builtins"
            for base in error.__mro__[1:]
            if base not in (Exception, BaseException, object)
        )
