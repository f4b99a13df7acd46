"""Networks in TorchScript: their output can be read and maximised, their layers cannot, and say so."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from inverter import Settings, layers, load_model, optimize
from objectives import channel, logit
from priors import Fourier

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def net() -> nn.Sequential:
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.9), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    return nn.Sequential(*parts)


FORMS: dict[str, Callable[[], nn.Module]] = {
    "script": lambda: torch.jit.script(net().eval()),
    "in training": lambda: torch.jit.script(net().train()),
    "freeze": lambda: torch.jit.freeze(torch.jit.script(net().eval())),
    "trace": lambda: torch.jit.trace(net().eval(), torch.rand(1, 3, 16, 16)),
}


@pytest.mark.parametrize("form", FORMS)
def test_its_output_is_maximised_as_that_of_the_module_it_was_made_from(form: str) -> None:
    script = FORMS[form]()
    modes = [part.training for part in script.modules() if hasattr(part, "training")]
    kinds = [parameter.requires_grad for parameter in script.parameters()]
    found = optimize(load_model(script, input_size=16), logit(1), Fourier(1, size=16), Settings(steps=3))
    plain = optimize(load_model(net(), input_size=16), logit(1), Fourier(1, size=16), Settings(steps=3))
    assert found.scores.tolist() == pytest.approx(plain.scores.tolist(), abs=1e-4)
    assert modes == [part.training for part in script.modules() if hasattr(part, "training")]
    assert kinds == [parameter.requires_grad for parameter in script.parameters()]


def test_a_factory_may_load_one(tmp_path: Path) -> None:
    script = FORMS["freeze"]()
    torch.jit.save(script, tmp_path / "net.pt")
    text = f"import torch\ndef net():\n    return torch.jit.load({str(tmp_path / 'net.pt')!r}), {{'input_size': 16}}\n"
    (tmp_path / "nets.py").write_text(text)
    model = load_model(f"{tmp_path / 'nets.py'}:net", device="cpu")
    assert model.sha256 == load_model(script).sha256
    assert model.shapes([""]) == {"": (1, 3)}


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_in_it_is_refused_in_one_line(form: str) -> None:
    model = load_model(FORMS[form](), input_size=16)
    with pytest.raises(LookupError, match="no layer '0': of a network in TorchScript only the output can be read"):
        optimize(model, channel("0", 1), Fourier(1, size=16), Settings(steps=2))
    assert layers(model) == []
