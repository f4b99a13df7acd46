"""Gradient ascent raises the score of any objective, on maps and on vectors, with a target for each image."""

import pytest
import torch

from objectives import (
    OUTPUT,
    Activations,
    Objective,
    centred_direction,
    channel,
    direction,
    diverse,
    diversity,
    layer,
    logit,
    neuron,
    softmax,
)

VECTOR = [1.0, -2.0, 0.5, 0.0, 3.0]
VECTORS = torch.eye(5)[:3] + 0.1

ON_BOTH = {
    "channel": channel("a", [0, 3, 4]),
    "one channel": channel("a", 2),
    "neuron": neuron("a", [1, 2, 0]),
    "layer": layer("a"),
    "direction": direction("a", VECTOR),
    "directions": direction("a", VECTORS),
    "direction, centre": direction("a", VECTORS, position="center"),
    "direction, power 1": direction("a", VECTOR, power=1),
    "direction, power 4": direction("a", VECTORS, power=4),
    "direction, position and power": direction("a", VECTOR, position=(0, 0), power=2),
    "centred direction": centred_direction("a", VECTORS, VECTORS - 0.1),
    "logit": logit([4, 0, 1]),
    "softmax": softmax([4, 0, 1]),
    "sum": channel("a", [0, 3, 4]) + 0.5 * logit(1),
    "difference": neuron("a", 1) - 0.1 * layer("a"),
    "product": (channel("a", 0) + 5) * (channel("a", 1) + 5),
    "negative": -channel("a", [0, 3, 4]),
}
ON_MAPS = {
    "neuron at a place": neuron("a", [1, 2, 0], y=[0, 1, 5], x=[3, 0, 6]),
    "diversity": diversity("a"),
    "diversity of groups": diversity("a", groups=[1, 1, 2]),
    "diverse": diverse(channel("a", [2, 2, 2]), "a", groups=[2, 2, 2]),
    "with diversity": channel("a", 2) + 5 * diversity("a"),
}
CASES = [(name, f, shape) for name, f in ON_BOTH.items() for shape in ((3, 5, 6, 7), (3, 5))]
CASES += [(name, f, (3, 5, 6, 7)) for name, f in ON_MAPS.items()]


def climbed(objective: Objective, start: torch.Tensor, steps: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores before and after plain gradient ascent on the activations themselves."""
    activation = start.clone().requires_grad_()
    scores = []
    for _ in range(steps):
        score = objective.score(Activations({"a": activation, OUTPUT: activation}))
        (gradient,) = torch.autograd.grad(score.sum(), activation)
        length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
        with torch.no_grad():
            activation += 0.05 * gradient / length.view(-1, *[1] * (gradient.ndim - 1))
        scores.append(score.detach())
    return scores[0], scores[-1]


@pytest.mark.parametrize(
    ("objective", "shape"), [case[1:] for case in CASES], ids=[f"{c[0]} {len(c[2])}d" for c in CASES]
)
def test_ascent_raises_the_score_of_every_image(objective: Objective, shape: tuple[int, ...]) -> None:
    start = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    before, after = climbed(objective, start)
    assert after.shape == (3,)
    raised = (after - before).tolist()
    if objective is ON_MAPS["diversity of groups"]:
        assert raised[2] == 0  # it is alone in its group
        raised = raised[:2]
    assert min(raised) > 1e-5


@pytest.mark.parametrize("name", list(ON_BOTH))
def test_no_image_gets_a_gradient_from_another_ones_score(name: str) -> None:
    activation = torch.randn(3, 5, 4, 4, generator=torch.Generator().manual_seed(4)).requires_grad_()
    score = ON_BOTH[name].score(Activations({"a": activation, OUTPUT: activation}))
    (gradient,) = torch.autograd.grad(score[1], activation)
    assert gradient[1].abs().sum() > 0
    assert gradient[[0, 2]].abs().sum() == 0


def test_scores_are_float32_whatever_the_network_computes_in() -> None:
    half = torch.randn(3, 5, 6, 7).bfloat16()
    for objective in (ON_BOTH | ON_MAPS).values():
        assert objective.score(Activations({"a": half, OUTPUT: half})).dtype == torch.float32
