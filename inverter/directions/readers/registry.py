"""The one list of forms in which sets of directions come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inverter.directions.directions import FORMAT, Directions
from inverter.directions.readers import arrays, cav, fitted, overcomplete, sae_lens, saev
from inverter.directions.readers.reader import Reader, Said
from inverter.directions.readers.stored import Stored
from inverter_errors import BadInput

OWN = Reader(
    "a file of inverter learn-directions",
    lambda stored: stored.config.get("format") == FORMAT,
    lambda stored, _: Directions.load(stored.place),
)
READERS = (OWN, sae_lens.READER, saev.READER, overcomplete.READER, cav.READER, fitted.READER, arrays.READER)
"""In the order in which they are tried; arrays come last, since every file has some."""
PICKLES = (".joblib", ".pkl", ".pickle")
"""Endings of files that only their own library can read; captum gives one to what torch wrote."""


def read_directions(source: str | Path | Any, said: Said) -> Directions:
    """A set of directions from a place or a value of another library.

    Args:
        source: a file or folder, found by its content, or a Python value.
        said: what its form may not say.

    Raises:
        MissingFile: if there is no such place.
        BadInput: for a form that is not known (it lists those that are), or a damaged file.
    """
    known = "; ".join(reader.form for reader in READERS)
    if not isinstance(source, str | Path):
        for reader in READERS:
            if reader.read_value is not None and reader.takes_value(source):
                return reader.read_value(source, said)
        raise BadInput(f"a {type(source).__name__} holds no directions that can be read; known: {known}")
    try:
        stored = Stored.open(source)
    except BadInput as error:
        if Path(source).suffix not in PICKLES:
            raise
        raise BadInput(
            f"{source} is a pickle, and loading it could run anything: load it yourself, and give the fitted object to "
            "Directions.read"
        ) from error
    for reader in READERS:
        if reader.read is not None and reader.takes(stored):
            return reader.read(stored, said)
    names = ", ".join(list(stored.tensors)[:4])
    raise BadInput(f"{source} holds no directions that can be read (it has {names}); known: {known}")
