"""An inversion: rounding to 8 bits, saved files, and representations with escaped text."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inverter import BadInput, Inversion, Settings, to_pil


def inversion(images: torch.Tensor, label: str = "channel(a:1)", status: str = "ok") -> Inversion:
    count = len(images)
    return Inversion(
        images=images,
        scores=torch.arange(count).float(),
        history=torch.zeros(4, count),
        status=(status,) * count,
        labels=(label,) * count,
        settings=Settings(steps=4),
        seconds=0.1,
    )


@given(st.floats(0, 1))
def test_pixels_are_rounded_to_the_nearest_of_256(value: float) -> None:
    pixel = to_pil(torch.full((3, 1, 1), value)).getpixel((0, 0))
    assert all(abs(colour / 255 - value) <= 0.5 / 255 + 1e-6 for colour in pixel)


def test_every_8_bit_picture_survives_exactly_with_height_and_width_in_their_places() -> None:
    data = np.arange(3 * 16 * 16, dtype=np.uint16).reshape(8, 32, 3).astype(np.uint8)
    picture = to_pil(torch.from_numpy(data).permute(2, 0, 1) / 255)
    assert picture.mode == "RGB"
    assert picture.size == (32, 8)
    assert np.array_equal(np.asarray(picture), data)


def test_grey_pictures_are_grey_and_values_outside_the_range_are_cut() -> None:
    picture = to_pil(torch.tensor([[[-1.0, 0.5, 2.0]]]))
    assert picture.mode == "L"
    assert [picture.getpixel((x, 0)) for x in range(3)] == [0, 128, 255]


def test_pictures_that_need_gradients_are_shown_too() -> None:
    assert to_pil(torch.ones(3, 2, 2, requires_grad=True)).getpixel((0, 0)) == (255, 255, 255)


def test_it_saves_one_complete_file_for_each_picture_and_no_others(tmp_path: Path) -> None:
    images = torch.rand(3, 3, 5, 7)
    result = inversion(images)
    paths = result.save(tmp_path / "new" / "folder")
    assert paths == [tmp_path / "new" / "folder" / f"000{i}.png" for i in range(3)]
    assert sorted(paths[0].parent.iterdir()) == paths
    for path, image in zip(paths, images, strict=True):
        with Image.open(path) as picture:
            saved = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
        assert (saved - image).abs().max() <= 0.5 / 255 + 1e-6
    assert len(result) == len(result.to_pil()) == 3


def test_saving_where_there_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError, match="taken"):
        inversion(torch.rand(1, 3, 2, 2)).save(tmp_path / "taken")


def test_its_repr_has_the_size_the_best_score_and_the_status() -> None:
    result = inversion(torch.rand(2, 3, 5, 7))
    assert repr(result) == "Inversion(2 pictures of 5x7, best score 1, ok)"
    partly = replace(result, scores=torch.tensor([2.5, math.nan]), status=("ok", "non-finite at step 3"))
    assert repr(partly) == "Inversion(2 pictures of 5x7, best score 2.5, 1 stopped)"
    failed = replace(inversion(torch.rand(1, 3, 5, 7)), scores=torch.tensor([math.nan]))
    assert repr(failed) == "Inversion(1 picture of 5x7, best score nan, ok)"


def test_a_batch_is_not_one_picture() -> None:
    with pytest.raises(BadInput, match=r"got shape \(1, 3, 2, 2\)"):
        to_pil(torch.zeros(1, 3, 2, 2))


def test_a_notebook_shows_every_picture_and_escapes_what_others_wrote() -> None:
    markup = inversion(torch.rand(2, 3, 4, 4), "<script>a & b</script>", "non-finite at step 3")._repr_html_()
    assert markup.count("data:image/png;base64,") == 2
    assert "<script" not in markup
    assert "&lt;script&gt;a &amp; b" in markup
    assert "non-finite at step 3" in markup


def test_the_better_of_two_is_chosen_picture_by_picture_and_a_number_beats_none() -> None:
    one, other = inversion(torch.zeros(4, 3, 2, 2)), inversion(torch.ones(4, 3, 2, 2), status="other")
    scores = (torch.tensor([1.0, 2.0, float("nan"), 5.0]), torch.tensor([3.0, 2.0, 0.0, float("nan")]))
    chosen, better = replace(one, scores=scores[0]).better_of(replace(other, scores=scores[1]))
    assert better.tolist() == [True, False, True, False]
    assert chosen.images.mean((1, 2, 3)).tolist() == [1, 0, 1, 0]
    assert chosen.scores.tolist() == [3, 2, 0, 5]
    assert chosen.status == ("other", "ok", "other", "ok")
    assert chosen.seconds == pytest.approx(0.2)


def test_one_picture_is_saved_as_a_file(tmp_path: Path) -> None:
    assert inversion(torch.rand(1, 3, 2, 2)).save(tmp_path / "new" / "x.png") == [tmp_path / "new" / "x.png"]
    with Image.open(tmp_path / "new" / "x.png") as picture:
        assert picture.size == (2, 2)


def test_a_saved_picture_says_what_made_it(tmp_path: Path) -> None:
    (path,) = inversion(torch.rand(1, 3, 2, 2), "channel a:3 \udcff").save(tmp_path / "x.png")
    with Image.open(path) as picture:
        about = picture.text
    assert about["Software"].startswith("inverter ")
    assert (about["objective"], about["status"], about["seed"]) == ("channel a:3 ?", "ok", "0")
    assert json.loads(about["settings"])["steps"] == 4


def test_several_pictures_are_numbered(tmp_path: Path) -> None:
    paths = inversion(torch.rand(2, 3, 2, 2)).save(tmp_path / "x.png")
    assert [path.name for path in paths] == ["x-0000.png", "x-0001.png"]
    assert all(path.is_file() for path in paths)


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"expected a \.png file or a folder"):
        inversion(torch.rand(1, 3, 2, 2)).save(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("channels", "mode", "size"),
    [(1, "L", (5, 4)), (2, "L", (11, 4)), (3, "RGB", (5, 4)), (4, "L", (23, 4)), (6, "L", (17, 9)), (8, "L", (23, 9))],
)
def test_channels_that_are_no_colours_are_tiles_in_rows(channels: int, mode: str, size: tuple[int, int]) -> None:
    picture = to_pil(torch.rand(channels, 4, 5))
    assert (picture.mode, picture.size) == (mode, size)


def test_tiles_are_in_the_order_of_the_channels_and_what_is_left_is_white() -> None:
    picture = to_pil(torch.arange(5)[:, None, None].expand(5, 4, 5) / 5)
    assert picture.size == (17, 9)
    corners = [picture.getpixel((6 * (place % 3), 5 * (place // 3))) for place in range(6)]
    assert corners == [0, 51, 102, 153, 204, 255]


def test_chosen_channels_are_colours(tmp_path: Path) -> None:
    result = inversion(torch.rand(2, 8, 4, 5))
    assert [picture.mode for picture in result.to_pil((5, 3, 1))] == ["RGB", "RGB"]
    for image, path in zip(result.images, result.save(tmp_path, channels=(5, 3, 1)), strict=True):
        with Image.open(path) as picture:
            assert picture.getpixel((2, 1)) == tuple((image[[5, 3, 1], 1, 2] * 255).round().int().tolist())


def test_opacity_must_be_said() -> None:
    assert to_pil(torch.rand(4, 4, 5), alpha=True).mode == "RGBA"
    assert to_pil(torch.rand(2, 4, 5), alpha=True).mode == "LA"
