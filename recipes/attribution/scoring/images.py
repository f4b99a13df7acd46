"""The check of input images, in front of everything that attributes a score to them."""

from __future__ import annotations

from torch import Tensor

from inverter import Model
from inverter_errors import BadInput

ROUNDING = 1e-4
"""Values may lie outside of [0, 1] by this much, as resampling leaves them."""


def check_images(model: Model, images: Tensor) -> None:
    """Checks that images are what the network's normalisation expects.

    Args:
        model: the network.
        images: (B, C, H, W), floating-point numbers in [0, 1], C the channels of the network's input.

    Raises:
        BadInput: for another shape or type, or values that are not finite or outside of [0, 1].
    """
    channels = len(model.mean)
    expected = f"expected images (B, {channels}, H, W) in [0, 1]"
    if images.ndim != 4 or images.shape[1] != channels or not images.numel():
        raise BadInput(f"{expected}, got shape {tuple(images.shape)}")
    if not images.is_floating_point():
        raise BadInput(f"{expected}, got {str(images.dtype).removeprefix('torch.')}: use images.float() / 255")
    low, high = (float(value) for value in images.detach().aminmax())  # NaN if one value is
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return
    if not images.isfinite().all():
        raise BadInput(f"{expected}, got values that are not finite")
    advice = "they are normalised by the model: give them as they were before" if low < 0 else "divide them by 255"
    if low >= -0.5 and high <= 1.5:
        advice = "use images.clamp(0, 1)"
    raise BadInput(f"{expected}, got values from {low:.3g} to {high:.3g}: {advice}")
