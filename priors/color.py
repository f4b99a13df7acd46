"""Colours of natural images: decorrelated channels to colours and back, and unbounded values to [0, 1] and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from inverter_errors import BadInput
from priors import cpu

HALF_STEP: Final = 0.5 / 255
"""Half a step of an 8-bit picture: `from_image` clamps to this distance from 0 and 1, where the logit is infinite."""

_LUCID = cpu.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])

LUCID_BASIS: Final = _LUCID / _LUCID.norm(dim=0).max()
"""Lucid's matrix (ImageNet, Olah et al. 2017), (3, 3), divided by its largest column norm .46195: color = basis @ t."""


def _check(image: Tensor, basis: Tensor) -> None:
    if image.ndim != 4 or basis.shape != (image.shape[1], image.shape[1]):
        raise BadInput(
            "expected pictures (B, C, H, W) and a colour basis (C, C), "
            f"got shapes {tuple(image.shape)} and {tuple(basis.shape)}"
        )


class _Planes(torch.autograd.Function):
    """The product of a constant basis and a picture as one multiply-add of a picture for each channel."""

    @staticmethod
    def forward(ctx: Any, basis: Tensor, image: Tensor) -> Tensor:
        ctx.basis = basis
        columns = basis[:, :, None, None].unbind(1)
        mixed = columns[0] * image[:, :1]
        for channel, column in enumerate(columns[1:], 1):
            mixed.addcmul_(column, image[:, channel : channel + 1])
        return mixed

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, _Planes.apply(ctx.basis.T, gradients[0])


def _mix(basis: Tensor, image: Tensor) -> Tensor:
    basis = basis.to(image)
    if image.device.type != "cpu":
        # Element by element: exact in float32, the same in any batch, and no matrix product with three rows.
        return _Planes.apply(basis.detach(), image)
    # Matrix products: on a CPU einsum, sums of planes and conv2d take longer (conv2d up to 28 times). Threads divide a
    # batch of products, not a single one: a single picture is one product per row, 1.4 ms instead of 4.5 at 1280 px.
    if len(image) == 1:
        return (basis @ image.transpose(1, 2)).transpose(1, 2)
    return (basis @ image.flatten(2)).view(image.shape)


def recorrelate(channels: Tensor, basis: Tensor) -> Tensor:
    """Colours from decorrelated channels, colour = basis @ channel at every pixel (Olah et al. 2017, decorrelation).

    Args:
        channels: (B, C, H, W), any range; of unit variance for the colours of natural images.
        basis: (C, C), e.g. `ImageStatistics.color_basis()` or `LUCID_BASIS`.

    Returns:
        (B, C, H, W), any range: give it to `to_image`.

    Raises:
        BadInput: if the shapes do not fit.

    Example:
        >>> recorrelate(torch.ones(1, 3, 1, 1), 2 * torch.eye(3)).flatten().tolist()
        [2.0, 2.0, 2.0]
    """
    _check(channels, basis)
    return _mix(basis, channels)


def decorrelate(image: Tensor, basis: Tensor) -> Tensor:
    """The inverse of `recorrelate`: channel = basis^-1 @ colour at every pixel.

    Args:
        image: (B, C, H, W), any range.
        basis: (C, C), invertible.

    Returns:
        (B, C, H, W).

    Raises:
        BadInput: if the shapes do not fit, or the basis has no inverse.

    Example:
        >>> decorrelate(torch.ones(1, 3, 1, 1), 2 * torch.eye(3)).flatten().tolist()
        [0.5, 0.5, 0.5]
    """
    _check(image, basis)
    # Inverted in double precision on the CPU: some accelerators have no float64, and the matrix is tiny.
    inverse, singular = torch.linalg.inv_ex(basis.detach().cpu().double())
    if singular or not bool(inverse.isfinite().all()):
        raise BadInput("the colour basis has no inverse: its columns must be linearly independent")
    return _mix(inverse, image)


def to_image(x: Tensor) -> Tensor:
    """Unbounded values as a picture in [0, 1] of the same shape: the logistic sigmoid (Olah et al. 2017).

    Example:
        >>> to_image(torch.zeros(1)).item()
        0.5
    """
    return torch.sigmoid(x)


def from_image(image: Tensor, margin: float = HALF_STEP) -> Tensor:
    """The inverse of `to_image`: the logit, after clamping to [margin, 1 - margin].

    Args:
        image: any shape, values in [0, 1].
        margin: in (0, 1/2): values closer to 0 or 1 than this are clamped to it.

    Returns:
        Unbounded values of the same shape.

    Raises:
        BadInput: if the margin is not in (0, 1/2).

    Example:
        >>> from_image(torch.tensor([0.5])).item()
        0.0
    """
    if not 0 < margin < 0.5:
        raise BadInput(f"expected a margin between 0 and 1/2, got {margin!r}")
    return torch.logit(image, eps=margin)


def logit_moments(mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Moments of a normal distribution whose sigmoid has the given moments (logit-normal; Aitchison & Shen 1980).

    The sigmoid changes mean and contrast: normally distributed pixels with the returned moments have the given ones
    after `to_image`.

    Args:
        mean: (C,), in (0, 1).
        deviation: (C,), above 0 and at most .95 sqrt(mean (1 - mean)); without the .95 every value would be 0 or 1.

    Returns:
        Mean and standard deviation before the sigmoid, two tensors (C,), to four digits.

    Raises:
        BadInput: if there is no such distribution.

    Example:
        >>> logit_moments(torch.tensor([0.5]), torch.tensor([0.2]))[1].round(decimals=2)
        tensor([0.9500])
    """
    target, target_spread = mean.detach().cpu().double(), deviation.detach().cpu().double()
    if not bool(((target_spread > 0) & (target_spread <= 0.951 * (target * (1 - target)).sqrt())).all()):
        raise BadInput(
            "expected means in (0, 1) and standard deviations of at most .95 sqrt(mean (1 - mean)), "
            f"got {mean.tolist()} and {deviation.tolist()}"
        )
    normal = torch.linspace(-6, 6, 401, dtype=torch.float64, device="cpu")
    weight = torch.softmax(-normal.square() / 2, 0)

    def moments(centre: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        values = torch.sigmoid(centre[:, None] + spread[:, None] * normal)
        first = values @ weight
        return first, ((values - first[:, None]).square() @ weight).sqrt()

    def centre_for(spread: Tensor) -> Tensor:
        return _bisect(lambda centre: moments(centre, spread)[0] < target, target.new_full(target.shape, 100.0))

    # At a given mean the contrast grows with the spread: two nested bisections always converge.
    log_spread = _bisect(
        lambda log: moments(centre_for(log.exp()), log.exp())[1] < target_spread, target.new_full(target.shape, 7.0)
    )
    return centre_for(log_spread.exp()).to(mean), log_spread.exp().to(deviation)


def _bisect(below: Callable[[Tensor], Tensor], bound: Tensor) -> Tensor:
    low, high = -bound, bound
    for _ in range(26):
        middle = (low + high) / 2
        short = below(middle)
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (low + high) / 2
