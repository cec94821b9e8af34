"""Tail dependence of two columns: whether extremes go together beyond what a correlation says."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats, copulas, ranks
from hven.methods.copulas import CORNERS, Copula
from hven.mocks import Mock, copula_stars
from hven_plugins.copulas.density import Two
from hven_plugins.copulas.pairs import MEASURED, Pairs, bootstrapped, caveats_of, pairs_by_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Corner = Literal["upper-upper", "lower-lower", "upper-lower", "lower-upper"]

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99)

_WHERE = "analysis 'tail_dependence'"


@hven.analysis(
    stars=hven.Table(optional={"weight": "", "group": None}, named_by="columns"),
    produces={
        "chi": "",
        "chi_err": "",
        "chi_low": "",
        "chi_high": "",
        "chibar": "",
        "chibar_err": "",
        "chi_gaussian": "",
        "chibar_gaussian": "",
        "eta": "",
        "eta_err": "",
        "chi_limit": "",
        "chi_limit_err": "",
        "eta_gaussian": "",
        "depth": "",
        "n_tail": "",
        "tail_of_family": "",
        "family": "",
        "n": "",
        "reason": "",
    },
    references=("2306.09319", "10.1023/A:1009963131610", "10.1093/biomet/83.1.169"),
    version="3",
    min_objects="n_min",
)
def tail_dependence(
    stars: xr.Dataset,
    *,
    columns: Two = ("age", "feh"),
    q: Annotated[list[float] | None, Field(min_length=1)] = None,
    tail_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.025,
    n_min: Annotated[int, Field(ge=50)] = 200,
    n_boot: Annotated[int, Field(ge=10)] = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Tail dependence of two columns in all four corners: chi(q), chi-bar(q), eta and lambda, with errors.

    chi(q) = P(V > q | U > q) on the ranks of the two columns (Coles, Heffernan & Tawn 1999). Its limit lambda for q
    -> 1 is 0 for a Gaussian of any correlation below 1 and positive where extremes come together. At finite q chi
    is not lambda: a Gaussian with rho = 0.6 has lambda = 0 and chi(0.95) = 0.31. So chi(q) is a curve here, beside
    the one of the Gaussian of the same Kendall's tau (``chi_gaussian``), and beside two measures that tell the
    cases apart: chi-bar(q) tends to 1 with tail dependence and to rho for a Gaussian; the eta of Ledford & Tawn
    (1996) is 1 with tail dependence, 1/2 for independence and (1 + rho)/2 for a Gaussian, estimated by Hill's
    method on the fraction `tail_fraction` of stars deepest in the corner (at that depth a Gaussian of rho = 0.6
    gives 0.76).

    ``chi_limit`` is chi at q = 1 - `tail_fraction` (``depth`` holds this q), the estimate of lambda from counts;
    ``tail_of_family`` is the lambda of the parametric copula with the lowest AIC (``family``), for comparison. Neither
    ``eta`` nor ``chi_limit`` is the limit: both are values at ``depth``, on ``n_tail`` stars (of effective number), and
    ``eta_gaussian`` is what a Gaussian of the same tau has there. Of a Gaussian of rho = 0.6, chi_limit at the depth
    0.975 is 0.25 with a limit of 0, and eta 0.76 with a limit of 0.80.

    Corners are 'upper-upper' (both large), 'lower-lower', 'upper-lower' (the first large, the second small) and
    'lower-upper'. Errors and the 68 % band of chi come from a bootstrap that ranks each replicate anew.

    Parameters
    ----------
    columns
        The two columns, in any unit.
    q
        Quantiles, towards 1 into the corner; None takes twelve between 0.5 and 0.99.
    tail_fraction
        Fraction of the stars that counts as the tail for eta and lambda.
    n_min
        Fewest stars of a group.
    n_boot
        Replicates of the bootstrap.
    seed
        Of the bootstrap.

    Raises
    ------
    TooFewObjectsError
        No group has `n_min` stars.
    ParameterError
        Both columns are the same, or a quantile is not between 0 and 1.
    DataRefusedError
        A column does not hold numbers.
    """
    levels = np.asarray(LEVELS if q is None else q, dtype=np.float64)
    if np.any(~((levels > 0) & (levels < 1))):
        raise hven.errors.ParameterError(
            f"the quantiles are {q}", where=_WHERE, expected="0 < q < 1", hint="0.9 to 0.99 is usual."
        )
    groups = pairs_by_group(stars, columns, n_min=n_min, where=_WHERE)
    rows = [_measured(g, levels, tail_fraction, n_boot, seed) for g in groups]
    over: dict[str, tuple[str, ...]] = {
        name: ("group", "corner", "q") for name in rows[0] if name.startswith(("chi_", "chi", "chibar"))
    }
    by_corner = ("eta", "eta_err", "eta_gaussian", "chi_limit", "chi_limit_err", "n_tail", "tail_of_family")
    over |= dict.fromkeys(by_corner, ("group", "corner"))
    result = xr.Dataset(
        {name: (over.get(name, ("group",)), np.array([row[name] for row in rows])) for name in rows[0]},
        coords={"group": [g.label for g in groups], "corner": list(CORNERS), "q": levels},
        attrs={"columns": list(columns), "n_given": stars.sizes["object"], "tail_fraction": tail_fraction},
    )
    return caveats.with_caveats(result, caveats_of(groups, stars.sizes["object"], columns))


def tail_numbers(u: Array, v: Array, w: Array, levels: Array, fraction: float) -> Array:
    """Return chi at each level and at the limit, chi-bar at each level, and eta: (corners, 2 levels + 2)."""
    limit = np.append(levels, 1 - fraction)
    return np.array([_of_corner(u, v, w, limit, fraction, corner) for corner in CORNERS])


def _of_corner(u: Array, v: Array, w: Array, levels: Array, fraction: float, corner: str) -> Array:
    """Return chi (m,), chi-bar (m - 1,) and eta of one corner; each star counts `w` times."""
    first, second = corner.split("-")
    weakest = np.minimum(u if first == "upper" else 1 - u, v if second == "upper" else 1 - v)
    order = np.argsort(weakest)
    weakest, beyond = weakest[order], np.append(np.cumsum(w[order][::-1])[::-1], 0.0)
    total = beyond[0]
    joint = beyond[np.searchsorted(weakest, levels, side="right")] / total
    with np.errstate(divide="ignore", invalid="ignore"):
        chi = joint / (1 - levels)
        chibar = np.where(joint > 0, 2 * np.log1p(-levels) / np.log(joint) - 1, np.nan)
    depth = -np.log1p(-weakest)
    inside = beyond[:-1] <= max(fraction * total, 1.0)
    threshold = depth[np.flatnonzero(inside)[0] - 1] if inside.any() and not inside[0] else np.nan
    eta = np.average(depth[inside] - threshold, weights=w[order][inside]) if inside.any() else np.nan
    return np.concatenate([chi, chibar[:-1], [eta]])


def eta_at(copula: Copula, fraction: float, corner: Corner) -> float:
    """Return the mean excess of the log depth of the `fraction` deepest in the corner: Hill's eta at that depth.

    Examples
    --------
    >>> round(eta_at(Copula("gaussian", 0.6), 0.025, "upper-upper"), 2)
    0.76
    """
    depth = np.linspace(0.0, 18.0, 2001)
    share = np.exp(-depth)
    beyond = np.nan_to_num(copula.chi(1 - share, corner)) * share
    deep = depth[beyond <= fraction]
    if not len(deep):
        return float("nan")
    inside = beyond[beyond <= fraction]
    return float(np.trapezoid(inside, deep) / inside[0]) if inside[0] > 0 else float("nan")


def _measured(group: Pairs, levels: Array, fraction: float, n_boot: int, seed: int) -> dict[str, Any]:
    m, corners = len(levels), len(CORNERS)
    row: dict[str, Any] = {"n": group.n, "reason": group.reason, "family": ""}
    numbers = value = np.full((corners, 2 * m + 2), np.nan)
    low = high = error = numbers
    references = np.full((2, corners, m), np.nan)
    tails = etas = counts = np.full(corners, np.nan)
    if group.reason == MEASURED:

        def statistics(u: Array, v: Array, w: Array) -> Array:
            return tail_numbers(u, v, w, levels, fraction)

        value = statistics(group.u, group.v, np.ones(group.n) if group.w is None else group.w)
        error, (below, above) = bootstrapped(group, statistics, n_boot=n_boot, seed=seed)
        low, high = value + below, value + above
        chosen = copulas.fit(group.u, group.v, group.w)
        gaussian = Copula.from_tau(
            "gaussian", float(np.clip(ranks.kendall(group.u, group.v, group.w).value, -0.999, 0.999))
        )
        references = np.array(
            [[gaussian.chi(levels, c) for c in CORNERS], [gaussian.chibar(levels, c) for c in CORNERS]]
        )
        tails = np.array([chosen.copula.tail(c) for c in CORNERS])
        etas = np.array([eta_at(gaussian, fraction, c) for c in CORNERS])
        counts = value[:, m] * fraction * group.n_effective
        row["family"] = chosen.copula.name
    return {
        **row,
        "chi": value[:, :m],
        "chi_err": error[:, :m],
        "chi_low": low[:, :m],
        "chi_high": high[:, :m],
        "chibar": value[:, m + 1 : 2 * m + 1],
        "chibar_err": error[:, m + 1 : 2 * m + 1],
        "chi_gaussian": references[0],
        "chibar_gaussian": references[1],
        "eta": value[:, -1],
        "eta_err": error[:, -1],
        "chi_limit": value[:, m],
        "chi_limit_err": error[:, m],
        "eta_gaussian": etas,
        "depth": 1 - fraction if group.reason == MEASURED else np.nan,
        "n_tail": counts,
        "tail_of_family": tails,
    }


@tail_dependence.figure
def _figure(result: xr.Dataset) -> "Figure":
    from hven_plugins.copulas.figures import draw_tails

    return draw_tails(result)


@tail_dependence.mock
def _mock(size: int, seed: int) -> Mock:
    return copula_stars(size, seed)
