"""Several views of a picture in each step, several starts, several tries: the best is kept, in any batch."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from inverter import Progress, Settings, evaluate, optimize
from objectives import Objective, channel, diversity
from priors import Fourier

EXACT = Settings(steps=6, precision="float32", device="cpu")


def test_several_views_are_random_augmentations_of_each_picture(tiny_net: nn.Module) -> None:
    seen: list[int] = []
    objective = Objective("sizes", ("body",), lambda s: seen.append(len(s.image)) or s["body"].mean((1, 2, 3)))
    two = optimize(tiny_net, objective, Fourier(2, 12), Settings(steps=3, views=4, precision="float32"), "strong")
    assert seen == [8, 8, 8, 2]
    assert two.history.shape == (3, 2)
    targets = channel("body", [1, 4])
    settings = Settings(steps=4, views=3, precision="float32", redirect=4)
    both = optimize(tiny_net, targets, Fourier(2, 12), settings, "strong")
    apart = optimize(tiny_net, targets, Fourier(2, 12), replace(settings, batch_size=1), "strong")
    assert torch.allclose(both.images, apart.images, atol=2e-4)


def test_views_of_pictures_that_influence_each_other_are_scored_one_after_the_other(tiny_net: nn.Module) -> None:
    seen: list[int] = []
    objective = Objective(
        "pair", ("body",), lambda s: seen.append(len(s.image)) or s["body"].mean((1, 2, 3)), coupled=True
    )
    optimize(tiny_net, objective, Fourier(2, 12), Settings(steps=2, views=3, precision="float32"), "strong")
    assert seen == [2] * 6 + [2]


def test_identical_views_do_not_change_the_result(tiny_net: nn.Module) -> None:
    one, three = (
        optimize(tiny_net, channel("body", [1, 4]), Fourier(2, 12), replace(EXACT, views=views), "none")
        for views in (1, 3)
    )
    assert torch.allclose(one.images, three.images, atol=2e-4)


class ManyStarts(Fourier):
    starts = 20


def test_the_best_of_several_starts_is_climbed_and_does_not_depend_on_the_batch(tiny_net: nn.Module) -> None:
    objective = channel("body", [1, 4, 6])
    settings = Settings(steps=1, learning_rate=1e-9, precision="float32")
    one = optimize(tiny_net, objective, Fourier(3, 12, spread=1.0), settings, "none")
    many = optimize(tiny_net, objective, ManyStarts(3, 12, spread=1.0), settings, "none")
    assert (many.scores > one.scores).all()
    parts = optimize(tiny_net, objective, ManyStarts(3, 12, spread=1.0), replace(settings, batch_size=2), "none")
    assert torch.allclose(many.images, parts.images, atol=1e-5)
    begun = ManyStarts(3, 12, spread=1.0)
    begun.reset([torch.Generator().manual_seed(seed) for seed in range(3)])
    there = begun().detach().clone()
    kept = optimize(tiny_net, objective, begun, settings, "none")
    assert torch.allclose(kept.images, there, atol=1e-5)  # a prior that has started is not drawn again


def test_the_best_of_several_tries_is_kept_for_each_picture(tiny_net: nn.Module) -> None:
    objective, settings = channel("body", [1, 4, 6, 2]), replace(EXACT, tries=3, steps=3)
    reports: list[Progress] = []
    prior = Fourier(4, 12, spread=1.0)
    best = optimize(tiny_net, objective, prior, settings, "none", reports.append)
    assert torch.allclose(prior().detach(), best.images, atol=1e-6)
    assert torch.allclose(evaluate(tiny_net, objective, best.images), best.scores, atol=1e-5)
    assert [report.step for report in reports] == list(range(1, 10))
    assert {report.steps for report in reports} == {9}
    first = optimize(tiny_net, objective, Fourier(4, 12, spread=1.0), replace(settings, tries=1), "none")
    assert (best.scores >= first.scores).all()
    assert (best.scores > first.scores).any()
    still = replace(settings, learning_rate=1e-9)
    one, three = (
        optimize(tiny_net, objective, Fourier(4, 12, spread=1.0), replace(still, tries=tries), "none").scores
        for tries in (1, 3)
    )
    assert (three > one + 1e-3).any()  # each try starts anew, else they could not differ
    apart = optimize(tiny_net, objective, Fourier(4, 12, spread=1.0), replace(settings, batch_size=1), "none")
    assert torch.allclose(apart.images, best.images, atol=2e-4)


def test_a_prior_that_has_started_is_tried_once_and_coupled_pictures_never_twice(tiny_net: nn.Module) -> None:
    begun = Fourier(1, 12)
    begun.reset([torch.Generator().manual_seed(0)])
    reports: list[Progress] = []
    optimize(tiny_net, channel("body", 1), begun, replace(EXACT, tries=3), "none", reports.append)
    assert len(reports) == EXACT.steps
    pair = channel("mix", 2) + 0.5 * diversity("mix")
    with pytest.raises(ValueError, match="couples its pictures"):
        optimize(tiny_net, pair, Fourier(2, 12), replace(EXACT, tries=2), "none")
