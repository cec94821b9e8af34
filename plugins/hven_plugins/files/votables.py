"""VOTables, as the Virtual Observatory passes tables on."""

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hven
from hven import Batch, Claim, FileHead, Note
from hven.errors import UnreadableFileError
from hven_plugins.files.astropy_tables import astropy_frame
from hven_plugins.files.service_status import service_notes
from hven_plugins.files.table_batch import table_batch
from hven_plugins.files.text_content import decode_start

if TYPE_CHECKING:
    import polars as pl

_CHANGED = {
    "W18": "the table has another number of rows than it says",
    "W30": "some values are no numbers, and are taken as missing",
    "W36": "the code for missing values of a field is none that it can have, so that 0 is taken as missing",
    "W46": "some texts are longer than their field, and are cut",
}
"""Warnings of astropy that tell of values lost or changed; the others tell of spellings."""

_EVERY = "all"
_STREAM = re.compile(rb"<(?:\w+:)?STREAM\b[^>]*\bhref\s*=\s*[\"']([^\"']*)", re.IGNORECASE)
_OVERLAP = 4096


def claim_votable(head: FileHead) -> Claim | None:
    """Return what a file is as a VOTable; spectra in the model of the Virtual Observatory are refused by name.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "page.csv"
    >>> _ = file.write_text("<VOTABLE version='1.3'><RESOURCE/></VOTABLE>")
    >>> claim_votable(FileHead(str(file))).what
    'a VOTable'
    """
    text = None if head.is_folder else decode_start(head.start)
    if text is None or not re.search(r"\A\ufeff?\s*<(?:[^>]*>\s*<)*?(?:\w+:)?VOTABLE\b", text[:4000]):
        return None
    if 'utype="spec:Spectrum"' in text:
        return Claim(
            "a VOTable of spectra",
            "survey",
            'RESOURCE with utype="spec:Spectrum"',
            "each of its tables is one spectrum, and a table of pixels is not what it means",
            "Take the spectra as FITS or CSV; to read the pixels as rows: --reader votable -o table=all.",
        )
    return Claim("a VOTable", "format", "its root element VOTABLE")


@hven.reader(
    name="votable",
    patterns=("*.vot", "*.votable", "*.vo", "*.xml", "*.vot.gz", "*.xml.gz"),
    with_options_of=table_batch,
    claims=claim_votable,
)
def votable(path: str, *, table: int | str | None = None, **options: Any) -> Iterator[Batch]:
    """Tables of VOTable files, with their units, UCDs, descriptions and frames.

    A service that says in the file that its query failed is heard: the file is refused. One that says the result is
    cut is read, with a note.

    Parameters
    ----------
    path
        Of the file.
    table
        Which of the file's tables: a number counted from 0, a name or ID, or "all" for tables with the same columns one
        behind the other; by default the only one with rows.
    **options
        Those of `table_batch`.
    """
    with hven.local_file(path) as local:
        _ = FileHead(local).raw  # refuses a file that cannot be opened, in words
        hven.check_whole(local, path, "a VOTable")
        _refuse_streams(local, path)
        document, doubts = _parsed(local, path)
        notes = [*service_notes(document, path), *doubts]
        tables = list(document.iter_tables())
        chosen = _chosen(tables, table, path)
        frames = _frames_of(document, chosen[0])
        parts = [astropy_frame(_plain(one)) for one in chosen]
    frame, told, noted = parts[0]
    if len(parts) > 1:
        frame = _together([part for part, _, _ in parts], chosen)
        noted += [Note(f"{len(chosen)} tables of the file are put one behind the other")]
    elif len(tables) > 1:
        noted += [Note(f"the file has {len(tables)} tables: {_called(tables.index(chosen[0]), chosen[0])} is read")]
    yield table_batch(frame, told, path, frames, [*notes, *noted, *_epoch_notes(document)], **options)


def _refuse_streams(local: str, path: str) -> None:
    """Refuse a file whose data lie elsewhere: reading it would open files and addresses that it names."""
    with Path(local).open("rb") as file:
        before = b""
        while block := file.read(2**24):
            for found in _STREAM.finditer(before + block):
                href = found[1].decode(errors="replace")
                if not href.startswith("data:"):
                    raise UnreadableFileError(
                        f"the data of the VOTable lie elsewhere, at {href!r}, which hven does not open",
                        where=path,
                        expected="a VOTable that holds its data",
                        hint="Fetch that file too, and ingest it, or ask the service for inline data.",
                    )
            before = block[-_OVERLAP:]


def _parsed(local: str, path: str) -> tuple[Any, list[Note]]:
    """Return the document, and notes on values that astropy could not take as they are written."""
    from astropy.io.votable import parse
    from astropy.io.votable.exceptions import VOTableSpecError

    with warnings.catch_warnings(record=True) as warned:
        # Nearly every VOTable in the wild bends the standard somewhere; astropy warns of each place.
        warnings.simplefilter("always")
        try:
            document = parse(local, verify="warn")
        except (OSError, ValueError, IndexError, TypeError, KeyError, VOTableSpecError) as error:
            reason = str(error).split("\n")[0].replace(f"{local}:", "line ") or type(error).__name__
            raise UnreadableFileError(
                f"the file is not a whole VOTable: {reason}",
                where=path,
                hint="Fetch it again; services answer with an error page instead of a table now and then.",
            ) from error
    return document, _doubts(warned, path)


def _doubts(warned: "Sequence[warnings.WarningMessage]", path: str) -> list[Note]:
    """Return notes on values that are lost or changed; refuse numbers that their type cannot hold."""
    first: dict[str, str] = {}
    for one in warned:
        first.setdefault(type(one.message).__name__, str(one.message).split("\n")[0].rpartition(": ")[2])
    if "W51" in first:
        raise UnreadableFileError(
            f"the VOTable has numbers that their field cannot hold: {first['W51']}",
            where=path,
            expected="numbers within the range of the datatype of their field",
            hint="Correct the datatype in the file, to int or long for instance.",
        )
    return [Note(f"{text}: {first[kind]}", needs_attention=True) for kind, text in _CHANGED.items() if kind in first]


def _chosen(tables: list[Any], wanted: int | str | None, path: str) -> list[Any]:
    """Return the tables to read."""
    names = "; ".join(_called(number, table) for number, table in enumerate(tables))
    if wanted is None:
        filled = [table for table in tables if len(table.array)] or tables[:1]
        if len(filled) == 1:
            return filled
        if not filled:
            raise UnreadableFileError("the VOTable has no table", where=path, hint="Leave it out, or fetch it again.")
        raise UnreadableFileError(
            f"the VOTable has {len(filled)} tables with rows",
            where=path,
            expected="one",
            hint=f"Choose with the option 'table' a number, or 'all' if their columns are the same: {names[:1000]}.",
        )
    if wanted == _EVERY:
        fields = {tuple((field.name, field.datatype) for field in table.fields) for table in tables}
        if tables and len(fields) == 1:
            return tables
        raise UnreadableFileError(
            f"the {len(tables)} tables of the VOTable have different columns",
            where=path,
            hint=f"Choose one with the option 'table': {names[:1000]}.",
        )
    if str(wanted).isdigit():
        found = tables[int(wanted)] if int(wanted) < len(tables) else None
    else:
        found = next((table for table in tables if wanted in (table.name, table.ID)), None)
    if found is None:
        raise UnreadableFileError(
            f"there is no table {wanted}",
            where=path,
            expected=f"one of the {len(tables)} tables of the VOTable",
            hint=f"Choose another with the option 'table': {names[:1000] or 'it has none'}.",
        )
    return [found]


def _called(number: int, table: Any) -> str:
    name = table.name or table.ID or ""
    return f"table {number}{f' ({name})' if name else ''}: {len(table.array)} rows, {len(table.fields)} columns"


def _plain(table: Any) -> Any:
    """Return a table of astropy in which what has one element in each row is no vector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = table.to_table(use_names_over_ids=True)
    for name in plain.colnames:
        column = plain[name]
        if getattr(column, "ndim", 1) > 1 and np.prod(column.shape[1:]) == 1:
            info = (column.unit, column.description, dict(column.info.meta or {}))
            plain[name] = column.reshape(len(column))
            plain[name].unit, plain[name].info.description, plain[name].info.meta = info
    return plain


def _together(frames: "Sequence[pl.DataFrame]", tables: Sequence[Any]) -> "pl.DataFrame":
    """Return tables one behind the other; what their parameters say differently is a column."""
    import polars as pl

    from hven_plugins.files.astropy_tables import series_of

    said: list[dict[str, Any]] = []
    for table in tables:
        scalars = {p.name: p.value for p in table.params if np.ndim(p.value) == 0 and not isinstance(p.value, bytes)}
        said.append({name: None if value is np.ma.masked else value for name, value in scalars.items()})
    shared = [name for name in said[0] if all(name in one for one in said) and name not in frames[0].columns]
    differing = [name for name in shared if len({str(one[name]) for one in said}) > 1]
    pieces = []
    for frame, values in zip(frames, said, strict=True):
        new = [series_of(name, np.asarray([values[name]] * frame.height)) for name in differing if frame.height]
        pieces.append(pl.DataFrame(new).hstack(frame) if new else frame)
    return pl.concat([piece for piece in pieces if piece.height] or pieces[:1], how="vertical_relaxed")


def _frames_of(document: Any, table: Any) -> str | dict[str, str]:
    """Return the frame of positions by column, where columns refer to a COOSYS, or the only one of the file."""
    systems = list(document.iter_coosys())
    by_id = {system.ID: _frame(system) for system in systems if system.ID and _frame(system)}
    referred = {
        str(field.name): by_id[field.ref] for field in table.fields if field.ref is not None and field.ref in by_id
    }
    if referred:
        return referred
    frames = {_frame(system) for system in systems if _frame(system)}
    return frames.pop() if len(frames) == 1 else ""


def _frame(system: Any) -> str:
    name = str(system.system or "")
    if name in ("xy", "barycentric", "geo_app") or not name:
        return ""
    equinox = str(getattr(system, "equinox", None) or "")
    return f"{name} {equinox}".strip()


def _epoch_notes(document: Any) -> list[Note]:
    epochs = {str(system.epoch) for system in document.iter_coosys() if getattr(system, "epoch", None)}
    plain = sorted(epoch for epoch in epochs if epoch.upper().lstrip("J") not in ("2000", "2000.0"))
    return (
        [Note(f"positions are of epoch {', '.join(plain)}, as the file says; they are kept as they are")]
        if plain
        else []
    )
