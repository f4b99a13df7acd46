"""On a pretended GPU the engine finds the same as on the CPU, mixes no devices, and does not wait."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from inverter import Inversion, Model, Settings, encode, load_model, optimize
from inverter.isolation.determinism import deterministic
from inverter.scoring import evaluate
from objectives import (
    Objective,
    channel,
    code,
    direction,
    diverse,
    diversity,
    known_pixels,
    layer,
    logit,
    neuron,
    softmax,
)
from priors import (
    Accentuate,
    Cppn,
    Decoder,
    DeepImage,
    Fourier,
    GanLatent,
    Maco,
    Pixels,
    PlugAndPlay,
    Prior,
    Pyramid,
)
from tests.pretended import PretendedDevice

pytestmark = pytest.mark.usefixtures("float32_alone")
SIZE = 20


class Dwarf(nn.Module):
    """The layers of mobile networks: a first convolution with a stride, depthwise ones, ReLU6, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU6(inplace=True))
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.deep(self.first(x))).mean((2, 3)))


@pytest.fixture(scope="module")
def model() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return load_model(Dwarf().eval(), input_size=SIZE, device="cpu")


@pytest.fixture
def pictures() -> Tensor:
    """(2, 3, SIZE, SIZE) in [0, 1]."""
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def found(
    model: Model, objective: Objective, prior: Callable[[], Prior], augment: object = "standard", **settings: object
) -> tuple[Inversion, Inversion, PretendedDevice]:
    """The results on the CPU and on the pretended GPU."""
    # On a GPU the engine knows a step later which pictures get no gradient.
    chosen = Settings(**({"steps": 4, "redirect": 0} | settings))
    here = optimize(model, objective, prior(), chosen, augment)
    with PretendedDevice() as gpu:
        there = optimize(model.on("cuda"), objective, prior(), chosen, augment)
    assert {there.images.device.type, there.scores.device.type, there.history.device.type} == {"cpu"}
    assert gpu.copies.total() > 0  # it was there
    return here, there, gpu


def assert_same(here: Inversion, there: Inversion) -> None:
    assert there.status == here.status == ("ok",) * len(here)
    torch.testing.assert_close(there.images, here.images, rtol=0, atol=2e-3)
    torch.testing.assert_close(there.scores, here.scores, rtol=1e-2, atol=1e-4)
    torch.testing.assert_close(there.history, here.history, rtol=1e-2, atol=1e-4)


def _generator() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 3 * 8 * 8), nn.Unflatten(1, (3, 8, 8)), nn.Sigmoid())


def _decoder() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2), nn.Sigmoid())


def _few(prior: Prior) -> Prior:
    prior.starts = 6  # type: ignore[misc]
    return prior


PRIORS: dict[str, Callable[[], Prior]] = {
    "fourier": lambda: Fourier(2, SIZE),
    "pixels": lambda: Pixels(2, SIZE, l2=1.0, alpha_norm=1.0, total_variation=1.0, blur=0.5, bound=0.4),
    "pyramid": lambda: Pyramid(2, SIZE),
    "maco": lambda: Maco(2, 2 * SIZE),
    "cppn": lambda: Cppn(2, SIZE, depth=3),
    "deep-image": lambda: DeepImage(2, SIZE, channels=(4, 4), inputs=4, skip=2),
    "gan": lambda: _few(GanLatent(2, SIZE, _generator(), 6, penalty=0.1)),
    "bundled gan": lambda: _few(GanLatent(2, SIZE)),
    "plug-and-play": lambda: _few(PlugAndPlay(2, SIZE, _generator(), 6, denoiser=nn.Linear(6, 6))),
    "decoder": lambda: Decoder(2, SIZE, _decoder(), penalty=0.1, overshoot=1.0),
    "accentuate": lambda: Accentuate(torch.full((2, 3, SIZE, SIZE), 0.4), features=nn.Conv2d(3, 2, 3)),
}


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_finds_the_same(model: Model, prior: str, optimizer: str) -> None:
    def make() -> Prior:
        torch.manual_seed(2)
        return PRIORS[prior]()

    here, there, _ = found(model, channel("deep", [0, 3]), make, optimizer=optimizer)
    assert_same(here, there)


OBJECTIVES: dict[str, Callable[[Model, Tensor], Objective]] = {
    "channel": lambda *_: channel("deep.0", 2),
    "channel and minus another": lambda *_: channel("deep", [2, 3]) - 0.5 * channel("first", [1, 0]),
    "neuron": lambda *_: neuron("deep", [1, 2]),
    "neuron at a place": lambda *_: neuron("deep", 1, y=[2, 3], x=4),
    "neuron in a row": lambda *_: neuron("deep", [1, 2], y=3),
    "layer": lambda *_: layer("first"),
    "logit": lambda *_: logit([1, 4]),
    "softmax": lambda *_: softmax([1, 4]),
    "code": lambda model, pictures: code("pool", encode(model, pictures, "pool")["pool"]),
    "codes": lambda model, pictures: (
        code("pool", encode(model, pictures, "pool")["pool"], "cosine")
        + code("first", encode(model, pictures, "first")["first"], "l1")
    ),
    "direction": lambda *_: direction("deep", torch.arange(16.0).view(2, 8), "center", power=2),
    "diversity": lambda *_: channel("deep", 1) + diversity("deep"),
    "diverse": lambda *_: diverse(channel("deep", [1, 1]), "deep", [0, 0]),
    "pixels": lambda _, pictures: known_pixels(pictures, (pictures[:, :1] > 0.3).float()),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_is_climbed_alike_and_sends_no_targets_again(
    model: Model, pictures: Tensor, objective: str
) -> None:
    target = OBJECTIVES[objective](model, pictures)
    here, there, few = found(model, target, lambda: Fourier(2, SIZE))
    assert_same(here, there)
    *_, many = found(model, OBJECTIVES[objective](model, pictures), lambda: Fourier(2, SIZE), steps=9)
    assert few.waits == many.waits
    assert few.copies.total() == many.copies.total()


def _kornia() -> nn.Module:
    from kornia.augmentation import ColorJiggle, RandomAffine, RandomHorizontalFlip

    return nn.Sequential(RandomAffine(10.0, (0.1, 0.1)), RandomHorizontalFlip(), ColorJiggle(0.1, 0.1, p=1.0))


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("augment", ["none", "light", "strong", "wide", "kornia"])
def test_every_augmentation_shows_the_same(model: Model, augment: str, views: int) -> None:
    shown = _kornia() if augment == "kornia" else augment
    assert_same(*found(model, channel("deep", [0, 3]), lambda: Fourier(2, SIZE), shown, views=views)[:2])


def test_batches_and_tries_find_the_same(model: Model) -> None:
    here, there, _ = found(model, channel("deep", range(5)), lambda: Fourier(5, SIZE), batch_size=2, tries=2)
    assert_same(here, there)


def test_a_unit_that_is_silent_everywhere_is_reached_without_a_wait() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(inplace=True))
    with torch.no_grad():
        network[0].weight.fill_(0.1)
        network[0].bias.copy_(torch.tensor([0.05, -1.5]))  # the second is far below 0 on a grey picture

    def reached(steps: int) -> tuple[Inversion, PretendedDevice]:
        settings = Settings(steps=12, redirect=steps, learning_rate=0.1, device="cuda")
        with PretendedDevice() as gpu:
            return optimize(network, channel("1", [0, 1]), Pixels(2, 8), settings, "none"), gpu

    (without, few), (redirected, many) = reached(0), reached(8)
    assert without.scores[1] == 0
    assert redirected.scores[1] > 0
    assert torch.equal(redirected.images[0], without.images[0])
    assert many.waits == few.waits


def test_what_is_measured_is_the_same(model: Model, pictures: Tensor) -> None:
    target, reads = logit([1, 2]), ["first", "pool", ""]
    with PretendedDevice():
        moved = model.on("cuda")
        assert moved.device.type == "cuda"
        assert moved.sha256 == model.sha256
        scores, codes = evaluate(moved, target, pictures), encode(moved, pictures, reads)
        held = evaluate(moved, target, pictures.to("cuda"))
    torch.testing.assert_close(scores, evaluate(model, target, pictures))
    torch.testing.assert_close(held, scores)
    torch.testing.assert_close(codes, encode(model, pictures, reads))


def test_a_prior_may_start_from_a_picture_on_the_device(model: Model, pictures: Tensor) -> None:
    for start in (Fourier.from_image, Pixels.from_image, partial(Maco.from_image, keep_magnitude=True)):
        known = optimize(model, logit([1, 2]), start(pictures), Settings(steps=2, redirect=0))
        with PretendedDevice():
            prior = start(pictures.to("cuda"))
            there = optimize(model.on("cuda"), logit([1, 2]), prior, Settings(steps=2, redirect=0))
        torch.testing.assert_close(there.images, known.images, rtol=0, atol=2e-3)


@pytest.mark.parametrize("redirect", [0, 16])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("prior", ["fourier", "pixels", "pyramid", "maco"])
def test_the_host_waits_no_more_often_for_more_steps(model: Model, prior: str, optimizer: str, redirect: int) -> None:
    def waits(steps: int) -> PretendedDevice:
        settings = Settings(steps=steps, redirect=redirect, optimizer=optimizer)
        with PretendedDevice() as gpu:
            optimize(model.on("cuda"), channel("deep", [0, 3]), PRIORS[prior](), settings)
        return gpu

    waits(1)  # what is kept for the process is sent once
    few, many = waits(20), waits(28)
    assert many.waits == few.waits
    assert few.waits.total() > 0  # the results came back
    assert many.copies.total() == few.copies.total()


def test_the_host_does_not_wait_to_compare_starts(model: Model) -> None:
    def waits(starts: int) -> PretendedDevice:
        prior = GanLatent(2, SIZE, _generator(), 6)
        prior.starts = starts  # type: ignore[misc]
        with PretendedDevice() as gpu:
            optimize(model.on("cuda"), channel("deep", [0, 3]), prior, Settings(steps=1, redirect=0))
        return gpu

    assert waits(9).waits == waits(3).waits


@pytest.mark.parametrize("prior", [name for name in PRIORS if "gan" not in name and name != "plug-and-play"])
def test_the_deterministic_mode_has_a_gradient_for_every_prior_but_generators(model: Model, prior: str) -> None:
    torch.manual_seed(2)
    made = PRIORS[prior]()
    with PretendedDevice(), deterministic():
        there = optimize(model.on("cuda"), channel("deep", [0, 3]), made, Settings(steps=2, redirect=0), "strong")
    torch.manual_seed(2)
    here = optimize(model, channel("deep", [0, 3]), PRIORS[prior](), Settings(steps=2, redirect=0), "strong")
    assert_same(here, there)


def test_a_trained_network_finds_the_same(squeezenet: Model) -> None:
    assert_same(*found(squeezenet, channel("features.5", [3, 4]), lambda: Fourier(2, 64), steps=3)[:2])
