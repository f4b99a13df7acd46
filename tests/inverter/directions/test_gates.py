"""Gates of directions: the gradient of what is solved for."""

import torch

from inverter.directions.gates import opened


def test_the_gradient_of_non_negative_latents_is_that_of_their_solution() -> None:
    """Compared with finite differences, in a system whose latents are neither all active nor all off."""
    made = torch.Generator().manual_seed(0)
    rows = torch.rand(6, 20, generator=made)
    vectors, gram = torch.randn(5, 20, generator=made) + 0.2, rows @ rows.T
    products = (vectors @ rows.T).requires_grad_()
    latents = opened(products, "nnls", -1, gram=gram)
    active = latents > 0
    assert 5 < active.sum() < 25
    weights = torch.randn(latents.shape, generator=made)
    (gradient,) = torch.autograd.grad((latents * weights).sum(), products)
    moved, step = torch.zeros_like(gradient), 1e-2
    for index in range(products.shape[1]):
        change = torch.zeros_like(products)
        change[:, index] = step
        ends = [opened(products.detach() + sign * change, "nnls", -1, gram=gram) for sign in (1, -1)]
        moved[:, index] = ((ends[0] - ends[1]) * weights).sum(1) / (2 * step)
    torch.testing.assert_close(gradient, moved, atol=2e-2, rtol=2e-2)
