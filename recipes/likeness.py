"""How much of a picture is left in another: by its pixels, and by what networks see in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from inverter import Model
from objectives import OUTPUT
from recipes.judge import Guess, top_classes


def classifies(model: Model) -> bool:
    """True if the network's output is one number for each of several classes, at its own size."""
    try:
        shape = model.shapes([OUTPUT])[OUTPUT]
    except ValueError:  # its own size is only supposed, where its source does not say it
        return False
    return len(shape) == 2 and shape[1] > 1


def recognise(
    found: Sequence[dict[str, Any]], name: str, network: Model, images: Tensor, originals: Tensor | None
) -> None:
    """Adds a network's five likeliest classes of each picture, and whether it still sees what it saw in the original.

    The network itself has to put the same class first; a judge must only have its own first class among its five.
    """
    guesses = top_classes(network, images)
    for figures, best in zip(found, guesses, strict=True):
        figures[name] = [_plain(guess) for guess in best]
    if originals is None:
        return
    verdict, among = ("same_class", 1) if name == "top5" else ("judge_recognises", 5)
    for figures, best, (first, *_) in zip(found, guesses, top_classes(network, originals), strict=True):
        figures[verdict] = first.index in [guess.index for guess in best[:among]]


def _plain(guess: Guess) -> dict[str, Any]:
    return {"index": guess.index, "name": guess.name, "probability": round(guess.probability, 4)}


def likeness(images: Tensor, originals: Tensor) -> list[dict[str, float]]:
    """PSNR in dB and mean SSIM (Wang et al. 2004, window 11; kornia) of pictures (B, 3, H, W) to their originals."""
    from kornia.metrics import psnr, ssim

    window = min(11, *((side - 1) // 2 * 2 + 1 for side in images.shape[2:]))  # odd, and no larger than the picture
    return [
        {"psnr": min(float(psnr(image, original, 1.0)), 99.0), "ssim": float(ssim(image, original, window).mean())}
        for image, original in zip(images[:, None], originals[:, None], strict=True)
    ]
