"""Where the thing is: boxes of maps, and colours that complete them."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from inverter import Model
from recipes.attribution import explain
from recipes.attribution.localization import box_of, graph_cut, located


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
    assert torch.equal(found, graph_cut(picture, heat))  # whatever was drawn at random in between
    assert torch.equal(found, graph_cut(picture, heat * 1e-6))


def test_a_map_in_which_nothing_stands_out_has_no_thing(scene: tuple[Tensor, Tensor]) -> None:
    pytest.importorskip("cv2")
    for flat in (torch.zeros(64, 64), torch.ones(64, 64), torch.full((64, 64), -1.0)):
        assert not graph_cut(scene[0], flat).any()
        assert located("graph-cut", scene[0], flat, 0.2) is None


def test_each_way_has_its_box(scene: tuple[Tensor, Tensor]) -> None:
    pytest.importorskip("cv2")
    picture, _ = scene
    heat = torch.zeros(64, 64)
    heat[28:34, 20:26], heat[0, 0] = 1, 0.4
    around = torch.arange(64).sub(24).square()
    heat += 1e-3 * torch.exp(-(around[:, None] + around) / 400)
    assert located("auto", picture, heat, 0.2) == located("threshold", picture, heat, None) == (28, 20, 34, 26)
    assert located("auto", picture, heat, None) is None
    assert located("none", picture, heat, 0.2) is None
    top, left, bottom, right = located("graph-cut", picture, heat, None) or (0, 0, 0, 0)
    assert bottom - top > 20
    assert right - left > 20


def test_without_opencv_it_is_told_how_to_install_it(
    scene: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs OpenCV: pip install 'inverter\[localization\]'"):
        graph_cut(scene[0], torch.rand(64, 64))


def test_a_map_of_another_size_is_refused(scene: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"expected a picture .* got \(3, 64, 64\) and \(32, 32\)"):
        graph_cut(scene[0], torch.rand(32, 32))


def test_the_fish_is_cut_out(mobilenet: Model, photo: Callable[[str], Tensor]) -> None:
    pytest.importorskip("cv2")
    picture = photo("goldfish")
    fish = picture[0, 0] - picture[0, 2] > 0.2  # gold on green
    (heat,) = explain(mobilenet, picture, "logit:goldfish", "smoothgrad:samples=8")
    found = graph_cut(picture[0], heat)
    assert (found & fish).sum() / (found | fish).sum() > 0.5
