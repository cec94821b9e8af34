"""Caveats of a result: sentences, with numbers, about data that hardly carry the answer.

An analysis collects them and hands them on with `with_caveats`; the run then ends as 'succeeded with caveats' and
shows them. What makes an answer meaningless is refused instead, or null with a reason.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["of_assumed", "of_errors", "of_missing", "of_repeats", "with_caveats"]

Array = NDArray[np.float64]

MISSING_SHARE = 0.1
"""Share of the rows that may be left out without a caveat."""
REPEATED_SHARE = 0.05
"""Share of the rows that may repeat another one without a caveat."""
_CODE_SHARE, _CODE_RATIO = 0.02, 5.0
_ODD = np.uint64(0xFF51AFD7ED558CCD)


def of_missing(n_given: int, n_used: int, missing: Mapping[str, int] | None = None, what: str = "stars") -> list[str]:
    """Return a caveat where more than a tenth of the rows is left out, with the columns that are missing most.

    Examples
    --------
    >>> of_missing(1000, 600, {"feh": 390, "r_gal": 20})
    ['400 of 1,000 stars are left out: feh is missing in 390, r_gal in 20.']
    >>> of_missing(1000, 950)
    []
    """
    lost = n_given - n_used
    if lost <= MISSING_SHARE * n_given:
        return []
    worst = sorted(((n, name) for name, n in (missing or {}).items() if n > 0), key=lambda one: (-one[0], one[1]))[:3]
    parts = [f"{name} {'is missing ' if i == 0 else ''}in {n:,}" for i, (n, name) in enumerate(worst)]
    return [f"{lost:,} of {n_given:,} {what} are left out{': ' + ', '.join(parts) if parts else ''}."]


def of_errors(name: str, values: ArrayLike, err: ArrayLike, unit: str = "") -> list[str]:
    """Return caveats about the 1-sigma errors of a column: codes for a missing error, zeros, errors above the scatter.

    Parameters
    ----------
    name, unit
        Of the column, for the text.
    values, err
        Shape (n,); rows in which either is not finite do not count.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(0, 0.2, 100)
    >>> of_errors("mg_h", values, np.where(np.arange(100) < 40, 9.99, 0.05), "dex")  # doctest: +NORMALIZE_WHITESPACE
    ['40 of 100 errors of mg_h are 9.99 dex, above its scatter of 0.192 dex: this looks like a code for a missing
    error.']
    >>> of_errors("mg_h", values, np.where(np.arange(100) < 3, 0.0, 0.05), "dex")
    ['3 of 100 errors of mg_h are 0: these values count as exact.']
    """
    values, err = np.asarray(values, dtype=np.float64), np.asarray(err, dtype=np.float64)
    known = np.isfinite(values) & np.isfinite(err)
    values, err = values[known], err[known]
    if len(err) < 2:
        return []
    texts, n = [], f"{len(err):,}"
    scatter = _scatter(values)
    size = f"{scatter:.3g} {unit}".rstrip()
    code = code_of(err, scatter)
    rest = err if code is None else err[err != code]
    if code is not None:
        texts.append(
            f"{int(np.sum(err == code)):,} of {n} errors of {name} are {f'{code:g} {unit}'.rstrip()}, above its scatter"
            f" of {size}: this looks like a code for a missing error."
        )
    zero = int(np.sum(rest == 0))
    if zero > 0:
        share = "All" if zero == len(err) else f"{zero:,} of {n}"
        texts.append(f"{share} errors of {name} are 0: these values count as exact.")
    if len(rest) and np.median(rest) > scatter > 0:
        texts.append(
            f"Errors of {name} (median {f'{np.median(rest):.3g} {unit}'.rstrip()}) are larger than its scatter"
            f" of {size}: its values tell next to nothing of how it varies."
        )
    return texts


def code_of(err: ArrayLike, scatter: float) -> float | None:
    """Return the error that stands in more than 2 % of the rows, above the scatter and far above the others, if any.

    Examples
    --------
    >>> code_of([0.05, 0.06, 0.05, 9.99, 9.99], scatter=0.2), code_of([0.05, 0.06, 0.05], scatter=0.2)
    (9.99, None)
    """
    values, counts = np.unique(np.asarray(err, dtype=np.float64), return_counts=True)
    most = int(np.argmax(np.where(values > scatter, counts, 0)))
    value, share = float(values[most]), counts[most] / counts.sum()
    others = np.repeat(np.delete(values, most), np.delete(counts, most))
    if value <= scatter or share <= _CODE_SHARE or counts[most] < 2 or not len(others):
        return None
    return value if value > _CODE_RATIO * np.median(others) else None


def of_repeats(columns: Iterable[ArrayLike], what: str = "stars") -> list[str]:
    """Return a caveat where more than a twentieth of the rows is equal to another one in all columns (n,).

    Examples
    --------
    >>> of_repeats([[1.0, 2.0, 1.0], [0.1, 0.2, 0.1]])
    ['1 of 3 stars repeat another one in every column used: if they are the same, the errors are too small.']
    """
    mixed = np.zeros(0, dtype=np.uint64)
    for i, column in enumerate(columns):
        bits = (np.asarray(column, dtype=np.float64) + 0.0).view(np.uint64)
        mixed = bits if i == 0 else (mixed ^ (mixed >> np.uint64(33))) * _ODD + bits  # of 64 bits: no chance meetings
    n = len(mixed)
    repeated = n - len(np.unique(mixed))
    if repeated <= REPEATED_SHARE * n:
        return []
    text = f"{repeated:,} of {n:,} {what} repeat another one in every column used"
    return [f"{text}: if they are the same, the errors are too small."]


def of_assumed(assumed: str) -> list[str]:
    """Return a caveat of what was assumed, in words; none for 'nothing'.

    Examples
    --------
    >>> of_assumed("no errors in feh"), of_assumed("nothing")
    (['Assumed: no errors in feh.'], [])
    """
    return [] if assumed == "nothing" else [f"Assumed: {assumed}."]


def with_caveats(result: "xr.Dataset", caveats: Iterable[str]) -> "xr.Dataset":
    """Return the result with its caveats in the attribute ``caveats``; as it is without any.

    Examples
    --------
    >>> import xarray as xr
    >>> with_caveats(xr.Dataset(), ["Two stars only.", "Two stars only."]).attrs
    {'caveats': ['Two stars only.']}
    """
    texts = list(dict.fromkeys(caveats))
    return result.assign_attrs(caveats=texts) if texts else result


def _scatter(values: Array) -> float:
    """Return the standard deviation, or that by quantiles where outliers make it larger than twice as much."""
    low, high = np.quantile(values, [0.16, 0.84])
    by_quantiles, whole = (high - low) / 2, float(values.std())
    return float(by_quantiles) if 0 < by_quantiles < 0.5 * whole else whole
