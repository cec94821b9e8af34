"""Stars cut into populations of one age or temperature each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

import hven

VARIABLES = ("age", "teff")


@dataclass(frozen=True, eq=False)
class Population:
    """Stars between two values of what cuts them; all stars when `variable` is empty.

    Attributes
    ----------
    variable
        ``"age"``, ``"teff"``, or empty.
    low, high
        Edges in the unit of the variable; the upper one belongs to the next population.
    stars
        Their columns over ``object``.
    """

    variable: str
    low: float
    high: float
    stars: xr.Dataset


def split(
    stars: xr.Dataset, *, by: Literal["auto", "age", "teff"], bins: int, edges: Sequence[float] | None
) -> list[Population]:
    """Return populations in ascending order of age or temperature: `bins` of equal numbers, or between `edges`.

    Examples
    --------
    >>> stars = xr.Dataset({"feh": ("object", [0.0, 0.1, 0.2]), "age": ("object", [1.0, 9.0, 5.0])})
    >>> [p.stars.feh.values.tolist() for p in split(stars, by="auto", bins=2, edges=[0, 4, 10])]
    [[0.0], [0.1, 0.2]]
    """
    if bins == 1 and edges is None:
        return [Population("", np.nan, np.nan, stars)]
    variable = _variable(stars, by)
    values = stars[variable].values
    limits = np.asarray(edges, dtype=np.float64) if edges is not None else _quantiles(values, bins)
    if len(limits) < 2 or not np.all(np.diff(limits) > 0):
        raise hven.errors.ParameterError(
            f"the edges of the populations in {variable} are {limits.tolist()}",
            where="analysis 'metallicity_gradients'",
            expected="two or more, ascending",
            hint="Correct edges, or ask for fewer bins when many stars share one value.",
        )
    place = np.searchsorted(limits, values, side="right") - 1
    return [
        Population(variable, float(limits[i]), float(limits[i + 1]), stars.isel(object=place == i))
        for i in range(len(limits) - 1)
    ]


def limits_and_medians(populations: Sequence[Population]) -> dict[str, tuple[str, Any]]:
    """Return edges and medians of age and temperature of each population; NaN where they are not known."""
    columns: dict[str, tuple[str, Any]] = {}
    for variable in VARIABLES:
        cut = [p.variable == variable for p in populations]
        columns[f"{variable}_low"] = ("population", np.where(cut, [p.low for p in populations], np.nan))
        columns[f"{variable}_median"] = ("population", np.array([_median(p.stars, variable) for p in populations]))
        columns[f"{variable}_high"] = ("population", np.where(cut, [p.high for p in populations], np.nan))
    return columns


def _variable(stars: xr.Dataset, by: str) -> str:
    there = [name for name in VARIABLES if name in stars and by in {"auto", name}]
    if there:
        return there[0]
    wanted = "age or teff" if by == "auto" else by
    raise hven.errors.MissingColumnError(
        f"there is no column {wanted} to cut populations by",
        where="analysis 'metallicity_gradients'",
        hint="Bind it, or leave bins at 1 for all stars as one population.",
    )


def _quantiles(values: Any, bins: int) -> Any:
    known = values[np.isfinite(values)]
    if len(known) < bins:
        raise hven.errors.TooFewObjectsError(
            f"{len(known)} stars with all values for {bins} populations",
            where="analysis 'metallicity_gradients'",
            hint="Loosen the selection, or ask for fewer bins.",
        )
    limits = np.quantile(known, np.linspace(0, 1, bins + 1))
    limits[-1] = np.nextafter(limits[-1], np.inf)  # the last star belongs to the last population
    return limits


def _median(stars: xr.Dataset, variable: str) -> float:
    known = stars[variable].values if variable in stars else np.empty(0)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else np.nan
