"""Schedules of pre-images: how stages share the steps."""

from hypothesis import given
from hypothesis import strategies as st

from recipes.inversion.schedules import APPROACHES, planned


@given(st.none() | st.integers(1, 400), st.none() | st.floats(0.01, 1), st.booleans())
def test_stages_share_the_requested_steps(steps: int | None, rate: float | None, augmented: bool) -> None:
    own = APPROACHES["fourier"].stages(8.0)
    plan = planned(own, steps, rate, augmented)
    assert sum(stage["steps"] for stage in plan) == (steps or sum(stage["steps"] for stage in own))
    assert all(stage["steps"] > 0 for stage in plan)
    kinds = [stage.get("optimizer", "adam") for stage in plan]
    assert kinds == (["adam"] if augmented else sorted(kinds, reverse=True))  # L-BFGS needs a deterministic loss
    for stage in plan:
        if stage.get("optimizer") != "lbfgs" and rate is not None:
            assert stage["learning_rate"] == rate
