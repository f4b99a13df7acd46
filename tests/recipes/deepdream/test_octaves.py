"""The DeepDream algorithm: octaves, preconditioned gradients, balanced weights, and dreams of trained networks."""

import math
import weakref
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from inverter import Model, evaluate
from objectives import Activations, Objective, channel, layer
from recipes.deepdream.octaves import (
    SMALLEST,
    START,
    add_detail,
    balanced,
    dream,
    octave_sizes,
    precondition,
    zoomed,
)


def model_of(net: nn.Module) -> Model:
    return Model(net, normalize="half", input_size=(48, 48))


def waves(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 9, height), torch.linspace(0, 7, width), indexing="ij")
    return (0.5 + 0.2 * torch.stack([x.sin(), y.cos(), (x + y).sin()]))[None]


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_octaves_grow_to_the_size_itself() -> None:
    assert octave_sizes((400, 300), 3, 2.0) == [(100, 75), (200, 150), (400, 300)]
    assert octave_sizes((20, 3000), 5, 1.4) == [(20, 3000)]  # too flat for smaller ones
    assert [len(octave_sizes((side, side), None, 1.4)) for side in (100, 256, 384, 2160)] == [1, 3, 4, 9]


@given(st.integers(1, 4000), st.integers(1, 4000), st.none() | st.integers(1, 8), st.floats(1.05, 4))
def test_octaves_keep_the_form_and_are_never_too_small(
    height: int, width: int, octaves: int | None, scale: float
) -> None:
    sizes = octave_sizes((height, width), octaves, scale)
    assert sizes[-1] == (height, width)
    assert octaves is None or 1 <= len(sizes) <= octaves
    assert sizes == sorted(sizes)
    least = SMALLEST if octaves else START
    assert all(min(size) >= least for size in sizes[:-1])
    assert octaves or min(sizes[0]) < least * scale + 1  # none that would still fit is left out
    assert all(abs(size[0] * width - size[1] * height) <= height + width for size in sizes)


@pytest.mark.parametrize("size", [(60, 90), (97, 51), (48, 48)])
def test_it_raises_the_score_and_stays_a_picture(tiny_net: nn.Module, size: tuple[int, int]) -> None:
    model, image = model_of(tiny_net), waves(*size)
    before = image.clone()
    for parts in (
        [(layer("body"), 1.0)],
        [(channel("body", 3), 2.0)],
        [(layer("mix"), 0.5), (channel("stem", 1), 1.0)],
    ):
        dreamt = dream(model, image, parts, octaves=2, steps=3, tile=40, precision="float32")
        assert dreamt.shape == image.shape
        assert float(dreamt.min()) >= 0
        assert float(dreamt.max()) <= 1
        for part, _ in parts:
            assert evaluate(model, part, dreamt).item() > evaluate(model, part, image).item()
    assert torch.equal(image, before)


def test_one_tile_is_alive_at_a_time_and_none_is_larger_than_its_limit(tiny_net: nn.Module) -> None:
    shapes: list[torch.Size] = []
    alive: list[weakref.ref[Tensor]] = []

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert not any(ref() is not None for ref in alive)
        shapes.append(inputs[0].shape)
        alive[:] = [weakref.ref(inputs[0]), weakref.ref(output)]

    handle = tiny_net.get_submodule("stem").register_forward_hook(hook)
    parts = [(layer("body"), 1.0), (channel("mix", 2), 1.0)]
    dream(model_of(tiny_net), waves(150, 230), parts, octaves=2, steps=1, tile=64, precision="float32")
    handle.remove()
    assert len(shapes) > 3 * (3 * 4 + 2 * 3)  # a step, and a measurement for each part, in two octaves
    assert all(shape[:2] == (1, 3) and min(shape[2:]) >= 32 and max(shape) <= 64 for shape in shapes)


def test_a_gradient_of_zero_is_an_error(tiny_net: nn.Module) -> None:
    dead = Objective("dead", ("stem",), lambda activations: 0 * activations["stem"].mean((1, 2, 3)))
    with pytest.raises(ValueError, match="dead has a gradient of zero for this picture"):
        dream(model_of(tiny_net), waves(60, 60), [(dead, 1.0)], octaves=1, steps=2)


def test_a_gradient_that_is_not_finite_is_an_error(tiny_net: nn.Module) -> None:
    broken = Objective("broken", ("stem",), lambda activations: math.inf * activations["stem"].mean((1, 2, 3)))
    with pytest.raises(ValueError, match="not finite"):
        dream(model_of(tiny_net), waves(60, 60), [(broken, 1.0)], octaves=1, steps=1, precision="float32")


def test_the_same_seed_dreams_the_same(tiny_net: nn.Module) -> None:
    model, image = model_of(tiny_net), waves(60, 60)

    def once(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return dream(
            model, image, [(layer("body"), 1.0)], 1, steps=2, tile=32, generator=generator, precision="float32"
        )

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))


def test_a_weight_does_not_depend_on_the_scale_of_its_part(tiny_net: nn.Module) -> None:
    model, image = model_of(tiny_net), waves(60, 60)

    def once(factor: float, weight: float = 0.5) -> Tensor:
        parts = [(layer("stem"), 1.0), (factor * layer("mix"), weight)]
        return dream(model, image, parts, octaves=1, steps=3, precision="float32")

    assert torch.allclose(once(1.0), once(1e4), atol=1e-4)
    assert not torch.allclose(once(1.0), once(1.0, 5.0), atol=1e-2)


def test_balanced_parts_count_as_their_weights_say() -> None:
    scales = {"layer(a)": 10.0, "layer(b)": 0.1, "layer(c)": 0.0}
    activations = Activations({address: torch.ones(1, 1, 1, 1) for address in "abc"})
    parts = [(layer("a"), 2.0), (layer("b"), -1.0), (layer("c"), 7.0)]
    objective = balanced(parts, lambda part: scales[part.name])
    assert objective.score(activations).item() == pytest.approx(2 / 10 - 1 / 0.1)
    assert balanced(parts[:1], lambda _: pytest.fail("one part needs no scale")).score(activations).item() == 2


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 9))
def test_a_preconditioned_gradient_points_upward(height: int, width: int, seed: int) -> None:
    gradient = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    assert float((gradient * precondition(gradient)).sum()) > 0


def test_preconditioning_prefers_the_coarse_and_the_bright() -> None:
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    fine = ((x + y) % 2 * 2.0 - 1).expand(1, 3, 64, 64)
    coarse = ((x // 32 + y // 32) % 2 * 2.0 - 1).expand(1, 3, 64, 64)
    colourful = torch.tensor([1.0, 0.0, -1.0])[:, None, None] * coarse
    gains = [float(precondition(part).std() / part.std()) for part in (fine, coarse, colourful)]
    assert gains[1] > 3 * gains[0]
    assert gains[1] > 2 * gains[2]
    guided_gains = [float(precondition(part, natural_colours=False).std() / part.std()) for part in (coarse, colourful)]
    assert guided_gains[0] == pytest.approx(guided_gains[1])


def test_the_detail_of_a_dream_is_transferred_to_another_size() -> None:
    image = waves(80, 120)
    small = nn.functional.interpolate(image, (40, 60), mode="bilinear", antialias=True)
    assert torch.allclose(add_detail(small, image, (80, 120)), image, atol=1e-6)
    brighter = add_detail(small + 0.1, image, (80, 120))
    assert torch.allclose(brighter, image + 0.1, atol=1e-6)
    same = add_detail(image, image, (80, 120))
    assert torch.equal(same, image)
    assert same.data_ptr() != image.data_ptr()


def test_zooming_keeps_the_middle() -> None:
    image = waves(41, 61)
    assert torch.allclose(zoomed(image, 1.0), image, atol=1e-5)
    near = zoomed(image, 2.0)
    assert near.shape == image.shape
    assert torch.allclose(near[0, :, 20, 30], image[0, :, 20, 30], atol=1e-3)
    assert torch.allclose(near[0, :, 10, 10], image[0, :, 15, 20], atol=1e-2)


QUICK: dict[str, Any] = {"octaves": 2, "steps": 4, "precision": "float32"}


@pytest.mark.parametrize(("address", "factor"), [("features.4", 1.3), ("features.9", 1.5), ("features.12", 2.0)])
def test_a_trained_layer_responds_more_to_its_dream_which_stays_the_photo(
    squeezenet: Model, photographs: Tensor, address: str, factor: float
) -> None:
    for photo in photographs[[2, 7]].split(1):
        dreamt = dream(squeezenet, photo, [(layer(address), 1.0)], **QUICK)
        scores = [evaluate(squeezenet, layer(address), picture).item() for picture in (photo, dreamt)]
        assert scores[1] > factor * scores[0]
        assert correlation(photo, dreamt) > 0.98
        psnr = -10 * math.log10(float((dreamt - photo).square().mean()))
        assert 25 < psnr < 36


def means(model: Model, picture: Tensor, address: str = "features.9") -> Tensor:
    """The mean of each channel, (C,)."""
    with torch.no_grad(), model.capture([address]) as capture:
        return capture(model.normalize(picture))[address].mean((0, 2, 3))


def test_a_channel_is_raised_most_by_its_own_dream(squeezenet: Model, photographs: Tensor) -> None:
    channels, photo = [3, 17, 42], photographs[7:8]
    before = means(squeezenet, photo)
    rises = []
    for c in channels:
        dreamt = dream(squeezenet, photo, [(channel("features.9", c), 1.0)], **QUICK)
        rises.append((means(squeezenet, dreamt) - before)[channels])
    rise = torch.stack(rises)
    assert rise.argmax(0).tolist() == [0, 1, 2]
    own, others = rise.diag(), (rise.sum(0) - rise.diag()) / 2
    assert bool((own > 2 * others).all())


def test_a_weight_is_a_share_across_layers_of_other_scales(squeezenet: Model, photographs: Tensor) -> None:
    photo, addresses = photographs[2:3], ("features.4", "features.9")
    rises = []
    for weights in ((1.0, 0.1), (1.0, 1.0), (0.1, 1.0)):
        parts = [(layer(address), weight) for address, weight in zip(addresses, weights, strict=True)]
        dreamt = dream(squeezenet, photo, parts, **QUICK)
        rises.append(
            [(evaluate(squeezenet, part, dreamt) / evaluate(squeezenet, part, photo)).item() for part, _ in parts]
        )
    assert rises[0][0] > rises[1][0] > rises[2][0] > 1
    assert 1 < rises[0][1] < rises[1][1] < rises[2][1]


def test_tiles_dream_what_the_full_picture_dreams(squeezenet: Model, photographs: Tensor) -> None:
    photo = nn.functional.interpolate(photographs[2:3], (320, 320), mode="bicubic").clamp(0, 1)
    parts = [(layer("features.4"), 1.0)]
    full, tiled = (
        dream(squeezenet, photo, parts, octaves=1, steps=4, tile=tile, precision="float32") for tile in (512, 160)
    )
    assert correlation(full - photo, tiled - photo) > 0.5
    scores = [evaluate(squeezenet, parts[0][0], picture).item() for picture in (photo, full, tiled)]
    assert scores[2] - scores[0] > 0.8 * (scores[1] - scores[0])
