"""Properties of every method on a transformer, whose layers are tokens and whose target reads the class token."""

import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from inverter import Model
from objectives import layer, logit
from recipes.attribution import explain
from recipes.attribution.registry import NAMES, get_method

CLASSES = [4, 0, 2]
Quick = Callable[[str], str]
OF_RELUS = ("guided-backprop", "guided-grad-cam", "deconvnet")
FOR_TOKENS = tuple(
    name for name in NAMES if name not in OF_RELUS and not get_method(name).pooled and not get_method(name).linear
)


@pytest.mark.parametrize("name", FOR_TOKENS)
def test_a_map_for_each_picture_depends_on_it_alone(
    name: str, transformer: Model, pictures: Tensor, quick: Quick
) -> None:
    maps = explain(transformer, pictures, logit(CLASSES), quick(name), seed=5)
    assert maps.shape == (3, 16, 16)
    assert maps.dtype == torch.float32
    assert maps.isfinite().all()
    assert all(each.any() for each in maps)
    if not get_method(name).signed:
        assert maps.min() >= 0
    in_parts = explain(transformer, pictures, logit(CLASSES), quick(name), seed=5, batch_size=2)
    torch.testing.assert_close(maps, in_parts, rtol=1e-3, atol=1e-5 * float(maps.abs().max()))
    (alone,) = explain(transformer, pictures[1:2], logit(0), quick(name), seed=5)
    torch.testing.assert_close(alone, maps[1], rtol=1e-3, atol=1e-5 * float(maps.abs().max()))


@pytest.mark.parametrize("name", [name for name in NAMES if get_method(name).attention])
def test_methods_of_attention_leave_the_network_alone_and_run_no_more_than_the_target_reads(
    name: str, transformer: Model, pictures: Tensor, snapshot: Callable[[nn.Module], dict[str, object]]
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the head ran")

    transformer.module.train()
    with transformer.module.head.register_forward_hook(fail):
        before, random = snapshot(transformer.module), torch.get_rng_state()
        with torch.no_grad():  # as users often call it
            heat = explain(transformer, pictures, layer("norm"), name)
        assert snapshot(transformer.module) == before
    assert torch.equal(torch.get_rng_state(), random)
    assert heat.any()


@pytest.mark.parametrize("method", ["attention-rollout", "gradient-rollout", "legrad", "attn-lrp", "lrp"])
def test_nothing_stays_in_memory(method: str, transformer: Model, pictures: Tensor) -> None:
    def left() -> int:
        explain(transformer, pictures, logit(1), method)
        gc.collect()
        return sum(issubclass(type(each), Tensor) for each in gc.get_objects())

    assert left() == left()
