"""Values that the names of folders carry (``field=COSMOS``), as columns of the files in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from hven.schema import Note

if TYPE_CHECKING:
    from hven.plugins import Batch

Value = int | str | None

_NULL = "__HIVE_DEFAULT_PARTITION__"


def folder_values(files: Sequence[str | None]) -> dict[str, dict[str, Value]]:
    """Return for each file the values of the ``name=value`` folders right above it.

    A name whose values are whole numbers in all files is a column of integers, any other one of texts; numbers with
    leading zeros stay texts.

    Examples
    --------
    >>> folder_values(["s/field=COSMOS/ccd=3/a.csv", "b.csv"])
    {'s/field=COSMOS/ccd=3/a.csv': {'field': 'COSMOS', 'ccd': 3}}
    """
    texts = {file: values for file in files if file is not None and (values := _above(file))}
    names = {name for values in texts.values() for name in values}
    whole = {name for name in names if all(_is_whole(values.get(name)) for values in texts.values())}
    return {
        file: {name: int(text) if name in whole and text is not None else text for name, text in values.items()}
        for file, values in texts.items()
    }


def with_folder_values(batch: "Batch", values: Mapping[str, Value]) -> "Batch":
    """Return a batch with one column for each value of its folders; a column of the file itself stays as it is.

    Examples
    --------
    >>> import polars as pl
    >>> from hven.plugins import Batch
    >>> batch = with_folder_values(Batch({"": pl.DataFrame({"id": [7, 8]})}), {"field": "COSMOS"})
    >>> batch.parts[""].rows(), [note.text for note in batch.notes]
    ([(7, 'COSMOS'), (8, 'COSMOS')], ["column 'field' comes from the names of the folders"])
    """
    (name, first), *others = batch.parts.items()
    new = {column: value for column, value in values.items() if column not in _columns(first)}
    notes = tuple(Note(f"column {column!r} comes from the names of the folders", column=column) for column in new)
    notes += tuple(_conflicts(first, {name: value for name, value in values.items() if name not in new}))
    if not new:
        return replace(batch, notes=(*batch.notes, *notes)) if notes else batch
    return replace(batch, parts={name: _with(first, new), **dict(others)}, notes=(*batch.notes, *notes))


def _conflicts(part: Any, values: Mapping[str, Value]) -> Iterator[Note]:
    """Yield a note on each column of a file that does not say what its folder says."""
    import polars as pl

    for name, value in values.items():
        if hasattr(part, "sizes"):
            continue
        inside = part[name]
        is_number = isinstance(value, int) and inside.dtype.is_numeric()
        told = inside if is_number else inside.cast(pl.String, strict=False)
        differ = told.ne_missing(pl.Series([value if is_number or value is None else str(value)], dtype=told.dtype))
        if differ.any():
            text = (
                f"column {name!r} of the file has other values than the name of its folder ({name}={value}): they stay"
            )
            yield Note(text, True, name)


def _with(part: Any, new: Mapping[str, Value]) -> Any:
    import polars as pl

    if not hasattr(part, "sizes"):
        types = {name: pl.Int64 if isinstance(value, int) else pl.String for name, value in new.items()}
        return part.with_columns(pl.lit(value, dtype=types[name]).alias(name) for name, value in new.items())
    rows = part.sizes["object"]
    text = np.dtypes.StringDType(na_object=None)
    return part.assign(
        {
            name: ("object", np.full(rows, value, dtype=np.int64 if isinstance(value, int) else text))
            for name, value in new.items()
        }
    )


def _columns(part: Any) -> list[str]:
    return [str(one) for one in (part.variables if hasattr(part, "sizes") else part.columns)]


def _above(file: str) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for folder in reversed(PurePath(file).parts[:-1]):
        name, mark, text = folder.partition("=")
        if not mark or not name.isidentifier():
            break
        values[name] = None if text == _NULL else unquote(text)
    return dict(reversed(values.items()))


def _is_whole(text: str | None) -> bool:
    if text is None:
        return True
    digits = text.removeprefix("-")
    return digits.isdecimal() and digits.isascii() and len(digits) < 18 and (digits == "0" or digits[0] != "0")
