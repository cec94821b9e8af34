"""Stressors: what real tables do to values and errors, for tests on data that the model of the analysis did not make.

A mock that is drawn from the very model that an analysis fits proves little. Each function takes a table (variables
over ``object``) and gives a stressed one; none changes its argument, and the same seed gives the same table.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

_ERROR = "_err"


def skewed(table: "xr.Dataset", column: str, scatter: float, *, shape: float = 1.0, seed: int) -> "xr.Dataset":
    """Return a table whose column has skewed scatter of mean zero added to it: a gamma distribution less its mean.

    Parameters
    ----------
    table, column
        What is scattered.
    scatter
        Standard deviation of what is added.
    shape
        Of the gamma distribution; its skewness is ``2 / sqrt(shape)``, towards large values.
    seed
        Of the random numbers.

    Examples
    --------
    >>> import xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", np.zeros(20_000), {"units": "dex"})})
    >>> feh = skewed(stars, "feh", 0.1, seed=1).feh
    >>> f"{float(feh.std()):.2f} {float((feh > 0).mean()):.2f} {feh.units}"
    '0.10 0.37 dex'
    """
    noise = np.random.default_rng(seed).gamma(shape, size=table.sizes["object"]) - shape
    return _with(table, column, table[column].values + scatter / np.sqrt(shape) * noise)


def truncated(
    table: "xr.Dataset", column: str, *, low: float = -np.inf, high: float = np.inf, ramp: float = 0.0, seed: int = 0
) -> "xr.Dataset":
    """Return the objects of a table whose column lies within limits, as a survey with a limit has them.

    Parameters
    ----------
    table, column
        What is cut.
    low, high
        The limits; they belong to what stays.
    ramp
        Over how much beyond a limit the chance to stay falls to zero; 0 for a sharp limit.
    seed
        Of the random numbers of a ramp.

    Examples
    --------
    >>> import xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", [-0.4, -0.1, 0.3])})
    >>> truncated(stars, "feh", low=-0.2).feh.values
    array([-0.1,  0.3])
    """
    values = table[column].values
    beyond = np.maximum(np.maximum(low - values, values - high), 0.0)
    chance = np.where(beyond > 0, 1 - beyond / ramp if ramp else 0.0, 1.0)
    stays = np.random.default_rng(seed).random(len(values)) < chance
    return table.isel(object=np.flatnonzero(stays))


def heteroscedastic(
    table: "xr.Dataset", column: str, error: float, *, spread: float = 0.5, along: str = "", seed: int
) -> "xr.Dataset":
    """Return a table whose column is measured with another error for each object, which ``<column>_err`` states.

    Parameters
    ----------
    table, column
        What is measured; its values are taken as true.
    error
        Median of the errors.
    spread
        Standard deviation of the natural logarithm of the errors.
    along
        A column with which errors grow: they double from one of its quartiles to the next. Without it, they depend on
        nothing.
    seed
        Of the random numbers.

    Examples
    --------
    >>> import xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", np.zeros(20_000)), "g": ("object", np.linspace(8, 16, 20_000))})
    >>> made = heteroscedastic(stars, "feh", 0.1, along="g", seed=1)
    >>> pulls = made.feh / made.feh_err
    >>> f"{float(pulls.std()):.1f} {float(made.feh_err[-5000:].median() / made.feh_err[:5000].median()):.0f}"
    '1.0 8'
    """
    rng = np.random.default_rng(seed)
    count = table.sizes["object"]
    logs = rng.normal(0, spread, count)
    if along:
        ranks = np.argsort(np.argsort(table[along].values, kind="stable"), kind="stable")
        logs += np.log(2) * (4 * (ranks + 0.5) / max(count, 1) - 2)
    errors = error * np.exp(logs)
    measured = _with(table, column, table[column].values + errors * rng.standard_normal(count))
    return measured.assign({f"{column}{_ERROR}": (("object",), errors, dict(table[column].attrs))})


def with_outliers(
    table: "xr.Dataset", column: str, share: float, *, offset: float = 0.0, scatter: float, seed: int
) -> "xr.Dataset":
    """Return a table of which a share of the objects has a value that is wrong, at unchanged stated errors.

    Parameters
    ----------
    table, column
        What goes wrong.
    share
        Of the objects; so many, rounded, are wrong.
    offset, scatter
        Mean and standard deviation of what is added to their values.
    seed
        Of the random numbers.

    Examples
    --------
    >>> import xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", np.zeros(100))})
    >>> int((with_outliers(stars, "feh", 0.05, scatter=1.0, seed=1).feh != 0).sum())
    5
    """
    rng = np.random.default_rng(seed)
    values = np.array(table[column].values, dtype=np.float64)
    chosen = rng.choice(len(values), round(share * len(values)), replace=False)
    values[chosen] += rng.normal(offset, scatter, len(chosen))
    return _with(table, column, values)


def with_correlated_errors(
    table: "xr.Dataset", first: str, second: str, correlation: float, *, seed: int
) -> "xr.Dataset":
    """Return a table of which two columns are measured with errors that are correlated, though nothing states it.

    Parameters
    ----------
    table
        Values are taken as true; ``<first>_err`` and ``<second>_err`` are the sizes of the errors.
    first, second
        The columns.
    correlation
        Of the errors of one object, from -1 to 1.
    seed
        Of the random numbers.

    Examples
    --------
    >>> import xarray as xr
    >>> zeros, errors = ("object", np.zeros(20_000)), ("object", np.full(20_000, 0.1))
    >>> stars = xr.Dataset({"feh": zeros, "mg_fe": zeros, "feh_err": errors, "mg_fe_err": errors})
    >>> made = with_correlated_errors(stars, "feh", "mg_fe", -0.8, seed=1)
    >>> f"{np.corrcoef(made.feh, made.mg_fe)[0, 1]:.1f}"
    '-0.8'
    """
    one, other = np.random.default_rng(seed).standard_normal((2, table.sizes["object"]))
    other = correlation * one + np.sqrt(1 - correlation**2) * other
    made = _with(table, first, table[first].values + one * table[f"{first}{_ERROR}"].values)
    return _with(made, second, table[second].values + other * table[f"{second}{_ERROR}"].values)


def misstated(table: "xr.Dataset", column: str, factor: float = 1.3) -> "xr.Dataset":
    """Return a table whose stated errors of a column are wrong by a factor; its values stay as they are.

    Examples
    --------
    >>> import xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", [0.1, 0.2]), "feh_err": ("object", [0.1, 0.2])})
    >>> misstated(stars, "feh").feh_err.values
    array([0.13, 0.26])
    """
    name = f"{column}{_ERROR}"
    return _with(table, name, table[name].values * factor)


def rounded(table: "xr.Dataset", column: str, digits: int) -> "xr.Dataset":
    """Return a table whose column is rounded to so many decimals, as archives publish it: values then repeat.

    Examples
    --------
    >>> import xarray as xr
    >>> rounded(xr.Dataset({"feh": ("object", [0.123, -0.377])}), "feh", 1).feh.values
    array([ 0.1, -0.4])
    """
    return _with(table, column, np.round(table[column].values, digits))


def rescaled_weights(table: "xr.Dataset", factor: float, column: str = "weight") -> "xr.Dataset":
    """Return a table whose weights are all larger by a factor, which must change no result; of ones where it has none.

    Examples
    --------
    >>> import xarray as xr
    >>> rescaled_weights(xr.Dataset({"feh": ("object", [0.1, 0.2])}), 50.0).weight.values
    array([50., 50.])
    """
    weights = table[column].values if column in table else np.ones(table.sizes["object"])
    return _with(table, column, weights * factor)


def _with(
    table: "xr.Dataset", column: str, values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
) -> "xr.Dataset":
    attrs = dict(table[column].attrs) if column in table else {}
    return table.assign({column: (("object",), np.asarray(values, dtype=np.float64), attrs)})
