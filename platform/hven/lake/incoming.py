"""What comes into a lake: told apart into tables and arrays, fitted to the columns there are, its ids checked."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import DataRefusedError
from hven.lake import tables
from hven.lake.axes import check_units
from hven.lake.validation import check_names
from hven.schema import Schema, dataset_to_frame
from hven.sky import coverage, join_coverage

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

    from hven.catalog import Entry
    from hven.lake.source import Source


def frame_or_arrays(data: Any, kind: str | None, where: str = "") -> "pl.DataFrame | xr.Dataset":
    """Return data as it is to be kept: a frame, or a Dataset that does not make one (or shall not: `kind`).

    Raises
    ------
    DataRefusedError
        For what is neither, and for names that cannot be kept.
    """
    import polars as pl
    import xarray as xr

    if isinstance(data, pl.LazyFrame):
        data = data.collect()
    if isinstance(data, pl.DataFrame):
        check_names(Schema.of_frame(data), where, is_table=True)
        return data
    if not isinstance(data, xr.Dataset):
        raise DataRefusedError(
            f"data of type {type(data).__name__}",
            expected="a Polars DataFrame or an xarray Dataset",
            hint="Convert it, for example with pl.from_pandas(frame) or table.to_pandas() of astropy.",
        )
    flat = {v.dims for v in data.variables.values()}
    is_table = kind in (None, "table") and len(flat) == 1 and all(len(d) == 1 for d in flat)
    check_names(Schema.of_dataset(data), where, is_table=is_table)
    if is_table:
        return dataset_to_frame(data.compute())
    return data


def as_frame(data: Any) -> "pl.DataFrame":
    """Return data as a frame, or refuse it: it is for a table."""
    import polars as pl

    frame = frame_or_arrays(data, "table")
    if not isinstance(frame, pl.DataFrame):
        raise DataRefusedError(
            "these are arrays", expected="rows for a table", hint="Give a frame, or 1-D variables over one dimension."
        )
    return frame


def as_arrays(data: Any, name: str) -> "xr.Dataset":
    """Return data as a Dataset, or refuse it: it is for arrays."""
    import xarray as xr

    if not isinstance(data, xr.Dataset):
        raise DataRefusedError(
            f"data of type {type(data).__name__}",
            where=f"dataset {name!r}",
            expected="an xarray Dataset",
            hint="The dataset keeps arrays; append Datasets to it.",
        )
    return data


def schema_of(data: Any) -> Schema | None:
    """Return what data says of its own columns; a frame says nothing."""
    import xarray as xr

    return Schema.of_dataset(data) if isinstance(data, xr.Dataset) else None


def with_assumed(columns: Schema, data: Any, schema: Schema | None) -> Schema:
    """Return columns in which a unit that neither data nor schema say, but the canonical name, counts as assumed.

    Parameters
    ----------
    columns
        Of the data, with the units of canonical names filled in.
    data
        A frame, which says no units, or a Dataset.
    schema
        What was said beside the data; it counts more.
    """
    import xarray as xr

    if schema is not None:
        said = {column.name for column in schema if column.unit}
    else:
        variables = data.variables if isinstance(data, xr.Dataset) else {}
        said = {str(name) for name, variable in variables.items() if variable.attrs.get("units")}
    return replace(
        columns,
        columns=tuple(
            replace(c, assumed="unit") if c.unit and c.name not in said and c.dtype not in ("string", "bool") else c
            for c in columns
        ),
    )


def aligned(frame: "pl.DataFrame", source: "Source") -> "pl.DataFrame":
    """Return a frame with exactly the columns and types of a table; absent columns become nulls.

    Raises
    ------
    DataRefusedError
        For columns that the table does not have, or values that its types cannot hold.
    """
    import polars as pl

    columns = source.frame_schema()
    extra = [c for c in frame.columns if c not in columns]
    if extra:
        raise misfit(source.name, [], extra)
    frame = tables.tableable(frame, f"dataset {source.name!r}")
    cut = [c for c in frame.columns if frame.schema[c].is_float() and not columns[c].is_float()]
    if cut:
        raise DataRefusedError(
            f"column {cut[0]!r} has fractions, and the table keeps {columns[cut[0]]}",
            where=f"dataset {source.name!r}",
            hint="Round and cast it first, or write the dataset anew.",
        )
    try:
        return frame.select(
            (pl.col(n).cast(d) if n in frame.columns else pl.lit(None, dtype=d)).alias(n) for n, d in columns.items()
        )
    except pl.exceptions.PolarsError as error:
        raise DataRefusedError(
            f"values do not fit the table's types: {str(error).splitlines()[0]}",
            where=f"dataset {source.name!r}",
            hint="Cast the columns first.",
        ) from error


def check_takes_objects(source: "Source") -> None:
    """Refuse to add objects to arrays that are not of objects: a cube, a map, a model."""
    if not any("object" in column.dims for column in source.schema):
        raise DataRefusedError(
            "it has no dimension 'object', so that nothing can be added to it",
            where=f"dataset {source.name!r}, a {source.kind}",
            hint="Write it anew with tx.write, or write the data as a dataset of their own.",
        )


def check_same_units(data: Any, source: "Source") -> None:
    """Refuse a Dataset for a table that keeps its columns in other units; frames tell no units."""
    import xarray as xr

    if isinstance(data, xr.Dataset):
        check_units(source.schema, data, f"dataset {source.name!r}")


def with_types(data: "xr.Dataset", schema: Schema, name: str) -> "xr.Dataset":
    """Return arrays with the types of a dataset, as far as they hold the values.

    Raises
    ------
    DataRefusedError
        For numbers of another kind, and whole numbers of a wider type: they could change.
    """
    changed = {}
    for column in schema:
        variable = data.variables[column.name]
        has = "string" if variable.dtype.kind in "OSUT" else variable.dtype.name
        if has == column.dtype:
            continue
        is_safe = "string" not in {has, column.dtype} and np.can_cast(variable.dtype, column.dtype, "safe")
        if not (is_safe or (has.startswith("float") and column.dtype.startswith("float"))):
            raise DataRefusedError(
                f"variable {column.name!r} is {has}",
                where=f"dataset {name!r}",
                expected=f"{column.dtype}, as in the dataset",
                hint="Convert it first.",
            )
        changed[column.name] = data[column.name].astype(column.dtype)
    return data.assign(changed)


def misfit(name: str, missing: list[str], extra: list[str]) -> DataRefusedError:
    """Return (not raise) the error for data whose columns are not those of a dataset."""
    wrong = {"misses": missing, "has": extra}
    told = [f"{verb} {', '.join(map(repr, names))}" for verb, names in wrong.items() if names]
    return DataRefusedError(
        f"the data {' and '.join(told)}",
        where=f"dataset {name!r}",
        expected="the columns of the dataset",
        hint="Rename or leave out columns, or write the dataset anew with tx.write.",
    )


def check_ids(frame: "pl.DataFrame", name: str) -> None:
    """Refuse a frame whose ``object_id``, when it has one, is not unique and complete."""
    if "object_id" not in frame.columns:
        return
    ids = frame["object_id"]
    if ids.null_count() or ids.n_unique() != ids.len():
        raise DataRefusedError(
            f"object_id is missing in {ids.null_count()} rows and repeats in {ids.len() - ids.n_unique()}",
            where=f"dataset {name!r}",
            expected="a unique, non-null object_id for every row",
            hint="Ingest makes such ids; or leave the column out.",
        )


def check_array_ids(data: "xr.Dataset", name: str) -> None:
    """Refuse arrays whose ``object_id``, when they have one, is not unique and complete."""
    import polars as pl

    if "object_id" in data.variables:
        check_ids(pl.DataFrame({"object_id": np.asarray(data["object_id"].values)}), name)


def refuse_known_ids(source: "Source", ids: "pl.Series | np.ndarray[Any, Any]") -> None:
    """Refuse objects that are in a dataset already."""
    import polars as pl

    known = source.scan().select("object_id").collect()["object_id"]
    repeated = known.filter(known.is_in(pl.Series(ids).implode()))
    if len(repeated):
        raise DataRefusedError(
            f"{len(repeated)} objects are in it already, for example object_id {repeated[0]}",
            where=f"dataset {source.name!r}",
            hint="Use tx.upsert to replace them.",
        )


def coverage_of(data: Any) -> str:
    """Return the MOC of data with ``_healpix_29``, or nothing."""
    names = data.columns if hasattr(data, "columns") else data.variables
    if "_healpix_29" not in names:
        return ""
    values = data["_healpix_29"]
    pixels = values.drop_nulls().to_numpy() if hasattr(values, "drop_nulls") else np.asarray(values.values)
    return coverage(pixels) if len(pixels) else ""


def joined_coverage(entry: "Entry", data: Any) -> str:
    """Return the MOC of a dataset and of what is added to it."""
    return join_coverage(entry.coverage, coverage_of(data))


def kind_of(data: "xr.Dataset") -> str:
    """Return the kind of dataset that arrays are, when nobody says."""
    return "spectra" if {"object", "wavelength"} <= set(data.dims) and "wavelength" in data.variables else "result"
