"""Which positions of a map are kept."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipes.activations.reducers import Positions


@given(height=st.integers(1, 6), width=st.integers(1, 6), count=st.integers(1, 40), index=st.integers(0, 5))
def test_draws_are_inner_positions_each_once_and_in_order(height: int, width: int, count: int, index: int) -> None:
    rows = Positions(count).rows("l", torch.zeros(1, 2, height, width), [index])
    inner = (height - 2) * (width - 2) if min(height, width) > 2 else height * width
    where = rows["where"]
    assert len(where) == len(rows["vectors"]) == min(count, inner)
    flat = where[:, 1] * width + where[:, 2]
    assert (np.diff(flat) > 0).all()
    assert set(where[:, 0]) == {index}
    if min(height, width) > 2:
        assert where[:, 1:].min() >= 1
        assert where[:, 1].max() <= height - 2
        assert where[:, 2].max() <= width - 2


@pytest.mark.parametrize("options", [{"positions": 0}, {"positions": "two"}, {"positions": True}, {"dtype": "int8"}])
def test_positions_of_another_kind_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Positions(**options)
