"""The first objects of a dataset in one frame, arrays of each object told in a few words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.lake.where import check_columns

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from hven.lake.handle import DatasetHandle
    from hven.sky import Region


def first_objects(
    handle: "DatasetHandle",
    count: int,
    columns: Sequence[str] | None,
    where: "str | pl.Expr | None",
    region: "Region | str | None",
) -> "pl.DataFrame":
    """Return the first objects of a dataset; see `DatasetHandle.head`."""
    flat = list(handle.source.frame_schema())
    deep = [c.name for c in handle.schema if c.name not in flat and c.dims[:1] == ("object",) and len(c.dims) > 1]
    if columns is not None:
        names = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
        check_columns(names, [*flat, *deep], handle.name)
    else:
        # Which values are null is seen in the values.
        flags = {f"{name}_valid" for name in flat} if not handle.source.is_table else set()
        names = [name for name in (*flat, *deep) if name not in flags]
    wanted = [name for name in names if name in flat]
    if not set(names) & set(deep):
        return handle.table(wanted, where, region).head(count).collect()
    import polars as pl

    frame = handle.table(wanted, where, region).head(count).collect()
    data = handle.dataset([name for name in names if name in deep], where, region).isel(object=slice(0, frame.height))
    data = data.load()
    texts = [
        pl.Series(name, [range_text(values) for values in data[name].values], dtype=pl.String)
        for name in names
        if name in deep
    ]
    return frame.with_columns(texts).select(names)


def range_text(values: "NDArray[Any]") -> str:
    """Return the lowest and highest of some values in a few letters.

    Examples
    --------
    >>> range_text(np.array([1.0, np.nan, 2.5])), range_text(np.array([np.nan])), range_text(np.array([True, False]))
    ('1 .. 2.5, 1 of 3 nan', 'nan', '1 of 2 true')
    """
    if values.dtype.kind == "b":
        return f"{int(values.sum()):,} of {values.size:,} true"
    if values.dtype.kind not in "fiu":
        return ", ".join(map(str, values.ravel()[:3])) + (", ..." if values.size > 3 else "")
    missing = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
    if missing == values.size:
        return "nan" if values.size else "empty"
    low, high = (f"{float(bound(values)):.4g}" for bound in (np.nanmin, np.nanmax))
    told = low if low == high else f"{low} .. {high}"
    return f"{told}, {missing:,} of {values.size:,} nan" if missing else told
