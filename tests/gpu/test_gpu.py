"""What only a GPU can show: its numbers, its memory, its faults, and steps recorded as CUDA graphs.

    .venv/bin/python -m pytest tests/gpu

Skipped without one. The bundled network is really trained, and needs no download.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from inverter import Graphs, Inversion, Model, Settings, evaluate, load_model, optimize
from inverter.isolation.determinism import deterministic
from inverter_errors import NotFound
from objectives import channel, logit
from priors import Fourier, Maco
from recipes import Gallery, Invert

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False")
LAYER = "features.stage2"
ACTIVE = [3, 4, 14]
"""Channels that respond to the start picture: another one is rescued a step later than on a CPU."""
SIZE = 96
PHOTOGRAPH = Path(__file__).parents[2] / "examples" / "pictures" / "cat.jpg"


@pytest.fixture(scope="module")
def here() -> Model:
    return load_model("builtin", device="cpu")


@pytest.fixture(scope="module")
def there() -> Model:
    return load_model("builtin", device="cuda")


@pytest.fixture
def little_memory(there: Model) -> Iterator[None]:
    """A process that may use 600 MB of the GPU's memory."""
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(600e6 / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def climb(
    model: Model, graph: str, steps: int = 24, precision: str = "float32", graphs: Graphs | None = None
) -> Inversion:
    settings = Settings(steps=steps, precision=precision, graph=graph)  # type: ignore[arg-type]
    return optimize(model, channel(LAYER, ACTIVE), Fourier(3, SIZE), settings, graphs=graphs)


def correlation(one: Tensor, other: Tensor) -> float:
    """Of pictures with their counterparts, the least."""
    centred = [each.flatten(1) - each.flatten(1).mean(1, keepdim=True) for each in (one, other)]
    return F.cosine_similarity(*centred).min().item()


def test_scores_in_float32_are_those_of_the_cpu(here: Model, there: Model) -> None:
    images = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    for objective in (channel(LAYER, [1, 5, 9, 2]), logit([0, 3, 5, 7])):
        torch.testing.assert_close(
            evaluate(there, objective, images), evaluate(here, objective, images), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("graph", ["off", "on"])
def test_a_climb_ends_where_it_ends_on_the_cpu(here: Model, there: Model, graph: str) -> None:
    expected, found = climb(here, "auto", steps=8), climb(there, graph, steps=8)
    assert (found.loop == "graph") == (graph == "on")
    torch.testing.assert_close(found.history[0], expected.history[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.scores, expected.scores, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_replayed_steps_find_what_started_steps_find(there: Model, precision: str) -> None:
    with deterministic(precision == "float32"):  # else the last bits of each step grow
        started, replayed = (climb(there, graph, precision=precision) for graph in ("off", "on"))
    torch.testing.assert_close(replayed.history[0], started.history[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(replayed.scores, started.scores, rtol=0.1, atol=0.1)
    if precision == "float32":
        assert correlation(replayed.images, started.images) > 0.9
    again, first = climb(there, "on", graphs=(graphs := Graphs())), climb(there, "on", graphs=graphs)
    torch.testing.assert_close(again.scores, first.scores, rtol=0.1, atol=0.1)  # a second batch in one recording


def test_a_canvas_in_crops_is_recorded(there: Model) -> None:
    found = [optimize(there, logit([3]), Maco(1, 192), Settings(steps=12, graph=graph)) for graph in ("off", "on")]  # type: ignore[arg-type]
    assert found[1].loop == "graph"
    torch.testing.assert_close(found[1].scores, found[0].scores, rtol=0.2, atol=0.5)


def test_deterministic_climbs_have_the_same_bits_with_graphs(there: Model) -> None:
    with deterministic():
        one, two = climb(there, "on"), climb(there, "on")
    assert one.loop == two.loop == "graph"
    for name in ("images", "scores", "history"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name


def test_deterministic_galleries_have_the_same_bits(tmp_path: Path) -> None:
    written = []
    for number in range(2):
        folder = tmp_path / str(number)
        recipe = Gallery(
            model="builtin",
            layer=LAYER,
            channels="0-3",
            steps=12,
            size=SIZE,
            device="cuda",
            deterministic=True,
            out=folder,
        )
        assert recipe.run(progress=None).made == 4
        written.append({file.name: file.read_bytes() for file in sorted(folder.rglob("*.png"))})
    assert written[0] == written[1] and len(written[0]) >= 4


def test_memory_that_runs_out_halves_the_batch(little_memory: None, tmp_path: Path) -> None:
    recipe = Gallery(
        model="builtin", layer=LAYER, channels="0-31", steps=8, size=512, batch_size=32, device="cuda", out=tmp_path
    )
    with pytest.warns(UserWarning, match="out of memory with 32 pictures together: going on with 16"):
        report = recipe.run(progress=None)
    assert report.made == 32


@pytest.mark.parametrize("graph", ["off", "auto", "on"])
def test_an_index_out_of_range_is_reported_before_the_first_kernel(there: Model, graph: str) -> None:
    for objective in (channel(LAYER, [0, 100_000]), logit([0, 100_000])):
        with pytest.raises(NotFound, match="100000"):
            optimize(there, objective, Fourier(2, SIZE), Settings(steps=8, graph=graph))  # type: ignore[arg-type]
    # An assertion on the device would have ended all use of CUDA in this process.
    assert torch.ones(2, device="cuda").sum().item() == 2
    assert climb(there, "on", steps=8).status == ("ok",) * 3


def test_a_targets_index_of_a_later_batch_is_checked_as_well(there: Model) -> None:
    graphs, settings = Graphs(), Settings(steps=8, graph="on")
    optimize(there, channel(LAYER, [0, 1]), Fourier(2, SIZE), settings, graphs=graphs)
    with pytest.raises(NotFound, match="100000"):
        optimize(there, channel(LAYER, [0, 100_000]), Fourier(2, SIZE), settings, graphs=graphs)
    torch.cuda.synchronize()


def test_a_pre_image_is_found(tmp_path: Path) -> None:
    recipe = Invert(model="builtin", image=PHOTOGRAPH, layer=LAYER, steps=12, size=SIZE, device="cuda", out=tmp_path)
    assert recipe.run(progress=None).made == 1
