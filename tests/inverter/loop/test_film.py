"""Films: they show the pictures on the way, and leave them as they are."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import priors
from inverter import BadInput, Film, Model, NotFound, Progress, Settings, load_model, optimize
from objectives import channel
from priors import Fourier


@pytest.fixture
def net() -> Model:
    torch.manual_seed(0)
    return load_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), input_size=12)


@pytest.mark.parametrize(
    ("prior", "options"),
    [
        ("Pixels", {}),
        ("Fourier", {}),
        ("Pyramid", {}),
        ("Maco", {}),
        ("Cppn", {"width": 4}),
        ("DeepImage", {"channels": (4, 4)}),
    ],
)
def test_a_filmed_picture_is_the_same_bit_for_bit(net: Model, prior: str, options: dict[str, Any]) -> None:
    def found(progress: Callable[[Progress], None] | None) -> Tensor:
        made = getattr(priors, prior)(2, 32, **options)
        return optimize(net, channel("0", [0, 1]), made, Settings(steps=4), progress=progress).images

    assert torch.equal(found(None), found(Film(4)))


def test_each_picture_has_its_film_whatever_its_batch(net: Model) -> None:
    film, passed = Film(4), []
    film.progress = passed.append
    settings = Settings(steps=9, batch_size=2)
    for _ in range(2):  # the second call replaces the films of the first
        found = optimize(net, channel("0", [0, 1, 2]), Fourier(3, 12), settings, "none", film)
    assert len(passed) == 36
    for index, image in enumerate(found.images):
        frames = film.of(index, image)
        assert frames.shape == (4, 3, 12, 12)
        assert torch.equal(frames[-1], image)
        steps = (frames[1:] - frames[:-1]).abs().mean((1, 2, 3))
        assert (steps > 0.001).all()
    with pytest.raises(NotFound, match="no picture 3: it has 3"):
        film.of(3, found.images[0])


def test_of_several_tries_the_film_is_that_of_the_picture(net: Model) -> None:
    film, ends = Film(3), []
    film.progress = lambda at: ends.append(at.images) if at.step in (6, 12) else None
    found = optimize(net, channel("0", [0, 1, 2]), Fourier(3, 12), Settings(steps=6, tries=2), "none", film)
    kept = [[torch.equal(end[index], image) for end in ends] for index, image in enumerate(found.images)]
    assert all(sum(row) == 1 for row in kept)
    for index, image in enumerate(found.images):
        start, *_, end = film.of(index, image)
        assert torch.equal(end, image)
        best = film._kept[index][kept[index].index(True)]
        assert torch.equal(start, best[0] / 255)


def test_one_step_is_one_frame(net: Model) -> None:
    film = Film()
    found = optimize(net, channel("0", 1), Fourier(1, 12), Settings(steps=1), progress=film)
    assert torch.equal(film.of(0, found.images[0]), found.images)


def test_fewer_than_two_frames_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 2, got 1"):
        Film(1)
