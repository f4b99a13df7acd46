"""What photographs say of a layer that a page shows: percentages and words, compared with those of the recipes."""

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inverter_errors import BadInput, MissingFile
from recipes.activations import collect
from recipes.activations.collect import CollectedActivations
from recipes.explore.explore import Explore
from recipes.explore.server import responses
from recipes.explore.server.responses import activations_of
from recipes.gallery.names import Names
from tests.recipes.explore.conftest import Options
from tests.recipes.explore.test_grid import PAGE, working
from tests.recipes.explore.test_views import picture
from tests.recipes.gallery.test_words import speaker

LAYER = "features.1"
WORDS = ["red", "green", "dark"]


@pytest.fixture
def photographs(tmp_path: Path) -> str:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in range(20):
        (folder / f"{seed:02d}.png").write_bytes(picture((12, 12), seed))
    return str(folder)


def layers(watched: Any) -> list[str]:
    return [data["layer"] for _, event, data in watched.sent if event == "layer"]


def test_a_layer_that_is_shown_alone_learns_where_its_pictures_stand(options: Options, photographs: str) -> None:
    chosen = options(images=photographs)
    with working(chosen) as watched:
        watched.session.grid.show(PAGE, LAYER, [0, 5])
        watched.until(lambda: layers(watched) == [LAYER])
        units = watched.session.units(LAYER)["units"]
        assert not watched.session.grid.busy
    means = CollectedActivations.load(activations_of(chosen, LAYER)).array(LAYER, "mean")
    made = [unit for unit in units if unit["status"] == "ok"]
    assert [unit["channel"] for unit in made] == list(range(8))
    for unit in made:
        assert unit["percentile"] == 100 * (means[:, unit["channel"]] < unit["score"]).mean()
    assert all(unit["percentile"] is None and unit["words"] == [] for unit in units[8:])


def test_photographs_wait_for_what_is_to_be_made_and_for_a_layer_of_its_own(
    options: Options, photographs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, made = threading.Event(), responses.Responses._collected

    def slow(self: Any, layer: str, progress: Any) -> Any:
        began.set()
        for _ in range(1 if wished.is_set() else 2000):
            progress(None)
            threading.Event().wait(0.01)
        return made(self, layer, progress)

    wished = threading.Event()
    monkeypatch.setattr(responses.Responses, "_collected", slow)
    with working(options(images=photographs)) as watched:
        grid = watched.session.grid
        grid.show(PAGE, LAYER, [0])
        assert began.wait(30)
        wished.set()
        grid.show(PAGE, LAYER, [9])  # scrolled on: the photographs are left for later
        watched.until(lambda: layers(watched) == [LAYER])
        order = [(event, data.get("channel")) for _, event, data in watched.sent if event in ("unit", "layer")]
        assert order == [("unit", channel) for channel in (0, 1, 2, 3, 8, 9, 10, 11)] + [("layer", None)]
        grid.show(PAGE, "features.0", [0])  # next to another layer, as on the map: there, nobody reads percentages
        watched.until(lambda: ("features.0", 3) in watched.units())
        assert layers(watched) == [LAYER]


def test_words_are_those_of_the_recipe(options: Options, photographs: str, tmp_path: Path) -> None:
    text: Any = speaker()
    chosen = options(images=photographs, vocabulary=WORDS, text_model=text)
    with working(chosen) as watched:
        watched.session.grid.show(PAGE, LAYER, [0])
        watched.until(lambda: layers(watched) == [LAYER])
        found = [unit["words"] for unit in watched.session.units(LAYER)["units"]]
    recipe = Names(
        model=chosen.model,
        layer=LAYER,
        images=photographs,
        vocabulary=WORDS,
        text_model=text,
        out=str(tmp_path / "names"),
    )
    expected = [[word["text"] for word in record.metrics.get("words", [])] for record in recipe.run(None).records]
    assert found == expected
    assert any(expected)


def test_scores_are_not_compared_with_photographs_of_another_size(options: Options, photographs: str) -> None:
    with working(options(images=photographs, size=16)) as watched:
        watched.session.grid.show(PAGE, LAYER, [0])
        watched.until(lambda: layers(watched) == [LAYER])
        assert watched.session.units(LAYER)["units"][0]["percentile"] is None


def test_scores_are_not_compared_with_a_few_photographs(options: Options, photographs: str) -> None:
    for path in sorted(Path(photographs).iterdir())[15:]:
        path.unlink()
    with working(options(images=photographs)) as watched:
        watched.session.grid.show(PAGE, LAYER, [0])
        watched.until(lambda: layers(watched) == [LAYER])
        assert watched.session.units(LAYER)["units"][0]["percentile"] is None


def test_what_photographs_cannot_say_is_left_out(
    options: Options, photographs: str, caplog: pytest.LogCaptureFixture
) -> None:
    with working(options(images=photographs, vocabulary=WORDS)) as watched:  # without a text tower
        watched.session.grid.show(PAGE, LAYER, [0])
        watched.until(lambda: layers(watched) == [LAYER])
        assert watched.session.units(LAYER)["units"][0]["words"] == []
    assert "no text tower" in caplog.text


def test_words_need_pictures_and_are_checked_before_the_server_starts(photographs: str, tmp_path: Path) -> None:
    for more, says in (
        ({"vocabulary": WORDS}, "set images"),
        ({"text_model": "clip.py:make"}, "set vocabulary"),
        ({"text_weights": "FILE"}, "no text_model"),
        ({"images": photographs, "vocabulary": str(tmp_path / "none.txt")}, "no file"),
    ):
        with pytest.raises((BadInput, MissingFile), match=says):
            Explore(**more)


def test_large_sets_are_compared_in_part(monkeypatch: pytest.MonkeyPatch, options: Options, photographs: str) -> None:
    monkeypatch.setattr(responses, "MOST", 7)
    chosen = options(images=photographs)
    with working(chosen) as watched:
        watched.session.grid.show(PAGE, LAYER, [0])
        watched.until(lambda: layers(watched) == [LAYER])
        unit = watched.session.units(LAYER)["units"][0]
    means = np.sort(CollectedActivations.load(activations_of(chosen, LAYER)).array(LAYER, "mean")[::3, 0])
    assert len(means) == 7
    assert unit["percentile"] == 100 * (means < unit["score"]).mean()


@pytest.mark.parametrize("finished", [True, False])
def test_a_pass_that_another_thread_has_made_meanwhile_is_taken(
    finished: bool, options: Options, photographs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands there is taken if it is finished, and else gives way."""
    chosen = options(images=photographs)
    folder, plain = activations_of(chosen, LAYER), collect.collect

    def with_a_rival(*given: Any, out: Path, **more: Any) -> Any:
        made = plain(*given, out=out, **more)
        shutil.copytree(out, folder)
        if not finished:
            next(folder.glob("*.json")).unlink()
        return made

    monkeypatch.setattr(collect, "collect", with_a_rival)
    with working(chosen) as watched:
        watched.session.grid.show(PAGE, LAYER, [0])
        watched.until(lambda: layers(watched) == [LAYER])
        assert watched.session.units(LAYER)["units"][0]["percentile"] is not None
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert responses.is_collected(folder)
