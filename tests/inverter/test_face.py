"""The public face of the package: its names, its errors, its types."""

import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

import inverter
import inverter_errors
from inverter import InverterError, LayerNotFound
from inverter.ascent.optimizer import Optimizer
from inverter.ascent.relu_rules import ReLURule
from inverter.augment import AugmentPreset
from inverter.input_values import NORMALIZATIONS, Normalization


def test_dir_is_the_sorted_public_names() -> None:
    assert dir(inverter) == sorted(inverter.__all__)
    assert all(hasattr(inverter, name) for name in inverter.__all__)


def test_no_public_name_is_that_of_a_submodule() -> None:
    assert not {module.name for module in pkgutil.iter_modules(inverter.__path__)} & set(inverter.__all__)


def test_every_error_of_the_tree_is_exported() -> None:
    errors = {name for name, kind in vars(inverter_errors).items() if isinstance(kind, type)}
    assert errors <= set(inverter.__all__)
    for name in errors - {"GuessedSizeWarning"}:
        assert issubclass(getattr(inverter, name), InverterError)


def test_the_package_is_typed_and_its_choices_are_the_known_names() -> None:
    assert (Path(inverter.__file__).parent / "py.typed").is_file()
    assert get_args(AugmentPreset) == tuple(inverter.PRESETS)
    assert get_args(Normalization) == tuple(NORMALIZATIONS)


@pytest.mark.parametrize("kind", [Optimizer, ReLURule])
def test_abstract_classes_cannot_be_instantiated(kind: type) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind()


def test_importing_the_package_does_not_import_the_sources_of_models() -> None:
    code = "import inverter, sys; print([name for name in ('timm', 'torchvision') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_layer_is_reported_by_every_function(tiny_net: nn.Module) -> None:
    model = inverter.load_model(tiny_net, input_size=16)
    images = torch.rand(1, 3, 16, 16)
    for act in (
        lambda: inverter.encode(model, images, "bodi"),
        lambda: inverter.encode(model, images, "relu#7"),
        lambda: inverter.receptive_fields(model, ["bodi"]),
        lambda: model.check_layer("bodi"),
        lambda: model.shapes(["bodi"]),
    ):
        with pytest.raises(LayerNotFound, match=r"bodi|relu#7"):
            act()


@pytest.mark.parametrize(("shape", "says"), [((3, 8, 8), "got shape"), ((1, 3, 2, 2), "2x2 pixels.*own size is 32x32")])
def test_evaluate_reports_pictures_that_the_network_cannot_process(shape: tuple[int, ...], says: str) -> None:
    from objectives import layer

    model = inverter.load_model(nn.Sequential(nn.Conv2d(3, 4, 5)), input_size=32)
    with pytest.raises(inverter.BadInput, match=says):
        inverter.evaluate(model, layer("0"), torch.zeros(shape))


def test_a_model_is_a_name_a_module_or_a_model() -> None:
    with pytest.raises(inverter.BadType, match="got int"):
        inverter.load_model(3)  # type: ignore[arg-type]


def test_unreachable_weights_are_in_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    def offline(*_: object, **__: object) -> nn.Module:
        raise OSError("no route")

    monkeypatch.setattr(models, "get_model", offline)
    with pytest.raises(inverter.Unreachable, match="weights="):
        inverter.load_model("torchvision:alexnet")
