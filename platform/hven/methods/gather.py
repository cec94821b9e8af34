"""Lazy columns into memory, up to a limit: for analyses that need all objects at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hven.errors import MissingColumnError, TooMuchDataError, did_you_mean

if TYPE_CHECKING:
    import xarray as xr


def gather(data: "xr.Dataset", columns: Sequence[str] | None = None, limit: str | int = "4 GB") -> "xr.Dataset":
    """Return `data`, or the `columns` of it, computed and in memory.

    Parameters
    ----------
    data
        A Dataset, its variables lazy or not.
    columns
        Names of variables to take; None takes all.
    limit
        The most memory that the result may take, as text with a unit or in bytes.

    Raises
    ------
    MissingColumnError
        A column is not there.
    TooMuchDataError
        The columns are larger than `limit`. Nothing has been computed then.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", np.zeros(4)), "flux": (("object", "wavelength"), np.zeros((4, 9)))})
    >>> list(gather(stars.chunk(), ["feh"], limit="1 kB"))
    ['feh']
    """
    from dask.utils import format_bytes, parse_bytes

    names = list(data.data_vars) if columns is None else list(columns)
    for name in names:
        if name not in data.variables:
            raise MissingColumnError(
                f"no column {name!r}", where="gather", hint=did_you_mean(str(name), map(str, data), "See list(data).")
            )
    wanted = data[names]
    allowed = parse_bytes(limit) if isinstance(limit, str) else limit
    if wanted.nbytes > allowed:
        raise TooMuchDataError(
            f"{len(names)} columns take {format_bytes(wanted.nbytes)}",
            expected=f"at most {format_bytes(allowed)}",
            hint="Select fewer objects or columns, or raise the limit of gather().",
        )
    return wanted.compute()
