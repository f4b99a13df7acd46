"""What `explain` and `judge-maps` share: pictures in batches, unique file names, folders of one run."""

import gc
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from inverter import Model, evaluate
from objectives import attention, attention_head
from recipes import Explain, JudgeMaps
from recipes.cli.entry import main
from recipes.pictures.inputs import InputPictures
from recipes.pictures.reading import read_picture
from recipes.runner.report import Report
from tests.recipes.attribution.conftest import TinyTransformer

QUICK = {"points": 2, "depths": 1, "squares": 2}
RECIPES: dict[str, tuple[Any, dict[str, Any]]] = {"explain": (Explain, {}), "judge-maps": (JudgeMaps, QUICK)}

both = pytest.mark.parametrize("name", RECIPES)

SUMMARIES = {"manifest.json", "index.html", "units.csv", "sheet.png"}


def run(name: str, model: Model, image: object, out: Path, **options: Any) -> Report:
    recipe, quick = RECIPES[name]
    report: Report = recipe(model=model, image=image, out=str(out), **(quick | options)).run()
    return report


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@both
def test_the_first_batch_is_finished_before_the_second_begins(
    name: str, insects: Model, photos: Path, tmp_path: Path
) -> None:
    report = run(name, insects, str(photos), tmp_path / "out", method=["saliency", "grad-cam"], batch_size=1)
    assert [unit.image for unit in report.manifest.units.values()] == ["a"] * 3 + ["b"] * 3
    full = run(name, insects, str(photos), tmp_path / "full", method=["saliency", "grad-cam"], batch_size=2)
    assert [unit.image for unit in full.manifest.units.values()] == ["a", "b"] * 3


@both
@pytest.mark.parametrize("target", ["head:blocks.1.attn:2", "attention:blocks.1:1:cls:0,1", "neuron:blocks.1@cls:3"])
def test_units_of_transformers_are_targets(name: str, target: str, photos: Path, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = Model(TinyTransformer().eval(), input_size=(16, 16))
    report = run(name, model, str(photos), tmp_path / "out", target=target, method=["saliency", "grad-cam"])
    maps = [unit for unit in report.manifest.units.values() if unit.objective != "original"]
    assert len(maps) == 4
    assert {unit.channel for unit in maps} == {int(target.split(":")[2])}
    assert {unit.layer for unit in maps} == {target.split(":")[1]}
    if name == "explain":
        expected = {"head": attention_head("blocks.1", 2), "attention": attention("blocks.1", 1, "cls", (0, 1))}
        for unit in maps:
            heat, value = np.load(report.out / unit.extra_files["array"]), unit.metrics["value"]
            assert heat.max() > 0
            if (objective := expected.get(unit.objective)) is not None:
                shown = read_picture(report.out / f"originals/{unit.image}.png")[None]
                assert value == pytest.approx(float(evaluate(model, objective, shown)), rel=0.02)
    else:
        assert {row["method"] for row in report.manifest.table} == {"saliency", "grad-cam", "random"}
        assert all(np.isfinite(row["infidelity"]) for row in report.manifest.table if row["method"] != "random")


@both
def test_a_fresh_run_removes_the_files_of_the_last_one(name: str, insects: Model, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    out, everything = tmp_path / "out", {"box": "graph-cut", "perceive": 2} if name == "explain" else {}
    run(name, insects, str(photos), out, method=["saliency", "spatial-attribution"], **everything)
    (out / "images" / "notes.txt").write_text("mine")
    run(name, insects, str(photos / "b.png"), out, method="grad-cam", fresh=True)
    run(name, insects, str(photos / "b.png"), tmp_path / "new", method="grad-cam")
    assert files(out) == files(tmp_path / "new") | {"images/notes.txt"}
    assert not any(path.is_dir() and not any(path.iterdir()) for path in out.rglob("*")), "no empty folders"


@both
def test_every_file_is_in_the_manifest_and_made_again_where_it_is_lost(
    name: str, insects: Model, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = run(name, insects, str(photos), out)
    recorded = {file for unit in report.manifest.units.values() for file in unit.files}
    assert files(out) - {".lock"} == recorded | SUMMARIES
    unit = next(unit for unit in report.manifest.units.values() if unit.extra_files)
    (out / next(iter(unit.extra_files.values()))).unlink()
    assert run(name, insects, str(photos), out).made == 1
    assert files(out) - {".lock"} == recorded | SUMMARIES


@both
def test_pictures_named_like_extra_files_of_others(name: str, insects: Model, photos: Path, tmp_path: Path) -> None:
    for end in ("-map", "-randomised", "-cutout", "-map~"):
        (photos / f"a{end}.png").write_bytes((photos / "b.png").read_bytes())
    (photos / f"{'long' * 60}.png").write_bytes((photos / "b.png").read_bytes())
    report = run(name, insects, str(photos), tmp_path / "out")
    recorded = [file for unit in report.manifest.units.values() for file in unit.files]
    assert len(recorded) == len(set(recorded)) == 7 * (1 + (3 if name == "explain" else 2))


@both
def test_what_cannot_be_read_in_a_folder_is_skipped_and_named(
    name: str, insects: Model, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (3000, 8)).save(photos / "thread.png")
    report = run(name, insects, str(photos), tmp_path / "out")
    assert {unit.image for unit in report.manifest.units.values()} == {"a", "b"}
    command = [name, "--image", str(photos), "--size", "32", "--out", str(tmp_path / "cli"), "--method", "saliency"]
    assert main(command + [f"--{key}={value}" for key, value in RECIPES[name][1].items()]) == 0
    printed = capsys.readouterr().err
    assert "broken.png cannot be read as a picture" in printed
    assert "thread is too narrow: 8x3000 pixels" in printed
    assert "2 pictures could not be read and were skipped" in printed
    with pytest.raises(ValueError, match=r"broken\.png cannot be read"):
        run(name, insects, [str(photos / "a.png"), str(photos / "broken.png")], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_targets_with_the_same_file_name_have_separate_files(
    insects: Model, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for index, file in enumerate(("d_x.npy", "d/x.npy")):
        Path(file).parent.mkdir(exist_ok=True)
        np.save(file, np.eye(8, dtype=np.float32)[index])
    weights = ",".join(f"{channel}*0.123456789012345678901" for channel in range(8))
    targets = ["direction:mix:d_x.npy", "direction:mix:d/x.npy", f"direction:mix:{weights}"]
    report = run("explain", insects, str(photos / "a.png"), tmp_path / "out", target=targets)
    units = [unit for unit in report.manifest.units.values() if unit.objective == "direction"]
    assert [unit.metrics["target"] for unit in units] == targets
    assert len({unit.file for unit in units}) == 3


@both
def test_memory_holds_a_batch_and_not_all_pictures(
    name: str, insects: Model, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the batches that were read, each is gone once the one after the next is read: no cycle keeps it either."""
    for index in range(10):
        (photos / f"{index}.png").write_bytes((photos / "b.png").read_bytes())
    alive: list[weakref.ref[Tensor]] = []
    most = 0
    read = InputPictures.read

    def watched(self: InputPictures, names: Sequence[str], size: tuple[int, int]) -> Tensor:
        nonlocal most
        images = read(self, names, size)
        alive.append(weakref.ref(images))
        most = max(most, sum(each() is not None for each in alive))
        return images

    monkeypatch.setattr(InputPictures, "read", watched)
    gc.disable()
    try:
        run(name, insects, str(photos), tmp_path / "out", method=["grad-cam", "saliency"], batch_size=2)
    finally:
        gc.enable()
    assert len(alive) == 7, "the first picture, to check the options; then each batch once for all methods"
    assert most <= 2
