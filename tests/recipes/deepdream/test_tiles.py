"""Tiles: properties of cuts and reflections, and functions applied by tiles."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from recipes.deepdream.tiles import JITTER, by_tiles, cuts, mirrored, reach, shifted_cuts, shortest

sides = st.integers(1, 3000)
tiles = st.integers(32, 700)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(sides, tiles)
def test_cuts_cover_a_side_once_and_are_nearly_equal(side: int, tile: int) -> None:
    pieces = list(cuts(side, tile))
    assert [place for piece in pieces for place in range(*piece)] == list(range(side))
    lengths = [stop - start for start, stop in pieces]
    assert max(lengths) <= tile
    assert max(lengths) - min(lengths) <= 1
    assert len(pieces) == -(-side // tile)


@given(sides, tiles, st.integers(0, 5))
def test_shifted_cuts_cover_the_side_with_pieces_that_all_touch_it(side: int, tile: int, seed: int) -> None:
    pieces = shifted_cuts(side, tile, generator(seed))
    assert -reach(side, tile) <= pieces[0][0] <= 0
    assert side <= pieces[-1][1]
    assert all(before[1] == after[0] for before, after in pairwise(pieces))
    lengths = [stop - start for start, stop in pieces]
    assert max(lengths) <= tile
    assert min(lengths) == shortest(side, tile)
    assert all(stop > 0 and start < side for start, stop in pieces)


@pytest.mark.parametrize(("side", "tile"), [(500, 512), (480, 512), (900, 512), (2160, 512)])
def test_seams_move_over_half_a_tile_unless_there_are_none(side: int, tile: int) -> None:
    found = [shifted_cuts(side, tile, generator(seed)) for seed in range(200)]
    seams = [pieces[0][1] for pieces in found if len(pieces) > 1]
    assert bool(seams) == (side + JITTER > tile)
    assert not seams or max(seams) - min(seams) > 0.45 * tile


@given(st.integers(2, 60), st.integers(0, 59), st.integers(0, 59))
def test_mirrored_is_reflection_padding_of_any_width(side: int, before: int, after: int) -> None:
    places = mirrored(-before, side + after, side)
    assert len(places) == before + side + after
    assert places[before : before + side].tolist() == list(range(side))
    if max(before, after) < side:
        row = torch.arange(float(side))[None, None]
        assert torch.equal(places.float(), F.pad(row, (before, after), mode="reflect")[0, 0])
    assert int((places[1:] - places[:-1]).abs().max()) == 1


def test_a_side_of_one_pixel_is_its_own_mirror_image() -> None:
    assert mirrored(-3, 4, 1).tolist() == [0] * 7


@given(st.integers(1, 150), st.integers(1, 150), st.integers(32, 80), st.integers(0, 3))
def test_a_function_of_single_pixels_is_the_same_by_tiles(height: int, width: int, tile: int, seed: int) -> None:
    picture = torch.rand(1, 3, height, width, generator=generator(seed))
    sizes = list[tuple[int, ...]]()

    def square(part: Tensor) -> Tensor:
        sizes.append(tuple(part.shape))
        return part.square()

    assert torch.equal(by_tiles(picture, square, tile, generator(seed)), picture.square())
    assert all(shape[:2] == (1, 3) and max(shape) <= tile for shape in sizes)


def test_a_tile_is_dead_before_the_next_one_lives() -> None:
    import weakref

    alive: list[weakref.ref[Tensor]] = []

    def function(part: Tensor) -> Tensor:
        assert sum(ref() is not None for ref in alive) == 0
        result = part + 1
        alive.extend((weakref.ref(part), weakref.ref(result)))
        return result

    by_tiles(torch.rand(1, 3, 200, 300), function, 64, generator())
    assert len(alive) > 2 * 15
