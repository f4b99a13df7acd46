"""The loop: climbs, draws the same for a unit in whichever batch it runs, and leaves the user's network as it was."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Inversion, Model, Settings, Tick, evaluate, load_model, optimize
from inverter.engine import default_batch, unit_seeds
from objectives import Objective, channel, code, direction, diverse, diversity, layer, logit, neuron, softmax
from priors import Fourier, Pixels, Prior

EXACT = Settings(steps=6, precision="float32", device="cpu")
UNITS = [3, 0, 5, 7, 1, 6, 2, 4]


def made(net: nn.Module, channels: list[int], batch_size: int | None = None, **options: object) -> Inversion:
    settings = Settings(**{"steps": 6, "precision": "float32", "batch_size": batch_size} | options)  # type: ignore[arg-type]
    return optimize(net, channel("body", channels), Fourier(len(channels), 16), settings, "strong")


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


@pytest.mark.parametrize("kind", [Fourier, Pixels])
def test_a_result_is_plain_data_without_a_graph_and_the_prior_goes_on_without_changing_it(tiny_net, kind) -> None:
    prior = kind(1, 12)
    result = optimize(tiny_net, channel("body", 1), prior, EXACT, "none")
    images = result.images.clone()
    assert not result.images.requires_grad
    assert not result.scores.requires_grad
    assert not result.history.requires_grad
    again = optimize(tiny_net, channel("body", 1), prior, EXACT, "none")
    assert torch.equal(result.images, images)
    assert again.scores > result.scores


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


def test_a_unit_alone_is_the_same_as_in_a_batch_of_eight(tiny_net: nn.Module) -> None:
    together = made(tiny_net, UNITS)
    for place in (0, 3, 7):
        alone = made(tiny_net, [UNITS[place]])
        assert torch.allclose(alone.images[0], together.images[place], atol=1e-4)
        assert torch.allclose(alone.history[:, 0], together.history[:, place], atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 64])
def test_the_size_of_a_batch_does_not_matter(tiny_net: nn.Module, batch_size: int) -> None:
    whole, split = made(tiny_net, UNITS, batch_size=8), made(tiny_net, UNITS, batch_size=batch_size)
    assert torch.allclose(split.images, whole.images, atol=1e-4)
    assert torch.allclose(split.scores, whole.scores, atol=1e-4)


def test_the_order_of_units_does_not_matter(tiny_net: nn.Module) -> None:
    forth, back = made(tiny_net, UNITS), made(tiny_net, UNITS[::-1], batch_size=3)
    assert torch.allclose(back.images.flip(0), forth.images, atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_pictures(tiny_net: nn.Module) -> None:
    first, again, other = (made(tiny_net, UNITS[:3], seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.history, again.history)
    assert ((first.images - other.images).abs().amax((1, 2, 3)) > 0.05).all()


def test_the_global_generator_is_neither_read_nor_moved(tiny_net: nn.Module) -> None:
    torch.manual_seed(1)
    first = made(tiny_net, [1])
    state = torch.get_rng_state()
    again = made(tiny_net, [1])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.images, again.images)


def test_several_attempts_at_one_unit_draw_differently_and_the_first_as_if_alone(tiny_net: nn.Module) -> None:
    attempts = made(tiny_net, [4, 4, 4])
    for i in range(3):
        assert (attempts.images[i] - attempts.images[(i + 1) % 3]).abs().max() > 0.05
    assert torch.allclose(attempts.images[0], made(tiny_net, [4]).images[0], atol=1e-4)
    split = made(tiny_net, [4, 4, 4], batch_size=2)
    assert torch.allclose(split.images, attempts.images, atol=1e-4)


def test_seeds_depend_on_label_seed_and_how_often_the_label_came() -> None:
    seeds = unit_seeds(["a", "b", "a"], 0)
    assert unit_seeds(["b", "a", "a"], 0) == [seeds[1], seeds[0], seeds[2]]
    assert len({*seeds, *unit_seeds(["a", "b", "a"], 1)}) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_coupled_objective_is_never_split(tiny_net: nn.Module) -> None:
    objective = diverse(channel("body", [1] * 5), "body", [1] * 5)
    split = optimize(tiny_net, objective, Fourier(5, 12), Settings(steps=3, batch_size=2, precision="float32"))
    whole = optimize(tiny_net, objective, Fourier(5, 12), Settings(steps=3, batch_size=5, precision="float32"))
    assert torch.equal(split.images, whole.images)


def test_diversity_makes_attempts_differ_more(tiny_net: nn.Module) -> None:
    plain = channel("stem.0", [3] * 4)

    def likeness(objective: Objective) -> float:
        result = optimize(tiny_net, objective, Fourier(4, 16), Settings(steps=20, precision="float32"), "none")
        return -evaluate(tiny_net, diversity("stem.0"), result.images).mean().item()

    assert likeness(diverse(plain, "stem.0", [3] * 4, weight=1.0)) < likeness(plain) - 0.02


def test_a_prior_goes_on_from_where_it_is(tiny_net: nn.Module) -> None:
    photograph = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    tiny = Settings(steps=1, learning_rate=1e-6, precision="float32", batch_size=1)
    for kind in (Fourier, Pixels):
        result = optimize(tiny_net, channel("body", 1), kind.from_image(photograph), tiny, "none")
        assert torch.allclose(result.images, photograph, atol=1e-3)


def test_the_priors_energy_is_paid(tiny_net: nn.Module) -> None:
    def roughness(weight: float) -> float:
        prior = Pixels(1, 16, total_variation=weight)
        images = optimize(tiny_net, channel("body", 2), prior, Settings(steps=20, precision="float32"), "none").images
        return (images[..., 1:] - images[..., :-1]).square().mean().item()

    assert roughness(100.0) < 0.5 * roughness(0.0)


def test_progress_counts_every_step_of_every_batch(tiny_net: nn.Module) -> None:
    ticks: list[Tick] = []
    optimize(
        tiny_net,
        channel("body", [0, 1, 2]),
        Fourier(3, 8),
        Settings(steps=2, batch_size=2),
        "none",
        progress=ticks.append,
    )
    assert ticks == [Tick(1, 2, 0, 3), Tick(2, 2, 0, 3), Tick(1, 2, 2, 3), Tick(2, 2, 2, 3)]


def test_the_prior_keeps_what_an_interrupted_run_reached(tiny_net: nn.Module) -> None:
    prior, whole = Pixels(3, 8), Pixels(3, 8)
    settings = Settings(steps=4, batch_size=2, precision="float32")

    def interrupt(tick: Tick) -> None:
        if tick.done == 2 and tick.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize(tiny_net, channel("body", [0, 1, 2]), prior, settings, "none", progress=interrupt)
    expected = optimize(tiny_net, channel("body", [0, 1, 2]), whole, settings, "none")
    assert torch.equal(prior().detach()[:2], expected.images[:2])
    fresh = Pixels(3, 8)
    fresh.reset(
        [torch.Generator().manual_seed(s) for s in unit_seeds([channel("body", i).label(0) for i in range(3)], 0)]
    )
    moved = (prior() - fresh()).detach()[2].abs().max()
    assert 0 < moved < (expected.images[2] - fresh().detach()[2]).abs().max()


class Failing(RuntimeError):
    pass


def fail_after(calls: int, kind: type[BaseException]) -> Callable[[object], None]:
    count = 0

    def act(_: object) -> None:
        nonlocal count
        count += 1
        if count > calls:
            raise kind

    return act


@pytest.mark.parametrize("where", ["nowhere", "objective", "progress", "augment", "interrupt", "backward"])
@pytest.mark.parametrize("mode", ["eval", "train", "mixed"])
def test_the_users_module_is_exactly_as_it_was(tiny_net: nn.Module, snapshot, where: str, mode: str) -> None:
    tiny_net.train(mode == "train")
    if mode == "mixed":
        tiny_net.train()
        tiny_net.stem[1].eval()
        tiny_net.head.weight.requires_grad_(False)
        tiny_net.body.register_forward_hook(lambda *_: None)
    before = snapshot(tiny_net)
    objective, augment, progress, expected = channel("body", [0, 1]) + layer("stem"), "standard", None, None
    if where == "objective":
        act = fail_after(3, Failing)
        good = objective

        def score(seen: object) -> Tensor:
            act(seen)
            return good.score(seen)  # type: ignore[arg-type]

        objective, expected = Objective("bad", good.reads, score, good.labels), Failing
    elif where == "progress":
        progress, expected = fail_after(2, Failing), Failing
    elif where == "interrupt":
        progress, expected = fail_after(2, KeyboardInterrupt), KeyboardInterrupt
    elif where == "augment":
        act = fail_after(2, Failing)
        augment, expected = (lambda image: act(image) or image), Failing  # type: ignore[assignment,func-returns-value]
    elif where == "backward":
        objective, expected = (
            Objective("detached", ("body",), lambda seen: seen["body"].detach().mean((1, 2, 3))),
            RuntimeError,
        )
    settings = Settings(steps=4, batch_size=1)
    if expected is None:
        optimize(tiny_net, objective, Fourier(2, 12), settings, augment)
        evaluate(tiny_net, objective, torch.rand(2, 3, 8, 8))
    else:
        with pytest.raises(expected):
            optimize(tiny_net, objective, Fourier(2, 12), settings, augment, progress)
    assert snapshot(tiny_net) == before


def test_parameters_get_no_gradients_and_gradients_that_were_there_stay(tiny_net: nn.Module) -> None:
    tiny_net(torch.rand(1, 3, 8, 8)).sum().backward()
    before = {name: parameter.grad.clone() for name, parameter in tiny_net.named_parameters()}  # type: ignore[union-attr]
    made(tiny_net, [1, 2])
    for name, parameter in tiny_net.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, before[name])


def test_batch_norm_is_looked_at_as_in_evaluation_and_never_updated(tiny_net: nn.Module) -> None:
    evaluation = made(tiny_net, [1, 2])
    assert torch.equal(made(tiny_net.train(), [1, 2]).images, evaluation.images)


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: torch.compile(net, backend="eager")])
def test_a_wrapped_network_gives_the_same_pictures(tiny_net: nn.Module, wrap) -> None:
    assert torch.equal(made(wrap(tiny_net), [1, 2]).images, made(tiny_net, [1, 2]).images)


class Poison(nn.Module):
    """Turns the activations of bright red pictures into NaN."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        factor = torch.where(x[:, 0].mean((1, 2)) > self.limit, float("nan"), 1.0)
        return self.conv(x) * factor.view(-1, 1, 1, 1)


def redder(image: Tensor) -> Tensor:
    return image[:, 0].mean((1, 2))


def test_a_number_that_is_not_finite_stops_that_unit_alone_and_says_when() -> None:
    torch.manual_seed(3)
    net, healthy = Poison(0.6), Poison(9.9)
    healthy.load_state_dict(net.state_dict())
    start = torch.full((3, 3, 10, 10), 0.4)
    start[1, 0] = 0.55  # a step from where the network breaks

    def objective() -> Objective:
        return Objective(
            "red",
            ("conv", ""),
            lambda seen: redder(seen.image) + 0.1 * seen[""].mean((1, 2, 3)),
            labels=("a", "b", "c"),
        )

    def run(module: nn.Module) -> Inversion:
        settings = Settings(steps=8, learning_rate=0.015, schedule="constant", warmup=0, precision="float32")
        return optimize(load_model(module, normalize="none"), objective(), Pixels.from_image(start), settings, "none")

    result, reference = run(net), run(healthy)
    assert [status == "ok" for status in result.status] == [True, False, True]
    step = int(result.status[1].removeprefix("non-finite at step "))
    assert 1 <= step < 8
    assert result.history[:step, 1].isfinite().all()
    assert not result.history[step, 1].isfinite()
    assert result.images.isfinite().all()
    assert redder(result.images)[1] > 0.6  # the state it reached last is kept
    assert torch.equal(result.images[[0, 2]], reference.images[[0, 2]])
    assert torch.equal(result.scores[[0, 2]], reference.scores[[0, 2]])
    assert reference.status == ("ok",) * 3


def test_a_network_that_is_never_finite_leaves_the_start_untouched() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float("nan")

    start = torch.full((2, 3, 4, 4), 0.3)
    result = optimize(nn.Sequential(Broken()), layer("0"), Pixels.from_image(start), EXACT, "none")
    assert result.status == ("non-finite at step 0",) * 2
    assert torch.equal(result.images, start)


class Kinked(Prior):
    """A prior outside the package, with a buffer that has the batch first."""

    batched = ("offset",)

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.level = nn.Parameter(torch.zeros(count, 3))
        self.register_buffer("offset", torch.zeros(count, 1))

    def reset(self, generators) -> None:
        with torch.no_grad():
            for level, offset, generator in zip(self.level, self.offset, generators, strict=True):
                level.zero_()
                offset.copy_(torch.rand(1, generator=generator))
        self.started = True

    def forward(self) -> Tensor:
        return torch.sigmoid(self.level + self.offset)[:, :, None, None].expand(-1, 3, 8, 8)


def test_a_prior_of_ones_own_needs_no_more_than_the_protocol(tiny_net: nn.Module) -> None:
    prior = Kinked(3)
    objective = Objective("dark", (), lambda seen: -seen.image.mean((1, 2, 3)))
    result = optimize(tiny_net, objective, prior, Settings(steps=5, batch_size=2), "none")
    assert (result.history[-1] > result.history[0]).all()
    assert prior.offset.unique().numel() == 3
    assert torch.equal(prior().detach(), result.images)


@pytest.mark.parametrize(
    ("objective", "prior", "kind", "says"),
    [
        (channel("body", [1, 2, 3]), Fourier(2, 12), ValueError, "3 targets, but the prior has 2 pictures"),
        (channel("bdy", 1), Fourier(1, 12), LookupError, "body"),
        (channel("relu#7", 1), Fourier(1, 12), LookupError, "ran 2 times"),
        (channel("body", 8), Fourier(1, 12), IndexError, "channel 8"),
    ],
)
def test_what_cannot_be_asked_is_an_error_before_the_first_step(tiny_net, objective, prior, kind, says) -> None:
    steps: list[Tick] = []
    with pytest.raises(kind, match=says):
        optimize(tiny_net, objective, prior, EXACT, "none", steps.append)
    assert steps == []


def test_a_picture_too_small_for_the_layer_is_told_with_both_sizes() -> None:
    net = load_model(nn.Sequential(nn.Conv2d(3, 4, 7)), input_size=32)
    with pytest.raises(ValueError, match=r"5x5 pixels.*its own size is 32x32"):
        optimize(net, channel("0", 1), Fourier(1, 5), EXACT)


def test_a_gradient_that_cannot_reach_the_picture_is_told() -> None:
    class Blind(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return x * 2

    net = nn.Sequential(Blind())
    with pytest.raises((ValueError, RuntimeError), match="grad"):
        optimize(net, channel("0", 1), Fourier(1, 5), EXACT)


def test_an_unknown_augmentation_and_an_absent_device_are_refused(tiny_net: nn.Module) -> None:
    with pytest.raises(ValueError, match="'wild'; expected one of none, light, standard, strong"):
        optimize(tiny_net, channel("body", 1), Fourier(1, 12), EXACT, "wild")
    with pytest.raises(ValueError, match="cuda:99"):
        optimize(tiny_net, channel("body", 1), Fourier(1, 12), Settings(device="cuda:99"))


def test_pictures_together_by_default_are_several() -> None:
    assert default_batch(torch.device("cpu")) > 1
    assert default_batch(torch.device("cuda")) > 1


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_low_precision_looks_for_the_same_as_float32(squeezenet: Model, precision: str) -> None:
    channels = [3, 17]

    def activations(precision: str) -> Tensor:
        settings = Settings(steps=8, precision=precision)
        images = optimize(squeezenet, channel("features.9", channels), Fourier(2, 96), settings).images
        with torch.no_grad(), squeezenet.looking(["features.9"]) as capture:
            return capture(squeezenet.normalize(images))["features.9"].mean((2, 3))

    exact, low = activations("float32"), activations(precision)
    assert F.cosine_similarity(exact, low).min() > 0.98


def test_a_real_network_prefers_what_was_made_for_it_to_photographs(squeezenet: Model, photographs: Tensor) -> None:
    channels = [3, 17, 42]
    result = optimize(squeezenet, channel("features.9", channels), Fourier(3, 128), Settings(steps=24))
    for place, number in enumerate(channels):
        natural = evaluate(squeezenet, channel("features.9", number), photographs)
        assert result.scores[place] > 4 * natural.mean()
        assert result.scores[place] > natural.max()


# ---- L-BFGS, views, starts ----


def test_lbfgs_comes_nearer_to_a_code_than_adam_with_its_usual_momentum(tiny_net: nn.Module) -> None:
    target = Fourier(3, 16, spread=1.0)
    target.reset([torch.Generator().manual_seed(seed) for seed in (7, 8, 9)])
    model = Model(tiny_net)
    with torch.no_grad(), model.looking(["body"]) as capture:
        wanted = code("body", capture(model.normalize(target()))["body"])
    scores = {}
    for optimizer, rate in (("lbfgs", 1.0), ("adam", 0.3)):
        settings = Settings(
            steps=40, optimizer=optimizer, learning_rate=rate, momentum=0.9, precision="float32", redirect=0
        )
        result = optimize(tiny_net, wanted, Fourier(3, 16), settings, "none")
        scores[optimizer] = result.scores
        # What it ends at is the best that it saw, though the last step may have been a miss.
        assert optimizer == "adam" or (result.scores >= result.history.max(0).values - 1e-4).all()
    assert (scores["lbfgs"] > scores["adam"]).all()


def test_lbfgs_does_not_depend_on_the_batch(tiny_net: nn.Module) -> None:
    settings = Settings(steps=5, optimizer="lbfgs", precision="float32", redirect=0)
    whole, parts = (
        optimize(tiny_net, channel("body", [1, 4, 6]), Fourier(3, 12), replace(settings, batch_size=size), "none")
        for size in (3, 1)
    )
    assert torch.allclose(whole.images, parts.images, atol=2e-4)


def test_several_views_are_as_many_random_looks_at_each_picture(tiny_net: nn.Module) -> None:
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


def test_views_that_see_the_same_change_nothing(tiny_net: nn.Module) -> None:
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
    ticks: list[Tick] = []
    prior = Fourier(4, 12, spread=1.0)
    best = optimize(tiny_net, objective, prior, settings, "none", ticks.append)
    assert torch.allclose(prior().detach(), best.images, atol=1e-6)
    assert torch.allclose(evaluate(tiny_net, objective, best.images), best.scores, atol=1e-5)
    assert [tick.step for tick in ticks] == list(range(1, 10))
    assert {tick.steps for tick in ticks} == {9}
    first = optimize(tiny_net, objective, Fourier(4, 12, spread=1.0), replace(settings, tries=1), "none")
    assert (best.scores >= first.scores).all()
    assert (best.scores > first.scores).any()
    still = replace(settings, learning_rate=1e-9)
    one, three = (
        optimize(tiny_net, objective, Fourier(4, 12, spread=1.0), replace(still, tries=tries), "none").scores
        for tries in (1, 3)
    )
    assert (three > one + 1e-3).any()  # each try starts anew, else nothing could differ
    apart = optimize(tiny_net, objective, Fourier(4, 12, spread=1.0), replace(settings, batch_size=1), "none")
    assert torch.allclose(apart.images, best.images, atol=2e-4)


def test_a_prior_that_has_started_is_tried_once_and_coupled_pictures_never_twice(tiny_net: nn.Module) -> None:
    begun = Fourier(1, 12)
    begun.reset([torch.Generator().manual_seed(0)])
    ticks: list[Tick] = []
    optimize(tiny_net, channel("body", 1), begun, replace(EXACT, tries=3), "none", ticks.append)
    assert len(ticks) == EXACT.steps
    pair = channel("mix", 2) + 0.5 * diversity("mix")
    with pytest.raises(ValueError, match="couples its pictures"):
        optimize(tiny_net, pair, Fourier(2, 12), replace(EXACT, tries=2), "none")
