"""A direction at the centre: by hand, and that surroundings cannot replace the centre."""

import pytest
import torch

from objectives import Activations, centred_direction


def test_by_hand() -> None:
    maps = torch.zeros(1, 2, 1, 3)
    maps[0, :, 0] = torch.tensor([[3.0, 4.0, 0.0], [4.0, 3.0, 5.0]])  # positions (3, 4), (4, 3), (0, 5); centre (4, 3)
    f = centred_direction("a", [3.0, 4.0], toward=[0.0, 2.0], power=4, around=3)
    cosines = [1.0, 24 / 25, 4 / 5]
    surroundings = (4 * cosines[0] ** 2 + 3 * cosines[1] ** 2 + 5 * cosines[2] ** 2) / 3
    expected = cosines[1] ** 4 * 3 + 3 * cosines[1] ** 2 * surroundings
    assert f.score(Activations({"a": maps})).item() == pytest.approx(expected)


def test_surroundings_do_not_replace_the_centre() -> None:
    vector = torch.tensor([1.0, 0.0])
    right, wrong = torch.zeros(1, 2, 5, 5), torch.zeros(1, 2, 5, 5)
    right[0, 0, 2, 2] = 1  # the centre alone
    wrong[0, 0] = 1  # all positions but the centre
    wrong[0, :, 2, 2] = torch.tensor([0.0, 1.0])
    f = centred_direction("a", vector)
    assert f.score(Activations({"a": right})) > 5 * f.score(Activations({"a": wrong}))


def test_a_centre_far_from_the_direction_has_a_gradient() -> None:
    maps = torch.zeros(1, 2, 3, 3)
    maps[:, 1] = 1  # at a right angle
    maps.requires_grad_()
    (gradient,) = torch.autograd.grad(centred_direction("a", [1.0, 0.0]).score(Activations({"a": maps})).sum(), maps)
    assert gradient[0, 0, 1, 1] > 0 and gradient[0, 0, 1, 1] > gradient[0, 0, 0, 0] > 0


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"vector": [0.0, 0.0]}, "not all zero"),
        ({"vector": [1.0, 0.0], "toward": [1.0]}, "but toward"),
        ({"vector": [1.0, 0.0], "around": -1.0}, "around must be >= 0"),
        ({"vector": [1.0, 0.0], "power": float("nan")}, "power and around"),
    ],
)
def test_bad_input_is_one_line(given: dict, line: str) -> None:
    with pytest.raises(ValueError, match=line) as raised:
        centred_direction("a", **given)
    assert "\n" not in str(raised.value)


def test_a_layer_of_another_width_is_one_line() -> None:
    f = centred_direction("a", [1.0, 0.0])
    with pytest.raises(ValueError, match="centred_direction has 2 numbers, but layer 'a' has 3 channels"):
        f.score(Activations({"a": torch.ones(1, 3, 2, 2)}))
