"""The user's network comes back exactly as it was, however a run ends, and runs in eval mode."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from inverter import BadInput, Inversion, Settings, evaluate, optimize
from objectives import Objective, channel, layer
from priors import Fourier


def made(net: nn.Module, channels: list[int]) -> Inversion:
    settings = Settings(steps=6, precision="float32")
    return optimize(net, channel("body", channels), Fourier(len(channels), 16), settings, "strong")


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
            BadInput,
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


def test_batch_norm_runs_in_eval_mode_and_is_never_updated(tiny_net: nn.Module) -> None:
    evaluation = made(tiny_net, [1, 2])
    assert torch.equal(made(tiny_net.train(), [1, 2]).images, evaluation.images)


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: torch.compile(net, backend="eager")])
def test_a_wrapped_network_gives_the_same_pictures(tiny_net: nn.Module, wrap) -> None:
    assert torch.equal(made(wrap(tiny_net), [1, 2]).images, made(tiny_net, [1, 2]).images)
