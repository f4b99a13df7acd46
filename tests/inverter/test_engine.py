"""The loop: maximises the objective less the prior's energy, and reports the scores of the final pictures."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, Settings, evaluate, optimize
from objectives import Objective, channel, direction, diverse, diversity, layer, logit, neuron, softmax
from priors import Fourier, Pixels

EXACT = Settings(steps=6, precision="float32", device="cpu")

CLIMBS: dict[str, Objective] = {
    "channel": channel("body", [1, 4, 6]),
    "neuron": neuron("body", [1, 4, 6], y=3, x=[2, 5, 9]),
    "layer": layer("stem.0"),
    "direction": direction("relu#1", torch.eye(8)[:3] + 0.2, power=1),
    "logit": logit([0, 2, 4]),
    "softmax": softmax([0, 2, 4]),
    "combination": 0.5 * channel("body", [1, 4, 6]) + neuron("mix", 5) - 0.1 * layer("stem.0"),
    "diverse": diverse(channel("mix", [3, 3, 3]), "mix", [3, 3, 3]),
    "with diversity": channel("mix", 2) + 0.5 * diversity("mix"),
    "negative": -channel("body", [1, 4, 6]),
}


@pytest.mark.parametrize("objective", CLIMBS.values(), ids=CLIMBS)
@pytest.mark.parametrize("kind", [Fourier, Pixels])
def test_every_objective_is_raised_for_every_picture_through_a_network(tiny_net, objective, kind) -> None:
    start = kind(3, (14, 18))
    start.reset([torch.Generator().manual_seed(seed) for seed in range(3)])
    before = evaluate(tiny_net, objective, start().detach())
    result = optimize(tiny_net, objective, start, Settings(steps=24, precision="float32"), "none")
    assert (result.scores > before + 1e-3).all()


def test_a_result_has_the_same_shape_whatever_the_batch(tiny_net: nn.Module) -> None:
    for count, batch_size in ((1, None), (5, 2), (5, None)):
        result = optimize(
            tiny_net, layer("stem"), Fourier(count, (12, 20)), Settings(steps=3, batch_size=batch_size), "none"
        )
        assert result.images.shape == (count, 3, 12, 20)
        assert result.images.dtype == torch.float32
        assert 0 <= result.images.min() <= result.images.max() <= 1
        assert result.scores.shape == (count,)
        assert result.history.shape == (3, count)
        assert result.status == ("ok",) * count
        assert result.labels == ("layer(stem)",) * count
        assert result.seconds > 0


def test_scores_are_those_of_the_final_pictures_without_augmentation(tiny_net: nn.Module) -> None:
    objective = channel("body", [1, 4, 6])
    result = optimize(tiny_net, objective, Fourier(3, 12), EXACT, "strong")
    assert torch.allclose(result.scores, evaluate(tiny_net, objective, result.images), atol=1e-5)


def test_history_begins_at_the_start_and_climbs(tiny_net: nn.Module) -> None:
    prior = Fourier(2, 12)
    prior.reset([torch.Generator().manual_seed(seed) for seed in range(2)])
    objective = channel("body", [1, 4])
    before = evaluate(tiny_net, objective, prior().detach())
    result = optimize(tiny_net, objective, prior, EXACT, "none")
    assert torch.allclose(result.history[0], before, atol=1e-5)
    assert (result.history[-1] > result.history[0]).all()


def test_the_priors_energy_is_paid(tiny_net: nn.Module) -> None:
    def roughness(weight: float) -> float:
        prior = Pixels(1, 16, total_variation=weight)
        images = optimize(tiny_net, channel("body", 2), prior, Settings(steps=20, precision="float32"), "none").images
        return (images[..., 1:] - images[..., :-1]).square().mean().item()

    assert roughness(100.0) < 0.5 * roughness(0.0)


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_low_precision_maximises_the_same_as_float32(squeezenet: Model, precision: str) -> None:
    channels = [3, 17]

    def activations(precision: str) -> Tensor:
        settings = Settings(steps=8, precision=precision)
        images = optimize(squeezenet, channel("features.9", channels), Fourier(2, 96), settings).images
        with torch.no_grad(), squeezenet.capture(["features.9"]) as capture:
            return capture(squeezenet.normalize(images))["features.9"].mean((2, 3))

    exact, low = activations("float32"), activations(precision)
    assert F.cosine_similarity(exact, low).min() > 0.98


def test_a_real_network_prefers_what_was_made_for_it_to_photographs(squeezenet: Model, photographs: Tensor) -> None:
    channels = [3, 17, 42]
    result = optimize(squeezenet, channel("features.9", channels), Fourier(3, 128), Settings(steps=24))
    for place, number in enumerate(channels):
        responses = evaluate(squeezenet, channel("features.9", number), photographs)
        assert result.scores[place] > 4 * responses.mean()
        assert result.scores[place] > responses.max()
