"""Fixtures that several tests share."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import torch
from torch import Tensor, nn

from inverter import Model, load_model
from inverter.ascent import ways

if TYPE_CHECKING:
    from playwright.sync_api import Browser

hypothesis.settings.register_profile("inverter", deadline=None, max_examples=30)
hypothesis.settings.load_profile("inverter")

SLOW_FIXTURES = {"browser", "cluster", "shared_data"}
"""A test that uses one of these, directly or through another fixture like `squeezenet`, is not `quick`."""
SLOW = (
    "inverter/sources/test_exported.py",
    "inverter/sources/test_hub.py",
    "inverter/sources/test_huggingface.py",
    "inverter/sources/test_open_clip.py",
    "inverter/test_contexts.py",
    "inverter/ascent/test_lbfgs.py",
    "inverter/isolation/test_compiler.py",
    "inverter/isolation/test_memory.py",
    "inverter/test_on_device.py",
    "inverter/fields/test_receptive_field.py::test_the_gradient_of_a_unit_lies_in_its_window",
    "priors/test_accentuate.py",
    "priors/test_base.py::test_every_prior_can_fit_a_given_picture",
    "priors/test_laws.py::test_it_fits_a_given_picture",
    "priors/test_laws.py::test_the_engine_raises_the_score_of_each_picture",
    "priors/test_maco.py",
    "recipes/activations/test_collect_killed.py",
    "recipes/activations/test_collect_memory.py",
    "recipes/atlas/test_atlas.py",
    "recipes/attribution/methods/test_deeplift.py",
    "recipes/attribution/methods/test_gradient.py::test_integrated_gradients_are_complete",
    "recipes/attribution/methods/test_lrp.py",
    "recipes/attribution/methods/test_perturbation.py",
    "recipes/attribution/methods/test_propagation.py",
    "recipes/attribution/test_on_device.py",
    "recipes/attribution/test_weights.py",
    "recipes/cli/test_module.py",
    "recipes/cli/test_repeat.py",
    "recipes/cli/test_streams.py",
    "recipes/executors/test_processes.py",
    "recipes/executors/test_serialization.py",
    "recipes/explore/test_explore_command.py",
    "recipes/explore/test_live.py",
    "recipes/gallery/test_film_fields.py",
    "recipes/heatmaps/test_judge_maps.py",
    "recipes/heatmaps/test_shared.py",
    "recipes/inversion/test_invert.py",
    "recipes/options/test_priors.py",
    "recipes/robustness/",
    "recipes/runner/test_faults.py",
    "recipes/runner/test_growing.py",
    "recipes/runner/test_run.py::test_memory_does_not_grow_with_the_number_of_channels",
    "recipes/statistics/test_statistics.py::test_the_bundled_file_is_reproduced",
    "recipes/test_on_device.py",
    "test_benchmarks.py",
    "test_docs_snippets.py::test_the_snippets_of_a_page_run_in_order",
    "test_readme.py",
    "tools/",
)
"""Tests that are not `quick`, by the start of their node ids below `tests/`: they start processes, train networks or
repeat runs, and take most of the time."""

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of `pytest -m quick`: all but doctests, the `SLOW` ones, and those with a slow fixture."""
    slow = tuple(f"tests/{start}" for start in SLOW)
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and SLOW_FIXTURES.isdisjoint(item.fixturenames)
            and not item.nodeid.startswith(slow)
        ):
            item.add_marker("quick")


@pytest.fixture
def slow_tests() -> tuple[str, ...]:
    return SLOW


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """One headless Chromium for the entire run. Without one the tests skip; under CI they fail."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        message = "the page's tests need Chromium: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with trained weights and photographs."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("INVERTER_TEST_DATA", root.parent / "shared"))
    if not (folder / "weights").is_dir():
        pytest.skip(f"no test data in {folder}: set INVERTER_TEST_DATA to the folder with weights/ and images/")
    return folder


@pytest.fixture(scope="session")
def squeezenet_weights(shared_data: Path) -> Path:
    return shared_data / "weights" / "squeezenet1_0.safetensors"


@pytest.fixture(scope="session")
def squeezenet(squeezenet_weights: Path) -> Model:
    return load_model("torchvision:squeezenet1_0", weights=squeezenet_weights, device="cpu")


@pytest.fixture(scope="session")
def mobilenet(shared_data: Path) -> Model:
    weights = shared_data / "weights" / "mobilenet_v2.safetensors"
    return load_model("torchvision:mobilenet_v2", weights=weights, normalize="half", device="cpu")


@pytest.fixture(scope="session")
def photographs(shared_data: Path) -> Tensor:
    """16 photographs of different classes, (16, 3, 128, 128) in [0, 1]."""
    import numpy as np
    from PIL import Image

    paths = sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::25][:16]
    pictures = []
    for path in paths:
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGB").resize((128, 128), Image.Resampling.BOX)))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test's numbers depend on which of two ways happens to be faster on this machine."""
    monkeypatch.setattr(ways, "is_known", lambda _device: True)


@pytest.fixture
def float32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU without bfloat16, like the simulated GPU, so that both compute in the same precision."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)


class TinyNet(nn.Module):
    """A small network with awkward parts: in-place ReLUs, a module that runs twice, a functional in-place sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.body = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.mix = nn.Conv2d(8, 8, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.mix(self.relu(self.body(x)))
        y += x
        return self.head(self.pool(self.relu(y)).flatten(1))


@pytest.fixture
def tiny_net() -> nn.Module:
    """A `TinyNet` with the same random weights each time, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        net = TinyNet()
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.normal_(part.running_mean, 0, 0.3)
                nn.init.uniform_(part.running_var, 0.5, 1.5)
    return net.eval()


@pytest.fixture
def snapshot() -> Callable[[nn.Module], dict[str, object]]:
    """Everything in a module that its use could change."""

    def take(module: nn.Module) -> dict[str, object]:
        hooks = {
            f"{name}.{key}": list(value)
            for name, part in module.named_modules()
            for key, value in vars(part).items()
            if "hooks" in key and hasattr(value, "__iter__")
        }
        return {
            "state": {
                name: (tensor.device, tensor.dtype, tensor.stride(), tensor.data_ptr(), tensor.tolist())
                for name, tensor in module.state_dict().items()
            },
            "modes": {name: part.training for name, part in module.named_modules()},
            "requires": {name: (p.requires_grad, p.grad is None) for name, p in module.named_parameters()},
            "hooks": hooks,
            "compiled": {name: part._compiled_call_impl for name, part in module.named_modules()},
        }

    return take
