"""The synthetic images: pure, bounded, antialiased, every class distinct."""

import pytest
import torch
import torch.nn.functional as F

from inverter.sources.builtin import categories
from tools.bundled import world
from tools.bundled.stream import Chunks, stream

ALL = torch.arange(len(world.CLASSES))


def test_pictures_are_functions_of_seed_and_index() -> None:
    one, label = world.pictures(3, 0, 60, size=32)
    again, _ = world.pictures(3, 0, 60, size=32)
    part, part_label = world.pictures(3, 50, 10, size=32)
    assert torch.equal(one, again)
    torch.testing.assert_close(part, one[50:], atol=1e-5, rtol=0)
    assert torch.equal(part_label, label[50:])


def test_seeds_and_indices_differ() -> None:
    count = len(world.CLASSES)
    one, _ = world.pictures(1, 0, 2 * count, size=32)
    other, _ = world.pictures(2, 0, count, size=32)
    assert ((one[:count] - other).abs().mean((1, 2, 3)) > 0.01).all()
    assert ((one[:count] - one[count:]).abs().mean((1, 2, 3)) > 0.01).all()


@pytest.mark.parametrize("clutter", [0.0, 0.5, 1.0])
def test_every_class_is_drawn_in_range(clutter: float) -> None:
    picture, label = world.pictures(4, 0, len(world.CLASSES), clutter=clutter)
    assert picture.shape == (len(world.CLASSES), 3, 128, 128) and picture.dtype == torch.float32
    assert torch.equal(label, ALL)
    assert float(picture.min()) >= 0 and float(picture.max()) <= 1
    assert (picture.std((1, 2, 3)) > 0.03).all(), "a picture is all but blank"


def test_pictures_are_antialiased() -> None:
    u = world.numbers(5, 0, len(world.CLASSES))
    coarse = world.draw(ALL, u, size=48, clutter=0.0)
    fine = F.avg_pool2d(world.draw(ALL, u, size=192, clutter=0.0), 4)
    jagged = world.draw(ALL, u, size=192, clutter=0.0)[:, :, 2::4, 2::4]
    error, without = (coarse - fine).abs().mean((1, 2, 3)), (jagged - fine).abs().mean((1, 2, 3))
    assert (error < 0.02).all(), {world.CLASSES[k]: round(float(error[k]), 4) for k in (error >= 0.02).nonzero()[:, 0]}
    assert error.mean() < 0.6 * without.mean()


def test_plain_pictures_need_the_pose_alone() -> None:
    u = world.numbers(6, 0, len(world.CLASSES))
    other = u.clone()
    other[:, world.POSE :] = 0.5
    assert torch.equal(world.draw(ALL, u, 32, clutter=0.0), world.draw(ALL, other, 32, clutter=0.0))
    assert not torch.equal(world.draw(ALL, u, 32), world.draw(ALL, other, 32))


def test_wrong_arguments_are_explained() -> None:
    u = world.numbers(0, 0, 2)
    with pytest.raises(ValueError, match="expected labels"):
        world.draw(ALL[:3], u)
    with pytest.raises(ValueError, match="labels must lie in"):
        world.draw(torch.tensor([0, 99]), u)
    with pytest.raises(ValueError, match="expected clutter"):
        world.draw(ALL[:2], u, clutter=2.0)


def test_chunks_hold_every_class_and_depend_on_their_number_alone() -> None:
    chunks = Chunks(seed=0, count=3, per_class=2, plain=1, size_of=lambda _: 16, classes=8)
    image, label = chunks[1]
    assert image.dtype == torch.uint8 and image.shape == (16, 3, 16, 16)
    assert label.bincount().tolist() == [2] * 8
    (number, later, _), *_ = stream(chunks, len(chunks), 1, workers=0)
    assert number == 1 and torch.equal(later, image)
    with pytest.raises(IndexError):
        chunks[3]


def test_the_networks_categories_are_the_worlds_classes() -> None:
    assert categories() == world.CLASSES
    assert len(world.CLASSES) == len(set(world.CLASSES)) >= 48
