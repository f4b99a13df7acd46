"""A shift that the network compensates: gradients are invariant, products with the input are not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from inverter import Model, evaluate
from objectives import logit
from recipes.attribution.api import heat_maps
from recipes.attribution.measures.shift import compensated_shift, shift_change
from recipes.attribution.scoring.baselines import baseline_image
from recipes.attribution.scoring.forward import input_gradient, score_function


def change(method: str, model: Model, pictures: Tensor) -> list[float]:
    def explainer(network: Model, images: Tensor) -> Tensor:
        return heat_maps(network, images, logit(1), method)

    return shift_change(explainer, model, pictures, explainer(model, pictures)).tolist()


def test_the_shifted_network_answers_as_before(
    tiny: Model, pictures: Tensor, snapshot: Callable[[nn.Module], dict[str, object]]
) -> None:
    before = snapshot(tiny.module)
    own = evaluate(tiny, logit(1), pictures)
    with compensated_shift(tiny, 0.7):
        moved = evaluate(tiny, logit(1), pictures + 0.7 * torch.tensor(tiny.std)[:, None, None])
        assert (evaluate(tiny, logit(1), pictures) - own).abs().max() > 1e-3
    torch.testing.assert_close(moved, own, rtol=1e-4, atol=1e-5)
    assert snapshot(tiny.module) == before


@pytest.mark.parametrize("method", ["saliency", "guided-backprop", "grad-cam"])
def test_gradients_do_not_see_it(method: str, tiny: Model, pictures: Tensor) -> None:
    assert change(method, tiny, pictures) == pytest.approx([0.0] * 3, abs=1e-3)


def test_a_product_with_the_input_does(tiny: Model, pictures: Tensor) -> None:
    """(x + s - x') g - (x - x') g = s g, summed over the channels."""
    tiny.std = (0.2, 0.2, 0.2)
    found = change("gradient-x-input", tiny, pictures)
    with score_function(tiny, logit(1)) as score:
        gradient = input_gradient(score, pictures)
    own = ((pictures - baseline_image(tiny, pictures, "mean")) * gradient).sum(1)
    expected = (0.2 * gradient.sum(1)).flatten(1).norm(dim=1) / own.flatten(1).norm(dim=1)
    assert found == pytest.approx(expected.tolist(), rel=1e-3)


def test_maps_of_zeros_have_not_changed(tiny: Model, pictures: Tensor) -> None:
    zeros = torch.zeros(3, 16, 16)
    assert shift_change(lambda *_: zeros, tiny, pictures, zeros).tolist() == [0.0] * 3
    assert shift_change(lambda *_: zeros + 1, tiny, pictures, zeros).tolist() == [1.0] * 3
