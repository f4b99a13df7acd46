"""A gallery's page with pictures of one colour, for tests of what the page shows."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from recipes.gallery.page import render_gallery


def unit(layer: str, channel: int, **more: Any) -> dict[str, Any]:
    """Return one line of a manifest's units."""
    file = f"images/{layer}/{channel:04d}.png"
    target = {"layer": layer, "channel": channel, "objective": "channel", "direction": "max", "attempt": 0, "seed": 0}
    metrics = {"file": file, "score": 100.0 + channel, "steps": 64, "seconds": 0.5, "status": "ok"}
    return {**target, **metrics, **more}


def manifest_of(units: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a manifest with these units; other keys replace its own."""
    settings = {"layer": ["features.9", "features.12"], "steps": 64, "size": 224, "prior": "fourier", "seed": 0}
    model = {"spec": "torchvision:squeezenet1_0", "weights": "w.safetensors", "sha256": "ab12" * 16}
    return {"inverter": "0.1.0", "recipe": "gallery", "settings": settings, "model": model, "units": units, **more}


def write_pictures(folder: Path, units: list[dict[str, Any]], size: tuple[int, int] = (8, 8)) -> None:
    """Write a picture of each unit; one with `absent` set has none."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 90, 40)).save(buffer, "PNG")
    for each in units:
        if not each.pop("absent", False):
            (folder / each["file"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / each["file"]).write_bytes(buffer.getvalue())


def write_gallery(folder: Path, units: list[dict[str, Any]], **more: Any) -> Path:
    """Write pictures and page; a unit with `absent` set has no picture."""
    write_pictures(folder, units)
    (folder / "index.html").write_text(render_gallery(manifest_of(units, **more)), encoding="utf-8")
    return folder / "index.html"
