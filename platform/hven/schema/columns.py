"""Columns and schemas: what each variable of a dataset is, in words that survive a round trip through JSON."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from hven.errors import MissingColumnError, did_you_mean

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

DTYPES = ("float32", "float64", "int8", "int16", "int32", "int64", "bool", "string")


@dataclass(frozen=True)
class Column:
    """One variable of a dataset.

    Attributes
    ----------
    name
        The variable's name.
    dtype
        One of `DTYPES`.
    dims
        Its dimensions; ``("object",)`` for a column of a table.
    unit
        As astropy writes it; empty for numbers without unit and for text.
    description
        One line.
    ucd
        IVOA unified content descriptor, for example ``phys.abund.Fe``.
    assumed
        What was assumed of it as the data said nothing: ``"unit"``; empty when nothing was.
    """

    name: str
    dtype: str
    dims: tuple[str, ...] = ("object",)
    unit: str = ""
    description: str = ""
    ucd: str = ""
    assumed: str = ""

    def attrs(self) -> dict[str, str]:
        """Return what an xarray variable carries: ``units``, ``description``, ``ucd``, ``assumed``, when not empty."""
        texts = {"units": self.unit, "description": self.description, "ucd": self.ucd, "assumed": self.assumed}
        return {key: text for key, text in texts.items() if text}


@dataclass(frozen=True)
class Schema:
    """The columns of a dataset, in order.

    Attributes
    ----------
    columns
        What each variable is.
    attrs
        What holds for the whole, as JSON values: the solar parameters that were used, say.

    Examples
    --------
    >>> schema = Schema((Column("feh", "float32", unit="dex"),))
    >>> schema["feh"].unit, Schema.from_json(schema.to_json()) == schema
    ('dex', True)
    """

    columns: tuple[Column, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise self.missing(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def digest(self) -> str:
        """SHA-256 of the schema's JSON text: the name under which a lake keeps it."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def missing(self, name: str, where: str = "") -> MissingColumnError:
        """Return (not raise) the error for a column that is not there, with the nearest names."""
        return MissingColumnError(
            f"there is no column {name!r}",
            where=where,
            hint=did_you_mean(name, self.names, f"The columns are: {', '.join(self.names) or 'none'}."),
        )

    def to_json(self) -> bytes:
        """Return canonical JSON text: equal schemas give equal bytes."""
        told = {"columns": [asdict(c) for c in self.columns], "attrs": dict(self.attrs)}
        return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Return the schema that `to_json` wrote."""
        told = json.loads(text)
        return cls(tuple(Column(**{**c, "dims": tuple(c["dims"])}) for c in told["columns"]), told["attrs"])

    @classmethod
    def of_dataset(cls, data: "xr.Dataset") -> Self:
        """Return the schema of a Dataset, data variables and non-index coordinates alike; known names are described."""
        from hven.schema.canonical import describe

        return cls(
            tuple(
                describe(
                    Column(
                        str(name),
                        dtype_name(variable.dtype),
                        tuple(map(str, variable.dims)),
                        str(variable.attrs.get("units", "")),
                        str(variable.attrs.get("description", "")),
                        str(variable.attrs.get("ucd", "")),
                        str(variable.attrs.get("assumed", "")),
                    )
                )
                for name, variable in data.variables.items()
            ),
            {str(key): plain(value) for key, value in data.attrs.items()},
        )

    @classmethod
    def of_frame(cls, frame: "pl.DataFrame", told: Mapping[str, Column] | Iterable[Column] = ()) -> Self:
        """Return the schema of a Polars frame; `told` gives what a frame cannot carry (units, descriptions, UCDs)."""
        from hven.schema.canonical import describe

        known = dict(told) if isinstance(told, Mapping) else {c.name: c for c in told}
        columns = []
        for name, dtype in frame.schema.items():
            text = known.get(name, Column(name, ""))
            columns.append(describe(replace(text, name=name, dtype=_frame_dtype(dtype), dims=("object",))))
        return cls(tuple(columns), told.attrs if isinstance(told, Schema) else {})


def plain(value: Any) -> Any:
    """Return an attribute as a JSON value: NumPy's become Python's, what JSON does not know becomes text.

    Examples
    --------
    >>> import numpy as np
    >>> plain(np.float64(8.122)), plain((1, 2)), plain(b"x")
    (8.122, [1, 2], "b'x'")
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, str | int | float) else str(value)


def dtype_name(dtype: Any) -> str:
    """Return hven's name of a NumPy dtype; every kind of text is ``"string"``."""
    import numpy as np

    kind = np.dtype(dtype).kind
    return "string" if kind in "OSUT" else np.dtype(dtype).name


def _frame_dtype(dtype: "pl.DataType") -> str:
    import polars as pl

    names: dict[Any, str] = {
        pl.Float32: "float32",
        pl.Float64: "float64",
        pl.Boolean: "bool",
        pl.Int8: "int8",
        pl.Int16: "int16",
        pl.Int32: "int32",
        pl.Int64: "int64",
    }
    return names.get(type(dtype), names.get(dtype, "string"))
