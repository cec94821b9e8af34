"""What spectra and images span: wavelengths and resolving powers, for the catalog to be searched by."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import DataRefusedError, UnitError
from hven.schema import conversion_factor

if TYPE_CHECKING:
    import xarray as xr

    from hven.catalog import Entry

Span = tuple[float, float]

SPANS = ("wavelength", "resolution")
_RESOLVING = ("resolving_power", "resolution")


def wavelength_of(data: "xr.Dataset | None") -> Span | None:
    """Return the shortest and longest wavelength [Angstrom] of arrays, None when they have none or tell no length.

    Examples
    --------
    >>> import xarray as xr
    >>> wavelength_of(xr.Dataset(coords={"wavelength": ("wavelength", [0.4, 0.9], {"units": "um"})}))
    (4000.0, 9000.0)
    """
    if data is None or "wavelength" not in data.variables:
        return None
    variable = data["wavelength"]
    try:
        factor = conversion_factor(str(variable.attrs.get("units", "Angstrom")), "Angstrom")
    except UnitError:
        return None
    # Rounded, so that 0.36 um are 3600 Angstrom and meet a range that ends there.
    span = _reach(np.asarray(variable.values, float) * factor)
    return None if span is None else (float(f"{span[0]:.12g}"), float(f"{span[1]:.12g}"))


def resolution_of(attrs: Mapping[str, Any], data: "xr.Dataset | None" = None) -> Span | None:
    """Return the lowest and highest resolving power that a dataset tells, None when it does not.

    It tells it by a variable or an attribute ``resolving_power`` (or ``resolution``, when that has no unit).

    Examples
    --------
    >>> resolution_of({"resolving_power": [30, 100]})
    (30.0, 100.0)
    """
    for name in _RESOLVING:
        told = attrs.get(name)
        if data is not None and name in data.variables and not data[name].attrs.get("units"):
            told = data[name].values
        try:
            span = _reach(np.asarray(told, float)) if told is not None else None
        except (TypeError, ValueError):
            continue
        if span is not None:
            return span
    return None


def spans_with(entry: "Entry", data: "xr.Dataset") -> dict[str, Span | None]:
    """Return the spans of a dataset and of what is appended to it."""
    return {
        "wavelength": joined_spans(entry.wavelength, wavelength_of(data)),
        "resolution": joined_spans(entry.resolution, resolution_of(data.attrs, data)),
    }


def check_span(name: str, value: Any) -> Span | None:
    """Return what somebody says that a dataset spans as two numbers; one number is both.

    Raises
    ------
    DataRefusedError
        If these are not one or two positive numbers, the lower first.
    """
    if value is None:
        return None
    pair = tuple(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else (value, value)
    try:
        low, high = (float(end) for end in pair)
    except (TypeError, ValueError):
        low = high = np.nan
    if not 0 < low <= high < np.inf:
        raise DataRefusedError(
            f"the {name} is {value!r}",
            expected="one positive number, or two with the lower first",
            hint=f"Give it {'in Angstrom' if name == 'wavelength' else 'as resolving power'}, or leave it out.",
        )
    return low, high


def _reach(values: "np.ndarray[Any, Any]") -> Span | None:
    good = values[np.isfinite(values) & (values > 0)]
    return (float(good.min()), float(good.max())) if good.size else None


def joined_spans(one: Span | None, other: Span | None) -> Span | None:
    """Return the span of two spans together; None is that of nothing."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])
