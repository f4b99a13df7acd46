"""What notebooks show: pictures large enough to see, tables, films, and progress in place."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from torch import nn

from inverter import Settings, layers, load_model, notebook, optimize
from inverter.figure import draw
from objectives import channel
from priors import Fourier


class Shell:
    """What Jupyter puts in place; its name is that of IPython's class."""


ZMQInteractiveShell = type("ZMQInteractiveShell", (Shell,), {})
Colab = type("Shell", (ZMQInteractiveShell,), {})


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The states of bars, in a pretended notebook."""
    found: list[dict[str, str]] = []

    def display(state: dict[str, str], raw: bool, display_id: bool = False) -> Any:
        assert raw
        found.append(state)
        return SimpleNamespace(update=display)

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=Colab))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    monkeypatch.setattr(notebook, "EVERY", 0.0)
    return found


def test_notebooks_are_known_by_their_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell, expected in ((ZMQInteractiveShell(), True), (Colab(), True), (Shell(), False), (None, False)):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert notebook.in_notebook() is expected


def test_an_optimisation_in_a_notebook_shows_a_bar_until_its_last_step(
    tiny_net: nn.Module, states: list[dict[str, str]]
) -> None:
    optimize(tiny_net, channel("body", [0, 1, 2]), Fourier(3, 8), Settings(steps=2, batch_size=2), "none")
    assert [state["text/plain"] for state in states] == [
        f"channel(body): {done}/3 pictures finished, step {step}/2" for done in (0, 2) for step in (1, 2)
    ]
    shares = [float(state["text/html"].split('value="')[1].split('"')[0]) for state in states]
    assert shares == pytest.approx([1 / 3, 2 / 3, 5 / 6, 1], abs=1e-3)
    states.clear()
    optimize(tiny_net, channel("body", 0), Fourier(1, 8), Settings(steps=1), "none", None)
    assert not states


def test_small_pictures_are_enlarged_with_their_pixels_as_squares() -> None:
    small, large = Image.new("L", (32, 16)), Image.new("RGB", (300, 300))
    assert "width:112px;max-width:100%;image-rendering:pixelated" in notebook.tile(small, ["a"])
    assert 'style="width:300px;max-width:100%"' in notebook.tile(large, ["a"])
    assert 'style="width:128px;max-width:100%"' in notebook.tile(large, ["a"], side=128)
    assert "<figcaption>a &lt;b&gt;<br>1</figcaption>" in notebook.tile(small, ["a <b>", "", "1"])


def test_a_table_has_the_columns_of_all_rows() -> None:
    assert notebook.table([{"a_b": 1.23456, "c": None}, {"a_b": 2, "d": "<x>"}]) == (
        '<table style="margin:10px 0 0"><thead><tr><th>a b</th><th>c</th><th>d</th></tr></thead><tbody>'
        "<tr><td>1.23</td><td></td><td></td></tr><tr><td>2</td><td></td><td>&lt;x&gt;</td></tr></tbody></table>"
    )
    assert notebook.table([]) == ""


def test_films_and_pictures_are_shown_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("film.gif", "film.mp4", "numbers.npy"):
        (tmp_path / name).write_bytes(b"x")
    assert '<img src="data:image/gif;base64,eA=="' in notebook.file(tmp_path / "film.gif")
    assert '<video src="data:video/mp4;base64,eA=="' in notebook.file(tmp_path / "film.mp4")
    assert notebook.file(tmp_path / "numbers.npy") == notebook.file(tmp_path / "missing.gif") == ""


def test_layers_are_a_table_and_figures_are_pictures(tiny_net: nn.Module) -> None:
    rows = layers(load_model(tiny_net, input_size=16))
    shown = rows._repr_html_()  # type: ignore[attr-defined]
    assert shown.count("<tr>") == len(rows) + 1
    assert "<td>body</td><td>Conv2d</td><td>1</td><td>BCHW</td><td>8</td><td>16x16</td>" in shown
    figure = draw([Image.new("RGB", (8, 8))], ["a"])
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_an_objective_says_its_targets_and_what_it_reads() -> None:
    targets = "(channel(a:3) - 2*channel(b:5)), (channel(a:17) - 2*channel(b:5))"
    assert repr(channel("a", [3, 17]) - 2 * channel("b", 5)) == f"Objective({targets}; reads 'a', 'b')"
    many = repr(channel("a", list(range(9))))
    assert many == "Objective(channel(a:0), channel(a:1), channel(a:2), channel(a:3), …; reads 'a')"
