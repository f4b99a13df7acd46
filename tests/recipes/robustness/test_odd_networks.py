"""Odd networks in odd contexts: the short form of `fuzz_networks.py` in this folder, which states the rule."""

import pytest
import torch

from tests.recipes.robustness.fuzz_networks import BLOCKS, Case, check, run


def test_odd_networks_are_answered_or_refused_and_left_as_they_were() -> None:
    ends = run(number=0, count=60)
    assert set(ends) <= {"answered", "refused", "own error"}
    assert ends["answered"] > 25, "almost no network worked"


PLAIN = Case(
    channels=3,
    size=(16, 16),
    blocks=("conv", "relu in place"),
    head="logits",
    wrapper="as it is",
    dtype=torch.float32,
    training=False,
    channels_last=False,
    context="none",
    question="optimize",
    place=1,
    suffix="",
    objective="sum",
    method="saliency",
    precision="float32",
)


def test_the_rule_notices_a_network_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(PLAIN) == "answered"
    monkeypatch.setattr("inverter.isolation.module_state.ModuleState.restore", lambda _: [])
    with pytest.raises(AssertionError, match="have changed"):
        check(PLAIN)


def test_the_rule_notices_a_fault_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr("inverter.loop.step.scored", broken)
    with pytest.raises(AssertionError, match="KeyError"):
        check(PLAIN)


@pytest.mark.filterwarnings("ignore")
def test_every_block_can_be_made() -> None:
    for make in BLOCKS.values():
        make(3)
