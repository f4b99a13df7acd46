"""DeepDream: octaves and tiles of any photo, guides, frames, and what is said of bad input."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from inverter import Model, evaluate
from objectives import Objective, channel, layer
from recipes import DeepDream
from recipes.cli import main
from recipes.dreaming import cuts, dream, guided, octave_sizes, smallest, zoomed
from recipes.outputs.video import open_video
from recipes.pictures import read_picture
from recipes.spec import load_recipe


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (8, 12, 3), dtype=np.uint8))
    small.resize((90, 60), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def model_of(net: nn.Module) -> Model:
    return Model(net, normalize="half", input_size=(48, 48))


def waves(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 9, height), torch.linspace(0, 7, width), indexing="ij")
    return (0.5 + 0.2 * torch.stack([x.sin(), y.cos(), (x + y).sin()]))[None]


@pytest.mark.parametrize(("side", "tile"), [(10, 4), (448, 448), (449, 448), (3840, 448), (7, 100), (97, 10)])
def test_tiles_cover_a_side_once_and_are_nearly_equal(side: int, tile: int) -> None:
    pieces = list(cuts(side, tile))
    assert [place for piece in pieces for place in range(side)[piece]] == list(range(side))
    lengths = [piece.stop - piece.start for piece in pieces]
    assert max(lengths) <= tile
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) == smallest(side, tile)
    assert len(pieces) == -(-side // tile)


def test_octaves_grow_to_the_size_itself() -> None:
    assert octave_sizes((400, 300), 3, 2.0) == [(100, 75), (200, 150), (400, 300)]
    assert octave_sizes((20, 3000), 5, 1.4) == [(20, 3000)]  # too flat for smaller ones


@pytest.mark.parametrize("size", [(60, 90), (97, 51), (48, 48)])
def test_it_raises_the_score_and_stays_a_picture(tiny_net: nn.Module, size: tuple[int, int]) -> None:
    model, image = model_of(tiny_net), waves(*size)
    before = image.clone()
    for objective in (layer("body"), channel("body", 3), 0.5 * layer("mix") + channel("stem", 1)):
        dreamt = dream(model, image, objective, octaves=2, steps=3, tile=40, precision="float32")
        assert dreamt.shape == image.shape
        assert float(dreamt.min()) >= 0
        assert float(dreamt.max()) <= 1
        assert evaluate(model, objective, dreamt).item() > evaluate(model, objective, image).item()
    assert torch.equal(image, before)


def test_never_more_than_a_tile_is_seen(tiny_net: nn.Module) -> None:
    sides: list[int] = []

    def score(seen: Any) -> Tensor:
        sides.extend(seen.image.shape[2:])
        return seen.image.mean((1, 2, 3))

    looker = Objective("looker", ("stem",), lambda seen: score(seen) + 0 * seen["stem"].mean((1, 2, 3)))
    dream(model_of(tiny_net), waves(150, 230), looker, octaves=2, steps=1, tile=64, precision="float32")
    assert max(sides) <= 64
    assert min(sides) >= 32


def test_the_gradient_of_a_dead_layer_leaves_the_picture(tiny_net: nn.Module) -> None:
    dead = Objective("dead", ("stem",), lambda seen: 0 * seen["stem"].mean((1, 2, 3)))
    image = waves(60, 60)
    assert torch.allclose(dream(model_of(tiny_net), image, dead, octaves=1, steps=2), image)


def test_the_same_seed_dreams_the_same(tiny_net: nn.Module) -> None:
    model, image = model_of(tiny_net), waves(60, 60)

    def once(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return dream(model, image, layer("body"), 1, steps=2, tile=32, generator=generator, precision="float32")

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_a_guide_pulls_each_place_to_its_nearest() -> None:
    guide = torch.tensor([[1.0, 0.0], [0.0, 2.0]])[None, :, :, None]  # two channels at two places: (1, 0) and (0, 2)
    maps = torch.tensor([[3.0, 0.0], [0.0, 1.0]])[None, :, :, None].requires_grad_()
    from objectives import Seen

    score = guided("a", guide).score(Seen({"a": maps}))
    assert score.tolist() == [(3 + 2) / 2]
    score.sum().backward()
    assert maps.grad is not None
    assert torch.equal(maps.grad[0, :, :, 0], torch.tensor([[0.5, 0.0], [0.0, 1.0]]))


def test_zooming_keeps_the_middle() -> None:
    image = waves(41, 61)
    assert torch.allclose(zoomed(image, 1.0), image, atol=1e-5)
    near = zoomed(image, 2.0)
    assert near.shape == image.shape
    assert torch.allclose(near[0, :, 20, 30], image[0, :, 20, 30], atol=1e-3)
    assert torch.allclose(near[0, :, 10, 10], image[0, :, 15, 20], atol=1e-2)


def test_a_run_writes_picture_and_frames(tiny_net: nn.Module, photo: Path, tmp_path: Path) -> None:
    said = []
    video = tmp_path / "frames" / "out.gif"
    made = DeepDream(
        model=model_of(tiny_net), image=str(photo), layer=["body", "mix:2*0.5"], out=str(tmp_path / "out"), steps=2,
        octaves=2, octave_scale=1.2, video=str(video), precision="float32",
    )  # fmt: skip
    assert made.run(said.append) == tmp_path / "out" / "dream.png"
    assert read_picture(made.path).shape == (3, 60, 90)
    with Image.open(video) as frames:
        assert frames.size == (90, 60)
        assert frames.n_frames == 1 + 4
    assert [(update.done, update.units) for update in said] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert list(video.parent.iterdir()) == [video]


def test_a_zoom_dream_has_a_frame_a_turn(tiny_net: nn.Module, photo: Path, tmp_path: Path) -> None:
    video = tmp_path / "zoom.gif"
    out = str(tmp_path / "last.png")
    DeepDream(
        model=model_of(tiny_net), image=str(photo), layer="body", steps=1, octaves=1, size=60, zoom=2, video=str(video),
        out=out, guide=str(photo), precision="float32",
    ).run()  # fmt: skip
    with Image.open(video) as frames:
        assert frames.n_frames == 3
    assert read_picture(out).shape == (3, 40, 60)


# imageio-ffmpeg does not close its pipes itself.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_mp4_frames_have_the_size_of_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="mp4 needs imageio-ffmpeg")
    import imageio.v2 as imageio

    with open_video(tmp_path / "a.mp4", 5) as frame:
        for brightness in (0.2, 0.5, 0.8):
            frame(torch.full((3, 62, 90), brightness))
    with imageio.get_reader(tmp_path / "a.mp4") as reader:
        read = np.stack(list(reader.iter_data()))
    assert read.shape == (3, 62, 90, 3)
    assert np.abs(read.mean((1, 2, 3)) - [51, 127.5, 204]).max() < 8


def test_a_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), open_video(tmp_path / "a.gif", 5) as frame:
        frame(torch.zeros(3, 8, 8))
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_one_line(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    out = ["--out", str(tmp_path / "never.png")]
    image, good = ["--image", str(photo)], ["--layer", "features.stage1"]
    for arguments, said in (
        ([*image, "--layer", "features.stage9"], "features.stage1"),
        ([*image, "--layer", ":3"], "expected ADDRESS"),
        ([*image, "--layer", "features.stage1*x"], "no layer"),
        ([*image, "--layer", "features.stage1:999"], "999"),
        (["--image", str(tmp_path / "none.jpg"), *good], "no picture"),
        ([*image, *good, "--zoom", "3"], "say where they go with video"),
        ([*image, *good, "--video", "a.avi"], "ends in .gif or .mp4"),
        ([*image, *good, "--video", str(tmp_path / "a.mp4")], "needs an encoder: pip install 'inverter[video]'"),
        ([*image, *good, "--guide", str(tmp_path / "none.jpg")], "no picture"),
        ([*image, "--layer", "features.stage1:3", "--guide", str(photo)], "leave out the channels"),
        ([*image, *good, "--octave-scale", "1"], "octave_scale must be above 1"),
    ):
        assert main(["dream", *arguments, *out]) == 2, arguments
        error = capsys.readouterr().err.splitlines()
        assert len(error) == 1, error
        assert said in error[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png"]


def test_command_line_and_toml(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--image", str(photo), "--layer", "features.stage1", "--octaves", "1", "--steps", "1"]
    assert main(["dream", *arguments, "--out", str(tmp_path / "a.png")]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'a.png'}\n"
    (tmp_path / "d.toml").write_text(f'recipe = "dream"\nimage = "{photo}"\nlayer = ["a", "b:3"]\nrate = 1\n')
    loaded = load_recipe(tmp_path / "d.toml")
    assert isinstance(loaded, DeepDream)
    assert loaded.targets == [("a", None, 1.0), ("b", 3, 1.0)]
    with pytest.raises(SystemExit) as stopped:
        main(["dream", "--layer", "features.stage1"])
    assert stopped.value.code == 2
    assert "--image" in capsys.readouterr().err
