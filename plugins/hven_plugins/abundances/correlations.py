"""Element-element correlations of stars: error-corrected, and at fixed values of other variables."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from pydantic import Field

import hven
from hven.methods import caveats
from hven.mocks import Mock, abundance_stars
from hven_plugins.abundances.channels import default_channels
from hven_plugins.abundances.diffusion import field_of
from hven_plugins.abundances.measurement import Measured, caveats_of, correlate, correlate_given
from hven_plugins.abundances.table import BY_PLACE, Scale, abundances

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOCK_ELEMENTS = ("C", "N", "O", "Na", "Mg", "Al", "Si", "S", "Ca", "Cr", "Mn", "Fe", "Ni", "Y", "Ba")


@hven.analysis(
    stars=hven.Table(
        optional={
            "object_id": None,
            "<x>_h": "dex",
            "<x>_h_err": "dex",
            "<x>_fe": "dex",
            "<x>_fe_err": "dex",
            "feh": "dex",
            "feh_err": "dex",
            "<x>_h_<y>_h_corr": "",
            "<x>_fe_<y>_fe_corr": "",
            "feh_<x>_h_corr": "",
            "feh_<x>_fe_corr": "",
            "<x>_h_feh_corr": "",
            "<x>_fe_feh_corr": "",
        },
        named_by="given",
    ),
    produces={
        "": {
            "correlation": "",
            "correlation_err": "",
            "correlation_naive": "",
            "covariance": "dex2",
            "sigma": "dex",
            "sigma_err": "dex",
            "error": "dex",
            "mean": "dex",
            "n_pairs": "",
            "flag": "",
            "replicates": "",
            "conditional": "",
            "conditional_err": "",
            "conditional_sigma": "dex",
            "conditional_sigma_err": "dex",
            "conditional_n": "",
            "conditional_flag": "",
            "conditional_replicates": "",
        },
        "pairs": {
            "element": "",
            "element2": "",
            "correlation": "",
            "correlation_err": "",
            "correlation_naive": "",
            "covariance": "dex2",
            "n_pairs": "",
            "flag": "",
            "conditional": "",
            "conditional_err": "",
            "conditional_n": "",
            "conditional_flag": "",
        },
    },
    references=("2507.14572", "2102.04992"),
    version="3",
    min_objects="n_min",
)
def abundance_correlations(
    stars: xr.Dataset,
    *,
    elements: list[str] | None = None,
    scale: Scale = "auto",
    given: list[str] | None = None,
    box: list[Annotated[float, Field(gt=0)]] | None = None,
    n_cell: Annotated[int, Field(ge=5)] = 20,
    n_boot: Annotated[int, Field(ge=20, le=20_000)] = 200,
    n_min: Annotated[int, Field(ge=3)] = 30,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Correlations of the abundances of stars, element by element, with the scatter of errors taken out.

    Errors of abundances add to every variance and to no covariance, so that what is measured is closer to zero than
    what is there. The scatter of each element is therefore corrected, var(x) - <err^2>, and correlations are those of
    the corrected covariance (Ting & Weinberg 2022). `correlation_naive` stands beside, to show by how much. Errors of
    the result come from bootstrap replicates of stars, which are kept (`replicates`) for fits that need the covariance
    between pairs. All stars go by once, in blocks: a table may be of any size.

    Stars that formed together in space share more than what their metallicity tells. ``given`` names variables that are
    held fixed, as ``["feh"]`` or ``["feh", "mg_fe"]``: in each cell of width `box` a plane is fitted and taken out, and
    `conditional` correlates what is left. This takes a second pass. It holds the *measured* values of these variables
    fixed; their errors remain in the residuals of what depends on them.

    Abundances are [X/H] (``<x>_h``, iron being ``feh``) or [X/Fe] (``<x>_fe``). Correlations over iron are other ones
    than over hydrogen, since they share the iron; the model of `abundance_correlation_prediction` speaks of hydrogen.
    Elements that the table has on the other scale are converted, [X/H] = [X/Fe] + [Fe/H] or back, their errors taken as
    independent, and the error of [Fe/H], which is then common to them, is taken out of the covariances as well.

    Errors of one star that go together (those of its temperature move all its elements) correlate abundances falsely.
    Columns ``<a>_<b>_corr``, as ``mg_h_si_h_corr`` or ``mg_fe_feh_corr``, tell how the errors of columns a and b
    correlate; in memory, an array ``cov`` over (object, c, c2) may give the whole covariance of each star in dex2, its
    coordinate c naming the columns. Either is taken out of the covariances.

    What cannot be told is NaN, and `flag` says why: 'too few stars' (under `n_min`), 'does not vary', 'errors exceed
    the scatter' (nothing is left after the correction, which is never clipped). 'above one' warns of a value beyond
    one, as chance may give when errors nearly explain the scatter, 'far above one' stands where chance cannot (no
    value); 'errors exceed the scatter in replicates' of one whose error cannot be told. Values with an error of zero,
    which tables write where none is known, or of 1 dex and more, as codes for a missing error are, are left out; leave
    the column of errors away to take values as exact. All of this is a caveat of the result, with its numbers.

    The part ``pairs`` has the same as a table, a row for each pair of elements.

    Parameters
    ----------
    elements
        Symbols, such as ["O", "Mg", "Fe"]; all that there are by default.
    scale
        'h' or 'fe'; 'auto' takes [X/H] if there are two of them.
    given
        Columns to hold fixed.
    box
        Width of the cells in each column of `given`, in its own unit; 0.05 by default.
    n_cell
        Fewest stars of a cell for its stars to count.
    n_boot
        Bootstrap replicates; a fit to p pairs needs more than p.
    n_min
        Fewest stars of a pair of elements.
    seed
        Of the bootstrap.

    Raises
    ------
    MissingColumnError
        There are not two elements.
    ParameterError
        An element is held fixed and correlated, or `box` has another length than `given`.
    TooFewObjectsError
        No pair of elements has `n_min` stars, or no cell `n_cell`.
    """
    held = given or []
    width = np.full(len(held), 0.05) if box is None else np.array(box, dtype=np.float64)
    if len(width) != len(held):
        raise hven.errors.ParameterError(
            f"box has {len(width)} widths for {len(held)} columns",
            where="parameters box and given",
            expected="one width for each column that is held fixed",
            hint="Give as many widths as columns.",
        )
    table = abundances(stars, elements, scale, held)
    options: dict[str, Any] = {"n_boot": n_boot, "seed": seed, "n_min": n_min}
    free = correlate(table.blocks(), **options)
    attrs = {
        "scale": table.scale,
        "given": ", ".join(held),
        "box": ", ".join(f"{w:g}" for w in width),
        "assumed": table.assumed,
        "n_boot": n_boot,
    }
    fixed = None
    if held:
        fixed, surface = correlate_given(table, width, n_cell=n_cell, **options)
        attrs |= {"n_cells": len(surface.cells)}
    result = correlations_dataset(table.elements, free, fixed, attrs)
    assumed = table.assumed.removesuffix(BY_PLACE).removesuffix("; ") or "nothing"
    texts = caveats_of(table.elements, table.columns(), free, assumed)
    return {"": caveats.with_caveats(result, texts), "pairs": table_of_pairs(result)}


def correlations_dataset(
    elements: tuple[str, ...], free: Measured, fixed: Measured | None, attrs: dict[str, Any]
) -> xr.Dataset:
    """Return what was measured as variables over (element, element2); null where nothing was held fixed."""
    pair, one = ("element", "element2"), ("element",)
    empty = np.full(free.correlation.shape, np.nan)
    names = np.array(elements, dtype=np.dtypes.StringDType())
    return xr.Dataset(
        {
            "correlation": (pair, free.correlation),
            "correlation_err": (pair, free.correlation_err),
            "correlation_naive": (pair, free.naive),
            "covariance": (pair, free.covariance),
            "sigma": (one, free.sigma),
            "sigma_err": (one, free.sigma_err),
            "error": (one, free.error),
            "mean": (one, free.mean),
            "n_pairs": (pair, free.n),
            "flag": (pair, free.flag),
            "replicates": (("replicate", *pair), free.replicates),
            "conditional": (pair, empty if fixed is None else fixed.correlation),
            "conditional_err": (pair, empty if fixed is None else fixed.correlation_err),
            "conditional_sigma": (one, empty[0] if fixed is None else fixed.sigma),
            "conditional_sigma_err": (one, empty[0] if fixed is None else fixed.sigma_err),
            "conditional_n": (pair, np.zeros_like(free.n) if fixed is None else fixed.n),
            "conditional_flag": (pair, np.full_like(free.flag, "nothing held fixed") if fixed is None else fixed.flag),
            "conditional_replicates": (
                ("replicate", *pair),
                np.full_like(free.replicates, np.nan) if fixed is None else fixed.replicates,
            ),
        },
        coords={"element": names, "element2": ("element2", names)},
        attrs=attrs,
    )


def table_of_pairs(result: xr.Dataset) -> xr.Dataset:
    """Return the matrices as a table, a row for each pair of elements."""
    i, j = np.tril_indices(result.sizes["element"], -1)
    names = result["element"].values
    columns = [str(name) for name, v in result.data_vars.items() if v.dims == ("element", "element2")]
    pairs = {"element": ("pair", names[j]), "element2": ("pair", names[i])}
    return xr.Dataset(pairs | {name: ("pair", result[name].values[i, j]) for name in columns})


@abundance_correlations.figure
def _figure(result: dict[str, xr.Dataset]) -> "dict[str, Figure]":
    from hven_plugins.abundances.figures import draw_matrix, draw_scatters

    told = result[""]
    figures = {"matrix": draw_matrix(told), "scatter": draw_scatters(told)}
    if np.isfinite(told["conditional"].values).any():
        figures["conditional"] = draw_matrix(told, "conditional")
    return figures


@abundance_correlations.mock
def _mock(size: int, seed: int) -> Mock:
    """Return stars of the predicted correlations and scatters of 15 elements."""
    field = field_of(default_channels().select(MOCK_ELEMENTS).at_once())
    return abundance_stars(size, seed, elements=MOCK_ELEMENTS, correlation=field.correlation(), sigma=field.scatter())
