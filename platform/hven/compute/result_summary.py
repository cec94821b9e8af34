"""What came out of a run, in few numbers: the values of a small result, quantiles of the columns of a large one."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from hven.compute.records import Run
    from hven.lake import DatasetHandle

_ROWS = 24
"""Rows up to which values are shown as they are."""
_COLUMNS = 12
_ABREAST = 6
_FEW = 4
"""Of more columns than fit abreast and few rows, each column becomes a line."""
_READ = 2_000_000
"""Rows that are read for quantiles; of more, some, evenly."""
_IDS = frozenset({"object_id", "source_id", "_healpix_29"})
_ERROR = "_err"


@dataclass(frozen=True)
class ResultTable:
    """A table that tells of a result.

    Attributes
    ----------
    title
        The dataset, and what of it.
    columns, rows
        Headings and cells, as text.
    note
        What is not shown.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def result_tables(run: "Run") -> list[ResultTable]:
    """Return tables that tell what came out of a run; none when it has no result.

    Examples
    --------
    >>> result_tables(hven.open_run(lake, "3f2a"))[0].rows  # doctest: +SKIP
    (('-0.0612 ± 0.0021',),)
    """
    return [table for handle in run.results.values() for table in _tables_of(handle)]


def with_error(value: float, error: float) -> str:
    """Return a value with its error, both to the second digit of the error.

    Examples
    --------
    >>> with_error(-0.061234, 0.00214), with_error(5123.4, 87.0), with_error(1.5, float("nan"))
    ('-0.0612 ± 0.0021', '5123 ± 87', '1.5 ± nan')
    """
    if not (math.isfinite(value) and math.isfinite(error)) or error <= 0:
        return f"{number(value)} ± {number(error)}"
    decimals = 1 - math.floor(math.log10(error))
    if decimals > 8 or abs(value) >= 1e7:
        return f"{value:.4g} ± {error:.2g}"
    value, error = round(value, decimals), round(error, decimals)
    return f"{value:.{max(decimals, 0)}f} ± {error:.{max(decimals, 0)}f}"


def number(value: Any) -> str:
    """Return a value as people read it: five digits of fractions; nothing for none.

    Examples
    --------
    >>> number(0.123456789), number(12), number(None), number("thin disc")
    ('0.12346', '12', '-', 'thin disc')
    """
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _tables_of(handle: "DatasetHandle") -> Iterator[ResultTable]:
    units = {column.name: column.unit for column in handle.schema}
    if handle.source.is_table:
        count = handle.entry.counts.rows
        if count <= _ROWS:
            frame = handle.table().collect()
            yield _values(handle.name, {name: frame[name].to_list() for name in frame.columns}, units)
        elif (table := _quantiles(handle, count, units)) is not None:
            yield table
        return
    yield from _array_tables(handle, units)


def _values(title: str, columns: Mapping[str, Sequence[Any]], units: Mapping[str, str]) -> ResultTable:
    """Return a table of values: each that has an error together with it."""
    there = [name for name in columns if not _is_beside(name, columns)]
    shown = [name for name in there if not all(isinstance(v, float) and math.isnan(v) for v in columns[name])]
    is_upright = len(shown) > _ABREAST and max(map(len, columns.values()), default=0) <= _FEW
    most = 3 * _COLUMNS if is_upright else _COLUMNS
    cells = []
    for name in shown[:most]:
        values, errors = columns[name], columns.get(f"{name}{_ERROR}")
        if errors is not None and all(isinstance(v, float | int) for v in (*values, *errors)):
            cells.append([with_error(float(v), float(e)) for v, e in zip(values, errors, strict=True)])
        else:
            cells.append([number(value) for value in values])
    more, without = len(shown) - most, len(there) - len(shown)
    notes = [f"{more} more columns"] * (more > 0) + [f"without a value: {without} columns"] * (without > 0)
    note = ", ".join(notes)
    heads = tuple(_head(name, units) for name in shown[:most])
    if is_upright:
        names = ("", *(str(at + 1) if len(cells[0]) > 1 else "value" for at in range(len(cells[0]))))
        return ResultTable(title, names, tuple((head, *row) for head, row in zip(heads, cells, strict=True)), note)
    return ResultTable(title, heads, tuple(zip(*cells, strict=True)), note)


def _is_beside(name: str, columns: Mapping[str, Any]) -> bool:
    is_error = name.endswith(_ERROR) and name.removesuffix(_ERROR) in columns
    return is_error or name == "_healpix_29" or (name.endswith("_valid") and name.removesuffix("_valid") in columns)


def _quantiles(handle: "DatasetHandle", count: int, units: Mapping[str, str]) -> ResultTable | None:
    import polars as pl

    numeric = [c.name for c in handle.schema if c.name not in _IDS and c.dtype.startswith(("float", "int", "uint"))]
    shown = numeric[: 3 * _COLUMNS]
    if not shown:
        return None
    step = -(-count // _READ)
    frame = handle.table(shown).gather_every(step).collect()
    rows = tuple(_quantile_row(name, frame[name].cast(pl.Float64).to_numpy(), units) for name in shown)
    notes = [f"{count:,} rows"] + [f"one in {step:,} looked at"] * (step > 1)
    notes += [f"{len(numeric) - len(shown)} more columns"] * (len(numeric) > len(shown))
    return ResultTable(handle.name, _QUANTILES, rows, ", ".join(notes))


_QUANTILES = ("column", "values", "missing", "16 %", "median", "84 %")


def _quantile_row(name: str, values: "np.ndarray[Any, Any]", units: Mapping[str, str]) -> tuple[str, ...]:
    finite = values[np.isfinite(values)]
    cells = [number(float(q)) for q in np.quantile(finite, [0.16, 0.5, 0.84])] if len(finite) else ["-"] * 3
    missing = values.size - finite.size
    return (_head(name, units), f"{finite.size:,}", f"{missing:,}" if missing else "", *cells)


def _array_tables(handle: "DatasetHandle", units: Mapping[str, str]) -> Iterator[ResultTable]:
    """Give a table of the single values, one for each short dimension, and one of all that is larger."""
    data = handle.dataset()
    groups: dict[tuple[str, ...], list[str]] = {}
    large: list[str] = []
    for name, variable in data.variables.items():
        dims = tuple(map(str, variable.dims))
        if len(dims) > 1 or variable.size > _ROWS:
            large += [str(name)] if str(name) not in _IDS else []
        else:
            groups.setdefault(dims, []).append(str(name))
    for dims, names in groups.items():
        if set(names) <= set(dims):
            continue  # an axis says nothing by itself
        values = data[names].load()
        columns = {name: np.atleast_1d(values[name].values).tolist() for name in names}
        title = f"{handle.name}, by {dims[0]}" if dims else handle.name
        ordered = sorted(columns, key=lambda name: (name not in data.coords, names.index(name)))
        yield _values(title, {name: columns[name] for name in ordered}, units)
    if large:
        yield _large(handle.name, data, large, units)


def _large(title: str, data: "xr.Dataset", names: Sequence[str], units: Mapping[str, str]) -> ResultTable:
    rows = []
    for name in names[: 3 * _COLUMNS]:
        variable = data[name].variable
        shape = " x ".join(f"{dim} {size:,}" for dim, size in variable.sizes.items())
        if variable.dtype.kind in "fiu" and variable.size <= _READ:
            values = np.asarray(variable.values, dtype=np.float64).ravel()
            head, count, missing, *quantiles = _quantile_row(name, values, units)
            rows.append((head, shape, count, missing, *quantiles))
        else:
            rows.append((_head(name, units), shape, f"{variable.size:,}", "", "", "", ""))
    more = len(names) - len(rows)
    columns = ("variable", "over", *_QUANTILES[1:])
    return ResultTable(title, columns, tuple(rows), f"{more} more variables" if more > 0 else "")


def _head(name: str, units: Mapping[str, str]) -> str:
    return f"{name} [{units[name]}]" if units.get(name) else name
