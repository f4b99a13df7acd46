"""Filmed galleries: a file next to each picture, and the pictures as they are without."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import recipes.runner.batch
from inverter import MissingLibrary, Settings, load_model
from recipes import ClassModel, Gallery
from recipes.cli import main
from recipes.runner.context import RunContext

BUILTIN = {"model": "builtin", "layer": "features.stem", "channels": "0-3", "steps": 3, "size": 32}


def gallery(net: nn.Module, out: Path, **options: Any) -> Gallery:
    known: dict[str, Any] = {"layer": "body", "channels": "0-3", "steps": 5, "batch_size": 2, "precision": "float32"}
    return Gallery(model=load_model(net, input_size=16), out=str(out), **(known | options))


def files(out: Path, suffix: str) -> dict[str, bytes]:
    found = sorted((out / "images").rglob(f"*{suffix}"))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as film:
        found = []
        for index in range(getattr(film, "n_frames", 1)):
            film.seek(index)
            found.append(np.asarray(film.convert("RGB")).astype(int))
    return found


def test_a_film_of_each_unit_lies_next_to_the_same_picture(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path / "plain").run(None)
    report = gallery(tiny_net, tmp_path / "filmed", video="gif").run(None)
    plain = files(tmp_path / "plain", ".png")
    assert plain
    assert files(tmp_path / "filmed", ".png") == plain  # the text chunks too
    for record in report.manifest.units.values():
        assert record.extra_files == {"video": record.file.replace(".png", ".gif")}
        film = frames(report.out / record.extra_files["video"])
        assert len(film) == 5
        last = np.asarray(Image.open(report.out / record.file)).astype(int)
        assert abs(film[-1] - last).mean() < 12 < abs(film[0] - last).mean()  # a GIF has 256 colours


def test_a_finished_folder_gets_its_films_and_keeps_them(tiny_net: nn.Module, tmp_path: Path) -> None:
    gallery(tiny_net, tmp_path, channels="0-1").run(None)
    before = files(tmp_path, ".png")
    assert gallery(tiny_net, tmp_path, video="gif").run(None).made == 4
    films = files(tmp_path, ".gif")
    assert len(films) == 4
    assert files(tmp_path, ".png").items() >= before.items()
    assert gallery(tiny_net, tmp_path).run(None).made == 0
    assert gallery(tiny_net, tmp_path, video="gif").run(None).made == 0
    (tmp_path / "images/body/0003.gif").unlink()
    assert gallery(tiny_net, tmp_path, video="gif").run(None).made == 1
    assert files(tmp_path, ".gif") == films
    assert gallery(tiny_net, tmp_path, video="gif", channels="0", fresh=True).run(None).made == 1
    assert list(files(tmp_path, ".gif")) == ["images/body/0000.gif"]


def test_the_film_of_a_class_is_of_the_try_that_was_kept(tiny_net: nn.Module, tmp_path: Path) -> None:
    model = load_model(tiny_net, input_size=16)
    report = ClassModel(model=model, class_="0-4", out=str(tmp_path), steps=4, tries=3, video="gif").run(None)
    for record in report.manifest.units.values():
        film = frames(tmp_path / record.extra_files["video"])
        assert len(film) == 4
        last = np.asarray(Image.open(tmp_path / record.file)).astype(int)
        assert abs(film[-1] - last).mean() < 12


def test_a_second_attempt_at_a_silent_unit_has_its_own_film(tiny_net: nn.Module, tmp_path: Path) -> None:
    with torch.no_grad():
        tiny_net.body.weight[1], tiny_net.body.bias[1] = 0, -1.0
    report = gallery(tiny_net, tmp_path, layer="relu", channels="0-2", video="gif").run(None)
    assert [record.status for record in report.manifest.units.values()] == ["ok", "silent", "ok"]
    assert len(files(tmp_path, ".gif")) == 3


def test_workers_write_the_films_and_repeat_compares_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [f"--{key}={value}" for key, value in BUILTIN.items()]
    given += ["--batch-size=2", "--threads=1", "--device=cpu"]
    assert main(["gallery", *given, "--out=ONE", "--video"]) == 0
    assert main(["gallery", *given, "--out=TWO", "--video", "gif", "--workers=2"]) == 0
    assert len(films := files(tmp_path / "ONE", ".gif")) == 4
    assert files(tmp_path / "TWO", ".gif") == films
    capsys.readouterr()
    assert main(["repeat", "ONE", "--unit", "features.stem/3"]) == 0
    assert "the same" in capsys.readouterr().out
    assert files(tmp_path / "ONE", ".gif") == films


def test_other_formats_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["gallery", "--model=builtin", "--video=avi", f"--out={tmp_path / 'OUT'}"])
    assert ended.value.code == 2
    assert "unknown 'avi'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="unknown video 'avi'"):
        Gallery(model="builtin", video="avi")  # type: ignore[arg-type]


def test_mp4_without_an_encoder_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingLibrary, match="needs an encoder"):
        Gallery(**BUILTIN, video="mp4", out=str(tmp_path / "OUT")).run(None)  # type: ignore[arg-type]
    assert not list((tmp_path / "OUT").rglob("*.png"))


def test_a_batch_shows_its_pictures_to_who_looks(tiny_net: nn.Module, tmp_path: Path) -> None:
    recipe = gallery(tiny_net, tmp_path)
    model = recipe.load()
    context = RunContext(recipe, model, None)
    units = recipe.units(context)
    seen: list[tuple[int, int, tuple[int, ...]]] = []

    def on_images(step: int, steps: int, look: Any) -> None:
        seen.append((step, steps, tuple(look().shape)))

    settings = Settings(steps=5, batch_size=2, precision="float32")
    made = recipes.runner.batch.make(context, settings, False, model, units[:2], lambda _: None, on_images)
    assert seen == [(step, 5, (2, 3, 16, 16)) for step in range(1, 6)]
    plain = recipes.runner.batch.make(context, settings, False, model, units[:2], lambda _: None)
    assert torch.equal(made.images, plain.images)
    assert json.dumps([record.score for record in made.records]) == json.dumps([r.score for r in plain.records])
