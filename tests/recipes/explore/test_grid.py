"""The grid: made in the order in which somebody looks, and in the end the folder that `inverter gallery` makes."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inverter import load_model
from inverter_errors import BadInput
from recipes.explore.explore import Explore
from recipes.explore.session import Session
from recipes.gallery.gallery import Gallery
from recipes.outputs.manifest import Manifest
from tests.recipes.explore.conftest import Options

PAGE = "pageaaaa"


class Watched:
    """A session whose grid works in a thread, and what it has sent."""

    def __init__(self, session: Session) -> None:
        self.session, self.sent = session, list[tuple[str, str, dict[str, Any]]]()
        self.changed = threading.Condition()
        session.events.send = lambda page, event, data: self._note(page, event, data)  # type: ignore[method-assign]
        session.events.broadcast = lambda event, data: self._note("", event, data)  # type: ignore[method-assign]
        self.thread = threading.Thread(target=session.work, daemon=True)

    def _note(self, page: str, event: str, data: dict[str, Any]) -> None:
        with self.changed:
            self.sent.append((page, event, data))
            self.changed.notify_all()

    def units(self) -> list[tuple[str, int]]:
        return [(data["layer"], data["channel"]) for _, event, data in self.sent if event == "unit"]

    def until(self, true: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(true, 60), self.units()


@contextmanager
def working(options: Explore) -> Iterator[Watched]:
    session = Session(options)
    session.load()
    watched = Watched(session)
    watched.thread.start()
    yield watched
    session.grid.stop()
    watched.thread.join(30)
    session.close()


def contents(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted((out / "images").rglob("*.png"))}


def without_times(out: Path) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in unit.items() if key != "seconds"}
        for unit in json.loads((out / "manifest.json").read_text())["units"]
    ]


def test_what_is_shown_is_made_first_in_the_order_of_the_wish(options: Options) -> None:
    with working(options()) as watched:
        grid = watched.session.grid
        grid.show(PAGE, "features.1", [17, 9, 2])
        watched.until(lambda: len(watched.units()) == 12)
        assert watched.units() == [("features.1", channel) for channel in (16, 17, 18, 19, 8, 9, 10, 11, 0, 1, 2, 3)]
        assert not grid.busy
        assert grid.waiting == 0
    manifest = Manifest.load(watched.session.out / "manifest.json")
    assert (len(manifest.units), manifest.planned) == (12, 32)
    assert "12 of 32" in (watched.session.out / "index.html").read_text()
    assert (watched.session.out / "sheet.png").is_file()


def test_pages_take_turns(options: Options) -> None:
    with working(options(steps=16)) as watched:
        with watched.session.grid._changed:  # both before the first batch
            watched.session.grid.show(PAGE, "features.1", list(range(20)))
            watched.session.grid.show("pagebbbb", "features.0", list(range(8)))
        watched.until(lambda: len(watched.units()) >= 16)
        layers = [layer for layer, _ in watched.units()[:16:4]]
        assert sorted(layers[:2]) == sorted(layers[2:4]) == ["features.0", "features.1"]


def test_coarse_pictures_go_to_the_pages_that_show_the_unit_alone(options: Options) -> None:
    with working(options(steps=9)) as watched:
        watched.session.grid.show(PAGE, "features.0", [1, 2])
        watched.until(lambda: len(watched.units()) == 4)
    coarse = [(page, data["channel"], data["step"]) for page, event, data in watched.sent if event == "coarse"]
    assert coarse == [(PAGE, channel, step) for step in (2, 4, 8) for channel in (1, 2)]
    assert all(
        data["src"].startswith("data:image/jpeg;base64,") for _, event, data in watched.sent if event == "coarse"
    )


def test_the_folder_is_that_of_the_gallery_byte_for_byte(options: Options, tmp_path: Path) -> None:
    chosen = options()
    with working(chosen) as watched:
        for layer, channels in (("features.1", [18, 3]), ("features.0", range(12)), ("features.1", range(20))):
            watched.session.grid.show(PAGE, layer, list(channels))
            watched.until(lambda layer=layer, channels=channels: {(layer, c) for c in channels} <= {*watched.units()})
    replace(chosen.gallery, out=str(tmp_path / "all")).run(None)
    assert contents(tmp_path / "out") == contents(tmp_path / "all")
    assert without_times(tmp_path / "out") == without_times(tmp_path / "all")
    replace(chosen.gallery, layer="features.1", out=str(tmp_path / "one")).run(None)
    one = contents(tmp_path / "one")
    assert len(one) == 20
    assert one.items() <= contents(tmp_path / "out").items()


def test_the_bundled_networks_pictures_are_those_of_the_gallery(tmp_path: Path) -> None:
    chosen = Explore(model="builtin", size=48, steps=3, device="cpu", out=str(tmp_path / "out"))
    with working(chosen) as watched:
        watched.session.grid.show(PAGE, "features.stem", [30, 1])
        watched.until(lambda: len(watched.units()) == 16)
    replace(chosen.gallery, layer="features.stem", out=str(tmp_path / "one")).run(None)
    made = contents(tmp_path / "out")
    assert len(made) == 16
    assert made.items() <= contents(tmp_path / "one").items()


def test_a_layer_that_is_no_stage_is_added_when_it_is_opened(options: Options, tmp_path: Path) -> None:
    chosen = options()
    with working(chosen) as watched:
        watched.session.grid.show(PAGE, "features.0", [0])
        watched.until(lambda: len(watched.units()) == 4)
        watched.session.grid.show(PAGE, "head.2", [4])
        watched.until(lambda: ("head.2", 4) in watched.units())
        assert watched.session.units("features.0")["units"][0]["url"]
    settings = Manifest.load(tmp_path / "out" / "manifest.json").settings
    assert settings["layer"] == ["all", "head.2"]
    replace(chosen.gallery, layer="head.2", out=str(tmp_path / "one")).run(None)
    assert contents(tmp_path / "one")["images/head.2/0004.png"] == contents(tmp_path / "out")["images/head.2/0004.png"]


def test_a_second_server_makes_no_picture_twice(options: Options, tmp_path: Path) -> None:
    with working(options()) as watched:
        watched.session.grid.show(PAGE, "head.2", [0])
        watched.until(lambda: len(watched.units()) >= 4)
        watched.session.grid.show(PAGE, "features.0", [4])
        watched.until(lambda: ("features.0", 4) in watched.units())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("images/**/*.png")}
    with working(options()) as watched:
        assert watched.session.units("features.0")["units"][4]["url"]
        watched.session.grid.show(PAGE, "features.0", list(range(12)))
        watched.until(lambda: len(watched.units()) == 8)
        watched.session.grid.show(PAGE, "head.2", [0, 1])
        watched.until(lambda: watched.session.grid.waiting == 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(Manifest.load(tmp_path / "out" / "manifest.json").units) == 16


def test_a_closed_page_stops_its_batch_at_once_and_a_scrolled_one_soon(options: Options) -> None:
    with working(options(steps=5000)) as watched:
        grid = watched.session.grid
        grid.show(PAGE, "features.0", [0])
        watched.until(lambda: any(event == "coarse" for _, event, _ in watched.sent))
        grid.show(PAGE, "features.0", [])
        grid.show(PAGE, "features.1", [0])  # scrolled on: the first batch is given up
        watched.until(lambda: any(data["layer"] == "features.1" for _, _, data in watched.sent))
        grid.forget(PAGE)
        watched.until(lambda: True)
        for _ in range(500):
            if not grid.busy:
                break
            threading.Event().wait(0.01)
        assert not grid.busy
        assert watched.units() == []


def test_what_all_pictures_have_together_is_measured_when_all_are_there(tmp_path: Path) -> None:
    chosen = Explore(model="builtin", size=64, steps=1, device="cpu", out=str(tmp_path / "out"), precision="float32")
    session = Session(chosen)
    session.load()
    session.grid._open._gallery = replace(chosen.gallery, channels="0-1")  # a small network
    session.grid._open._open()
    session.grid._opened()
    watched = Watched(session)
    watched.thread.start()
    for layer in session.network()["stages"]:
        session.grid.show(PAGE, layer, [0, 1])
        watched.until(lambda layer=layer: (layer, 1) in watched.units())
    for _ in range(3000):
        if session.grid._concluded:
            break
        threading.Event().wait(0.01)
    session.grid.stop()
    watched.thread.join(30)
    session.close()
    units = Manifest.load(tmp_path / "out" / "manifest.json").units.values()
    assert len(units) == 16
    assert all("slope" in unit.metrics for unit in units if unit.status == "ok")


def test_what_the_network_does_not_allow_leaves_the_rest_alone(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, units = Gallery.problem, Gallery.units

    def picky(self: Gallery, context: Any, batch: Any) -> Any:
        if batch[0].channel == 4:
            raise BadInput("no such\npicture")
        return problem(self, context, batch)

    def narrow(self: Gallery, context: Any) -> Any:
        if "head.2" in self.layers:
            raise BadInput("no such layer")
        return units(self, context)

    monkeypatch.setattr(Gallery, "problem", picky)
    monkeypatch.setattr(Gallery, "units", narrow)
    with working(options()) as watched:
        grid = watched.session.grid
        grid.show(PAGE, "head.2", [0])
        grid.show(PAGE, "features.0", [4, 0])
        watched.until(lambda: ("features.0", 0) in grid.finished and ("head.2", 0) in grid.failed)
        assert grid.failed["features.0", 5] == "failed: no such picture"
        assert grid.failed["head.2", 3] == "failed: no such layer"
        assert grid.waiting == 0
        listed = watched.session.units("features.0")["units"]
        assert [unit["status"] for unit in listed[:8:4]] == ["ok", "failed: no such picture"]


def test_bad_demands_are_refused(session: Session) -> None:
    with pytest.raises(BadInput, match="has 12 channels, from 0 to 11; got 12"):
        session.grid.show(PAGE, "features.0", [0, 12])
    with pytest.raises(BadInput, match="got -1"):
        session.grid.show(PAGE, "features.0", [-1])


def test_the_copy_of_a_unit_names_all_of_its_batch(session: Session) -> None:
    recipe = session.recipe_of("features.1", 17)
    assert (recipe.layer, recipe.channels) == ("features.1", "16,17,18,19")


def test_a_network_without_stages_opens_its_layers_one_by_one(tmp_path: Path, tiny_net: Any) -> None:
    from torch import nn

    model = load_model(nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 6)), input_size=8, device="cpu")
    with working(Explore(model=model, out=str(tmp_path / "out"), steps=3, precision="float32")) as watched:
        assert watched.session.network()["stages"] == []
        watched.session.grid.show(PAGE, "1", [2])
        watched.until(lambda: len(watched.units()) == 6)
    assert Manifest.load(tmp_path / "out" / "manifest.json").settings["layer"] == ["1"]
