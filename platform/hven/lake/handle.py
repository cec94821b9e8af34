"""A handle: one dataset of a lake at one commit, to be asked as a table or opened as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.catalog import Entry
from hven.errors import DataRefusedError
from hven.lake.parts import CHUNK, Block
from hven.lake.source import Source, positions_of
from hven.lake.where import check_columns, parse_where
from hven.schema import Schema, frame_to_dataset

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
    >>> lake["apogee_xp_spectra"].of([17, 4])["flux"]  # doctest: +SKIP
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
        return Source(self.lake.store, self.name, self.kind, self.entry.pin, self.entry.schema)

    def blocks(self, rows: int | None = None) -> tuple[Block, ...]:
        """Return the blocks of work, of about `rows` objects each."""
        return self.source.blocks(rows)

    def versions(self) -> list[Version]:
        """Return the states this dataset went through, newest first."""
        found: list[Version] = []
        for catalog in self.lake.history():
            number = catalog.number
            if self.name in catalog and catalog[self.name].changed == number:
                entry = catalog[self.name]
                told = catalog.commit
                found.append(Version(number, told.created, told.message, entry.counts.rows, entry.pin.version))
        return found

    def table(
        self,
        columns: Sequence[str] | None = None,
        where: "str | pl.Expr | None" = None,
        region: "Region | None" = None,
    ) -> "pl.LazyFrame":
        """Return the dataset's rows as a Polars LazyFrame; of arrays, their 1-D variables over ``object``.

        Parameters
        ----------
        columns
            Names, all when None.
        where
            SQL text such as ``"logg > 2.3"`` or a Polars expression; it may use columns that are not returned.
        region
            Part of the sky (`hven.sky`); files outside it are not read.

        Raises
        ------
        MissingColumnError, WhereError
            Before anything is read.
        DataRefusedError
            For arrays that have no variable over ``object``, maps say.
        """
        import polars as pl

        known = self.source.frame_schema()
        if not known:
            raise DataRefusedError(
                "the dataset has no variables over object",
                where=f"dataset {self.name!r}, with {', '.join(self.schema.names) or 'nothing'}",
                hint="Open it with .dataset().",
            )
        parts = self.source.parts
        if columns is not None:
            check_columns(columns, known, self.name)
        if region is not None:
            check_columns(("_healpix_29", "ra", "dec"), known, self.name)
            ranges = region.ranges()
            parts = tuple(part for part in parts if part.healpix is None or _overlaps(part.healpix, ranges))
        lazy = self.source.scan(parts)
        if region is not None:
            lazy = lazy.filter(_inside(region, ranges))
        if where is not None:
            lazy = lazy.filter(parse_where(where, known, self.name))
        return lazy if columns is None else lazy.select(pl.col(list(columns)))

    def dataset(
        self,
        columns: Sequence[str] | None = None,
        where: "str | pl.Expr | None" = None,
        region: "Region | None" = None,
    ) -> "xr.Dataset":
        """Return the dataset as an xarray Dataset with lazy Dask variables; a table as 1-D variables over ``object``.

        `where` and `region` are resolved now, with Polars (sizes must be known); the values stay lazy.

        Raises
        ------
        MissingColumnError, WhereError
            Before anything is read.
        """
        if columns is not None:
            check_columns(columns, self.schema.names, self.name)
        rows = None
        if where is not None or region is not None:
            rows = self._rows_where(where, region)
        if self.source.is_table:
            return self._lazy_table(columns, rows)
        data = self._lazy_arrays(columns)
        return data if rows is None else data.isel(object=rows)

    def of(self, ids: "Sequence[int] | np.ndarray[Any, Any] | pl.DataFrame") -> "xr.Dataset":
        """Return the objects with these ids (m), in this order, lazily; ``present`` (m) tells which are there.

        An object that is not in the dataset has NaN, 0, False or null in every variable, True in ``mask``.

        Parameters
        ----------
        ids
            ``object_id`` values, or a frame with that column.
        """
        import polars as pl
        import xarray as xr

        wanted = np.asarray(ids["object_id"] if isinstance(ids, pl.DataFrame) else ids, dtype=np.int64)
        check_columns(("object_id",), self.schema.names, self.name)
        there = self.table(["object_id"]).collect()["object_id"].to_numpy()
        place = positions_of(there, wanted)
        present = place >= 0
        # Reading in the order of storage touches each chunk once; the second selection gives the order asked for.
        stored, back = np.unique(place[present], return_inverse=True)
        data = (
            self._lazy_table(None, stored)
            if self.source.is_table
            else self._lazy_arrays(None, CHUNK).isel(object=stored)
        )
        pick = np.zeros(len(wanted), dtype=np.int64)
        pick[present] = back
        data = _masked(data.isel(object=pick), present) if present.any() else _nothing(data, len(wanted))
        data["object_id"] = xr.Variable("object", wanted, data["object_id"].attrs)
        data["present"] = xr.Variable("object", present, {"description": "Whether the dataset has this object"})
        return data

    def _rows_where(self, where: "str | pl.Expr | None", region: "Region | None") -> np.ndarray[Any, Any]:
        import polars as pl

        known = self.source.frame_schema()
        lazy = self.source.scan().with_row_index("__row")
        condition = pl.lit(value=True)
        if region is not None:
            check_columns(("_healpix_29", "ra", "dec"), known, self.name)
            condition = condition & _inside(region, region.ranges())
        if where is not None:
            condition = condition & parse_where(where, known, self.name)
        return lazy.filter(condition).select("__row").collect()["__row"].to_numpy().astype(np.int64)

    def _lazy_arrays(self, columns: Sequence[str] | None, chunk: int | str = "auto") -> "xr.Dataset":
        import xarray as xr

        pieces = [self.source.open_segment(part, chunk, columns) for part in self.source.parts]
        if not pieces:
            raise DataRefusedError(
                "the dataset has no segments", where=f"dataset {self.name!r}", hint="Append data to it first."
            )
        order = [name for name in self.schema.names if name in pieces[0].variables]
        if len(pieces) == 1:
            return pieces[0][order]
        whole = xr.concat(pieces, "object", data_vars="minimal", coords="minimal", compat="override", join="override")
        return whole[order]

    def _lazy_table(self, columns: Sequence[str] | None, rows: np.ndarray[Any, Any] | None) -> "xr.Dataset":
        """Return a table lazily: one task a block, which reads just these columns (and rows)."""
        import dask
        import dask.array as da
        import xarray as xr

        names = list(self.schema.names if columns is None else columns)
        template = self._template(names)
        read = dask.delayed(_read_block, pure=True)
        pieces: dict[str, list[Any]] = {str(name): [] for name in template.variables}
        first = 0
        for block in self.blocks():
            inside = None if rows is None else rows[(rows >= first) & (rows < first + block.rows)] - first
            first += block.rows
            size = block.rows if inside is None else len(inside)
            if size == 0:
                continue
            task = read(self.source, block, names, inside)
            for name, variable in template.variables.items():
                pieces[str(name)].append(da.from_delayed(task[str(name)], (size,), dtype=variable.dtype))
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

    def _template(self, names: Sequence[str]) -> "xr.Dataset":
        """Return one row that has the variables of the whole: with ``<c>_valid`` where the pinned table has nulls."""
        import polars as pl

        nulls, columns = self.source.null_columns(), self.source.frame_schema()
        example = {n: pl.Series(n, [None if n in nulls else _example(columns[n])], dtype=columns[n]) for n in names}
        return frame_to_dataset(pl.DataFrame(example), self.schema)


def _read_block(
    source: Source, block: Block, names: Sequence[str], rows: np.ndarray[Any, Any] | None
) -> dict[str, np.ndarray[Any, Any]]:
    frame = source.read_frame(block, names)
    data = frame_to_dataset(frame if rows is None else frame[rows])
    values = {str(name): np.asarray(variable.values) for name, variable in data.variables.items()}
    for name in names:
        # A block without nulls among blocks with them has its flags all the same.
        values.setdefault(f"{name}_valid", np.ones(len(values[name]), dtype=bool))
    return values


def _example(dtype: "pl.DataType") -> Any:
    import polars as pl

    return "" if dtype == pl.String else False if dtype == pl.Boolean else 0


def _overlaps(reach: tuple[int, int], ranges: np.ndarray[Any, Any]) -> bool:
    """Return whether a part's first and last pixel meet any of the half-open ranges."""
    return bool(((ranges[:, 0] <= reach[1]) & (ranges[:, 1] > reach[0])).any())


def _inside(region: "Region", ranges: np.ndarray[Any, Any]) -> "pl.Expr":
    """Return the exact test for a region, with what Polars needs to pass over row groups before it."""
    import polars as pl

    if len(ranges) == 0:
        return pl.lit(value=False)
    near = pl.col("_healpix_29").is_between(int(ranges[0, 0]), int(ranges[-1, 1]), closed="left")
    exact = pl.struct("ra", "dec").map_batches(
        lambda s: pl.Series(
            region.contains(s.struct.field("ra").to_numpy(), s.struct.field("dec").to_numpy()), dtype=pl.Boolean
        ),
        return_dtype=pl.Boolean,
        is_elementwise=True,
    )
    return near & exact


def _masked(data: "xr.Dataset", present: np.ndarray[Any, Any]) -> "xr.Dataset":
    import xarray as xr

    keep = xr.DataArray(present, dims="object")
    for name, variable in data.data_vars.items():
        if "object" in variable.dims:
            told = {"absent": _absent(str(name), variable.dtype)}
            data[name] = xr.apply_ufunc(
                _blank,
                variable,
                keep,
                kwargs=told,
                dask="parallelized",
                output_dtypes=[variable.dtype],
                keep_attrs=True,
            )
    return data


def _blank(values: np.ndarray[Any, Any], keep: np.ndarray[Any, Any], absent: Any) -> np.ndarray[Any, Any]:
    blanked = values.copy()
    blanked[~np.broadcast_to(keep, values.shape)] = absent
    return blanked


def _nothing(data: "xr.Dataset", size: int) -> "xr.Dataset":
    import dask.array as da
    import xarray as xr

    filled = {}
    for name, variable in data.data_vars.items():
        if "object" in variable.dims:
            shape = tuple(size if d == "object" else n for d, n in variable.sizes.items())
            values = da.full(shape, _absent(str(name), variable.dtype), dtype=variable.dtype, chunks=shape)
            filled[name] = xr.Variable(variable.dims, values, variable.attrs)
    return data.drop_dims("object").assign(filled)


def _absent(name: str, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return name == "mask"
    return {"f": np.nan, "T": None}.get(dtype.kind, 0)
