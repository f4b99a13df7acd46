"""Frames as a file: complete, or not at all; after Ctrl-C, the frames so far under another name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recipes.outputs.atomic import unfinished
from recipes.outputs.rendering.video import open_video, write_video

# imageio-ffmpeg does not close its pipes itself.
mp4 = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
SUFFIXES = [".gif", pytest.param(".mp4", marks=mp4)]


def needs(suffix: str) -> None:
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg", reason="mp4 needs imageio-ffmpeg")


def frames(path: Path) -> list[np.ndarray]:
    import imageio.v2 as imageio

    with imageio.get_reader(path) as reader:
        return [np.asarray(frame)[..., :3] for frame in reader]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_have_the_size_and_the_brightness_of_the_pictures(suffix: str, tmp_path: Path) -> None:
    needs(suffix)
    path = tmp_path / "new" / f"a{suffix}"
    with open_video(path, 5) as frame:
        for brightness in (0.2, 0.5, 0.8):
            frame(torch.full((3, 62, 90), brightness))
    read = np.stack(frames(path))
    assert read.shape == (3, 62, 90, 3)
    assert np.abs(read.mean((1, 2, 3)) - [51, 127.5, 204]).max() < 8
    assert list(path.parent.iterdir()) == [path]


def test_a_gif_is_as_slow_as_it_was_asked_to_be(tmp_path: Path) -> None:
    with open_video(tmp_path / "a.gif", 5) as frame:
        for brightness in (0.2, 0.8):
            frame(torch.full((3, 8, 8), brightness))
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.info["duration"] == 200


@mp4
def test_an_mp4_takes_odd_sizes(tmp_path: Path) -> None:
    needs(".mp4")
    with open_video(tmp_path / "a.mp4", 5) as frame:
        for _ in range(2):
            frame(torch.full((3, 61, 91), 0.5))
    height, width = frames(tmp_path / "a.mp4")[0].shape[:2]
    assert abs(height - 61) <= 1
    assert abs(width - 91) <= 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_video_that_is_stopped_keeps_its_frames_next_to_the_old_one(suffix: str, tmp_path: Path) -> None:
    needs(suffix)
    old = tmp_path / f"a{suffix}"
    old.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), open_video(old, 5) as frame:
        frame(torch.zeros(3, 32, 32))
        frame(torch.ones(3, 32, 32))
        raise KeyboardInterrupt
    assert old.read_bytes() == b"old"
    assert len(frames(unfinished(old))) == 2
    assert set(tmp_path.iterdir()) == {old, unfinished(old)}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_video_that_fails_or_has_no_frame_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error, match="stop"), open_video(tmp_path / "a.gif", 5) as frame:
        if error is RuntimeError:
            frame(torch.zeros(3, 8, 8))
        raise error("stop")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_in_memory_become_a_file_at_once(suffix: str, tmp_path: Path) -> None:
    needs(suffix)
    path = tmp_path / "new" / f"a{suffix}"
    ramp = torch.linspace(0, 1, 64).expand(3, 48, 64)
    write_video(path, [ramp * brightness for brightness in (0.2, 0.5, 0.8)], 5)
    read = np.stack(frames(path))
    assert read.shape == (3, 48, 64, 3)
    assert np.abs(read.mean((1, 2, 3)) - [25.5, 63.75, 102]).max() < 4
    assert list(path.parent.iterdir()) == [path]


def test_a_gif_of_grey_pictures(tmp_path: Path) -> None:
    write_video(tmp_path / "a.gif", [torch.full((1, 9, 9), 0.5), torch.ones(1, 9, 9)], 5)
    assert [round(float(frame.mean())) for frame in frames(tmp_path / "a.gif")] == [128, 255]


@mp4
def test_a_video_that_is_stopped_leaves_no_file(tmp_path: Path) -> None:
    needs(".mp4")

    class Interrupted(list[torch.Tensor]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            yield torch.zeros(3, 32, 32)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", Interrupted(), 5)
    assert list(tmp_path.iterdir()) == []
