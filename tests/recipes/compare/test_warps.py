"""Warps of pictures and the same warps of maps: a network without weights of its own follows them exactly."""

import numpy as np
import pytest
import torch

from inverter_errors import BadInput
from recipes.activations.map_geometry import Overlay
from recipes.compare.warped_places import WarpedPlaces, warp_picture
from recipes.compare.warps import Warp


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_warps_are_torchs_flips_and_turns(picture: torch.Tensor) -> None:
    for name, truth in (
        ("hflip", picture.flip(2)),
        ("vflip", picture.flip(1)),
        ("rotate:90", torch.rot90(picture, 1, (1, 2))),
        ("rotate:180", picture.flip(1, 2)),
        ("rotate:-90", torch.rot90(picture, -1, (1, 2))),
    ):
        torch.testing.assert_close(warp_picture(Warp.parse(name), picture), truth, atol=1e-5, rtol=0)


def test_a_scale_enlarges_the_centre() -> None:
    dot = torch.zeros(1, 9, 9)
    dot[0, 4, 4] = 1
    assert warp_picture(Warp.parse("scale:3"), dot)[0, 3:6, 3:6].min() > 0.4
    assert warp_picture(Warp.parse("scale:0.5"), torch.ones(1, 9, 9)).min() > 0.999


@pytest.mark.parametrize("text", ["flip", "rotate", "rotate:360", "scale:9", "scale:1", "hflip:1", "scale:x"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected hflip"):
        Warp.parse(text)


@pytest.mark.parametrize("name", ["hflip", "vflip", "rotate:90", "rotate:17", "scale:1.6", "scale:0.7"])
def test_a_map_of_smooth_pixels_is_warped_like_its_picture(name: str) -> None:
    rows, columns = torch.meshgrid(*2 * [torch.arange(32.0)], indexing="ij")
    picture = torch.stack([rows / 40, columns / 40, rows * columns / 1600])
    warp = Warp.parse(name)
    places = WarpedPlaces(warp, Overlay((16, 16), (0.0, 0.0), (2.0, 2.0), 1), (32, 32), 12)
    pooled = [torch.nn.functional.avg_pool2d(each[None], 2) for each in (picture, warp_picture(warp, picture))]
    origins, targets = places.origins(pooled[0], [5], "pool"), places.targets(pooled[1], [5], "pool")
    assert targets.shape == (1, 12, 3)
    torch.testing.assert_close(origins, targets, atol=0.02, rtol=0)


def test_the_neighbourhood_is_read_row_by_row() -> None:
    maps = torch.arange(25.0).view(1, 1, 5, 5)
    places = WarpedPlaces(Warp.parse("hflip"), Overlay((5, 5), (0.0, 0.0), (1.0, 1.0), 1), (5, 5), 25, 3)
    found = places.origins(maps, [0], "map")[0]
    np.testing.assert_allclose(found[12], [6, 7, 8, 11, 12, 13, 16, 17, 18], atol=1e-4)
    alone = WarpedPlaces(places.warp, places.overlay, places.size, 25).origins(maps, [0], "map")[0]
    np.testing.assert_allclose(found[:, 4], alone[:, 0], atol=1e-4)
    np.testing.assert_allclose(alone[:, 0], maps.flip(3).flatten(), atol=1e-4)


def test_places_that_leave_the_picture_are_not_drawn() -> None:
    overlay = Overlay((8, 8), (0.0, 0.0), (4.0, 4.0), 1)
    assert WarpedPlaces(Warp.parse("hflip"), overlay, (32, 32), 99).rows == 64
    assert WarpedPlaces(Warp.parse("scale:0.5"), overlay, (32, 32), 99).rows == 16
    assert 30 < WarpedPlaces(Warp.parse("rotate:45"), overlay, (32, 32), 99).rows < 64
