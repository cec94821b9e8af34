"""A handle: one dataset of a lake at one commit, to be asked as a table or opened as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.catalog import Entry
from hven.errors import DataRefusedError
from hven.lake.inside import as_region, rows_inside
from hven.lake.lookup import Several, asked_ids, find
from hven.lake.parts import Block, Run
from hven.lake.picking import pick_rows, table_template, table_values
from hven.lake.source import Source
from hven.lake.where import check_columns, parse_where
from hven.schema import Schema

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

    from hven.lake.lake import Lake
    from hven.sky import Region


@dataclass(frozen=True)
class Version:
    """One state of a dataset: the catalog in which it appeared, what was said of it, and how many objects it had."""

    number: int
    created: str
    message: str
    rows: int
    pin: int | str


class DatasetHandle:
    """A dataset of a lake, pinned to one commit. Nothing is read until it is asked for.

    Examples
    --------
    >>> lake["stars"].table(where="feh < -1").collect()  # doctest: +SKIP
    >>> lake["apogee_xp_spectra"].of(lake["stars"].table(where="feh < -1"))["flux"]  # doctest: +SKIP
    """

    def __init__(self, lake: "Lake", entry: Entry) -> None:
        self.lake = lake
        self.entry = entry

    def __repr__(self) -> str:
        counts = self.entry.counts
        return f"<hven {self.kind} {self.name!r}: {counts.rows:,} objects, {len(self.entry.columns)} columns>"

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.entry.name

    @property
    def kind(self) -> str:
        """One of `hven.schema.KINDS`."""
        return self.entry.kind

    @property
    def schema(self) -> Schema:
        """Its columns, with units, descriptions and UCDs."""
        return self.source.schema

    @cached_property
    def source(self) -> Source:
        """What a worker needs to read it: small, and it travels."""
        return Source.of(self.lake.store, self.entry)

    def blocks(self, rows: int | None = None) -> tuple[Block, ...]:
        """Return the blocks of work, of about `rows` objects each."""
        return self.source.blocks(rows)

    def versions(self) -> list[Version]:
        """Return the states this dataset went through, newest first."""
        found: list[Version] = []
        for told in self.lake.log():
            if told.changed.get(self.name, "dropped") != "dropped":
                entry = self.lake.at(told.number).catalog[self.name]
                found.append(Version(told.number, told.created, told.message, entry.counts.rows, entry.pin.version))
        return found

    def table(
        self,
        columns: Sequence[str] | None = None,
        where: "str | pl.Expr | None" = None,
        region: "Region | str | None" = None,
    ) -> "pl.LazyFrame":
        """Return the dataset's rows as a Polars LazyFrame; of arrays, their 1-D variables over ``object``.

        Parameters
        ----------
        columns
            Names, all when None.
        where
            SQL text such as ``"logg > 2.3"`` or a Polars expression, true or false for each row by itself; it may use
            columns that are not returned.
        region
            Part of the sky (`hven.sky`), or its text. Only files and row groups that may hold objects in it are read,
            then it is held exactly. One that holds no part of what the dataset covers gives no rows, and a warning in
            the log of ``hven``.

        Raises
        ------
        MissingColumnError, WhereError, RegionError
            Before anything is read.
        DataRefusedError
            For arrays that have no variable over ``object``, maps say.

        Examples
        --------
        >>> from hven.sky import cone
        >>> lake["stars"].table(["ra", "dec"], "feh < -1", cone(190, 5, 1)).collect()  # doctest: +SKIP
        """
        import polars as pl

        known = self.source.frame_schema()
        if not known:
            raise DataRefusedError(
                "the dataset has no variables over object",
                where=f"dataset {self.name!r}, with {', '.join(self.schema.names) or 'nothing'}",
                hint="Open it with .dataset().",
            )
        names = _names(columns)
        if names is not None:
            check_columns(names, known, self.name)
        asked = None if where is None else parse_where(where, known, self.name)
        if region is None:
            lazy = self.source.scan()
        else:
            runs, inside = rows_inside(self.source, self.entry, as_region(region))
            wanted = None if names is None or asked is not None else {*names, *inside.meta.root_names()}
            lazy = self.source.scan_runs(runs, wanted).filter(inside)
        if asked is not None:
            lazy = lazy.filter(asked)
        return lazy if names is None else lazy.select(pl.col(names))

    def head(
        self,
        count: int = 10,
        columns: Sequence[str] | None = None,
        where: "str | pl.Expr | None" = None,
        region: "Region | str | None" = None,
    ) -> "pl.DataFrame":
        """Return the first objects in memory; of arrays of each object, the lowest and highest value as text.

        Parameters
        ----------
        count
            How many objects at most.
        columns, where, region
            As of `table`; columns may be those of arrays too.

        Raises
        ------
        MissingColumnError, WhereError, RegionError
            Before anything is read.
        DataRefusedError
            For arrays that have no variable over ``object``, maps say.

        Examples
        --------
        >>> lake["stars"].head(3, ["feh", "teff"])  # doctest: +SKIP
        """
        from hven.lake.heading import first_objects

        return first_objects(self, count, columns, where, region)

    def dataset(
        self,
        columns: Sequence[str] | None = None,
        where: "str | pl.Expr | None" = None,
        region: "Region | str | None" = None,
    ) -> "xr.Dataset":
        """Return the dataset as an xarray Dataset with lazy Dask variables; a table as 1-D variables over ``object``.

        The objects are those of `table`. `where` and `region` are resolved now (sizes must be known), from the columns
        they name; the values stay lazy, and only chunks that hold some of the objects are read for them.

        Raises
        ------
        MissingColumnError, WhereError, RegionError
            Before anything is read.
        """
        names = _names(columns)
        if names is not None:
            check_columns(names, self.schema.names, self.name)
        if where is not None or region is not None:
            rows = self._rows_where(where, region)
            self._check_not_bare()
            return pick_rows(self.source, rows, names)
        return self._lazy_table(names) if self.source.is_table else self._lazy_arrays(names)

    def of(
        self,
        rows: "Sequence[int] | np.ndarray[Any, Any] | pl.Series | pl.DataFrame | pl.LazyFrame",
        on: str | None = None,
        *,
        several: Several = "error",
        columns: Sequence[str] | None = None,
    ) -> "xr.Dataset":
        """Return the objects of these rows, in their order, lazily: from stars to their spectra and cut-outs.

        Parameters
        ----------
        rows
            Ids, or a frame with a column of them, such as `table` gives. An id may be asked for more than once.
        on
            The column by which objects are found. By default ``object_id``; ``source_id`` for a frame that has only
            that.
        several
            What to do when an id is that of several objects, as with repeated visits of one star: ``"error"``;
            ``"first"`` takes the one that stands first in the dataset; ``"all"`` gives all of them, one after the
            other, and ``row`` tells for each of them which of the rows it belongs to.
        columns
            Names of variables, all when None.

        Returns
        -------
        xarray.Dataset
            Over ``object`` (one for each row, unless ``several="all"`` finds more), with ``present``: whether the
            dataset has the object. One that it has not is NaN, 0, False or null in every variable, True in ``mask``.

        Raises
        ------
        MissingColumnError
            If the rows or the dataset lack the column of ids.
        DataRefusedError
            If the ids are not of the type of the dataset's.
        SeveralObjectsError
            If an id is that of several objects, and `several` does not say what to do.

        Examples
        --------
        >>> stars = lake["stars"].table(where="feh < -1")  # doctest: +SKIP
        >>> lake["apogee_xp_spectra"].of(stars)["flux"].mean("wavelength").compute()  # doctest: +SKIP
        """
        import xarray as xr

        names = _names(columns)
        if names is not None:
            check_columns(names, self.schema.names, self.name)
        ids, cells, found_by = asked_ids(self.source, rows, on)
        self._check_not_bare()
        asked, places = find(self.source, ids, cells, found_by, several)
        wanted = ids.gather(asked)
        kept = names if names is None else list(dict.fromkeys([found_by, *names]))
        data = pick_rows(self.source, places, kept)
        told = data[found_by].attrs if found_by in data else {}
        data[found_by] = xr.Variable("object", table_values(wanted.to_frame(found_by), [])[found_by], told)
        data["present"] = xr.Variable("object", places >= 0, {"description": "Whether the dataset has this object"})
        if several == "all":
            data["row"] = xr.Variable("object", asked, {"description": "Which of the rows asked for it belongs to"})
        return data

    def _rows_where(self, where: "str | pl.Expr | None", region: "Region | str | None") -> np.ndarray[Any, Any]:
        """Return where in the dataset the objects stand that a condition and a region let through, ascending."""
        known = self.source.frame_schema()
        asked = None if where is None else parse_where(where, known, self.name)
        runs: Sequence[Run] = tuple(Run(part, 0, part.rows) for part in self.source.parts)
        inside = None
        if region is not None:
            runs, inside = rows_inside(self.source, self.entry, as_region(region))
        lazy = self.source.scan_runs(runs).with_row_index("\x00row")
        for one in (inside, asked):
            lazy = lazy if one is None else lazy.filter(one)
        found = lazy.select("\x00row").collect().to_series().to_numpy()
        places: np.ndarray[Any, Any] = self.source.places(runs)[found]
        return places

    def _check_not_bare(self) -> None:
        if not self.source.is_table and not self.source.parts:
            raise DataRefusedError(
                "the dataset has no segments", where=f"dataset {self.name!r}", hint="Append data to it first."
            )

    def _lazy_arrays(self, columns: Sequence[str] | None) -> "xr.Dataset":
        import xarray as xr

        self._check_not_bare()
        self.source.axes()
        pieces = [self.source.open_segment(part, "auto", columns) for part in self.source.parts]
        order = [name for name in self.schema.names if name in pieces[0].variables]
        if len(pieces) == 1:
            return pieces[0][order]
        whole = xr.concat(pieces, "object", data_vars="minimal", coords="minimal", compat="override", join="exact")
        return whole[order]

    def _lazy_table(self, columns: Sequence[str] | None) -> "xr.Dataset":
        """Return a table lazily: one task a block, which reads just these columns."""
        import dask
        import dask.array as da
        import xarray as xr

        names = list(self.schema.names if columns is None else columns)
        template = table_template(self.source, names)
        read = dask.delayed(_read_block, pure=True)
        pieces: dict[str, list[Any]] = {str(name): [] for name in template.variables}
        for block in self.blocks():
            task = read(self.source, block, names)
            for name, variable in template.variables.items():
                pieces[str(name)].append(da.from_delayed(task[str(name)], (block.rows,), dtype=variable.dtype))
        return xr.Dataset(
            {
                name: (
                    "object",
                    da.concatenate(chunks) if chunks else da.zeros(0, dtype=template[name].dtype, chunks=1),
                    template[name].attrs,
                )
                for name, chunks in pieces.items()
            },
            attrs=dict(self.schema.attrs),
        )


def _read_block(source: Source, block: Block, names: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    return table_values(source.read_frame(block, names), names)


def _names(columns: "str | Sequence[str] | None") -> list[str] | None:
    """Return names of columns, each once; one name need not stand in a list."""
    if columns is None:
        return None
    return [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
