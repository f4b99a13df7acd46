"""Photographs that are dropped into a page: odd ones are read as people see them, hostile ones refused in one line."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from recipes.explore import photos
from recipes.explore.session import Session


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def gradient(width: int = 40, height: int = 24) -> Image.Image:
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.linspace(0, 250, width), np.linspace(0, 250, height)[:, None]
    return Image.fromarray(pixels)


def turned() -> bytes:
    """The gradient, stored lying on its side, with the EXIF orientation that sets it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(gradient().transpose(Image.Transpose.ROTATE_90), exif=exif)


def deep() -> bytes:
    """The red of the gradient in 16 bits."""
    return saved(Image.fromarray(np.asarray(gradient())[..., 0].astype(np.uint16) * 257))


def animated() -> bytes:
    return saved(gradient(), "GIF", save_all=True, append_images=[Image.new("RGB", (40, 24))])


def see_through() -> bytes:
    image = gradient().convert("RGBA")
    image.putalpha(0)
    return saved(image)


GOOD = {
    "png": saved(gradient()),
    "jpeg": saved(gradient(), "JPEG", quality=95),
    "webp": saved(gradient(), "WEBP", lossless=True),
    "cmyk": saved(gradient().convert("CMYK"), "JPEG", quality=95),
    "turned": turned(),
    "animated": animated(),
}


def pixels(client: TestClient, found: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.get(found["url"]).content)).convert("RGB")).astype(int)


def test_photographs_are_read_as_people_see_them(client: TestClient) -> None:
    shown = np.asarray(gradient()).astype(int)
    for name, content in GOOD.items():
        found = client.post("/api/photos", content=content).json()
        assert (found["width"], found["height"]) == (40, 24), name
        assert len(found["predictions"]) == 5
        assert np.abs(pixels(client, found) - shown).mean() < 6, name
    red = pixels(client, client.post("/api/photos", content=deep()).json())
    assert np.abs(red - shown[..., :1]).max() <= 1
    assert (pixels(client, client.post("/api/photos", content=see_through()).json()) == 255).all()


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims this size, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


BAD = {
    "an empty body": (b"", 400, "no picture that can be read"),
    "text": (b"<script>alert(1)</script>", 400, "no picture that can be read"),
    "an array": (b"\x93NUMPY\x01\x00" + b"\0" * 100, 400, "no picture that can be read"),
    "half a picture": (saved(gradient(200, 200), "JPEG")[:900], 400, "cannot be read as a picture"),
    "a bomb": (bomb(8000, 8000), 413, "8000 x 8000 pixels"),
    "a larger bomb": (bomb(60_000, 60_000), 400, "no picture that can be read"),
    "a long one": (bomb(40_000, 10), 413, "40000 x 10 pixels"),
    "half a bomb": (bomb(1000, 1000), 400, "cannot be read"),
}


def test_what_is_no_photograph_is_refused_in_one_line(client: TestClient, session: Session) -> None:
    for name, (content, status, says) in BAD.items():
        answer = client.post("/api/photos", content=content)
        assert answer.status_code == status, (name, answer.text)
        error = answer.json()["error"]
        assert says in error, name
        assert "\n" not in error
        assert str(session.out) not in error
    folder = session.out / photos.FOLDER
    assert not folder.exists() or not list(folder.iterdir())


def test_a_photograph_is_known_to_the_next_server_and_the_oldest_go(
    client: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "MOST", 2)
    known = [client.post("/api/photos", content=saved(gradient(40 + i))).json()["photo"] for i in range(3)]
    session.photos.clear()
    assert client.get(f"/api/photos/{known[2]}").json()["width"] == 42
    assert client.get(f"/api/photos/{known[0]}").status_code == 404
    assert client.get("/api/photos/..%2f..%2fx").status_code == 404
    assert len(list((session.out / photos.FOLDER).iterdir())) == 2
