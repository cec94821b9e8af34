"""ECSV: text tables whose header says the type, unit and meaning of each column."""

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hven import Batch, Column, Note, check_whole
from hven.errors import UnreadableFileError
from hven_plugins.files.astropy_tables import astropy_frame
from hven_plugins.files.dialect import Dialect
from hven_plugins.files.table_batch import table_batch
from hven_plugins.files.text_content import text_blocks
from hven_plugins.files.text_rows import Passed, text_rows
from hven_plugins.files.words import NULLS, NUMBER_NULLS

if TYPE_CHECKING:
    import polars as pl

_FLOATS = ("float16", "float32", "float64", "float128")


def is_ecsv(text: str) -> bool:
    """Return whether a text begins as ECSV does.

    Examples
    --------
    >>> is_ecsv("# %ECSV 1.0")
    True
    """
    return text.lstrip("\ufeff").startswith("# %ECSV")


def ecsv_batches(path: str, where: str, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Yield the rows of an ECSV file; what is not a plain column (times, sky positions, vectors) is read by astropy.

    Raises
    ------
    UnreadableFileError
        If the file is not whole ECSV.
    """
    header, lines = _header(path, where)
    columns = header["datatype"]
    is_plain = all("subtype" not in column and column["datatype"] != "object" for column in columns)
    if not is_plain or "__serialized_columns__" in str(header.get("meta", "")):
        check_whole(path, where, "an ECSV table with times, sky positions or vectors")
        frame, told, notes = _with_astropy(path, where)
        yield table_batch(frame, told, where, "", notes, **options)
        return
    names = [str(column["name"]) for column in columns]
    told = [
        Column(
            name,
            "",
            ("object",),
            str(column.get("unit") or ""),
            str(column.get("description") or ""),
            str((column.get("meta") or {}).get("ucd") or "") if isinstance(column.get("meta"), dict) else "",
        )
        for name, column in zip(names, columns, strict=True)
    ]
    dialect = Dialect(header.get("delimiter", " "), "#", names=tuple(names), skip=1)
    if len(set(names)) < len(names):
        raise UnreadableFileError("two columns have one name", where=where, hint="Rename one in the file.")
    kinds = {name: str(column["datatype"]) for name, column in zip(names, columns, strict=True)}
    first = 1 + len(lines)
    for block in text_rows(path, dialect, names, Passed()):
        typed = block.select(_typed(block[name], kinds[name], where, first) for name in names)
        first += block.height
        yield table_batch(typed, told, where, **options)


def _header(path: str, where: str) -> tuple[dict[str, Any], list[str]]:
    from astropy.table.meta import YamlParseError, get_header_from_yaml

    lines: list[str] = []
    for block in text_blocks(path, "", 2**18):
        found = block.split("\n")
        comments = [line[2:] for line in found if line.startswith("# ") and "%ECSV" not in line]
        lines += comments
        if any(line.strip() and not line.startswith("#") for line in found):
            break
    try:
        header = dict(get_header_from_yaml(lines))
        header["datatype"] = list(header["datatype"])
    except (YamlParseError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFileError(
            f"the header of the ECSV file is not whole: {str(error).splitlines()[0]}",
            where=where,
            hint="Fetch or copy it again.",
        ) from error
    return header, lines


def _typed(texts: "pl.Series", kind: str, where: str, first: int) -> "pl.Series":
    """Return a column of texts in the type that the header says."""
    import polars as pl

    missing = texts.is_in(list(NULLS if kind == "string" else NUMBER_NULLS)).fill_null(value=True)
    texts = texts.set(missing, None) if missing.any() else texts
    if kind == "string":
        return texts
    if kind == "bool":
        lower = texts.str.to_lowercase()
        values = pl.select(
            pl.when(lower.is_in(["true", "false", "1", "0"])).then(lower.is_in(["true", "1"])).alias(texts.name)
        ).to_series()
    elif kind in _FLOATS:
        values = texts.cast(pl.Float32 if kind in ("float16", "float32") else pl.Float64, strict=False)
    elif kind == "uint64":
        values = texts.cast(pl.UInt64, strict=False)
    elif kind.startswith(("int", "uint")):
        values = texts.cast({"int8": pl.Int8, "int16": pl.Int16, "int32": pl.Int32}.get(kind, pl.Int64), strict=False)
    else:
        return texts
    bad = values.is_null() & texts.is_not_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise UnreadableFileError(
            f"column {texts.name!r} is {kind} by the header, and row {first + row} has {texts[row]!r}",
            where=where,
            hint="Correct the value or the header.",
        )
    return values


def _with_astropy(path: str, where: str) -> "tuple[pl.DataFrame, list[Column], list[Note]]":
    from astropy.io import ascii as tables
    from astropy.io.ascii import InconsistentTableError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that astropy does not know: the ingest tells of those
        try:
            return astropy_frame(tables.read(path, format="ecsv", fill_values=[(null, "0") for null in NULLS]))
        except (OSError, ValueError, TypeError, InconsistentTableError) as error:
            raise UnreadableFileError(
                f"the file is not whole ECSV: {str(error).splitlines()[0]}", where=where, hint="Fetch or copy it again."
            ) from error
