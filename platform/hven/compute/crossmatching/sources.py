"""The two sides of a cross-match: what they are made of, and by which columns they are matched."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hven.compute.crossmatching.files import batches, find_hats, find_parquet, scan_files
from hven.compute.crossmatching.rows import PLACE, FrameRows, ParquetRows, Rows, gather_rows
from hven.compute.selection import Selection, select
from hven.errors import DataRefusedError, LakeNotFoundError, MissingColumnError, ParameterError, UnitError
from hven.lake import DatasetHandle, Lake, check_columns, parse_where, where_text
from hven.lake import open as open_lake
from hven.lake.inside import note_if_elsewhere
from hven.schema import Column, Schema, dataset_to_frame

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

    from hven.sky import Region

    Paths = Sequence[str | os.PathLike[str]]
    Matched = str | os.PathLike[str] | Paths | DatasetHandle | Selection | pl.DataFrame | pl.LazyFrame | xr.Dataset

ROLES = ("ra", "dec", "pmra", "pmdec", "object_id")
"""What columns may be for; `names` says which column is, where it is not called so."""

_IDS = ("object_id", "source_id")
_UNITS = {"ra": "deg", "dec": "deg", "pmra": "mas/yr", "pmdec": "mas/yr"}
_EPOCH = "ref_epoch"
"""Where Gaia's tables keep the epoch of each source."""


_BYTES = 8
_FEW = 2**27
"""Bytes up to which the right side is read once and kept."""


@dataclass(frozen=True)
class Side:
    """One side of a cross-match. Travels to workers.

    Attributes
    ----------
    label
        For errors: which side, and what it is.
    rows
        Where its rows are.
    columns
        What is taken of it into the result.
    roles
        Role -> column, of those that it has (`ROLES`).
    epoch
        Julian year of its positions, or the column with it; None when nobody says.
    where, region
        Which of its rows are meant.
    schema
        What is known of its columns.
    told
        What it is, for provenance.
    """

    label: str
    rows: Rows
    columns: tuple[str, ...]
    roles: Mapping[str, str]
    epoch: float | str | None = None
    where: "pl.Expr | None" = field(default=None, hash=False)
    region: "Region | None" = None
    schema: Schema = field(default=Schema(()), repr=False)
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def needed(self, *, moves: bool, ranked: bool) -> tuple[str, ...]:
        """Return the columns that matching needs, which may not be among those that are taken.

        Parameters
        ----------
        moves
            Whether positions are brought to another epoch.
        ranked
            Whether ids decide between equals.
        """
        roles = ["ra", "dec", *(("pmra", "pmdec") if moves else ()), *(("object_id",) if ranked else ())]
        epoch = (self.epoch,) if moves and isinstance(self.epoch, str) else ()
        return tuple(dict.fromkeys((*(self.roles[r] for r in roles if r in self.roles), *epoch, PLACE)))


@dataclass(frozen=True)
class _Found:
    """What a source is, before it is known how it will be read."""

    label: str
    known: "pl.Schema"
    rows: "ParquetRows | pl.LazyFrame | pl.DataFrame"
    schema: Schema = field(default=Schema(()))
    names: Mapping[str, str] = field(default_factory=dict)
    where: "pl.Expr | None" = None
    region: "Region | None" = None
    told: Mapping[str, Any] = field(default_factory=dict)


def open_side(
    word: str,
    source: "Matched",
    *,
    lake: Lake | None,
    names: Mapping[str, str],
    epoch: float | str | None,
    columns: Sequence[str] | None,
    also: Sequence[str],
    scratch: str,
    in_memory: bool,
) -> Side:
    """Return a side of a cross-match; what is in no order on the sky is put in order, in files of its own.

    Parameters
    ----------
    word
        ``left`` or ``right``.
    source
        What `crossmatch` was given.
    lake
        For names of datasets.
    names, epoch, columns
        Of this side.
    also
        Further columns that matching needs.
    scratch
        A folder for copies.
    in_memory
        Whether frames may stay in memory: all work is done in this process.

    Raises
    ------
    HvenError
        For whatever is not there or does not fit.
    """
    found = _find(word, source, lake)
    names = {**found.names, **names}
    roles = _roles(found, names)
    if epoch is None:
        told = found.schema.attrs.get("epoch")
        epoch = _EPOCH if told is None and _EPOCH in found.known else told
    if isinstance(epoch, str):
        check_columns([epoch], found.known, where=found.label)
    wanted = [c for c in found.known if c != PLACE or word == "left"] if columns is None else list(columns)
    check_columns([*wanted, *also], found.known, where=found.label)
    kept = list(dict.fromkeys([*wanted, *roles.values(), *also, *((epoch,) if isinstance(epoch, str) else ())]))
    rows = _ordered(found, roles, kept, scratch, is_left=word == "left", in_memory=in_memory)
    # What was copied was narrowed down as well.
    is_copy = rows is not found.rows
    if word == "right" and in_memory and isinstance(rows, ParquetRows):
        rows = _held(rows, tuple(dict.fromkeys([*kept, PLACE, *_used(found)])))
    return Side(
        found.label,
        rows,
        tuple(wanted),
        roles,
        epoch,
        None if is_copy else found.where,
        None if is_copy else found.region,
        found.schema,
        {**found.told, "epoch": epoch},
    )


def _find(word: str, source: Any, lake: Lake | None) -> _Found:
    import polars as pl
    import xarray as xr

    if isinstance(source, str) and not _is_path(source, lake):
        source = select(source)
    if isinstance(source, Selection):
        if source.derived:
            raise ParameterError(
                "a cross-match takes no derived columns",
                where=word,
                hint="Add them to a frame, and match that: lake.sql gives one.",
            )
        return _in_lake(word, source, lake)
    if isinstance(source, DatasetHandle):
        return _dataset(word, source, None, None, {})
    if isinstance(source, pl.LazyFrame):
        return _Found(f"{word}, a query", source.collect_schema(), source, told={"frame": "query"})
    if isinstance(source, xr.Dataset):
        flat = source.reset_coords()
        over = next((v.dims for v in flat.variables.values() if len(v.dims) == 1), ())
        flat = flat[[name for name, v in flat.variables.items() if v.dims == over]]
        frame = dataset_to_frame(flat.compute())
        return _Found(f"{word}, a Dataset", frame.schema, frame, Schema.of_dataset(flat), told={"frame": "Dataset"})
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        source = pl.from_pandas(source)
    if isinstance(source, pl.DataFrame):
        return _Found(f"{word}, a frame", source.schema, source, told={"frame": "frame"})
    if isinstance(source, str | os.PathLike) or _is_list_of_paths(source):
        return _in_files(word, source)
    raise DataRefusedError(
        f"the {word} side is of type {type(source).__name__}",
        expected="a dataset of a lake, Parquet files, a HATS catalog, or a Polars, pandas or xarray frame",
        hint="Convert it, for example with pl.from_pandas(table.to_pandas()).",
    )


def _is_path(text: str, lake: Lake | None) -> bool:
    from pathlib import Path

    if "#" in text or (lake is not None and text.split("@", maxsplit=1)[0] in lake):
        return False
    return text.endswith((".parquet", ".parq", ".pq")) or "/" in text or os.sep in text or Path(text).exists()


def _is_list_of_paths(source: Any) -> bool:
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(s, str | os.PathLike) for s in source)


def _in_lake(word: str, selection: Selection, lake: Lake | None) -> _Found:
    if len(selection.datasets) != 1:
        raise DataRefusedError(
            f"the {word} side joins several datasets: {selection.text}",
            expected="one dataset a side",
            hint="Match the dataset with the positions, write the result, and join it to the others by object_id.",
        )
    [reference] = selection.datasets
    home = open_lake(reference.url) if reference.url else lake
    if home is None:
        raise LakeNotFoundError(
            f"{selection.text!r} names a dataset, and no lake is given",
            hint="Give crossmatch(..., lake=lake) or lake['name'] itself; write a path as ./name.",
        )
    handle = (home.at(reference.version) if reference.version else home)[reference.name]
    return _dataset(word, handle, selection.where, selection.region, selection.columns)


def _dataset(
    word: str, handle: DatasetHandle, where: "str | pl.Expr | None", region: "Region | None", names: Mapping[str, str]
) -> _Found:
    source = handle.source
    known = source.frame_schema()
    label = f"{word}, dataset {handle.name!r}"
    expression = None if where is None else parse_where(where, known, handle.name)
    if region is not None:
        note_if_elsewhere(handle.entry, region, region.ranges())
    pin = source.pin
    told = {
        "name": handle.name,
        "lake": source.store.lake,
        "pin": {"engine": pin.engine, "path": pin.path, "version": pin.version},
        "where": where_text(where),
        "region": region.to_text() if region is not None else "",
    }
    if source.is_table and known.get(PLACE) is not None:
        addresses = tuple(source.store.address(f"{pin.path}/{part.path}") for part in source.parts)
        rows = ParquetRows(addresses, source.parts, source.store.options, columns=known)
        return _Found(label, known, rows, source.schema, names, expression, region, told)
    lazy = source.scan() if known else handle.table()
    lazy = lazy if expression is None else lazy.filter(expression)
    return _Found(label, known, lazy, source.schema, names, None, region, told)


def _in_files(word: str, source: Any) -> _Found:
    paths = [os.fspath(s) for s in ([source] if isinstance(source, str | os.PathLike) else source)]
    # By name, never by folder: catalogs are passed on.
    told = {"files": [path.rstrip("/").replace(os.sep, "/").rsplit("/", 1)[-1] for path in paths]}
    label = f"{word}, {told['files'][0]}"
    hats = find_hats(os.fspath(source)) if isinstance(source, str | os.PathLike) else None
    if hats is not None:
        names = {"ra": hats.ra, "dec": hats.dec}
        return _Found(label, hats.rows.schema(), hats.rows, names=names, told=told)
    lazy = scan_files(find_parquet(source))
    return _Found(label, lazy.collect_schema(), lazy, told=told)


def _roles(found: _Found, names: Mapping[str, str]) -> dict[str, str]:
    """Return role -> column: as told, else the column of that name; ids fall back to the survey's own."""
    for role in names:
        if role not in ROLES:
            raise DataRefusedError(
                f"there is no role {role!r} for a column in a cross-match",
                where=found.label,
                expected=", ".join(ROLES),
                hint="Write names as {'ra': 'RAJ2000', 'dec': 'DEJ2000'}.",
            )
    roles = {role: names.get(role, role) for role in ROLES if role in names or role in found.known}
    if "object_id" not in roles and _IDS[1] in found.known:
        roles["object_id"] = _IDS[1]
    check_columns(roles.values(), found.known, where=found.label)
    missing = [role for role in ("ra", "dec") if role not in roles]
    if missing:
        raise MissingColumnError(
            f"there is no column {missing[0]!r}",
            where=found.label,
            expected="positions: ra and dec, ICRS, in degrees",
            hint="Say which columns they are with left_names or right_names (--left-name, --right-name).",
        )
    for role, unit in _UNITS.items():
        column = roles.get(role)
        if column is None:
            continue
        if not found.known[column].is_numeric():
            raise DataRefusedError(
                f"column {column!r} is {found.known[column]}, not a number",
                where=found.label,
                expected=unit,
                hint="Convert it to numbers first.",
            )
        has = found.schema[column].unit if column in found.schema else ""
        if has.replace(" ", "") not in ("", unit):
            raise UnitError(
                f"column {column!r} is in {has!r}",
                where=found.label,
                expected=unit,
                hint="Convert the column first; ingest does so by itself.",
            )
    return roles


def _ordered(
    found: _Found, roles: Mapping[str, str], kept: Sequence[str], scratch: str, *, is_left: bool, in_memory: bool
) -> Rows:
    """Return the rows in order on the sky: as they are when they have it, else brought into it."""
    import polars as pl

    ra, dec = roles["ra"], roles["dec"]
    if isinstance(found.rows, pl.DataFrame):
        frame = found.rows.select(kept)
        if in_memory:
            return FrameRows.of(frame, ra, dec)
        return gather_rows(iter([frame]), scratch, ra, dec)
    if isinstance(found.rows, pl.LazyFrame):
        return gather_rows(_inside(batches(found.rows, kept), found.region, ra, dec), scratch, ra, dec)
    if found.rows.is_placed(ra, dec) and (not is_left or found.rows.is_ordered()):
        return found.rows
    lazy = found.rows.scan() if found.where is None else found.rows.scan().filter(found.where)
    return gather_rows(_inside(batches(lazy, kept), found.region, ra, dec), scratch, ra, dec)


def _held(rows: ParquetRows, columns: Sequence[str]) -> Rows:
    """Return rows in memory when they are few: each block then has its neighbours at hand."""
    if sum(part.rows for part in rows.parts()) * len(columns) * _BYTES > _FEW:
        return rows
    return FrameRows.in_order(rows.scan().select(columns).collect())


def _used(found: _Found) -> Sequence[str]:
    return found.where.meta.root_names() if found.where is not None else ()


def _inside(frames: "Iterator[pl.DataFrame]", region: "Region | None", ra: str, dec: str) -> "Iterator[pl.DataFrame]":
    for frame in frames:
        yield frame if region is None else frame.filter(region.contains(frame[ra].to_numpy(), frame[dec].to_numpy()))


def result_columns(left: Side, right: Side, suffix: str) -> dict[str, str]:
    """Return right column -> its name in the result: with the suffix where the left has one of that name.

    Raises
    ------
    DataRefusedError
        If a name comes twice all the same.
    """
    names = {column: column + suffix * (column in left.columns) for column in right.columns}
    taken = [*left.columns, *names.values()]
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        raise DataRefusedError(
            f"the result would have two columns {twice[0]!r}",
            where=right.label,
            hint="Choose another suffix, or leave columns out.",
        )
    return names


def described(side: Side, names: Mapping[str, str]) -> list[Column]:
    """Return what is known of the columns of a side, under their names in the result."""
    from dataclasses import replace

    known = {column.name: column for column in side.schema}
    return [replace(known[c], name=name, dims=("object",)) for c, name in names.items() if c in known]
