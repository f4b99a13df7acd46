"""How much of a picture is left in another: by its pixels, and by what networks see in it."""

from __future__ import annotations

from torch import Tensor


def likeness(images: Tensor, originals: Tensor) -> list[dict[str, float]]:
    """PSNR in dB and mean SSIM (Wang et al. 2004, window 11; kornia) of pictures (B, 3, H, W) to their originals."""
    from kornia.metrics import psnr, ssim

    window = min(11, *((side - 1) // 2 * 2 + 1 for side in images.shape[2:]))  # odd, and no larger than the picture
    return [
        {"psnr": min(float(psnr(image, original, 1.0)), 99.0), "ssim": float(ssim(image, original, window).mean())}
        for image, original in zip(images[:, None], originals[:, None], strict=True)
    ]
