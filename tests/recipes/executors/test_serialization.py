"""Recipes sent to another process: little data is sent, and the results are bit-identical."""

import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import recipes.executors
from inverter import Model, load_model
from recipes import (
    Adversarial,
    Atlas,
    Circuit,
    ClassModel,
    Compare,
    Concepts,
    Craft,
    Dictionary,
    Explain,
    Gallery,
    Grid,
    Inpaint,
    Invert,
    JudgeMaps,
    Mix,
    Names,
    Patches,
    Polysemantic,
)
from recipes.activations.collect import collect
from recipes.executors import Results, Work
from recipes.executors.machines import Machines
from recipes.executors.worker import Worker, packed, portable
from recipes.runner.base import Recipe


class SerializingExecutor:
    """An executor that serialises everything like the others but stays in this process: each job has its own worker."""

    def __init__(self, load: Callable[[], Model], device: torch.device) -> None:
        self.load, self.device, self.threads, self.jobs = load, device, torch.get_num_threads(), 0

    def map(self, work: Work, jobs: Sequence[Any], on_progress: Callable[[int, float], None]) -> Results:
        for index in reversed(range(len(jobs))):  # the last one first
            worker = Worker(packed(pickle.dumps, self.load, work), self.threads)
            job = pickle.loads(pickle.dumps(jobs[index]))
            yield index, pickle.loads(worker.answer(job, lambda share, index=index: on_progress(index, share)))
            self.jobs += 1


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder, draw = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for index in range(9):
        Image.fromarray(draw.integers(0, 255, (40, 40, 3)).astype("uint8")).resize((48, 48)).save(
            folder / f"{index}.png"
        )
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def contents(out: Path) -> dict[str, bytes]:
    """The complete output of a run, except for times."""
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for name in ("index.html", "manifest.json", "atlas.json"):
        found.pop(name, None)
    for name in found:
        if name.endswith(".safetensors"):  # the library writes its header in no fixed order
            found[name] = b"".join(each.numpy().tobytes() for _, each in sorted(load_file(out / name).items()))
    manifest = json.loads((out / "manifest.json").read_text())
    return found | {"records": json.dumps(_timeless(manifest["units"])).encode()}


def _timeless(value: Any) -> Any:
    """JSON without its durations, at any depth."""
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key != "seconds"}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


SMALL = {"model": "builtin", "steps": 3, "batch_size": 2, "device": "cpu"}
STAGE = {"layer": "features.stem", **SMALL}
RECIPES: dict[str, Callable[[Path], Recipe]] = {
    "gallery": lambda _: Gallery(channels="0-4", size=24, attempts=2, prior="maco", **STAGE),
    "gallery with dataset examples": lambda photos: Gallery(channels="0-2", size=24, images=str(photos), **STAGE),
    "mix": lambda _: Mix(term=["features.stem/1", "features.stem/2=-0.5"], interpolate=2, size=24, **SMALL),
    "classes": lambda _: ClassModel(class_="0-2", size=48, judge="builtin", **SMALL),
    "invert": lambda photos: Invert(image=str(photos / "1.png"), layer="features.stem", size=32, **SMALL),
    "explain": lambda photos: Explain(
        image=(str(photos / "1.png"), str(photos / "2.png")),
        method=("saliency", "grad-cam"),
        model="builtin",
        size=48,
        batch_size=1,
        device="cpu",
    ),
    "judge-maps": lambda photos: JudgeMaps(
        image=(str(photos / "1.png"), str(photos / "2.png")),
        method=("saliency", "grad-cam"),
        model="builtin",
        size=48,
        points=3,
        depths=2,
        squares=4,
        batch_size=1,
        device="cpu",
    ),
    "adversarial": lambda photos: Adversarial(
        image=(str(photos / "1.png"), str(photos / "2.png")),
        model="builtin",
        size=48,
        steps=3,
        batch_size=1,
        judge="builtin",
        device="cpu",
    ),
    "inpaint": lambda photos: Inpaint(image=str(photos / "2.png"), missing=0.3, steps=2, size=32, device="cpu"),
    "dictionary": lambda photos: Dictionary(
        image=str(photos / "3.png"), positions=["0,1", "2,2"], size=32, icon=24, **STAGE
    ),
    "grid": lambda photos: Grid(image=str(photos / "3.png"), size=16, icon=24, groups=2, **STAGE),
    "atlas": lambda photos: Atlas(
        images=str(photos),
        grid="2,3",
        positions=12,
        min_members=1,
        layout="tsne",
        neighbors=9,
        icon=24,
        **STAGE,
    ),
    "polysemantic": lambda photos: Polysemantic(
        images=str(photos), layer="features.stage1", channels="3", size=24, patches=8, groups=2, others=1, **SMALL
    ),
    "circuit": lambda photos: Circuit(
        images=str(photos), layer="features.stage1", channels="3,5", size=32, count=2, outputs="none", **SMALL
    ),
    "patches": lambda photos: Patches(
        images=str(photos), layer="features.stem", channels="0-2", size=24, batch_size=2, count=2
    ),
    "compare": lambda photos: Compare(
        images=str(photos), layer=("features.stem", "output"), size=24, batch_size=2, count=2, warp="hflip"
    ),
    "concepts": lambda photos: Concepts(
        positive=str(photos), negative=str(photos), class_=0, images=str(photos), size=24, runs=2, **STAGE
    ),
    "craft": lambda photos: Craft(images=str(photos), size=24, crop=12, count=2, designs=2, **STAGE),
    "names": lambda photos: Names(
        images=str(photos),
        layer="features.stem",
        channels="0-2",
        size=24,
        batch_size=2,
        count=2,
        vocabulary=("red", "green"),
        text_model=f"{Path(__file__).parents[1]}/gallery/test_words.py:speaker",
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_another_process_makes_the_same(
    name: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[name](photos)
    executors: list[SerializingExecutor] = []

    def serializing(
        machines: Machines, load: Callable[[], Model], model: Model, device: str | None
    ) -> SerializingExecutor:
        executors.append(SerializingExecutor(load, model.device))
        return executors[-1]

    _in(recipe, tmp_path / "here").run()
    monkeypatch.setattr(recipes.executors, "executor", serializing)
    _in(recipe, tmp_path / "there").run()
    assert sum(executor.jobs for executor in executors) > 1
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def _in(recipe: Any, out: Path) -> Any:
    return replace(recipe, out=str(out))


def test_a_sent_recipe_has_its_fields_and_neither_starts_over_nor_uses_workers(tmp_path: Path) -> None:
    recipe = Gallery(channels="0-1", out=str(tmp_path), fresh=True, workers=3, threads=2)
    there = pickle.loads(pickle.dumps(recipe.for_worker()))
    assert (there.fresh, there.workers, there.threads, there.channels) == (False, None, None, "0-1")
    assert there == replace(recipe, fresh=False, workers=None, threads=None)


def test_the_machines_are_no_part_of_the_settings_except_for_the_threads(tmp_path: Path) -> None:
    recipe = Gallery(channels="0-1", size=16, out=str(tmp_path), threads=1, **STAGE)
    settings = recipe.run().manifest.settings
    assert settings["threads"] == 1
    assert not {"workers", "ray", "ray_gpus"} & set(settings)
    assert Gallery(channels="0-1", size=16, out=str(tmp_path), threads=2, **STAGE).run().made == 0


def test_the_number_of_threads_is_restored_after_the_work() -> None:
    before = torch.get_num_threads()
    with recipes.executors.executor(Machines(threads=before + 1), nn.Identity, _model(), "cpu").threaded():  # type: ignore[attr-defined, arg-type]
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def _model() -> Model:
    return load_model(nn.Conv2d(3, 4, 1), input_size=8)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 0}, "workers must be an integer of at least 1, got 0"),
        ({"workers": True}, "workers must be an integer"),
        ({"workers": 10**40}, "workers must be at most 10000, got 1000"),
        ({"threads": -1}, "threads must be an integer of at least 1, got -1"),
        ({"ray": ""}, "ray must be local, auto, or the address"),
        ({"ray": "local", "ray_gpus": -1.0}, "ray_gpus must be a number of at least 0"),
        ({"ray_gpus": 1.0}, "but there is none: set ray"),
    ],
)
def test_a_mistake_is_one_line(options: dict[str, Any], says: str) -> None:
    for recipe in (lambda: Gallery(**options), lambda: Patches(images="x", **options)):
        with pytest.raises(ValueError) as caught:
            recipe()
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_cannot_be_sent_is_reported_in_one_line() -> None:
    class Local(nn.Module):
        pass

    with pytest.raises(ValueError, match=r"cannot be sent to other processes.*path/to/file\.py:factory"):
        packed(pickle.dumps, Gallery(model=Local()).load, print)
    with pytest.raises(ValueError, match="another process cannot import what it needs"):
        Worker(b"crecipes.nowhere\nthing\n.", 1)


class Odd(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def test_an_error_is_sent_back_as_itself_or_as_its_text() -> None:
    same = pickle.loads(portable(LookupError("no layer 'x'")))
    assert (type(same), str(same)) == (LookupError, "no layer 'x'")
    other = pickle.loads(portable(Odd(1, 2)))
    assert (type(other), str(other)) == (RuntimeError, "Odd: 1 and 2")


def test_a_distributed_pass_over_pictures_resumes(photos: Path, tmp_path: Path) -> None:
    model = _model()

    def contents(out: Path) -> dict[str, bytes]:
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def stop(update: Any) -> None:
        if update.done >= 3:
            raise KeyboardInterrupt

    collect(model, photos, "", out=tmp_path / "complete", batch=1)
    serializing = SerializingExecutor(partial(load_model, model), model.device)
    for first in (None, serializing):
        out = tmp_path / f"parts-{first is None}"
        with pytest.raises(KeyboardInterrupt):
            collect(model, photos, "", out=out, batch=1, executor=first, progress=stop)
        collect(model, photos, "", out=out, batch=1, executor=serializing)
        assert contents(out) == contents(tmp_path / "complete")
