"""The DeepDream recipe: the files of a dream, finished or stopped, and the errors for bad input."""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from itertools import count, pairwise
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor, nn

from inverter import Model
from recipes import DeepDream
from recipes.cli.entry import INTERRUPTED, main
from recipes.cli.recipe_file import load_recipe
from recipes.deepdream.deepdream import ZOOM
from recipes.deepdream.octaves import zoomed
from recipes.executors.progress import RunProgress
from recipes.pictures.reading import read_picture


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (8, 12, 3), dtype=np.uint8))
    small.resize((90, 60), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def model_of(net: nn.Module) -> Model:
    return Model(net, normalize="half", input_size=(48, 48))


def gif_frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as gif:
        return [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)]


def test_a_run_writes_picture_and_frames(tiny_net: nn.Module, photo: Path, tmp_path: Path) -> None:
    said = []
    video = tmp_path / "frames" / "out.gif"
    recipe = DeepDream(
        model=model_of(tiny_net), image=str(photo), layer=["body", "mix:2*0.5"], out=str(tmp_path / "out"), steps=2,
        octaves=2, octave_scale=1.2, video=str(video), precision="float32",
    )  # fmt: skip
    report = recipe.run(said.append)
    assert report.out / report.records[0].file == recipe.path == tmp_path / "out" / "dream.png"
    assert report.files == {"video": video}
    assert report.images[0].size == (90, 60)
    with Image.open(video) as frames:
        assert frames.size == (90, 60)
        assert frames.n_frames == 1 + 4
    assert [(update.done, update.units) for update in said] == [(0, 2), (0.5, 2), (1, 2), (1.5, 2), (2, 2)]
    assert list(video.parent.iterdir()) == [video]


def test_a_zoom_dream_has_a_frame_for_each_zoom(tiny_net: nn.Module, photo: Path, tmp_path: Path) -> None:
    video = tmp_path / "zoom.gif"
    out = str(tmp_path / "last.png")
    DeepDream(
        model=model_of(tiny_net), image=str(photo), layer="body", steps=1, octaves=1, size=60, zoom=2, video=str(video),
        out=out, guide=str(photo), precision="float32",
    ).run()  # fmt: skip
    with Image.open(video) as frames:
        assert frames.n_frames == 3
    assert read_picture(out).shape == (3, 40, 60)


@pytest.mark.parametrize("guide", [True, False])
def test_a_dream_has_the_colours_of_its_guide_or_natural_ones(
    tiny_net: nn.Module, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guide: bool
) -> None:
    natural: list[bool] = []

    def recorded(gradient: Tensor, natural_colours: bool = True) -> Tensor:
        natural.append(natural_colours)
        return gradient

    monkeypatch.setattr("recipes.deepdream.octaves.precondition", recorded)
    DeepDream(
        model=model_of(tiny_net), image=str(photo), layer="body", steps=1, octaves=1, out=str(tmp_path / "a.png"),
        guide=str(photo) if guide else None, precision="float32",
    ).run()  # fmt: skip
    assert set(natural) == {not guide}


def test_a_zoom_dream_does_not_burn(tiny_net: nn.Module, photo: Path, tmp_path: Path) -> None:
    DeepDream(
        model=model_of(tiny_net), image=str(photo), layer="body", steps=3, octaves=1, zoom=12, step_size=0.05,
        video=str(tmp_path / "zoom.gif"), out=str(tmp_path / "last.png"), precision="float32",
    ).run()  # fmt: skip
    contrasts = [frame.std() for frame in gif_frames(tmp_path / "zoom.gif")]
    assert max(contrasts[1:]) < 1.1 * contrasts[0]


def stop_after(steps: int) -> Callable[[RunProgress], None]:
    calls = count(0)  # the first before any step

    def progress(_update: RunProgress) -> None:
        if next(calls) == steps:
            raise KeyboardInterrupt

    return progress


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def test_a_frame_is_the_photo_with_the_dream_so_far(tiny_net: nn.Module, photo: Path, tmp_path: Path) -> None:
    video = tmp_path / "out.gif"
    DeepDream(
        model=model_of(tiny_net), image=str(photo), layer="body", out=str(tmp_path / "a.png"), steps=2, octaves=2,
        octave_scale=1.2, video=str(video), precision="float32", step_size=0.02,
    ).run()  # fmt: skip
    frames, shown = (
        gif_frames(video),
        [np.asarray(Image.open(path).convert("RGB"), int) for path in (photo, tmp_path / "a.png")],
    )
    assert np.abs(frames[0] - shown[0]).mean() < 12  # 256 colours a frame
    assert np.abs(frames[-1] - shown[1]).mean() < 12
    away = [np.abs(frame - shown[0]).mean() for frame in frames]
    assert away[0] < away[1] < away[-1]


def test_a_stopped_dream_is_kept_next_to_the_finished_one(
    tiny_net: nn.Module, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, video = tmp_path / "a.png", tmp_path / "a.gif"
    recipe = DeepDream(
        model=model_of(tiny_net), image=str(photo), layer="body", out=str(out), steps=2, octaves=2, octave_scale=1.2,
        video=str(video), precision="float32",
    )  # fmt: skip
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("recipes.deepdream.octaves.precondition", _stop)
        recipe.run()
    assert list(tmp_path.iterdir()) == [photo]
    out.write_bytes(b"old")
    video.write_bytes(b"old")
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped after 1 of 4 steps; wrote .*a-unfinished.png and .*a-unfinished.gif"
    ):
        recipe.run(stop_after(1))
    assert out.read_bytes() == video.read_bytes() == b"old"
    kept = read_picture(tmp_path / "a-unfinished.png")
    assert kept.shape == (3, 60, 90)  # of the photo, though the step was one of a smaller octave
    assert 0.001 < float((kept - read_picture(photo)).abs().mean()) < 0.1
    assert len(gif_frames(tmp_path / "a-unfinished.gif")) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a-unfinished.gif", "a-unfinished.png", "a.gif", "a.png", "photo.png",
    ]  # fmt: skip


@pytest.mark.parametrize(("zoom", "noun", "units"), [(0, "octave", 2), (3, "frame", 4)])
def test_progress_counts_what_was_asked_for(
    tiny_net: nn.Module, photo: Path, tmp_path: Path, zoom: int, noun: str, units: int
) -> None:
    seen: list[RunProgress] = []
    DeepDream(
        model=model_of(tiny_net), image=str(photo), layer="body", out=str(tmp_path / "a.png"), steps=3, octaves=2,
        octave_scale=1.2, video=str(tmp_path / "a.gif") if zoom else None, zoom=zoom,
    ).run(seen.append)  # fmt: skip
    assert {(update.noun, update.units) for update in seen} == {(noun, units)}
    for values in ([update.done for update in seen], [update.share or 0 for update in seen]):
        assert values[0] == 0
        assert all(before < after for before, after in pairwise(values))
    assert (seen[-1].done, seen[-1].share) == (units, 1)
    if not zoom:
        assert [update.done for update in seen] == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
        assert seen[3].share == pytest.approx(50 * 75 / (50 * 75 + 60 * 90))  # the work goes by pixels


def test_a_stopped_zoom_dream_keeps_its_frames(tiny_net: nn.Module, photo: Path, tmp_path: Path) -> None:
    video = tmp_path / "zoom.gif"
    recipe = DeepDream(
        model=model_of(tiny_net), image=str(photo), layer="body", out=str(tmp_path / "a.png"), steps=2, octaves=1,
        video=str(video), zoom=9, precision="float32",
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt, match="stopped after 5 of 11 steps"):
        recipe.run(stop_after(5))
    frames = gif_frames(tmp_path / "zoom-unfinished.gif")
    assert len(frames) == 4  # three finished ones, and the next as far as it came
    nearer = zoomed(torch.from_numpy(frames[0]).permute(2, 0, 1)[None] / 255, ZOOM)[0].permute(1, 2, 0) * 255
    assert np.abs(nearer.numpy() - frames[1]).mean() < np.abs(frames[0].astype(int) - frames[1]).mean()


def test_the_command_line_says_what_it_kept(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recipes.runner.progress_bar.shown", lambda *_, **__: nullcontext(stop_after(1)))
    arguments = ["--image", str(photo), "--layer", "features.stage1", "--octaves", "1", "--steps", "2"]
    assert main(["dream", *arguments, "--out", str(tmp_path / "a.png")]) == INTERRUPTED
    assert capsys.readouterr().err == f"stopped after 1 of 2 steps; wrote {tmp_path / 'a-unfinished.png'}\n"
    assert read_picture(tmp_path / "a-unfinished.png").shape == (3, 60, 90)
    monkeypatch.setattr("recipes.deepdream.octaves.precondition", _stop)
    assert main(["dream", *arguments, "--out", str(tmp_path / "b.png")]) == INTERRUPTED
    assert capsys.readouterr().err == "stopped before the first step; no file was written\n"


def test_bad_input_is_one_line(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    out = ["--out", str(tmp_path / "never.png")]
    image, good = ["--image", str(photo)], ["--layer", "features.stage1"]
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    for arguments, said in (
        ([*image, "--layer", "features.stage9"], "features.stage1"),
        ([*image, "--layer", ":3"], "expected ADDRESS"),
        ([*image, "--layer", "features.stage1*x"], "no layer"),
        ([*image, "--layer", "features.stage1:999"], "999"),
        (["--image", str(tmp_path / "none.jpg"), *good], "no picture"),
        ([*image, *good, "--zoom", "3"], "zoom makes frames of a video: set video to a file"),
        ([*image, *good, "--video", "a.avi"], "ends in .gif or .mp4"),
        ([*image, *good, "--video", str(tmp_path / "a.mp4")], "needs an encoder: pip install 'inverter-vis[video]'"),
        ([*image, *good, "--guide", str(tmp_path / "none.jpg")], "no picture"),
        ([*image, "--layer", "features.stage1:3", "--guide", str(photo)], "leave out the channels"),
        ([*image, *good, "--octave-scale", "1"], "octave_scale must be above 1"),
        ([*image, *good, "--out", "a.jpg"], "expected a .png file or a folder"),
        ([*image, *good, "--out", str(photo)], "would replace the picture it is made from"),
        ([*image, *good, "--guide", str(photo), "--out", str(photo)], "would replace"),
        ([*image, *good, "--out", str(photo / "a.png")], "below a file"),
        (["--image", str(text), *good], "cannot be read as a picture"),
    ):
        assert main(["dream", *out, *arguments]) == 2, arguments
        error = capsys.readouterr().err.splitlines()
        assert len(error) == 1, error
        assert said in error[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "text.jpg"]


def test_a_network_of_grey_pictures_dreams_in_grey(photo: Path, tmp_path: Path) -> None:
    grey = Model(nn.Sequential(nn.Conv2d(1, 2, 3)), normalize=([0.5], [0.5]))
    DeepDream(model=grey, image=str(photo), layer="0", octaves=1, steps=1, out=str(tmp_path / "a.png")).run(None)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "L"


@pytest.mark.parametrize("folder", [False, True])
def test_a_dream_leaves_its_settings_and_replaces_no_other_file(photo: Path, tmp_path: Path, folder: bool) -> None:
    out = tmp_path / ("dreams" if folder else "a.png")
    record = out / "manifest.json" if folder else tmp_path / "a.json"
    dream = DeepDream(image=str(photo), layer="features.stage1", octaves=1, steps=1, out=str(out))
    dream.run(None)
    data = json.loads(record.read_text())
    assert (data["recipe"], data["settings"]["layer"]) == ("dream", ["features.stage1"])
    assert [(out / name).is_file() for name in ("sheet.png", "units.csv")] == [folder, folder]
    dream.run(None)
    record.write_text('{"mine": 1}')
    with pytest.raises(ValueError, match="is there and not of a dream"):
        dream.run(None)
    assert record.read_text() == '{"mine": 1}'


def test_command_line_and_toml(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--image", str(photo), "--layer", "features.stage1", "--octaves", "1", "--steps", "1"]
    assert main(["dream", *arguments, "--out", str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'a.png'}\n"
    (tmp_path / "d.toml").write_text(f'recipe = "dream"\nimage = "{photo}"\nlayer = ["a", "b:3"]\nstep_size = 1\n')
    loaded = load_recipe(tmp_path / "d.toml")
    assert isinstance(loaded, DeepDream)
    assert loaded.targets == [("a", None, 1.0), ("b", 3, 1.0)]
    with pytest.raises(SystemExit) as stopped:
        main(["dream", "--layer", "features.stage1"])
    assert stopped.value.code == 2
    assert "--image" in capsys.readouterr().err
