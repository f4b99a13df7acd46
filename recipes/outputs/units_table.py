"""The records of a run as one table: a row for each picture, its metrics as columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from recipes.outputs.manifest import Record


def row(record: Record) -> dict[str, Any]:
    """One record as a flat row; metrics never replace a field of the same name."""
    values = record.to_json()
    metrics = values.pop("metrics", {})
    values.pop("extra_files", None)
    return values | {key: value for key, value in metrics.items() if key not in values}


def as_csv(records: Sequence[Record], columns: Sequence[str] = ()) -> str:
    r"""A table as CSV (RFC 4180): a header, then a row for each record; lists and tables as JSON.

    Args:
        records: of the run.
        columns: fields and metrics, in order. By default all but times, which are left to the manifest, so that equal
            runs have equal tables.

    Example:
        >>> record = Record("conv", 3, "channel", 0, 0, "a.png", 1.5, 8, 0.1, "ok", metrics={"burnt": 0.25})
        >>> as_csv([record]).splitlines()[1]
        'conv,3,channel,0,0,a.png,1.5,8,ok,max,0.25'
    """
    rows = [row(record) for record in records]
    columns = columns or [key for key in dict.fromkeys(key for one in rows for key in one) if key != "seconds"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if columns:
        writer.writerow(columns)
    writer.writerows([_cell(one.get(key)) for key in columns] for one in rows)
    return text.getvalue().encode("utf-8", "backslashreplace").decode()  # file names may be in no encoding


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict | bool) else value
