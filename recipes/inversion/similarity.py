"""Similarity of a picture to its original: PSNR and SSIM."""

from __future__ import annotations

from torch import Tensor


def psnr_and_ssim(images: Tensor, originals: Tensor) -> list[dict[str, float]]:
    """PSNR and mean SSIM (Wang et al. 2004, window 11; kornia) of pictures and their originals.

    Args:
        images: (B, 3, H, W) in [0, 1].
        originals: (B, 3, H, W) in [0, 1].

    Returns:
        `psnr` in dB, at most 99, and `ssim` in [-1, 1], for each picture.
    """
    from kornia.metrics import psnr, ssim

    window = min(11, *((side - 1) // 2 * 2 + 1 for side in images.shape[2:]))  # odd, and no larger than the picture
    return [
        {"psnr": min(float(psnr(image, original, 1.0)), 99.0), "ssim": float(ssim(image, original, window).mean())}
        for image, original in zip(images[:, None], originals[:, None], strict=True)
    ]
