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


def code_errors(codes: Tensor, targets: Tensor, mean: float | None) -> list[dict[str, float]]:
    """How far codes are from their targets.

    Args:
        codes: (B, ...), of pre-images.
        targets: (B, ...).
        mean: distance between codes of different pictures (N_Phi of Mahendran & Vedaldi 2015), where it is known.

    Returns:
        `relative_error`, to the norm of the target, and `normalized_error`, to the mean distance.
    """
    targets = targets.flatten(1)
    apart, norms = (codes.flatten(1) - targets).norm(dim=1).tolist(), targets.norm(dim=1).tolist()
    rows = [{"relative_error": distance / norm} for distance, norm in zip(apart, norms, strict=True)]
    if mean:
        rows = [row | {"normalized_error": distance / mean} for row, distance in zip(rows, apart, strict=True)]
    return rows
