"""What stars can bear of a gradient: over how much radius, with which errors; caveats where it is little."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hven.methods import caveats
from hven_plugins.gradients.populations import Population

Array = NDArray[np.float64]

SHORTEST_ARM = 1.0
"""Range of radii in kpc, of nine in ten stars, below which a gradient comes with a caveat."""
LEAST_RELIABILITY = 0.7
"""Part of the variance of the observed radii that errors leave, below which a gradient comes with a caveat."""

_MOST_CELLS_WITHOUT_SCATTER = 0.3


def reliability(r: Array, r_err: Array) -> float:
    """Return the part of the variance of observed radii that is not error, by medians; 0 where errors are all of it.

    Examples
    --------
    >>> r = np.random.default_rng(0).normal(8, 1.0, 10_000)
    >>> round(reliability(r, np.full(10_000, 0.5)), 2), reliability(r, np.full(10_000, 2.0))
    (0.75, 0.0)
    """
    low, high = np.quantile(r, [0.16, 0.84])
    spread2 = max((high - low) / 2, 0.0) ** 2 or float(r.var())
    return float(max(1 - np.median(r_err) ** 2 / spread2, 0.0)) if spread2 > 0 else 0.0


def arm(r: Array, r_err: Array) -> float:
    """Return over how many kpc nine in ten stars spread, errors taken off in quadrature."""
    low, high = np.quantile(r, [0.05, 0.95])
    return float((high - low) * np.sqrt(reliability(r, r_err)))


def caveats_of_stars(stars: xr.Dataset, n_usable: int, assumed: str) -> list[str]:
    """Return the caveats of all stars together: what is missing, assumed, repeated, and what is wrong with errors."""
    missing = {str(name): int(np.sum(~np.isfinite(stars[name].values))) for name in stars if name not in _CUTTING}
    texts = caveats.of_assumed(assumed) + caveats.of_missing(stars.sizes["object"], n_usable, missing)
    for name, unit in (("feh", "dex"), ("r_gal", "kpc")):
        texts += caveats.of_errors(name, stars[name].values, stars[f"{name}_err"].values, unit)
    used = [stars[name].values for name in ("r_gal", "feh", "r_gal_err", "feh_err")]
    known = np.logical_and.reduce([np.isfinite(column) for column in used])
    return texts + caveats.of_repeats([column[known] for column in used])


def caveats_of_lines(populations: Sequence[Population], rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the caveats of the lines: no line, not converged, no scatter; too short an arm, radii that are all error.

    `rows` are those of `hven_plugins.gradients.lines.fitted`.
    """
    texts = []
    for status in dict.fromkeys(str(row["fit"]) for row in rows if row["fit"] != "ok"):
        where = [
            name_of(p, i) for i, (p, row) in enumerate(zip(populations, rows, strict=True)) if row["fit"] == status
        ]
        texts.append(f"{_upper(_list(where))}: {status}.")
    fitted = [(i, p) for i, (p, row) in enumerate(zip(populations, rows, strict=True)) if np.isfinite(row["slope"])]
    arms = {i: arm(p.stars.r_gal.values, p.stars.r_gal_err.values) for i, p in fitted}
    short = [i for i in arms if arms[i] < SHORTEST_ARM]
    if short:
        i = min(short, key=lambda one: arms[one])
        scatter = float(np.std(populations[i].stars.feh.values))
        texts.append(
            f"{_upper(_list([name_of(populations[k], k) for k in short]))}: nine in ten stars lie within"
            f" {arms[i]:.2g} kpc of radius, over which their scatter of {scatter:.2g} dex is"
            f" {scatter / max(arms[i], 1e-6):.2g} dex/kpc: a trend of a few stars passes for a gradient."
        )
    parts = {i: reliability(p.stars.r_gal.values, p.stars.r_gal_err.values) for i, p in fitted}
    doubtful = [i for i in parts if parts[i] < LEAST_RELIABILITY]
    if doubtful:
        i = min(doubtful, key=lambda one: parts[one])
        error = float(np.median(populations[i].stars.r_gal_err.values))
        change = 0.2 * (1 - parts[i]) / max(parts[i], 1e-3)
        texts.append(
            f"{_upper(_list([name_of(populations[k], k) for k in doubtful]))}: errors of the radius (median"
            f" {error:.2g} kpc) make up {1 - parts[i]:.0%} of the variance of the observed radii: if they are 10 %"
            f" larger than stated, the gradient changes by {change:.0%}."
        )
    return texts


def caveats_of_residuals(table: Any, n_given: int, missing: dict[str, int]) -> list[str]:
    """Return the caveats of residuals with places (`x`, `y`, `delta`, `err`, each (n,), and `assumed`, in words)."""
    texts = caveats.of_assumed(table.assumed) + caveats.of_missing(n_given, len(table.delta), missing)
    if table.assumed == "nothing":
        texts += caveats.of_errors("delta_feh", table.delta, table.err, "dex")
    return texts + caveats.of_repeats([table.x, table.y, table.delta])


def caveats_of_maps(rows: Sequence[dict[str, Any]], names: Sequence[Any]) -> list[str]:
    """Return the caveats of the map of each population: no dispersion, and cells whose errors exceed their scatter."""
    texts = []
    for row, name in zip(rows, names, strict=True):
        where = f"The map of population {name}" if len(rows) > 1 else "The map"
        if row["sigma_map_flag"] != "ok":
            texts.append(f"{where} has no dispersion: {row['sigma_map_flag']}.")
        flags = row["flag"][row["n"] > 0]
        lost = float(np.mean(flags == "errors exceed the scatter")) if len(flags) else 0.0
        if lost > _MOST_CELLS_WITHOUT_SCATTER:
            texts.append(f"{where} has no sigma_int in {lost:.0%} of its cells: errors exceed the scatter.")
    return texts


def name_of(population: Population, i: int) -> str:
    """Return the name of a population in a sentence."""
    if not population.variable:
        return "all stars"
    unit = {"age": "Gyr", "teff": "K"}[population.variable]
    return f"population {i} ({population.variable} {population.low:.4g} to {population.high:.4g} {unit})"


def _list(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


_CUTTING = frozenset({"age", "age_err", "teff", "teff_err"})
