"""Settings: refused outside their range, and schedules that rise, fall and never stop."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inverter import Settings
from inverter.settings import PRECISIONS, SCHEDULES, TAIL
from priors.precision import has_bfloat16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", -3),
        ("steps", 2.5),
        ("steps", "4"),
        ("steps", True),
        ("warmup", -1),
        ("seed", -1),
        ("seed", 1.5),
        ("batch_size", 0),
        ("batch_size", -2),
        ("learning_rate", 0),
        ("learning_rate", -0.1),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "fast"),
        ("momentum", -0.1),
        ("momentum", 1),
        ("schedule", "sawtooth"),
        ("precision", "float16"),
        ("precision", None),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        Settings(**{name: value})  # type: ignore[arg-type]
    assert repr(value) in str(caught.value)


def test_settings_are_a_frozen_value() -> None:
    assert Settings(steps=3) == Settings(steps=3) != Settings(steps=4)
    with pytest.raises(AttributeError):
        Settings().steps = 1  # type: ignore[misc]


@given(st.sampled_from(SCHEDULES), st.integers(1, 200), st.integers(0, 50), st.floats(1e-3, 10))
def test_every_step_has_a_rate_above_zero_and_at_most_the_peak(
    schedule: str, steps: int, warmup: int, peak: float
) -> None:
    rates = Settings(steps=steps, warmup=warmup, schedule=schedule).rates(peak)
    assert len(rates) == steps
    assert min(rates) > 0
    assert max(rates) == pytest.approx(peak)


@given(st.sampled_from(SCHEDULES), st.integers(8, 200), st.integers(0, 50))
def test_rates_rise_during_the_warm_up_and_never_after_it(schedule: str, steps: int, warmup: int) -> None:
    rates = Settings(steps=steps, warmup=warmup, schedule=schedule).rates(1.0)
    rise = min(warmup, steps // 4)
    assert all(a < b for a, b in pairwise(rates[: rise + 1]))
    assert all(a >= b for a, b in pairwise(rates[rise:]))
    if schedule == "constant":
        assert set(rates[rise:]) == {1.0}
    elif schedule == "trapezoid":
        flat = rates[rise : rise + int((1 - TAIL) * (steps - rise))]
        assert set(flat) == {1.0}
        assert rates[-1] == pytest.approx(min(1.0, 1 / (steps - rise) / TAIL))
    else:
        assert rates[-1] < 0.2


def test_cosine_and_linear_are_half_way_down_in_the_middle() -> None:
    for schedule in ("cosine", "linear"):
        rates = Settings(steps=10, warmup=0, schedule=schedule).rates(2.0)
        assert rates[0] == 2.0
        assert rates[5] == pytest.approx(1.0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_precision_is_what_the_network_computes_in(precision: str) -> None:
    device = torch.device("cpu")
    linear = torch.nn.Linear(4, 4)
    with Settings(precision=precision).autocast(device):
        kind = linear(torch.ones(1, 4)).dtype
    low = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    assert kind == (torch.bfloat16 if low else torch.float32)
