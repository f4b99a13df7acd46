"""An `.npy` file that grows on disk: memory holds only the rows that are being appended."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, DTypeLike

from inverter_errors import BadInput


class GrowingArray:
    """Appends rows to an `.npy` file, after the rows that are known to be complete.

    NumPy leaves room in its headers for the first axis to grow, so the header is rewritten in place. Rows are written
    and not mapped: mapped pages would count as the program's memory.

    Args:
        path: the file; its folder is created.
        shape: of one row.
        dtype: of the elements.
        rows: number of rows of an earlier run to keep; what follows them is truncated.

    Raises:
        BadInput: if the file has fewer rows than that.
        OSError: if it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     array = GrowingArray(Path(folder) / "a.npy", (2,), "float32")
        ...     array.append(np.ones((3, 2)))
        ...     array.close()
        ...     np.load(array.path).shape
        (3, 2)
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike, rows: int = 0) -> None:
        self.path, self.shape, self.dtype, self.rows = path, shape, np.dtype(dtype), rows
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():  # its target is not our file
            path.unlink()
        end = len(self._header()) + rows * self.dtype.itemsize * int(np.prod(shape))
        if rows and (not path.exists() or path.stat().st_size < end):
            raise BadInput(f"{path} has lost rows that were finished: set fresh to start over, or give another folder")
        self._file = path.open("r+b" if rows else "w+b")
        self._file.truncate(end)
        self._file.seek(end)

    def append(self, rows: ArrayLike) -> None:
        """Adds rows (N, *shape)."""
        array = np.ascontiguousarray(rows, self.dtype)
        if array.shape[1:] != self.shape:
            raise BadInput(f"{self.path.name}: expected rows of shape {self.shape}, got {array.shape[1:]}")
        self._file.write(array.data)
        self.rows += len(array)

    def flush(self) -> None:
        """Syncs the appended rows to disk, under a header that counts them."""
        end = self._file.tell()
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(end)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self.flush()
        self._file.close()

    def _header(self) -> bytes:
        buffer = io.BytesIO()
        about = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.rows, *self.shape)}
        npy.write_array_header_1_0(buffer, about)
        return buffer.getvalue()
