"""The recipe behind `inverter statistics`: folders of mixed files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from priors.maco import Maco
from priors.measuring import measure
from priors.statistics import ImageStatistics, natural_statistics
from recipes.executors.progress import RunProgress
from recipes.statistics.statistics import Statistics

DATA = Path(os.environ.get("INVERTER_TEST_DATA", Path(__file__).parents[3] / ".." / "shared"))
PHOTOGRAPHS = DATA / "images" / "imagenet"


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of all kinds, some of them in a folder below, and three files that are none."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    Image.fromarray(noise(32, 48, 3)).save(folder / "colour.png")
    Image.fromarray(noise(40, 24, 4, seed=1)).save(folder / "alpha.PNG")
    Image.fromarray(noise(16, 16, seed=2)).save(folder / "grey.png")
    Image.fromarray(noise(16, 24, 3, seed=3)).convert("P").save(folder / "palette.gif")
    Image.fromarray(noise(24, 24, 3, seed=4)).convert("CMYK").save(folder / "below" / "print.jpg")
    deep = np.random.default_rng(5).integers(0, 65536, (20, 20), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "below" / "deep.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    complete = (folder / "colour.png").read_bytes()
    (folder / "truncated.png").write_bytes(complete[: len(complete) // 2])
    Image.fromarray(noise(4, 4, 3)).save(folder / "tiny.png")
    (folder / "notes.txt").write_text("no picture, and not meant to be one")
    return folder


def measured(recipe: Statistics) -> ImageStatistics:
    return ImageStatistics.load(recipe.run(None).files["statistics"])


def test_a_folder_of_all_kinds(folder: Path, tmp_path: Path) -> None:
    updates: list[RunProgress] = []
    out = tmp_path / "deep" / "out.json"
    result = Statistics(images=str(folder), out=str(out)).run(updates.append)
    loaded = ImageStatistics.load(out)
    assert result.files == {"statistics": out}
    assert (loaded.images, loaded.channels, loaded.source) == (6, 3, "pictures")
    assert {Path(path).name for path in result.skipped} == {"broken.jpg", "truncated.png", "tiny.png"}
    assert "8 px" in result.skipped[str(folder / "tiny.png")]
    assert all(reason and "\n" not in reason for reason in result.skipped.values())
    assert str(result.closing).startswith("6 pictures measured, 3 skipped; spectrum slopes ")
    assert [update.done for update in updates] == [half / 2 for half in range(1, 19)], "each file is read twice"
    assert {(update.units, update.noun) for update in updates} == {(9, "file")}
    Maco(1, 16, statistics=out)


def test_grey_pictures_have_one_channel(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(noise(16, 24, seed=index)).save(tmp_path / f"{index}.png")
    found = measured(Statistics(images=str(tmp_path), out=str(tmp_path / "out.json"), channels=1, source="noise"))
    arrays = [torch.from_numpy(noise(1, 16, 24, seed=index)) / 255 for index in range(3)]
    torch.testing.assert_close(found.magnitude, measure(arrays).magnitude)
    assert found.source == "noise"
    with pytest.raises(ValueError, match="measure grey pictures with one channel"):
        Statistics(images=str(tmp_path), out=str(tmp_path / "out.json")).run(None)


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (20, 20), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    found = measured(Statistics(images=str(tmp_path), out=str(tmp_path / "out.json"), channels=1))
    assert found.mean.item() == pytest.approx(deep.mean() / 65535, abs=1e-5)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "float64"])
def test_arrays_of_any_channels(tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(0).random((4, 5, 16, 12))
    if kind.startswith("uint"):
        values = values * np.iinfo(kind).max
    np.save(tmp_path / "stack.npy", values.astype(kind))
    np.save(tmp_path / "one.npy", values[0].astype(kind))
    np.save(tmp_path / "other.npy", values[:, :3].astype(kind))
    result = Statistics(images=str(tmp_path), out=str(tmp_path / "out.json"), channels=5).run(None)
    found = ImageStatistics.load(tmp_path / "out.json")
    assert (found.images, found.channels) == (5, 5)
    assert result.skipped == {str(tmp_path / "other.npy"): "expected 5 channels, got 3"}
    alone = measured(Statistics(images=str(tmp_path / "stack.npy"), out=str(tmp_path / "out.json"), channels=5))
    assert alone.images == 4


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((8, 8)), r"\(N, C, H, W\)"),
        (np.full((3, 8, 8), 2.0), r"\[0, 1\]"),
        (np.zeros((3, 8, 8), dtype=np.int64), "int64"),
        (np.array([None, 1], dtype=object), "Python objects"),
    ],
)
def test_wrong_arrays_are_skipped_with_a_reason(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    np.save(tmp_path / "wrong.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=r"got none \(1 of 1 file skipped: wrong\.npy: .*" + reason):
        Statistics(images=str(tmp_path), out=str(tmp_path / "out.json")).run(None)
    assert not (tmp_path / "out.json").exists()


def test_what_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Statistics(images=str(tmp_path / "none"), out=str(tmp_path / "out.json")).run(None)
    with pytest.raises(ValueError, match="holds no pictures"):
        Statistics(images=str(tmp_path), out=str(tmp_path / "out.json")).run(None)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        Statistics(images=str(tmp_path), out=str(tmp_path)).run(None)
    with pytest.raises(ValueError, match="channels"):
        Statistics(images=str(tmp_path), out=str(tmp_path / "out.json"), channels=0)
    Image.fromarray(noise(16, 16, 3)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="1 or 3 channels"):
        Statistics(images=str(tmp_path), out=str(tmp_path / "out.json"), channels=4).run(None)


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"needs the shared photographs in {PHOTOGRAPHS}")
def test_the_bundled_file_is_reproduced(tmp_path: Path) -> None:
    source = natural_statistics().source
    found = measured(Statistics(images=str(PHOTOGRAPHS), out=str(tmp_path / "natural.json"), source=source))
    for name in ("mean", "covariance", "frequencies", "magnitude"):
        torch.testing.assert_close(getattr(found, name), getattr(natural_statistics(), name), rtol=1e-4, atol=1e-6)
    assert (found.images, found.source) == (natural_statistics().images, source)
