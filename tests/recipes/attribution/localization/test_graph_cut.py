"""Object localization: boxes of maps, and masks completed by colours."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from recipes.attribution import explain
from recipes.attribution.localization.graph_cut import box_of, find_box, graph_cut


@pytest.fixture
def scene() -> tuple[Tensor, Tensor]:
    """A red disc and a smaller red square on grainy green; (3, 64, 64), and the disc (64, 64)."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    disc = (y - 30).square() + (x - 24).square() < 14**2
    square = (y > 50) & (y < 58) & (x > 50) & (x < 58)
    red, green = torch.tensor([0.8, 0.1, 0.1])[:, None, None], torch.tensor([0.2, 0.6, 0.2])[:, None, None]
    grain = 0.05 * torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    return (torch.where(disc | square, red, green) + grain).clamp(0, 1), disc


def test_colours_complete_what_the_map_only_hints_at(scene: tuple[Tensor, Tensor]) -> None:
    pytest.importorskip("cv2")
    picture, disc = scene
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    heat = torch.exp(-((y - 27).square() + (x - 20).square()) / 400)  # off the middle, and without an edge
    found = graph_cut(picture, heat)
    assert (found & disc).sum() / (found | disc).sum() > 0.97
    assert not found[51:58, 51:58].any()  # red too, but not of the largest region
    top, left, bottom, right = box_of(found) or (0, 0, 0, 0)
    assert max(abs(top - 17), abs(left - 11), abs(bottom - 44), abs(right - 38)) <= 1
    assert torch.equal(found, graph_cut(picture, heat))  # independent of the random state
    assert torch.equal(found, graph_cut(picture, heat * 1e-6))


def test_a_map_in_which_nothing_stands_out_has_no_thing(scene: tuple[Tensor, Tensor]) -> None:
    pytest.importorskip("cv2")
    for flat in (torch.zeros(64, 64), torch.ones(64, 64), torch.full((64, 64), -1.0)):
        assert not graph_cut(scene[0], flat).any()
        assert box_of(graph_cut(scene[0], flat)) is None


def test_each_mode_has_its_box() -> None:
    heat = torch.zeros(64, 64)
    heat[28:34, 20:26], heat[0, 0] = 1, 0.4
    assert find_box("auto", heat, 0.2) == find_box("threshold", heat, None) == (28, 20, 34, 26)
    assert find_box("auto", heat, None) is None
    assert find_box("none", heat, 0.2) is None


def test_without_opencv_it_error_says_how_to_install_it(
    scene: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs OpenCV: pip install 'inverter-vis\[localization\]'"):
        graph_cut(scene[0], torch.rand(64, 64))


def test_a_map_of_another_size_is_refused(scene: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"expected an image .* got \(3, 64, 64\) and \(32, 32\)"):
        graph_cut(scene[0], torch.rand(32, 32))


@pytest.mark.parametrize("hot", [0.02, 0.1])
def test_a_map_of_two_values_has_a_thing(scene: tuple[Tensor, Tensor], hot: float) -> None:
    """Most pixels of a binary map are 0, or more than 5 % are 1: quantiles alone would give no seeds there."""
    pytest.importorskip("cv2")
    picture, disc = scene
    side = round(64 * hot**0.5)
    heat = torch.zeros(64, 64)
    heat[30 - side // 2 :, 24 - side // 2 :][:side, :side] = 1
    found = graph_cut(picture, heat)
    assert (found & disc).sum() / (found | disc).sum() > 0.9


def test_colours_between_hot_and_cold_are_not_taken_for_background(scene: tuple[Tensor, Tensor]) -> None:
    """Most of the object has medium values: with its colour in the background, only the hot corner would remain."""
    pytest.importorskip("cv2")
    picture, disc = scene
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    heat = torch.exp(-((y - 40).square() + (x - 30).square()) / 300)  # reaches below the disc
    found = graph_cut(picture, heat)
    assert (found & disc).sum() / (found | disc).sum() > 0.8
    assert (found & disc).sum() / disc.sum() > 0.97


def test_grains_are_no_holes(scene: tuple[Tensor, Tensor]) -> None:
    pytest.importorskip("cv2")
    picture, disc = scene
    grains = torch.rand(64, 64, generator=torch.Generator().manual_seed(1)) ** 8
    found = graph_cut(picture, grains * torch.where(disc, 1.0, 0.2))
    assert (found & disc).sum() / (found | disc).sum() > 0.9


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40)])
def test_pictures_of_a_few_pixels(size: tuple[int, int]) -> None:
    pytest.importorskip("cv2")
    generator = torch.Generator().manual_seed(0)
    picture, heat = torch.rand(3, *size, generator=generator), torch.rand(size, generator=generator)
    assert graph_cut(picture, heat).shape == size


@pytest.mark.parametrize(
    ("network", "method", "least"),
    [
        ("mobilenet", "grad-cam", 0.6),
        ("squeezenet", "grad-cam", 0.65),
        ("squeezenet", "saliency", 0.8),
        ("squeezenet", "smoothgrad:samples=6", 0.65),
    ],
)
def test_the_fish_is_cut_out(
    request: pytest.FixtureRequest, photo: Callable[[str], Tensor], network: str, method: str, least: float
) -> None:
    pytest.importorskip("cv2")
    picture = photo("goldfish")
    fish = picture[0, 0] - picture[0, 2] > 0.2  # its gold on green; the fins let the green through
    (heat,) = explain(request.getfixturevalue(network), picture, "logit:goldfish", method)
    found = graph_cut(picture[0], heat)
    overlap = float((found & fish).sum() / (found | fish).sum())
    assert overlap > least, overlap
    assert (found & fish).sum() / fish.sum() > 0.9
