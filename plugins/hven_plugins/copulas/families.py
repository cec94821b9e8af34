"""Parametric copulas of two columns: which family, how strong, and whether it fits."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats, copulas
from hven.methods.copulas import CANDIDATES, CORNERS, Copula
from hven.mocks import Mock, copula_stars
from hven_plugins.copulas.attenuation import attenuation
from hven_plugins.copulas.density import GRID, Two, density_of
from hven_plugins.copulas.pairs import MEASURED, RESAMPLED, Pairs, caveats_of, pairs_by_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Family = Literal["gaussian", "student", "clayton", "gumbel", "frank", "joe"]

FAMILIES: tuple[Family, ...] = ("gaussian", "student", "clayton", "gumbel", "frank", "joe")

_MISFIT = 0.01
_WHERE = "analysis 'copula_fit'"


@hven.analysis(
    stars=hven.Table(
        optional={"weight": "", "group": None, "<x>_err": "any", "<x>_fe_err": "any", "<x>_gal_err": "any"},
        named_by="columns",
    ),
    produces={
        "family": "",
        "rotation": "",
        "theta": "",
        "theta_err": "",
        "nu": "",
        "nu_err": "",
        "tau": "",
        "tau_err": "",
        "tail": "",
        "tail_err": "",
        "log_likelihood": "",
        "aic": "",
        "cvm": "",
        "gof_p": "",
        "attenuation": "",
        "converged": "",
        "n": "",
        "reason": "",
        "density": "",
        "model_density": "",
    },
    references=("2306.09319",),
    version="3",
    min_objects="n_min",
)
def copula_fit(
    stars: xr.Dataset,
    *,
    columns: Two = ("age", "feh"),
    families: Annotated[list[Family] | None, Field(min_length=1)] = None,
    n_min: Annotated[int, Field(ge=20)] = 50,
    n_boot: Annotated[int, Field(ge=0)] = 50,
    n_gof: Annotated[int, Field(ge=0)] = 50,
    seed: int = 0,
) -> xr.Dataset:
    """Parametric copula of two columns: family, parameter, tail dependence, with errors and goodness of fit.

    On the pseudo-observations u = rank / (N + 1) of each group, the pseudo-likelihood sum ln c(u, v; theta) of each
    family is maximised: Gaussian, Student's t, Clayton, Gumbel, Frank and Joe, those that are not symmetric also
    rotated by 90, 180 and 270 degrees. The lowest AIC is chosen, independence being always a candidate; ``aic`` has
    them all (null for rotations of the other sign of Kendall's tau, which are not tried).

    ``tau`` is Kendall's tau of the fitted copula, ``tail`` its tail dependence in the four corners: the limit of the
    chance that one value is extreme when the other is.

    Pseudo-observations depend on one another, so that inverse Hessians and chi-squared laws do not hold. Errors are
    those of a bootstrap that ranks each replicate anew; ``gof_p`` is the p-value of the Cramer-von Mises distance
    between the empirical and the fitted copula by parametric bootstrap. Both use at most 4000 stars of a group, errors
    being scaled by sqrt(4000/N).

    The samples of the test have the weights and the ties of the data: of 75 groups of 1000 stars of a true family, 4 %
    are rejected at 5 % with weights of a selection, and 1 % of values rounded to 0.1 Gyr and 0.01 dex. A family is a
    smooth form with one or two parameters: with enough stars of a real survey ``gof_p`` rejects every one.

    Errors of measurement pull tau towards zero. ``attenuation`` is the factor, when errors are bound: true values are
    drawn from the distributions that the errors leave, and observed with the errors, until their tau is as observed. It
    is right to 0.04 for errors of 25 to 80 % of the scatter (0.82 for 0.80, 0.65 for 0.66; 0.73 for 0.77 where errors
    grow with the value). Null where the errors leave no tau as large as the observed one: they are overestimated.

    Parameters
    ----------
    columns
        The two columns, in any unit; ``<column>_err`` are their 1-sigma errors.
    families
        Which families to try: gaussian, student, clayton, gumbel, frank, joe. None tries all.
    n_min
        Fewest stars of a group.
    n_boot
        Replicates of the bootstrap; 0 gives no errors.
    n_gof
        Samples of the goodness-of-fit test; 0 gives no p-value.
    seed
        Of bootstrap and samples.

    Raises
    ------
    TooFewObjectsError
        No group has `n_min` stars.
    ParameterError
        Both columns are the same.
    DataRefusedError
        A column does not hold numbers.
    """
    groups = pairs_by_group(stars, columns, n_min=n_min, where=_WHERE)
    rows = [
        _fitted(g, families or list(FAMILIES), n_boot, n_gof, seed) if g.reason == MEASURED else _nothing(g)
        for g in groups
    ]
    over: dict[str, tuple[str, ...]] = dict.fromkeys(("tail", "tail_err"), ("group", "corner"))
    over |= dict.fromkeys(("density", "model_density"), ("group", "u1", "u2"))
    over["aic"] = ("group", "candidate")
    result = xr.Dataset(
        {name: (over.get(name, ("group",)), np.array([row[name] for row in rows])) for name in rows[0]},
        coords={
            "group": [g.label for g in groups],
            "corner": list(CORNERS),
            "candidate": list(CANDIDATES),
            "u1": GRID,
            "u2": GRID,
        },
        attrs={"columns": list(columns), "n_given": stars.sizes["object"]},
    )
    texts = caveats_of(groups, stars.sizes["object"], columns)
    for text, is_so in (
        ("no fit has converged", lambda row: not row["converged"]),
        (f"the best family does not fit (gof_p below {_MISFIT:g})", lambda row: row["gof_p"] < _MISFIT),
    ):
        labels = [g.label for g, row in zip(groups, rows, strict=True) if g.reason == MEASURED and is_so(row)]
        texts += [f"Group {', '.join(labels)}: {text}."] if labels else []
    return caveats.with_caveats(result, texts)


def _fitted(group: Pairs, families: list[Family], n_boot: int, n_gof: int, seed: int) -> dict[str, Any]:
    done = copulas.fit(group.u, group.v, group.w, families=families)
    copula = done.copula
    some = group.some(RESAMPLED, seed)
    spread = _spreads(copula, some, n_boot, seed)
    scale = np.sqrt(some.n / group.n)
    cvm, p = copulas.goodness_of_fit(some.u, some.v, copula, weights=some.w, n_boot=n_gof, seed=seed)
    grid = np.meshgrid(GRID, GRID, indexing="ij")
    model = np.exp(copula.log_density(grid[0].ravel(), grid[1].ravel())).reshape(len(GRID), len(GRID))
    return {
        "family": copula.family,
        "rotation": copula.rotation,
        "theta": copula.theta,
        "theta_err": scale * spread["theta"],
        "nu": copula.nu if copula.family == "student" else np.nan,
        "nu_err": scale * spread["nu"] if copula.family == "student" else np.nan,
        "tau": copula.tau,
        "tau_err": scale * spread["tau"],
        "tail": np.array([copula.tail(corner) for corner in CORNERS]),
        "tail_err": scale * spread["tail"],
        "log_likelihood": done.log_likelihood,
        "aic": np.array(list(done.aic.values())),
        "cvm": cvm,
        "gof_p": p,
        "attenuation": attenuation(group, copula, seed),
        "converged": done.converged,
        "n": group.n,
        "reason": group.reason,
        "density": density_of(group),
        "model_density": model,
    }


def _spreads(copula: Copula, some: Pairs, n_boot: int, seed: int) -> dict[str, Any]:
    nothing = np.full(len(CORNERS), np.nan)
    if n_boot < 2 or copula.family == "independence":
        return {"theta": np.nan, "nu": np.nan, "tau": np.nan, "tail": nothing}
    replicates = copulas.bootstrap(some.u, some.v, copula, weights=some.w, n_boot=n_boot, seed=seed)
    tails = np.array([[c.tail(corner) for corner in CORNERS] for c in replicates])
    return {
        "theta": np.std([c.theta for c in replicates], ddof=1),
        "nu": np.std([c.nu for c in replicates], ddof=1) if copula.family == "student" else np.nan,
        "tau": np.std([c.tau for c in replicates], ddof=1),
        "tail": tails.std(axis=0, ddof=1),
    }


def _nothing(group: Pairs) -> dict[str, Any]:
    numbers = ("theta", "theta_err", "nu", "nu_err", "tau", "tau_err", "log_likelihood", "cvm", "gof_p", "attenuation")
    blank = np.full((len(GRID), len(GRID)), np.nan)
    row: dict[str, Any] = {"family": "", "rotation": 0, **dict.fromkeys(numbers, np.nan)}
    row |= {"tail": np.full(len(CORNERS), np.nan), "tail_err": np.full(len(CORNERS), np.nan)}
    row |= {"aic": np.full(len(CANDIDATES), np.nan), "converged": False, "n": group.n, "reason": group.reason}
    return {**row, "density": blank, "model_density": blank}


@copula_fit.figure
def _figure(result: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.copulas.figures import draw_candidates, draw_fits

    return {"contours": draw_fits(result), "candidates": draw_candidates(result)}


@copula_fit.mock
def _mock(size: int, seed: int) -> Mock:
    return copula_stars(size, seed)
