"""Penalties R(x) on pictures that differ from natural images: pure functions `image (B, C, H, W) -> (B,)`.

All are means over pixels, so that weights do not depend on the size, and 0 for a flat mid-grey picture.
"""

from __future__ import annotations

from torch import Tensor


def l2(image: Tensor) -> Tensor:
    """Mean squared distance from mid-grey (Simonyan et al. 2014, eq. 1, with grey as the data mean).

    Args:
        image: (B, C, H, W) in [0, 1].

    Returns:
        (B,) in [0, 1/4].
    """
    return (image - 0.5).square().flatten(1).mean(1)


def alpha_norm(image: Tensor, alpha: float = 6) -> Tensor:
    """Mean of |2x - 1|^alpha, which keeps intensities inside their range (Mahendran & Vedaldi 2015, eq. 3).

    Args:
        image: (B, C, H, W) in [0, 1].
        alpha: > 1; the higher, the more it is limited to the extremes. The paper uses 6.

    Returns:
        (B,) in [0, 1].
    """
    return (2 * image - 1).abs().pow(alpha).flatten(1).mean(1)


def total_variation(image: Tensor, beta: float = 2) -> Tensor:
    """Mean of (dx^2 + dy^2)^(beta / 2) over forward differences (Mahendran & Vedaldi 2015, eq. 4).

    Args:
        image: (B, C, H, W) in [0, 1], at least 2x2.
        beta: > 0; 1 keeps edges sharp but allows spikes where a network subsamples, 2 spreads changes out.

    Returns:
        (B,) >= 0.
    """
    dx = image[:, :, :-1, 1:] - image[:, :, :-1, :-1]
    dy = image[:, :, 1:, :-1] - image[:, :, :-1, :-1]
    squares = dx.square() + dy.square()
    # The square root has an infinite gradient at 0, the value of every flat region.
    powers = squares if beta == 2 else (squares + 1e-8).pow(beta / 2) - 1e-8 ** (beta / 2)
    return powers.flatten(1).mean(1)
