"""The table of a run, as a paper or a program takes it: CSV, LaTeX or Parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inverter_errors import BadInput, MissingLibrary, NotFound
from recipes.options.suggest import nearest
from recipes.outputs.atomic import write_bytes
from recipes.outputs.manifest import Record
from recipes.outputs.units_table import as_csv, row

FORMATS = (".csv", ".tex", ".parquet")
USUAL = ("layer", "channel", "name", "image", "objective", "prior", "score", "status")
"""Columns of a printed or typeset table; CSV and Parquet have all."""
_ESCAPED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def chosen(records: Sequence[Record], columns: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of the units with some columns.

    Args:
        records: the units.
        columns: names of fields and metrics, in order; by default those of `USUAL` that are not empty.

    Raises:
        NotFound: for a column that no unit has; it shows similar ones.
    """
    rows = [row(record) for record in records]
    known = list(dict.fromkeys(key for one in rows for key in one))
    if unknown := [name for name in columns if name not in known]:
        raise NotFound(f"the run has no column {unknown[0]!r}{nearest(unknown[0], known)}; it has {', '.join(known)}")
    names = list(columns) or [name for name in USUAL if any(one.get(name) not in (None, "") for one in rows)]
    return [{name: one.get(name) for name in names} for one in rows]


def write_table(path: Path, records: Sequence[Record], columns: Sequence[str] = ()) -> None:
    """Writes the table of a run, atomically.

    Args:
        path: a file that ends in .csv, .tex or .parquet.
        records: the units.
        columns: as in `chosen`; by default all of CSV and Parquet, and the usual ones of LaTeX.

    Raises:
        BadInput: for another suffix.
        NotFound: for an unknown column.
        MissingLibrary: if Parquet's library is not installed.
        OSError: if it cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise BadInput(f"table {str(path)!r}: expected a file that ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    every = list(dict.fromkeys(key for record in records for key in row(record)))
    if kind == ".csv":
        data = as_csv(records, columns).encode()
        chosen(records, columns)
    elif kind == ".tex":
        data = as_latex(chosen(records, columns)).encode()
    else:
        data = _parquet(path, chosen(records, columns or every))
    write_bytes(path, data)


def as_latex(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Rows as a `tabular` of the package booktabs; numbers have four digits and stand at the right.

    Args:
        rows: of one form.

    Example:
        >>> print(as_latex([{"layer": "features_9", "score": 12.3456}]))
        \begin{tabular}{lr}
        \toprule
        layer & score \\
        \midrule
        features\_9 & 12.35 \\
        \bottomrule
        \end{tabular}
        <BLANKLINE>
    """
    names = list(rows[0]) if rows else []
    numbers = [all(_number(one[name]) or one[name] is None for one in rows) for name in names]
    lines = [r"\begin{tabular}{" + "".join("r" if number else "l" for number in numbers) + "}", r"\toprule"]
    lines += [" & ".join(_latex(name.replace("_", " ")) for name in names) + r" \\", r"\midrule"]
    lines += [" & ".join(_latex(_text(value)) for value in one.values()) + r" \\" for one in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)


def _latex(text: str) -> str:
    return re.sub(r"[\\~^&%$#_{}]", lambda found: _ESCAPED.get(found[0], "\\" + found[0]), text)


def _parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> bytes:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingLibrary(
            f"table {path} needs pyarrow: pip install 'inverter-vis[parquet]', or write .csv"
        ) from None
    names = list(rows[0]) if rows else []
    columns = {name: [one[name] for one in rows] for name in names}
    for name, values in columns.items():
        known = [value for value in values if value is not None]
        if all(map(_number, known)) and any(isinstance(value, float) for value in known):
            columns[name] = [None if value is None else float(value) for value in values]
        elif len({type(value) for value in known}) > 1 or any(isinstance(value, list | dict) for value in known):
            columns[name] = [None if value is None else json.dumps(value, default=str) for value in values]
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return bytes(sink.getvalue())
