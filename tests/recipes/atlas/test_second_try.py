"""Icons that are not what their cell is: they are tried once more, and the better one is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import recipes.atlas.icon_problem
from inverter import Model
from recipes import Atlas
from recipes.atlas.icon_metrics import FAITHFUL
from recipes.runner.context import RunContext
from tests.recipes.atlas.test_atlas import atlas, flat

__all__ = ["atlas", "flat"]


def test_an_icon_below_the_threshold_is_tried_once_more_and_the_better_is_kept(
    atlas: Callable[..., Atlas], flat: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = atlas(grid="4", min_members=4, out=str(tmp_path / "twice")).run().manifest.units
    monkeypatch.setattr(recipes.atlas.icon_problem, "FAITHFUL", -2.0)
    once = atlas(grid="4", min_members=4, out=str(tmp_path / "once")).run().manifest.units
    poor = {file for file, record in once.items() if record.metrics["cosine"] < FAITHFUL}
    assert poor and poor != set(once)
    assert {file for file, record in twice.items() if record.metrics.get("tries") == 2} == poor
    assert not any("tries" in record.metrics for record in once.values())
    gains = {file: twice[file].metrics["cosine"] - once[file].metrics["cosine"] for file in once}
    assert all((gain >= 0 if file in poor else gain == 0) for file, gain in gains.items())
    assert any(gains[file] > 0.01 for file in poor)
    for file in set(once) - poor:
        assert (tmp_path / "once" / file).read_bytes() == (tmp_path / "twice" / file).read_bytes()


def test_the_second_try_starts_where_a_trained_network_sees_the_cell(
    squeezenet: Model, shared_data: Path, flat: list[int], tmp_path: Path
) -> None:
    some = [str(file) for file in sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::40]]
    options: dict[str, Any] = {"layer": "features.9", "positions": 12, "grid": 2, "min_members": 8, "icon": 64}
    recipe = Atlas(model=squeezenet, images=some, steps=4, out=str(tmp_path / "out"), **options)
    context = RunContext(recipe, squeezenet)
    units = recipe.units(context)
    first, again = recipe.problem(context, units), recipe.again(context, units)
    assert first.faithful is not None and again.faithful is not None
    before, after = first.faithful(first.prior()).tolist(), again.faithful(again.prior()).tolist()
    assert min(after) > min(before) + 0.1 and sum(after) > sum(before) + 0.1
    assert (first.stages, again.stages) == ([{}], [{"steps": 8}])


def test_a_prior_that_cannot_start_at_a_picture_has_other_noise(atlas: Callable[..., Atlas], flat: list[int]) -> None:
    recipe = atlas(prior="cppn", grid="3")
    context = RunContext(recipe, recipe.load())
    units = recipe.units(context)
    one, other = (pose(context, units).prior().detach() for pose in (recipe.problem, recipe.again))
    assert not bool((one == other).all())
