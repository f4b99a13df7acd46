"""The result is the same in whatever context of torch the engine is called."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
import torch
from torch import Tensor, nn

from inverter import Settings, encode, evaluate, layers, load_model, optimize, receptive_fields
from objectives import channel, code, direction, diverse, diversity, logit, neuron, softmax
from priors import Cppn, DeepImage, Fourier, GanLatent, Maco, Pixels, Pyramid
from priors.base import Prior
from recipes.attribution import explain


@contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


CONTEXTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "float64": lambda: default_type(torch.float64),
    "bfloat16": lambda: default_type(torch.bfloat16),
    "no_grad": torch.no_grad,
    "set_grad_enabled": lambda: torch.set_grad_enabled(False),
    "inference_mode": torch.inference_mode,
    "another device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": deterministic,
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
}
each_context = pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
SETTINGS = Settings(steps=3, precision="float32")


def same_everywhere(work: Callable[[], Tensor], context: Callable[[], AbstractContextManager[object]]) -> None:
    with nullcontext():
        expected = work()
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()
    with context():
        found = work()
    assert modes == (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype())
    assert not found.is_inference()
    assert found.dtype == expected.dtype
    assert found.device == expected.device
    assert torch.equal(found, expected)


@each_context
@pytest.mark.parametrize("prior", [Fourier, Pixels, Pyramid, Cppn, Maco, DeepImage])
def test_pictures_are_the_same(tiny_net: nn.Module, prior: type[Prior], context) -> None:
    def work() -> Tensor:
        objective = channel("body", [0, 1]) + 0.1 * neuron("stem", 3) + 0.1 * softmax(2)
        return optimize(load_model(tiny_net, input_size=32), objective, prior(2, size=32), SETTINGS, "strong").images

    same_everywhere(work, context)


@each_context
def test_the_bundled_generator_makes_the_same(context) -> None:
    builtin = load_model("builtin", device="cpu")
    same_everywhere(lambda: optimize(builtin, logit(3), GanLatent(1), SETTINGS, "none").images, context)


OBJECTIVES: dict[str, Callable[[], object]] = {
    "direction": lambda: direction("body", [1.0, -1, 0, 0, 0, 0, 2, 0], "center", power=2),
    "diversity": lambda: channel("body", 1) + diversity("stem"),
    "diverse": lambda: diverse(channel("body", 1), "stem", [0, 0]),
    "code": lambda: code("", torch.ones(1, 5, dtype=torch.float32, device="cpu")),
}


@each_context
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_every_objective_scores_the_same(tiny_net: nn.Module, objective: Callable[[], object], context) -> None:
    model = load_model(tiny_net, input_size=32)
    same_everywhere(lambda: optimize(model, objective(), Fourier(2, size=32), SETTINGS).scores, context)


@each_context
def test_questions_to_pictures_have_the_same_answers(tiny_net: nn.Module, context) -> None:
    model = load_model(tiny_net, input_size=16)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    same_everywhere(lambda: evaluate(model, logit(2), images), context)
    same_everywhere(lambda: encode(model, images, ["body", ""])[""], context)
    same_everywhere(lambda: explain(model, images, logit(1), "grad-cam"), context)
    same_everywhere(lambda: explain(model, images, logit(1), "saliency"), context)
    expected = layers(model), receptive_fields(model, ["mix"])
    with context():
        assert (layers(model), receptive_fields(model, ["mix"])) == expected


def test_pictures_and_models_made_in_inference_mode_can_be_used_outside(tiny_net: nn.Module) -> None:
    with torch.inference_mode():
        model = load_model("builtin", device="cpu")
        prior, images = Fourier(1, size=32), torch.rand(1, 3, 32, 32)
        objective = channel("features.stem", 1)
    assert optimize(model, objective, prior, SETTINGS).images.shape == (1, 3, 32, 32)
    assert explain(model, images, objective, "saliency").shape == (1, 32, 32)
    assert prior.coefficients.requires_grad


def test_a_network_made_in_inference_mode_is_reported() -> None:
    with torch.inference_mode():
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    with pytest.raises(ValueError, match="inference_mode"):
        optimize(load_model(net, input_size=16), channel("2", 1), Fourier(1, size=16), SETTINGS)


def test_the_first_call_does_not_decide_for_later_ones() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def work() -> Tensor:
        return optimize(load_model(net, input_size=16), channel("0", 1), Fourier(1, size=16), SETTINGS).images

    with default_type(torch.float64), torch.inference_mode():
        first = work()
    assert torch.equal(work(), first)


def test_warnings_as_errors_do_not_stop_it() -> None:
    code = (
        "from inverter import load_model, optimize, Settings; from objectives import logit; from priors import Fourier;"
        "from recipes.attribution import explain; import torch; m = load_model('builtin', device='cpu');"
        "i = optimize(m, logit(3), Fourier(1, size=32), Settings(steps=2)).images; explain(m, i, logit(3), 'grad-cam')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_network_runs_in_the_defaults_of_the_caller(precision: str) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x).mean((2, 3)) @ torch.eye(4)

    settings = Settings(steps=3, precision=precision)
    with default_type(torch.float64):
        assert optimize(load_model(Own(), input_size=16), logit(1), Fourier(1, size=16), settings).scores.isfinite()
