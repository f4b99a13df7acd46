"""Runs: they skip what is finished, keep groups together, write each batch, and free what they have written."""

import gc
import json
import pickle
import tracemalloc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import recipes.runner.batch
import recipes.runner.run
from inverter import Inversion, Model, Settings, load_model
from inverter_errors import BadInput
from recipes import Explain, Gallery
from recipes.executors.progress import RunProgress
from recipes.outputs.manifest import Manifest
from recipes.runner.context import RunContext
from recipes.runner.recipe import NetworkRecipe
from recipes.runner.units import Unit, batches
from tests.pretended import PretendedDevice
from tests.small_runs import Stop, alike, contents, gallery, pictures, stop_after

unit_lists = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), max_size=20).map(
    lambda rows: [
        Unit("a", i, "channel", f"{i}.png", batch=str(batch), group=f"{batch} {group}" if grouped else "")
        for i, (batch, group, grouped) in enumerate(sorted(rows))
    ]
)


@given(unit_lists, st.integers(1, 6))
def test_batches_hold_every_unit_once_in_order_with_complete_groups(units: Sequence[Unit], size: int) -> None:
    found = [batch for _, batch in batches(units, size)]
    assert [unit for batch in found for unit in batch] == list(units)
    for batch in found:
        assert batch
        assert len({unit.batch for unit in batch}) == 1
        largest = max(sum(u.group == unit.group for u in batch) if unit.group else 1 for unit in batch)
        assert len(batch) <= max(size, largest)


def test_batches_are_as_large_as_allowed() -> None:
    units = [Unit("a", i, "channel", f"{i}.png") for i in range(7)]
    assert [len(batch) for _, batch in batches(units, 3)] == [3, 3, 1]
    assert list(batches([], 3)) == []


def test_the_same_run_again_makes_no_pictures(tiny_net: nn.Module, tmp_path: Path) -> None:
    first = gallery(tiny_net, tmp_path).run()
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    updates: list[RunProgress] = []
    again = gallery(tiny_net, tmp_path).run(updates.append)
    assert (first.made, again.made) == (6, 0)
    assert updates == [RunProgress(0, 0, 6, share=0.0)]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")} == stamps
    assert again.manifest.units == first.manifest.units


@pytest.mark.parametrize("options", [{}, {"attempts": 2, "channels": "0-2"}, {"negative": True, "channels": "0-2"}])
def test_an_interrupted_run_continued_is_an_uninterrupted_one(tiny_net: nn.Module, tmp_path: Path, options) -> None:
    complete, halves = tmp_path / "complete", tmp_path / "halves"
    gallery(tiny_net, complete, **options).run()
    for units in (2.5, 1.9):
        with pytest.raises(Stop):
            gallery(tiny_net, halves, **options).run(stop_after(units))
        assert (halves / "index.html").is_file()
    finished = len(pictures(halves))
    assert 0 < finished < 6
    assert {unit["file"] for unit in json.loads((halves / "manifest.json").read_text())["units"]} == set(
        pictures(halves)
    )
    report = gallery(tiny_net, halves, **options).run()
    assert report.made == 6 - finished
    assert contents(halves) == contents(complete)
    order = [Manifest.load(out / "manifest.json").units for out in (halves, complete)]
    assert list(order[0]) == list(order[1])


def test_a_picture_that_was_deleted_is_made_again(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path).run()
    before = pictures(tmp_path)
    (tmp_path / "images/body/0003.png").unlink()
    assert gallery(tiny_net, tmp_path, batch_size=4).run().made == 1
    assert alike(pictures(tmp_path), before)


@given(missing=st.sets(st.integers(0, 5), min_size=1))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_missing_pictures_are_made_in_the_batch_that_they_had(
    tiny_net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: set[int]
) -> None:
    batches: list[list[str]] = []
    make = recipes.runner.run.make

    def watched(
        context: RunContext, settings: Settings, measure: bool, model: Model, units: Sequence[Unit], callback: object
    ) -> object:
        batches.append([unit.file for unit in units])
        return make(context, settings, measure, model, units, callback)  # type: ignore[arg-type]

    gallery(tiny_net, tmp_path, batch_size=4).run()
    before = contents(tmp_path)
    for channel in missing:
        (tmp_path / f"images/body/{channel:04d}.png").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(recipes.runner.run, "make", watched)
        assert gallery(tiny_net, tmp_path, batch_size=4).run().made == len(missing)
    assert contents(tmp_path) == before
    full = [[f"images/body/{channel:04d}.png" for channel in batch] for batch in (range(4), range(4, 6))]
    assert batches == [batch for batch in full if any(int(file[-8:-4]) in missing for file in batch)]


def test_of_several_attempts_all_are_made_again_together(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path, attempts=3, channels="0,1").run()
    before = pictures(tmp_path)
    (tmp_path / "images/body/0001-2.png").unlink()
    assert gallery(tiny_net, tmp_path, attempts=3, channels="0,1").run().made == 3
    assert alike(pictures(tmp_path), before)


def test_other_settings_in_the_same_folder_are_an_error_that_names_them(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path).run()
    before = pictures(tmp_path)
    with pytest.raises(ValueError, match=r"its steps is 4, not 5.*set fresh"):
        gallery(tiny_net, tmp_path, steps=5).run()
    with torch.no_grad():
        tiny_net.body.weight += 1
    with pytest.raises(ValueError, match="weights"):
        gallery(tiny_net, tmp_path).run()
    assert alike(pictures(tmp_path), before)
    assert gallery(tiny_net, tmp_path, steps=5, fresh=True).run().made == 6
    assert not alike(pictures(tmp_path), before)


def test_another_batch_size_or_device_continues(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path).run()
    assert gallery(tiny_net, tmp_path, batch_size=5, device="cpu").run().made == 0


def test_progress_only_grows_and_ends_with_everything(tiny_net: nn.Module, tmp_path: Path) -> None:
    updates: list[RunProgress] = []
    gallery(tiny_net, tmp_path).run(updates.append)
    done = [update.done for update in updates]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 6)
    assert len(set(done)) == 6 // 2 * 4 + 1  # every step of every batch
    assert {update.units for update in updates} == {6}


def test_a_unit_that_stopped_is_reported_and_its_score_is_valid_json(tmp_path: Path) -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x[:, :1].detach() * float("nan")], dim=1)

    report = gallery(nn.Sequential(Broken()), tmp_path, layer="0", channels="2,3").run()
    assert [record.channel for record in report.failed] == [3]
    assert report.failed[0].status == "non-finite at step 0"

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not valid JSON")

    units = json.loads((tmp_path / "manifest.json").read_text(), parse_constant=refuse)["units"]
    assert units[1]["score"] is None
    assert units[0]["status"] == "ok"
    assert gallery(nn.Sequential(Broken()), tmp_path, layer="0", channels="2,3").run().made == 0


def test_the_pictures_of_finished_batches_are_freed(
    tiny_net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    tiny_net.body = nn.Conv2d(8, 80, 1)
    tiny_net.relu, tiny_net.mix = nn.ReLU(), nn.Conv2d(80, 8, 1)
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0
    optimize = recipes.runner.batch.optimize_in_halves

    def watched(*args: object, **options: object) -> Inversion:
        nonlocal most
        result = optimize(*args, **options)  # type: ignore[arg-type]
        alive.append(weakref.ref(result.images))
        most = max(most, sum(ref() is not None for ref in alive))
        return result

    monkeypatch.setattr(recipes.runner.batch, "optimize_in_halves", watched)
    gallery(tiny_net, tmp_path, channels="all", steps=1, batch_size=4, augment="none").run()
    assert len(alive) == 20
    assert most <= 2  # the batch that has just been made, and the one before it


def test_memory_does_not_grow_with_the_number_of_channels(
    tiny_net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    tiny_net.body = nn.Conv2d(8, 240, 1)
    tiny_net.relu, tiny_net.mix = nn.ReLU(), nn.Conv2d(240, 8, 1)
    levels: list[int] = []

    def watch(update: RunProgress) -> None:
        if update.done == round(update.done):
            gc.collect()
            levels.append(tracemalloc.get_traced_memory()[0])

    gc.collect()
    gc.freeze()  # objects of other tests need not be scanned in each batch
    tracemalloc.start()
    try:
        gallery(tiny_net, tmp_path, channels="all", steps=1, batch_size=10, augment="none", size=16).run(watch)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    picture = 3 * 16 * 16  # bytes, even in 8 bits
    quarter, end = levels[len(levels) // 4], levels[-1]
    assert len(levels) > 20
    assert end - quarter < 180 * (picture + 1500)  # a line of the manifest for each is all that may stay


def test_a_custom_recipe_must_define_its_units_problem_and_page() -> None:
    with pytest.raises(TypeError, match="abstract methods"):
        NetworkRecipe()  # type: ignore[abstract]


def test_only_the_batches_of_some_files_are_made_as_in_a_run_of_all(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path / "all", batch_size=4).run(None)
    part = recipes.runner.run.run(gallery(tiny_net, tmp_path / "part", batch_size=4), only={"images/body/0005.png"})
    made = {record.file for record in part.records}
    assert made == {"images/body/0004.png", "images/body/0005.png"}
    for file in made:
        assert (tmp_path / "part" / file).read_bytes() == (tmp_path / "all" / file).read_bytes()


def test_metrics_can_be_computed_repeatedly(tiny_net: nn.Module, tmp_path: Path, photos: Path) -> None:
    recipe = Explain(
        model=Model(tiny_net, input_size=(16, 16)),
        image=str(photos),
        method="saliency",
        target="logit:1",
        out=str(tmp_path / "out"),
    )
    context = RunContext(recipe, recipe.load())
    units = [unit for unit in recipe.units(context) if unit.objective != "original"]
    first, second = (recipe.problem(context, units) for _ in range(2))
    assert first.metrics is not None and second.metrics is not None
    assert [set(each) for each in first.metrics] == [set(each) for each in second.metrics]
    originals = [unit for unit in recipe.units(context) if unit.objective == "original"]
    images = recipe.problem(context, originals).images
    assert recipe.metrics(context, originals, images) == recipe.metrics(context, originals, images)


def test_running_a_recipe_does_not_change_it(tiny_net: nn.Module, tmp_path: Path, photos: Path) -> None:
    recipe = gallery(tiny_net, tmp_path / "out", images=str(photos))
    before = dict(vars(recipe))
    recipe.run(None)
    assert vars(recipe) == before


def test_a_pickled_context_holds_only_its_recipe() -> None:
    recipe = Gallery(model="builtin", workers=3, fresh=True)
    context = RunContext(recipe, recipe.load())
    context.results["something"] = object()
    there = pickle.loads(pickle.dumps(context))
    assert there.results == {}
    assert there.recipe == replace(recipe, workers=None, fresh=False)


def test_a_run_that_grows_keeps_its_pictures_and_adds_those_of_a_run_made_at_once(
    tiny_net: nn.Module, tmp_path: Path
) -> None:
    def bytes_of(folder: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / folder / "images").rglob("*.png")}

    gallery(tiny_net, tmp_path / "grown", channels="0-3", batch_size=2).run()
    before = bytes_of("grown")
    report = gallery(tiny_net, tmp_path / "grown", channels="0-5", batch_size=2, negative=True).run()
    assert report.made == 8
    after = bytes_of("grown")
    assert {name: after[name] for name in before} == before
    gallery(tiny_net, tmp_path / "once", channels="0-5", batch_size=2, negative=True).run()
    assert after == bytes_of("once")  # here the batches coincide


def test_a_run_that_grew_keeps_the_batches_that_it_made_and_repeats_them(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path, channels="0-2", batch_size=2).run()
    report = gallery(tiny_net, tmp_path, channels="5,0-4", batch_size=4).run()
    places = {record.channel: (record.batch, record.place) for record in report.records}
    assert places == {0: (0, 0), 1: (0, 1), 2: (1, 0), 5: (2, 0), 3: (2, 1), 4: (2, 2)}
    (tmp_path / report.records[3].file).unlink()  # channel 2, alone in its batch
    again = gallery(tiny_net, tmp_path, channels="5,0-4", batch_size=4).run()
    assert {record.channel: (record.batch, record.place) for record in again.records} == places


def test_a_run_does_not_shrink_and_other_settings_do_not_change(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path, channels="0-3").run()
    with pytest.raises(BadInput, match=r"channels is '0-3', not '0-1'; a run may grow, but this leaves out 2"):
        gallery(tiny_net, tmp_path, channels="0-1").run()
    with pytest.raises(BadInput, match="seed is 0, not 1"):
        gallery(tiny_net, tmp_path, channels="0-5", seed=1).run()


def test_a_run_goes_on_with_the_threads_that_it_began_with(tiny_net: nn.Module, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        gallery(tiny_net, tmp_path, channels="0").run()
        torch.set_num_threads(2)
        report = gallery(tiny_net, tmp_path, channels="0,1").run()
    finally:
        torch.set_num_threads(before)
    assert report.manifest.settings["threads"] == 1
    assert gallery(tiny_net, tmp_path, channels="0,1", threads=2).run().manifest.settings["threads"] == 2


@pytest.mark.parametrize(
    ("channels", "options", "expected"),
    [("0-7", {}, 8), ("0-99", {}, 50), ("0-99", {"workers": 4}, 13), ("0-99", {"deterministic": True}, 64)],
)
def test_a_gpu_takes_batches_of_equal_size_that_fit_and_busy_every_worker(
    channels: str, options: dict[str, Any], expected: int
) -> None:
    with PretendedDevice():  # 64 pictures fit
        model = load_model(nn.Sequential(nn.Conv2d(3, 128, 3), nn.ReLU()), input_size=16, device="cuda")
        recipe = Gallery(model=model, layer="0", channels=channels, device="cuda", **options)
        context = RunContext(recipe, model)
        assert recipe.together(context, recipe.units(context)) == expected
