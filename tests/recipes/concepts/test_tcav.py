"""TCAV scores: by hand, as Captum has them, and their significance."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inverter import Model
from objectives import logit
from recipes.concepts.tcav import compare_with_random, difference_probability, sensitivity_gradients, tcav_scores

IMAGES = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_a_pooled_gradient_is_the_derivative_as_all_places_move(tiny_net: nn.Module) -> None:
    model, vector = Model(tiny_net, input_size=(16, 16)), torch.linspace(-1, 1, 8)
    gradients = sensitivity_gradients(model, IMAGES, logit(2), "stem", pooled=True)

    def moved(step: float) -> Tensor:
        handle = tiny_net.stem.register_forward_hook(lambda _m, _i, out: out + step * vector[:, None, None])
        try:
            return tiny_net(model.normalize(IMAGES))[:, 2]
        finally:
            handle.remove()

    with torch.no_grad():
        slope = (moved(1e-3) - moved(-1e-3)) / 2e-3
    np.testing.assert_allclose(gradients @ vector.numpy(), slope.numpy(), rtol=0.02, atol=1e-3)


def test_it_has_the_scores_of_captum(tiny_net: nn.Module, tmp_path: Path) -> None:
    from captum.concept import TCAV, Concept
    from captum.concept._utils.data_iterator import dataset_to_dataloader

    model, draw = Model(tiny_net, input_size=(16, 16)), torch.Generator().manual_seed(1)
    pictures = [torch.rand(12, 3, 16, 16, generator=draw) * scale for scale in (0.4, 1.0, 0.7)]
    sets = [
        Concept(index, f"c{index}", dataset_to_dataloader(list(model.normalize(each))))
        for index, each in enumerate(pictures)
    ]
    with warnings.catch_warnings(action="ignore"):  # of its classifier's memory
        captum = TCAV(tiny_net, ["body", "mix"], save_path=str(tmp_path))
        pairs = [[sets[0], sets[1]], [sets[2], sets[1]]]
        theirs = captum.interpret(model.normalize(IMAGES), pairs, target=3)
    for layer in ("body", "mix"):
        gradients = sensitivity_gradients(model, IMAGES, logit(3), layer, pooled=False)
        for pair in ("0-1", "2-1"):
            stats = captum.cavs[pair][layer].stats
            scores, magnitudes = tcav_scores(gradients, stats["weights"].numpy())
            order = [list(stats["classes"]).index(int(concept)) for concept in pair.split("-")]
            np.testing.assert_allclose(scores[order], theirs[pair][layer]["sign_count"].numpy(), atol=1e-6)
            np.testing.assert_allclose(
                magnitudes[order], theirs[pair][layer]["magnitude"].numpy(), rtol=1e-3, atol=1e-6
            )


def test_a_concept_on_which_the_class_depends_differs_from_random_vectors() -> None:
    draw = np.random.default_rng(0)
    gradients = draw.normal(size=(40, 10)) + 3 * np.eye(10)[0]
    random = draw.normal(size=(20, 10))
    concept, neutral = np.eye(10)[0] + 0.1 * draw.normal(size=(20, 10)), draw.normal(size=(20, 10))
    found, other = compare_with_random(gradients, concept, random), compare_with_random(gradients, neutral, random)
    assert found.score > 0.99
    assert found.p < 1e-3
    assert other.p > 0.05
    assert 0.3 < found.random < 0.7
    assert found.magnitude == pytest.approx(3, rel=0.1)


def test_scores_without_spread_are_compared() -> None:
    assert difference_probability([1.0, 1.0], [0.0, 0.0]) == 0.0
    assert difference_probability([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert difference_probability([1.0, 1.0], [0.0, 1.0]) > 0.2
