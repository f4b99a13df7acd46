"""The files that pages may fetch: a table that the server fills itself, by keys that do not show a path."""

from __future__ import annotations

import hashlib
import secrets
import threading
from pathlib import Path

from starlette.responses import FileResponse

from recipes.explore.server.access import Refused

MOST = 100_000
"""Entries of the table; the oldest are dropped."""
TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".npy": "application/octet-stream",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".mp4": "video/mp4",
}
"""Suffixes of files that are served."""
HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""A file is shown as it is: what an SVG may contain does not run."""


class ListedFiles:
    """Files below one folder, by key.

    Args:
        root: the output folder.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._salt, self._lock = root, secrets.token_bytes(16), threading.Lock()
        self._paths: dict[str, Path] = {}

    def add(self, path: Path) -> str:
        """Lists a file, which exists.

        Args:
            path: below the root.

        Returns:
            Its URL. A file that changes gets another.

        Raises:
            OSError: if it is not there.
        """
        status = path.stat()
        about = f"{path}\0{status.st_mtime_ns}\0{status.st_size}".encode(errors="surrogateescape")
        key = hashlib.blake2b(about, digest_size=16, key=self._salt).hexdigest()
        with self._lock:
            self._paths[key] = path
            if len(self._paths) > MOST:
                self._paths.pop(next(iter(self._paths)))
        return f"/files/{key}"

    def path(self, key: str) -> Path:
        """The file of a key.

        Raises:
            Refused: for a key that is not listed, or a file that has gone or that a link leads out of the folder.
        """
        path = self._paths.get(key)
        if path is None or path.suffix.lower() not in TYPES:
            raise Refused(404, "no such file")
        if not path.is_file() or not path.resolve().is_relative_to(self._root.resolve()):
            raise Refused(404, "this file has gone: reload the page")
        return path

    def response(self, key: str) -> FileResponse:
        """The response with a listed file.

        Raises:
            Refused: as `path`.
        """
        path = self.path(key)
        return FileResponse(path, media_type=TYPES[path.suffix.lower()], headers={**HEADERS, "ETag": f'"{key}"'})
