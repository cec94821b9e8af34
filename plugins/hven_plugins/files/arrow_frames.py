"""Record batches of Arrow as pieces of a table: exact ids, vectors, and what is left out."""

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from hven import Column, Note
from hven_plugins.files.array_columns import piece_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl
    import pyarrow as pa

    Piece = tuple[pl.DataFrame, list[Column], list[Note]]
    Batches = Callable[[Sequence[str] | None], Iterator[pa.RecordBatch]]

_DIGITS = 38
_LARGEST = 2**63 - 1
_VOPARQUET = b"IVOA.VOTable-Parquet.content"
_INDEX = "__index_level_"


def arrow_pieces(schema: "pa.Schema", batches: "Batches") -> "Iterator[Piece]":
    """Yield the rows of record batches in bounded pieces, with what the schema says of its columns.

    Whole numbers of more than 64 bits with sign, and decimals without a fraction that do not fit into them, become text
    in all pieces. Records, maps and unions are left out.

    Parameters
    ----------
    schema
        Of all batches.
    batches
        A function that gives the batches from the start, of the columns named or of all.
    """
    import polars as pl
    import pyarrow as pa

    names, notes = _names(schema)
    kept = [n for n, one in enumerate(schema) if not _is_nested(one.type)]
    notes += [
        Note(f"column {one.name!r} is left out: each value is a {_word(one.type)}", True, one.name)
        for one in schema
        if _is_nested(one.type)
    ]
    texts = _beyond_64_bits(schema, batches)
    notes += [
        Note(f"column {names[n]!r} has whole numbers beyond 2^63 - 1: kept as text", column=names[n])
        for n in kept
        if schema.names[n] in texts
    ]
    wide = {one.name for one in schema if pa.types.is_decimal256(one.type) and one.type.precision > _DIGITS} - texts
    notes += [
        Note(f"column {names[n]!r} has decimals of more than {_DIGITS} digits: kept as text", True, names[n])
        for n in kept
        if schema.names[n] in wide
    ]
    texts |= wide
    told = _described(schema, names)
    is_begun = False
    for batch in batches(None):
        step = piece_rows(batch.nbytes, batch.num_rows)
        for start in range(0, batch.num_rows, step):
            piece = batch.slice(start, step)
            columns = [_plain(piece.column(n), schema.names[n] in texts) for n in kept]
            table = pa.table(columns, [names[n] for n in kept])
            frame = pl.from_arrow(table)
            assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table gives a frame
            yield frame, told, [] if is_begun else notes
            is_begun = True
    if not is_begun:
        columns = [_plain(pa.array([], schema.field(n).type), schema.names[n] in texts) for n in kept]
        empty = pa.table(columns, [names[n] for n in kept])
        yield pl.from_arrow(empty), told, notes  # type: ignore[misc]


def _plain(column: Any, as_text: bool) -> Any:
    """Return an array in a type that keeps its values exactly and that Polars has."""
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if as_text:
        return column.cast(pa.string())
    if pa.types.is_decimal(column.type) and column.type.scale <= 0:
        return column.cast(pa.decimal256(76, 0)).cast(pa.int64()) if column.type.scale < 0 else column.cast(pa.int64())
    if pa.types.is_decimal256(column.type):
        return column.cast(pa.decimal128(_DIGITS, column.type.scale))
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    return column


def _beyond_64_bits(schema: "pa.Schema", batches: "Batches") -> set[str]:
    """Return the columns of whole numbers of which some do not fit into 64 bits with sign."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wide = [
        one.name
        for one in schema
        if pa.types.is_uint64(one.type)
        or (pa.types.is_decimal(one.type) and one.type.scale <= 0 and one.type.precision - one.type.scale > 18)
    ]
    found: set[str] = set()
    if not wide:
        return found
    for batch in batches(wide):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in wide and name not in found and len(column):
                ends = pc.min_max(column).as_py()
                if ends["max"] is not None and (ends["max"] > _LARGEST or ends["min"] < -_LARGEST - 1):
                    found.add(name)
    return found


def _is_nested(dtype: Any) -> bool:
    import pyarrow as pa

    if isinstance(dtype, pa.BaseExtensionType):
        dtype = dtype.storage_type
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return _is_nested(dtype.value_type)
    return bool(
        pa.types.is_struct(dtype) or pa.types.is_map(dtype) or pa.types.is_union(dtype) or pa.types.is_interval(dtype)
    )


def _word(dtype: Any) -> str:
    import pyarrow as pa

    return "record" if pa.types.is_struct(dtype) else str(dtype).split("<")[0].split("(")[0]


def _names(schema: "pa.Schema") -> tuple[list[str], list[Note]]:
    """Return names that differ; an unnamed index of pandas is called ``index``."""
    names: list[str] = []
    notes = []
    for said in schema.names:
        plain = "index" if said.startswith(_INDEX) else said
        name, again = plain, 2
        while name in names or (name != said and name in schema.names):
            name, again = f"{plain}_{again}", again + 1
        names.append(name)
        if name != said:
            why = "the unnamed index of pandas" if plain != said else f"the second column {said!r}"
            notes.append(Note(f"{why} is kept as {name!r}", plain == said, name))
    return names, notes


def _described(schema: "pa.Schema", names: list[str]) -> list[Column]:
    beside = _voparquet(schema) | _astropy(schema)
    told = []
    for field, name in zip(schema, names, strict=True):
        said = {
            key.decode(errors="replace"): text.decode(errors="replace") for key, text in (field.metadata or {}).items()
        }
        said = {**beside.get(field.name, {}), **said}
        unit = said.get("unit") or said.get("units") or ""
        told.append(Column(name, "", ("object",), unit, said.get("description", ""), said.get("ucd", "")))
    return told


def _voparquet(schema: "pa.Schema") -> dict[str, dict[str, str]]:
    """Return units, UCDs and descriptions of the VOTable that VOParquet keeps in the metadata."""
    text = (schema.metadata or {}).get(_VOPARQUET)
    if not text or b"<!" in text.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        return {}
    found: dict[str, dict[str, str]] = {}
    try:
        for one in ET.fromstring(text).iter():  # noqa: S314 - without declarations, so without entities
            if one.tag.rsplit("}", 1)[-1] == "FIELD" and "name" in one.attrib:
                said: dict[str, str] = {key: one.attrib[key] for key in ("unit", "ucd") if key in one.attrib}
                for below in one:
                    if below.tag.rsplit("}", 1)[-1] == "DESCRIPTION" and below.text:
                        said["description"] = below.text.strip()
                found[one.attrib["name"]] = said
    except ET.ParseError:
        return {}
    return found


def _astropy(schema: "pa.Schema") -> dict[str, dict[str, str]]:
    """Return units and descriptions that astropy keeps in the metadata as YAML."""
    from hven_plugins.files.hdf5_tables import plain_yaml

    text = (schema.metadata or {}).get(b"table_meta_yaml")
    if not text:
        return {}
    columns = plain_yaml(text.decode(errors="replace").splitlines()).get("datatype", ())
    return {
        str(one.get("name")): {key: str(one[key]) for key in ("unit", "description") if one.get(key)}
        for one in columns
        if isinstance(one, dict)
    }
