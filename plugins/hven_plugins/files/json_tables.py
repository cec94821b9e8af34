"""Records in JSON: a line each, in an array, or columns by name; answers of services that say an error are refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import hven
from hven import Batch, Claim, Column, FileHead, Note
from hven.errors import UnreadableFileError
from hven_plugins.files.json_labels import are_labelled, labelled_columns
from hven_plugins.files.table_batch import table_batch
from hven_plugins.files.text_content import decode_start, text_blocks

if TYPE_CHECKING:
    import polars as pl

_WRAPPERS = ("data", "results", "result", "records", "rows", "items", "objects", "features", "hits")
_ERRORS = ("error", "errors", "exception", "fault", "detail", "message", "msg", "errormessage", "error_message")
_STATUS = ("status", "code", "statuscode", "status_code", "reason")
_LARGEST = 2**63 - 1
_LARGEST_BYTES = 2**30
_LINES_BYTES = 2**25


def claim_json(head: FileHead) -> Claim | None:
    r"""Return what a file is as JSON; an answer of a service that says an error is refused with its words.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "stars.csv"
    >>> _ = file.write_text('{"error": {"code": 429, "message": "Too many requests"}}')
    >>> claim_json(FileHead(str(file))).what
    'a JSON answer of a service: Too many requests'
    """
    text = None if head.is_folder else decode_start(head.start)
    start = (text or "").lstrip("\ufeff \n\t")
    if start[:1] not in ("{", "["):
        return None
    if _is_lines(start):
        return Claim("records in JSON, a line each", "format", "each line is one object in braces")
    if head.size > _LARGEST_BYTES:
        return Claim(
            "JSON",
            "format",
            f"it begins with {start[0]}",
            "it is too large to be read whole",
            "Write it as JSON lines.",
        )
    try:
        content = json.loads(_whole(head.path))
    except (ValueError, RecursionError, UnreadableFileError):
        if start[:1] == "[" and start[1:].lstrip()[:1] not in ("{", "[", '"') and not _json_names(head):
            return None
        return (
            _refused("text that begins as JSON", "it is not whole JSON", "Fetch or copy it again.")
            if _json_names(head)
            else None
        )
    if isinstance(content, dict):
        if "nbformat" in content:
            return _refused("a Jupyter notebook", "it holds code, not a table", "Leave it out.")
        if content.get("type") in ("FeatureCollection", "Feature"):
            return _refused("a GeoJSON file", "it holds shapes on the Earth", "Leave it out.")
        if words := _error_words(content):
            return _refused(
                f"a JSON answer of a service: {words}", "it holds an error, no data", "Ask the service again."
            )
    what = _what(content)
    if not what:
        return _refused("a JSON document", "it holds no records of one kind", "Write its table as JSON lines or CSV.")
    return Claim(what, "format", f"its content, which begins with {start[0]}")


def _json_names(head: FileHead) -> bool:
    """Return whether a file is called as JSON is."""
    return head.name.lower().endswith((".json", ".jsonl", ".ndjson"))


@hven.reader(
    name="json_records", patterns=("*.json", "*.jsonl", "*.ndjson"), with_options_of=table_batch, claims=claim_json
)
def json_records(path: str, **options: Any) -> Iterator[Batch]:
    """JSON: a record in each line, an array of records, columns by name, or the answer of a TAP or MAST service.

    Whole numbers keep every digit; texts stay texts; arrays in records are vectors.

    Parameters
    ----------
    path
        Of the file.
    **options
        Those of `table_batch`.
    """
    with hven.local_file(path) as local:
        start = decode_start(FileHead(local).raw) or ""
        if _is_lines(start.lstrip("\ufeff \n\t")):
            yield from _of_lines(local, path, options)
            return
        try:
            content = json.loads(_whole(local))
        except (ValueError, RecursionError) as error:
            raise UnreadableFileError(
                f"the file is not whole JSON: {error}", where=path, hint="Fetch or copy it again."
            ) from error
        if isinstance(content, dict) and (words := _error_words(content)):
            raise UnreadableFileError(f"a service answered with an error: {words}", where=path, hint="Ask it again.")
        columns, told, doubts = _columns(content, path)
    frame, notes = _frame(columns)
    yield table_batch(frame, told, path, "", [*doubts, *notes], **options)


def _refused(what: str, why: str, hint: str) -> Claim:
    return Claim(what, "format", "its content", why, hint)


def _whole(path: str) -> str:
    return "".join(text_blocks(path)).lstrip("\ufeff")


def _is_lines(start: str) -> bool:
    """Return whether each line of a text is an object of its own."""
    first, mark, rest = start.partition("\n")
    if not first.startswith("{") or (mark and rest.strip() and not rest.lstrip().startswith("{")):
        return False
    try:
        is_record = isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False
    return is_record and bool(rest.strip())


def _error_words(content: Mapping[str, Any]) -> str:
    """Return what an object says of an error; empty when it is none."""
    lower = {str(key).lower(): value for key, value in content.items()}
    if any(isinstance(lower.get(key), list) and lower[key] for key in _WRAPPERS):
        return ""
    found = next((lower[key] for key in _ERRORS if lower.get(key)), None)
    is_small = set(lower) <= {
        *_ERRORS,
        *_STATUS,
        "title",
        "type",
        "path",
        "timestamp",
        "instance",
        "request_id",
        "success",
    }
    if found is None or not (
        is_small or "error" in lower or "errors" in lower or str(lower.get("status")).upper() == "ERROR"
    ):
        return ""
    if isinstance(found, list):
        found = found[0]
    if isinstance(found, dict):
        inner = {str(key).lower(): value for key, value in found.items()}
        found = next((inner[key] for key in ("message", "detail", "msg", "reason", "error") if inner.get(key)), found)
    return " ".join(str(found).split())[:200]


def _unwrapped(content: Any) -> Any:
    """Return the columns of an object that holds nothing but them under one name."""
    only = next(iter(content.values())) if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(only, dict) or len(only) < 2 or not all(isinstance(one, list) for one in only.values()):
        return content
    return only if _are_columns(only) else content


def _what(content: Any) -> str:
    content = _unwrapped(content)
    if _are_records(content):
        return f"{len(content)} records in JSON"
    if not isinstance(content, dict) or not content:
        return ""
    if _is_service(content):
        return f"the answer of a service in JSON, of {len(content['data'])} rows"
    wrapper = _wrapper(content)
    if wrapper:
        return f"{len(content[wrapper])} records in JSON, under {wrapper!r}"
    if _are_columns(content):
        return f"{len(content)} columns in JSON"
    if all(not isinstance(value, dict) for value in content.values()):
        return "one record in JSON"
    return ""


def _are_records(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and all(isinstance(one, dict) for one in content)


def _is_service(content: Mapping[str, Any]) -> bool:
    """Return whether an object has names in ``metadata`` and rows as arrays in ``data``, as TAP services answer."""
    names, rows = content.get("metadata") or content.get("columns"), content.get("data")
    if not isinstance(names, list) or not isinstance(rows, list) or not names:
        return False
    return all(isinstance(row, list) and len(row) == len(names) for row in rows)


def _wrapper(content: Mapping[str, Any]) -> str:
    return next((key for key in content if str(key).lower() in _WRAPPERS and _are_records(content[key])), "")


def _are_columns(content: Mapping[str, Any]) -> bool:
    lengths = {len(value) if isinstance(value, list) else -1 for value in content.values()}
    return (len(lengths) == 1 and -1 not in lengths and lengths != {0}) or are_labelled(content)


def _columns(content: Any, path: str) -> tuple[dict[str, list[Any]], list[Column], list[Note]]:
    """Return the values of each column, what is said of the columns, and what is doubtful."""
    told: list[Column] = []
    content = _unwrapped(content)
    if isinstance(content, dict) and _is_service(content):
        names = []
        for number, field in enumerate(content.get("metadata") or content["columns"], 1):
            named = field if isinstance(field, dict) else {"name": field}
            name = str(named.get("name") or f"col{number}")
            names.append(name)
            texts = [str(named.get(key) or "") for key in ("unit", "description", "ucd")]
            told.append(Column(name, "", ("object",), *texts))
        return {name: [row[index] for row in content["data"]] for index, name in enumerate(names)}, told, []
    if isinstance(content, dict) and (wrapper := _wrapper(content)):
        content = content[wrapper]
    elif isinstance(content, dict) and are_labelled(content):
        columns, notes = labelled_columns(content)
        return columns, told, notes
    elif isinstance(content, dict) and _are_columns(content):
        return dict(content), told, []
    elif isinstance(content, dict):
        content = [content]
    if not _are_records(content):
        raise UnreadableFileError(
            "the file holds no records",
            where=path,
            expected="an array of objects, an object in each line, or arrays of one length by name",
            hint="Write its table as JSON lines or CSV.",
        )
    return {name: [one.get(name) for one in content] for name in _names(content)}, told, []


def _names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record))


def _frame(columns: Mapping[str, list[Any]]) -> "tuple[pl.DataFrame, list[Note]]":
    import polars as pl

    kept: list[pl.Series] = []
    notes: list[Note] = []
    for name, values in columns.items():
        series, note = _series(name, values)
        kept.append(series)
        notes += [Note(f"column {name!r} {note}", True, name)] if note else []
    return pl.DataFrame(kept), notes


def _series(name: str, values: list[Any]) -> "tuple[pl.Series, str]":
    """Return a column in the narrowest type that holds all values, and what is doubtful of it."""
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series(name, values, dtype=pl.Float64), ""
    if kinds in ({bool}, {str}):
        return pl.Series(name, values), ""
    if kinds == {int}:
        if all(value is None or -_LARGEST - 1 <= value <= _LARGEST for value in values):
            return pl.Series(name, values, dtype=pl.Int64), ""
        return _texts(name, values), "has whole numbers beyond 2^63 - 1: kept as text"
    if kinds <= {int, float}:
        too_large = any(isinstance(value, int) and abs(value) > 2**53 for value in values)
        note = "mixes fractions with whole numbers beyond 2^53, which are rounded" if too_large else ""
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64), note
    if kinds == {list}:
        return _vectors(name, values), ""
    if dict in kinds:
        return pl.Series(name, [{} if value is None else {"": str(value)} for value in values], strict=False), ""
    return _texts(name, values), "has values of several kinds: kept as text"


def _vectors(name: str, values: list[Any]) -> "pl.Series":
    import polars as pl

    flat = [one for value in values if value for one in value if one is not None]
    if any(isinstance(one, list | dict) for one in flat):
        return pl.Series(name, [None] * len(values), dtype=pl.List(pl.Float64))
    if any(isinstance(one, str) for one in flat):
        return pl.Series(
            name, [None if v is None else [str(one) for one in v] for v in values], dtype=pl.List(pl.String)
        )
    kind = pl.Float64 if any(isinstance(one, float) for one in flat) else pl.Int64
    series = pl.Series(name, values, dtype=pl.List(kind), strict=False)
    lengths = series.drop_nulls().list.len().unique()
    return series.list.to_array(int(lengths.item())) if lengths.len() == 1 and lengths.item() else series


def _texts(name: str, values: list[Any]) -> "pl.Series":
    import polars as pl

    return pl.Series(name, [v if v is None or isinstance(v, str) else json.dumps(v) for v in values], dtype=pl.String)


def _of_lines(local: str, path: str, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Yield records a block of lines at a time, in the types that all blocks together have."""
    import polars as pl

    types: dict[str, pl.DataType] = {}
    held: pl.DataFrame | None = None
    blocks = 0
    found: list[Note] = []
    for records in _line_blocks(local, path):
        frame, notes = _frame({name: [one.get(name) for one in records] for name in _names(records)})
        found += [note for note in notes if note not in found]
        for series in frame.iter_columns():
            empty = series.null_count() == series.len()
            types[series.name] = _common(types.get(series.name), None if empty else series.dtype)
        held, blocks = frame, blocks + 1
    schema = {name: pl.Float64() if dtype == pl.Null else dtype for name, dtype in types.items()}
    if blocks == 1 and held is not None:
        yield table_batch(held, [], path, "", found, **options)
        return
    for records in _line_blocks(local, path):
        frame, _ = _frame({name: [one.get(name) for one in records] for name in schema})
        yield table_batch(_in_types(frame, schema), [], path, "", found, **options)


def _common(before: "pl.DataType | None", now: "pl.DataType | None") -> "pl.DataType":
    import polars as pl

    one, other = before or pl.Null(), now or pl.Null()
    if pl.Null in (one, other) or one == other:
        return other if one == pl.Null else one
    if one.is_numeric() and other.is_numeric():
        return pl.Float64()
    if one.is_nested() and other.is_nested():
        inner = _common(getattr(one, "inner", None), getattr(other, "inner", None))
        return pl.List(inner)
    return pl.String()


def _in_types(frame: "pl.DataFrame", types: "Mapping[str, pl.DataType]") -> "pl.DataFrame":
    import polars as pl

    columns = []
    for name, dtype in types.items():
        series = frame[name]
        if dtype == pl.String and series.dtype == pl.Boolean:
            series = series.cast(pl.String)
        if isinstance(series.dtype, pl.Array) and isinstance(dtype, pl.List):
            series = series.arr.to_list()
        columns.append(series.cast(dtype, strict=False))
    return pl.DataFrame(columns)


def _line_blocks(local: str, path: str) -> Iterator[list[dict[str, Any]]]:
    number = 0
    for block in text_blocks(local, "", _LINES_BYTES):
        records = []
        for line in block.split("\n"):
            number += 1
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise UnreadableFileError(
                    f"line {number} is not whole JSON: {error}", where=path, hint="Fetch or copy the file again."
                ) from error
            if not isinstance(record, dict):
                raise UnreadableFileError(
                    f"line {number} holds no record",
                    where=path,
                    expected="an object in braces",
                    hint="Repair the line.",
                )
            records.append(record)
        if records:
            yield records
