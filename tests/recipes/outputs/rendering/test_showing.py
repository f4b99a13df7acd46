"""What picture files show of many channels, and the arrays that keep them."""

import pytest
import torch

from recipes.outputs.rendering.showing import Showing

IMAGE = torch.arange(8.0)[:, None, None].expand(8, 2, 3) / 8


def test_chosen_channels_are_shown_in_their_order_and_opacity_stays_last() -> None:
    shown = Showing((5, 3, 1)).picture(IMAGE)
    assert shown[:, 0, 0].tolist() == [5 / 8, 3 / 8, 1 / 8]
    with_opacity = torch.cat([IMAGE, torch.ones(1, 2, 3)])
    assert Showing((5,)).picture(with_opacity, alpha=True)[:, 0, 0].tolist() == [5 / 8, 1.0]


@pytest.mark.parametrize(
    ("channels", "expected"), [((), [3.5 / 8]), ((5, 3, 1), [5 / 8, 3 / 8, 1 / 8]), ((0, 7), [3.5 / 8])]
)
def test_merged_pictures_are_one_tile(channels: tuple[int, ...], expected: list[float]) -> None:
    assert Showing(channels, merged=True).picture(IMAGE)[:, 0, 0].tolist() == expected


def test_arrays_keep_what_a_file_does_not_show() -> None:
    grey, colours = torch.rand(1, 2, 3), torch.rand(3, 2, 3)
    assert Showing().array(grey) is None
    assert Showing().array(colours) is None
    assert torch.equal(Showing().array(IMAGE), IMAGE)
    assert torch.equal(Showing((0,)).array(colours), colours)
    assert Showing().array(torch.rand(4, 2, 3), alpha=True) is None
    values = Showing(value_range=(-80.0, 0.0)).array(grey)
    assert values is not None
    assert torch.allclose(values, -80 + 80 * grey)
