"""How a table becomes a Dataset and back, nulls included.

Float null <-> NaN; integer and boolean nulls <-> a value plus ``<c>_valid``; text <-> NumPy's variable-width strings
with ``None`` for null. Integers never pass through float: 64-bit ids would lose their last digits.
"""

from typing import TYPE_CHECKING

import numpy as np

from hven.errors import DataRefusedError
from hven.schema.columns import Schema

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

STRING = np.dtypes.StringDType(na_object=None)
_VALID = "_valid"


def frame_to_dataset(frame: "pl.DataFrame", schema: Schema | None = None) -> "xr.Dataset":
    """Return an in-memory Dataset of 1-D variables over ``object`` with the rows of `frame` (n rows).

    Units, descriptions and UCDs come from `schema` where it knows the column.

    Examples
    --------
    >>> import polars as pl
    >>> data = frame_to_dataset(pl.DataFrame({"feh": [0.1, None], "visits": [3, None]}))
    >>> data["visits"].values.tolist(), data["visits_valid"].values.tolist()
    ([3, 0], [True, False])
    """
    import polars as pl
    import xarray as xr

    schema = schema if schema is not None else Schema.of_frame(frame)
    variables: dict[str, xr.Variable] = {}
    for series in frame.iter_columns():
        name, attrs = series.name, schema[series.name].attrs() if series.name in schema else {}
        if series.dtype.is_float():
            values = (series.fill_null(float("nan")) if series.null_count() else series).to_numpy()
        elif series.dtype.is_integer() or series.dtype == pl.Boolean:
            if series.null_count():
                variables[name + _VALID] = xr.Variable("object", series.is_not_null().to_numpy())
                zero = pl.lit(0).cast(series.dtype) if series.dtype.is_integer() else False
                series = series.fill_null(zero)  # noqa: PLW2901 - the very column, whole
            values = series.to_numpy()
        elif series.dtype == pl.String or series.dtype in (pl.Categorical, pl.Enum):
            values = np.array(series.cast(pl.String).to_list(), dtype=STRING)
        else:
            raise DataRefusedError(
                f"column {name!r} has type {series.dtype}",
                expected="numbers, true/false or text",
                hint="Cast or leave out this column.",
            )
        variables[name] = xr.Variable("object", values, attrs)
    return xr.Dataset(variables)


def dataset_to_frame(data: "xr.Dataset") -> "pl.DataFrame":
    """Return the 1-D variables of a Dataset over one dimension as a Polars frame, in the Dataset's order.

    Raises
    ------
    DataRefusedError
        If the variables do not share one single dimension.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"id": [2**60 + 1, None], "name": ["a", None], "x": [1.5, None]})
    >>> dataset_to_frame(frame_to_dataset(frame)).equals(frame)
    True
    """
    import polars as pl

    dims = {variable.dims for variable in data.variables.values()}
    if len(dims) > 1 or any(len(d) != 1 for d in dims):
        raise DataRefusedError(
            f"variables over {sorted(map(str, dims))} do not make a table",
            expected="1-D variables over one dimension",
            hint="Write them as arrays, or select the 1-D ones.",
        )
    names = [str(name) for name in data.variables]
    columns: dict[str, pl.Series] = {}
    for name in names:
        if name.endswith(_VALID) and name.removesuffix(_VALID) in names:
            continue
        values = np.asarray(data[name].values)
        if values.dtype.kind == "f":
            columns[name] = pl.Series(name, values, nan_to_null=True)
        elif values.dtype.kind in "OTSU":
            columns[name] = pl.Series(name, [_text(v) for v in values.tolist()], dtype=pl.String)
        else:
            columns[name] = pl.Series(name, values)
        if name + _VALID in names:
            valid = pl.Series(np.asarray(data[name + _VALID].values))
            columns[name] = pl.select(pl.when(valid).then(columns[name])).to_series().alias(name)
    return pl.DataFrame(columns)


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode()
    return None if value is None else str(value)
