"""The gradients in brief, for the report of a run: one row a population, as a paper's table has them."""

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


def gradient_sections(run: "Run") -> "list[ReportSection]":
    """Return the section of a run of ``metallicity_gradients`` that has a result, and none for any other."""
    if run.analysis != "metallicity_gradients" or run.commit is None:
        return []
    names = ["slope", "slope_err", "slope_ols", "slope_ols_err", "sigma_int", "sigma_int_err", "n"]
    limits = [f"{variable}_{end}" for variable in ("age", "teff") for end in ("low", "high")]
    fits = run.result.dataset()[[*names, *limits]].compute()
    rows = [_row(fits.isel(population=i)) for i in range(fits.sizes["population"])]
    return [hven.ReportSection("Gradients in brief", _TEXT, _COLUMNS, rows)]


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
