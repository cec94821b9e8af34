"""Results in brief, for the report of a run: gradients, maps and substructures, as a paper's tables have them."""

from typing import TYPE_CHECKING

import numpy as np

import hven

if TYPE_CHECKING:
    import xarray as xr

    from hven import ReportSection, Run

_TEXT = (
    "The gradient with errors in both variables, beside that of least squares, which errors of the radius make "
    "too shallow. `sigma_int` is the scatter about the line that no error explains."
)
_COLUMNS = ("population", "stars", "gradient [dex/kpc]", "least squares [dex/kpc]", "sigma_int [dex]")


_MAPS_TEXT = (
    "Dispersion of the map with its noise taken out, beside that of the cells as they are; the variance of the stars "
    "without their errors, and the two-point function at the first lag, with its p-value when residuals are shuffled."
)
_MAPS = (
    "population", "stars", "cells", "sigma_map [dex]", "as it is [dex]", "variance [1e-3 dex2]", "xi [1e-3 dex2]", "p",
)  # fmt: skip
_PATCHES_TEXT = (
    "Candidates from the strongest, found at the false-discovery rate `q`. Fractions are those of metal-poor stars in "
    "the patch and among the stars at its radii."
)
_PATCHES = ("X, Y [kpc]", "stars", "z", "q", "found", "mean [dex]", "fraction", "at its radii", "rings turned, p")


def gradient_sections(run: "Run") -> "list[ReportSection]":
    """Return the section of a run of this family that has a result, and none for any other."""
    if run.commit is None:
        return []
    if run.analysis == "metallicity_gradients":
        return [_of_gradients(run)]
    if run.analysis == "metallicity_maps":
        return [_of_maps(run)]
    return [_of_substructures(run)] if run.analysis == "metallicity_substructures" else []


def _of_gradients(run: "Run") -> "ReportSection":
    names = ["slope", "slope_err", "slope_ols", "slope_ols_err", "sigma_int", "sigma_int_err", "n"]
    limits = [f"{variable}_{end}" for variable in ("age", "teff") for end in ("low", "high")]
    fits = run.result.dataset()[[*names, *limits]].compute()
    rows = [_row(fits.isel(population=i)) for i in range(fits.sizes["population"])]
    return hven.ReportSection("Gradients in brief", _TEXT, _COLUMNS, rows)


def _of_maps(run: "Run") -> "ReportSection":
    wanted = ["pop_bin", "n_stars", "n_cells", "sigma_map", "sigma_map_err", "sigma_map_raw"]
    maps = run.results[""].dataset()[wanted].compute()
    pairs = run.results["two_point"].dataset()[["xi", "xi_err", "xi_p", "xi_zero"]].compute()
    rows = []
    for i in range(maps.sizes["population"]):
        one, two = maps.isel(population=i), pairs.isel(population=i, lag=0)
        rows.append((
            str(int(one.pop_bin)), f"{int(one.n_stars):,}", f"{int(one.n_cells):,}",
            f"{float(one.sigma_map):.4f} ± {float(one.sigma_map_err):.4f}", f"{float(one.sigma_map_raw):.4f}",
            f"{1e3 * float(two.xi_zero):.3f}", f"{1e3 * float(two.xi):.3f} ± {1e3 * float(two.xi_err):.3f}",
            f"{float(two.xi_p):.3g}",
        ))  # fmt: skip
    return hven.ReportSection("Maps in brief", _MAPS_TEXT, _MAPS, rows)


def _of_substructures(run: "Run") -> "ReportSection":
    table = run.results[""].dataset().compute()
    rows = []
    for i in range(table.z_score.size):
        one = {str(name): np.asarray(table[name].values).item(i) for name in table.data_vars}
        rows.append((
            f"{one['x_gal']:.2f}, {one['y_gal']:.2f}", f"{one['n']:,}", f"{one['z_score']:.1f}", f"{one['q']:.2g}",
            "yes" if one["is_found"] else "no", f"{one['mean']:+.3f}", f"{one['fraction']:.2f}",
            f"{one['fraction_controls']:.2f}", f"{one['permutation_p']:.2g}",
        ))  # fmt: skip
    return hven.ReportSection("Substructures in brief", _PATCHES_TEXT, _PATCHES, rows)


def _row(fit: "xr.Dataset") -> tuple[str, ...]:
    def told(name: str) -> str:
        return f"{float(fit[name]):+.4f} ± {float(fit[f'{name}_err']):.4f}"

    return _limits(fit), f"{int(fit.n):,}", told("slope"), told("slope_ols"), told("sigma_int").removeprefix("+")


def _limits(fit: "xr.Dataset") -> str:
    for variable, unit in (("age", "Gyr"), ("teff", "K")):
        low, high = float(fit[f"{variable}_low"]), float(fit[f"{variable}_high"])
        if np.isfinite(low):
            return f"{variable} {low:.4g} to {high:.4g} {unit}"
    return "all"
