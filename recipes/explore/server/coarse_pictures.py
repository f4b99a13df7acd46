"""Pictures as pages see them while they are made."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def as_jpeg(image: Tensor, side: int, quality: int) -> str:
    """A picture as a `data:` URL, small enough to be sent while it is made.

    Args:
        image: (C, H, W) in [0, 1].
        side: pixels of the longer side, at most.
        quality: of the JPEG, from 1 to 95.
    """
    from inverter.result import to_pil

    shown = to_pil(image).convert("RGB")
    shown.thumbnail((side, side))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
