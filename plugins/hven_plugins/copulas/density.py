"""The copula density of two columns: what is left of their joint distribution when both margins are taken out."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats, ranks
from hven.mocks import Mock, copula_stars
from hven_plugins.copulas.pairs import (
    MEASURED,
    Pairs,
    bootstrapped,
    caveats_of,
    is_too_long,
    pairs_by_group,
    pairs_out_of_core,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Two = tuple[str, str]
"""Names of two columns."""

GRID = np.linspace(0.001, 0.999, 51)
CELLS = 60
_WHERE = "analysis 'copula_density'"


@hven.analysis(
    stars=hven.Table(optional={"weight": "", "group": None}, named_by="columns"),
    produces={
        "": {
            "density": "",
            "spearman": "",
            "spearman_err": "",
            "kendall": "",
            "kendall_err": "",
            "n": "",
            "reason": "",
            "counts": "",
            "x_edge": "",
            "y_edge": "",
        },
        "stars": {"u_<x>": "", "u_<x>_<y>": "", "u_<x>_<y>_<z>": ""},
    },
    references=("2306.09319",),
    version="2",
    min_objects="n_min",
)
def copula_density(
    stars: xr.Dataset,
    *,
    columns: Two = ("age", "feh"),
    n_min: Annotated[int, Field(ge=10)] = 50,
    n_boot: Annotated[int, Field(ge=10)] = 100,
    seed: int = 0,
    memory: str = "2 GB",
) -> dict[str, xr.Dataset]:
    """Copula density, Spearman's rho and Kendall's tau of two columns, freed from their margins.

    Each column is replaced by its pseudo-observations u = rank / (N + 1) (average ranks for ties), so that age scales,
    zero points of abundances and selection in one column alone drop out: any increasing transform of a column leaves
    all results as they are. With N + 1 no star falls on the edge, where a normal score is infinite.

    The copula density c(u1, u2) is 1 everywhere for independent columns, above 1 where stars of such ranks go together
    more often than by chance. It is a product-Gaussian kernel estimate on the normal scores x = Phi^-1(u), where there
    is no edge, divided by the margins, with h_i = 1.069 sigma_i N^(-1/5); then shrunk back to uniform margins, which a
    kernel widens. It costs O(N + grid).

    Groups (mono-age populations, cells of R and |z|, surveys) come from the column ``group`` when it is bound; ranks
    are those within the group. Stars that lack a value are left out and have no rank. ``reason`` says 'ok', 'too few
    stars' (fewer than `n_min`) or 'a column has one value only', results then being null.

    Errors of rho and tau are those of a bootstrap that ranks each replicate anew; in groups of more than 4000 stars
    it draws from 4000 of them and scales by sqrt(4000/N). Errors of measurement pull both towards zero: see
    ``copula_fit`` for by how much.

    The part ``stars`` has u_<column> of each star. ``counts`` (stars in cells of the two columns, between the 0.5 and
    99.5 % quantiles) let the figure be drawn without the stars.

    The giants that the paper selects from APOGEE are ``where=hven_plugins.copulas.preset("apogee_giants")``.

    Parameters
    ----------
    columns
        The two columns, in any unit.
    n_min
        Fewest stars of a group.
    n_boot
        Replicates of the bootstrap.
    seed
        Of the bootstrap.
    memory
        Lazy columns that are larger are ranked out of core, exactly, in several passes, each group in passes of its
        own. Ranks, weights and groups are held in memory.

    Raises
    ------
    TooFewObjectsError
        No group has `n_min` stars.
    ParameterError
        Both columns are the same.
    DataRefusedError
        A column does not hold numbers.
    """
    if is_too_long(stars, columns, memory):
        groups = pairs_out_of_core(stars, columns, n_min=n_min, where=_WHERE)
    else:
        groups = pairs_by_group(stars, columns, n_min=n_min, where=_WHERE)
    u = np.full((2, stars.sizes["object"]), np.nan)
    for group in groups:
        if group.reason == MEASURED:
            u[:, group.rows] = group.u, group.v
    by_star = xr.Dataset({f"u_{name}": ("object", values) for name, values in zip(columns, u, strict=True)})
    rows = [_measured(group, n_boot, seed) for group in groups]
    over = {"density": ("group", "u1", "u2")}
    result = xr.Dataset(
        {name: (over.get(name, ("group",)), np.array([row[name] for row in rows])) for name in rows[0]},
        coords={"group": [g.label for g in groups], "u1": GRID, "u2": GRID},
        attrs={"columns": list(columns), "n_given": stars.sizes["object"]},
    )
    texts = caveats_of(groups, stars.sizes["object"], columns)
    return {"": caveats.with_caveats(result.merge(data_plane(groups)), texts), "stars": by_star}


def rank_correlations(u: Array, v: Array, w: Array | None) -> Array:
    """Return Spearman's rho and Kendall's tau."""
    return np.array([ranks.spearman(u, v, w).value, ranks.kendall(u, v, w).value])


def density_of(group: Pairs) -> Array:
    """Return the copula density on the grid, (51, 51)."""
    return ranks.CopulaHistogram.of(group.u, group.v, group.w).density(GRID, GRID).density


def data_plane(groups: list[Pairs]) -> xr.Dataset:
    """Return ``counts`` (group, x_cell, y_cell) and the edges of the cells in the units of the columns."""
    x, y = (np.concatenate([getattr(g, side) for g in groups]) for side in ("x", "y"))
    edges = [np.linspace(*_range(side), CELLS + 1) for side in (x, y)]
    counts = [np.histogram2d(g.x, g.y, edges, weights=g.w)[0] for g in groups]
    return xr.Dataset(
        {
            "counts": (("group", "x_cell", "y_cell"), np.array(counts)),
            "x_edge": ("x_side", edges[0]),
            "y_edge": ("y_side", edges[1]),
        }
    )


def _range(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def _measured(group: Pairs, n_boot: int, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"n": group.n, "reason": group.reason}
    if group.reason != MEASURED:
        nothing = dict.fromkeys(("spearman", "spearman_err", "kendall", "kendall_err"), np.nan)
        return {**row, **nothing, "density": np.full((len(GRID), len(GRID)), np.nan)}
    value = rank_correlations(group.u, group.v, group.w)
    error, _ = bootstrapped(group, rank_correlations, n_boot=n_boot, seed=seed)
    correlations = {"spearman": value[0], "spearman_err": error[0], "kendall": value[1], "kendall_err": error[1]}
    return {**row, **correlations, "density": density_of(group)}


@copula_density.figure
def _figure(result: "dict[str, xr.Dataset]") -> "Figure":
    from hven_plugins.copulas.figures import draw_density

    return draw_density(result[""])


@copula_density.mock
def _mock(size: int, seed: int) -> Mock:
    return copula_stars(size, seed)
