"""Parametric bivariate copulas: six families and their rotations, fitted by maximum pseudo-likelihood in JAX.

`fit` chooses a family for two columns, `fit_groups` for many groups at once; `bootstrap` tells the errors and
`goodness_of_fit` whether the chosen one is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError, did_you_mean
from hven.methods._copula import CORNERS, Copula, check_open, pair
from hven.methods._copula_families import FAMILIES
from hven.methods._copula_fits import fit_family
from hven.methods._copula_null import sample_as_observed
from hven.methods.ranks import kendall, pseudo_observations
from hven.methods.weights import scaled

__all__ = [
    "CANDIDATES",
    "CORNERS",
    "Copula",
    "CopulaFit",
    "GroupFits",
    "bootstrap",
    "fit",
    "fit_groups",
    "goodness_of_fit",
]

Array = NDArray[np.float64]

CANDIDATES: tuple[str, ...] = (
    "independence",
    *(
        f"{name} {turn}" if turn else name
        for name, family in FAMILIES.items()
        for turn in ((0, 90, 180, 270) if family.is_rotated else (0,))
    ),
)
"""What `fit` chooses among: the families, and their rotations in degrees."""

_FEWEST = 10


@dataclass(frozen=True)
class CopulaFit:
    """The copula chosen for two columns, and how the other candidates did.

    Attributes
    ----------
    copula
        The one with the lowest AIC.
    log_likelihood
        Its maximum, the sum of ln c over the stars.
    aic
        2 k - 2 ln L of each of `CANDIDATES`; NaN where it was not tried (rotations of the other sign of tau).
    tau
        Kendall's tau of the data.
    n
        Number of stars, or the sum of their weights.
    converged
        Whether the search for the chosen one ended at a maximum.
    """

    copula: Copula
    log_likelihood: float
    aic: dict[str, float]
    tau: float
    n: float
    converged: bool


class GroupFits(NamedTuple):
    """Fits of g groups: what `fit` returns, as arrays.

    ``family`` (g,) and ``rotation`` (g,) of the chosen one, its ``theta``, ``nu``, ``log_likelihood`` and ``converged``
    (g,), and ``aic`` (g, candidates) in the order of `CANDIDATES`.
    """

    family: NDArray[np.str_]
    rotation: NDArray[np.int64]
    theta: Array
    nu: Array
    log_likelihood: Array
    converged: NDArray[np.bool_]
    aic: Array

    def copula(self, i: int) -> Copula:
        """Return the copula of group `i`."""
        return Copula(str(self.family[i]), float(self.theta[i]), float(self.nu[i]), int(self.rotation[i]))


def fit(
    u: ArrayLike, v: ArrayLike, weights: ArrayLike | None = None, *, families: Sequence[str] = tuple(FAMILIES)
) -> CopulaFit:
    """Return the parametric copula of two columns: maximum pseudo-likelihood for each candidate, chosen by AIC.

    Independence is always a candidate. Clayton, Gumbel and Joe are tried in the two rotations that have the sign of
    Kendall's tau; the other two can only come down to independence.

    Parameters
    ----------
    u, v
        Pseudo-observations, shape (n,), strictly between 0 and 1; pairs with a missing value are left out.
    weights
        How often each pair counts, shape (n,).
    families
        Which to try.

    Raises
    ------
    DataRefusedError
        The shapes differ, a value is not between 0 and 1, or a column has one value only.
    TooFewObjectsError
        There are fewer than 10 pairs.
    ParameterError
        A family is not known.

    Examples
    --------
    >>> u, v = Copula("clayton", 1.5, rotation=90).sample(1000, seed=1)
    >>> chosen = fit(u, v, families=["gaussian", "clayton"])
    >>> chosen.copula.name, bool(abs(chosen.copula.theta - 1.5) < 0.2)
    ('clayton 90', True)
    """
    a, b = pair(u, v)
    w = np.ones(len(a)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != a.shape:
        raise DataRefusedError(f"weights have shape {w.shape}", expected=f"{a.shape}", hint="Align the columns.")
    known = ~np.isnan(a + b) & (w > 0)
    a, b, w = a[known], b[known], w[known]
    if len(a) < _FEWEST:
        raise TooFewObjectsError(
            f"{len(a)} pairs to fit a copula to", expected=f"at least {_FEWEST}", hint="Loosen the selection."
        )
    tau = kendall(a, b, None if weights is None else w)
    if not np.isfinite(tau.value):
        raise DataRefusedError(
            "a column has one value only", expected="two columns that vary", hint="Leave the column out."
        )
    done = fit_groups(a[None], b[None], w[None], families=families, tau=np.array([tau.value]))
    aic = dict(zip(CANDIDATES, done.aic[0].tolist(), strict=True))
    return CopulaFit(
        done.copula(0), float(done.log_likelihood[0]), aic, tau.value, float(w.sum()), bool(done.converged[0])
    )


def fit_groups(
    u: ArrayLike,
    v: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    families: Sequence[str] = tuple(FAMILIES),
    tau: ArrayLike | None = None,
) -> GroupFits:
    """Return the fits of many groups at once, each as `fit` makes it, in one compiled call per family.

    Parameters
    ----------
    u, v
        Pseudo-observations within each group, shape (g, n). Groups of fewer stars are filled up with weight 0.
    weights
        How often each pair counts, shape (g, n).
    families
        Which to try.
    tau
        Kendall's tau of each group, shape (g,), where it is known already.

    Raises
    ------
    DataRefusedError
        The shapes differ, or a value that counts is not between 0 and 1.
    ParameterError
        A family is not known.

    Examples
    --------
    >>> pairs = [Copula("gaussian", theta).sample(1000, seed=1) for theta in (0.6, -0.6)]
    >>> u, v = np.swapaxes(pairs, 0, 1)
    >>> fit_groups(u, v, families=["gaussian"]).theta.round(1).tolist()
    [0.6, -0.6]
    """
    a, b = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
    w = np.ones(a.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if a.ndim != 2 or not a.shape == b.shape == w.shape:
        raise DataRefusedError(
            f"u, v and weights have shapes {a.shape}, {b.shape} and {w.shape}", expected="(groups, n) all three",
            hint="Fill shorter groups up with weight 0.",
        )  # fmt: skip
    for name in families:
        if name not in FAMILIES:
            raise ParameterError(
                f"there is no copula family {name!r}", expected=", ".join(FAMILIES),
                hint=did_you_mean(name, FAMILIES, "Choose among these."),
            )  # fmt: skip
    check_open(a[w > 0], b[w > 0])
    if tau is None:
        tau = [kendall(a[i], b[i], None if weights is None else w[i]).value for i in range(len(a))]
    taus = np.asarray(tau, dtype=np.float64)
    is_negative = taus < 0
    turned = np.where(is_negative[:, None], 1 - a, a)  # all dependence is positive from here on
    aic = np.full((len(a), len(CANDIDATES)), np.nan)
    aic[:, 0] = 0.0
    theta, nu = np.full(aic.shape, np.nan), np.full(aic.shape, np.inf)
    converged = np.ones(aic.shape, dtype=bool)
    for name in dict.fromkeys(families):
        family = FAMILIES[name]
        for half_turned in (False, True) if family.is_rotated else (False,):
            x, y = (1 - turned, 1 - b) if half_turned else (turned, b)
            done = fit_family(name, x, y, w, np.abs(taus))
            at = np.array([CANDIDATES.index(_candidate(name, negative, half_turned)) for negative in is_negative])
            rows = np.arange(len(a))
            aic[rows, at] = 2 * len(family.lower) - 2 * done.log_likelihood
            signed = is_negative & (not family.is_rotated)
            theta[rows, at] = np.where(signed, -1.0, 1.0) * done.parameters[:, 0]
            converged[rows, at] = done.converged
            if name == "student":
                nu[rows, at] = 1 / done.parameters[:, 1]
    best = np.nanargmin(aic, axis=1)
    rows = np.arange(len(a))
    named = [CANDIDATES[i].partition(" ") for i in best]
    chosen = np.array([name for name, _, _ in named], dtype=np.str_)
    n_parameters = np.array([{"independence": 0, "student": 2}.get(name, 1) for name in chosen])
    return GroupFits(
        chosen,
        np.array([int(turn or 0) for _, _, turn in named], dtype=np.int64),
        theta[rows, best],
        nu[rows, best],
        n_parameters - 0.5 * aic[rows, best],
        converged[rows, best],
        aic,
    )


def bootstrap(
    u: ArrayLike, v: ArrayLike, copula: Copula, *, weights: ArrayLike | None = None, n_boot: int = 100, seed: int = 0
) -> list[Copula]:
    """Return fits of the family of `copula` to resampled stars, ranked anew: their spread is its error.

    The inverse Hessian ignores that ranks are estimated, too; so each replicate draws stars with replacement and makes
    its own pseudo-observations of them.

    Parameters
    ----------
    u, v, weights
        As for `fit`.
    copula
        The family and rotation to fit.
    n_boot
        Number of replicates.
    seed
        Of the draws.

    Examples
    --------
    >>> u, v = Copula("gaussian", 0.6).sample(1000, seed=2)
    >>> round(float(np.std([c.theta for c in bootstrap(u, v, Copula("gaussian", 0.6), n_boot=50)])), 2)
    0.02
    """
    a, b = pair(u, v)
    given = np.ones(len(a)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = ~np.isnan(a + b) & (given > 0)
    a, b, given = a[known], b[known], given[known]
    if copula.family == "independence" or len(a) < 2:
        return [copula] * n_boot
    drawn = np.random.default_rng(seed).multinomial(len(a), np.full(len(a), 1 / len(a)), n_boot) * given
    x, y = (np.stack([pseudo_observations(column, w) for w in drawn]) for column in (a, b))
    return _refitted(np.nan_to_num(x, nan=0.5), np.nan_to_num(y, nan=0.5), drawn, copula)


def goodness_of_fit(
    u: ArrayLike,
    v: ArrayLike,
    copula: Copula,
    *,
    weights: ArrayLike | None = None,
    n_boot: int = 100,
    seed: int = 0,
    cells: int = 50,
) -> tuple[float, float]:
    """Return the Cramer-von Mises distance between the empirical copula and `copula`, and its p-value.

    S = n times the mean over stars of (C_n - C)^2, both on a grid of `cells` x `cells`, so that it costs O(n). The
    p-value comes from samples of the copula, ranked and fitted as the data were (parametric bootstrap, Genest &
    Remillard 2008): p = (1 + exceedances) / (1 + n_boot). Samples have the ties of the data, as rounding makes them,
    and their weights, in the places where the data have them.

    Parameters
    ----------
    u, v
        Pseudo-observations, shape (n,).
    copula
        What `fit` chose.
    weights
        One over the chance that a star was selected, in proportion, shape (n,).
    n_boot
        Number of samples; 0 gives no p-value (NaN).
    seed
        Of the samples.
    cells
        Of the grid, on a side.

    Examples
    --------
    >>> u, v = Copula("clayton", 3.0).sample(1000, seed=3)
    >>> wrong = goodness_of_fit(u, v, Copula("gaussian", 0.8), n_boot=20)
    >>> bool(wrong[1] < 0.05)
    True
    """
    a, b = pair(u, v)
    w = np.ones(len(a)) if weights is None else scaled(weights)
    known = ~np.isnan(a + b) & (w > 0)
    a, b, w = a[known], b[known], w[known]
    distance = _cramer_von_mises(a, b, w, copula, cells)
    if n_boot == 0:
        return distance, float("nan")
    rng = np.random.default_rng(seed)
    samples = [sample_as_observed(copula, a, b, w, rng) for _ in range(n_boot)]
    x, y, counts = (np.stack([s[side] for s in samples]) for side in range(3))
    fitted = _refitted(x, y, counts, copula)
    beyond = sum(_cramer_von_mises(x[i], y[i], counts[i], fitted[i], cells) >= distance for i in range(n_boot))
    return distance, (1 + beyond) / (1 + n_boot)


def _refitted(x: Array, y: Array, w: Array, copula: Copula) -> list[Copula]:
    """Return the family and rotation of `copula` fitted to each row of pseudo-observations, (groups, n)."""
    if copula.family == "independence":
        return [copula] * len(x)
    flip_u, flip_v = copula.flips
    is_negative = copula.family in {"gaussian", "student"} and copula.theta < 0
    x, y = 1 - x if flip_u != is_negative else x, 1 - y if flip_v else y
    done = fit_family(copula.family, x, y, w, np.full(len(x), abs(copula.tau)))
    sign = -1.0 if is_negative or (copula.family == "frank" and copula.theta < 0) else 1.0
    nu = 1 / done.parameters[:, 1] if copula.family == "student" else np.full(len(x), np.inf)
    return [replace(copula, theta=float(t), nu=float(n)) for t, n in zip(sign * done.parameters[:, 0], nu, strict=True)]


def _cramer_von_mises(u: Array, v: Array, w: Array, copula: Copula, cells: int) -> float:
    counts = np.histogram2d(u, v, bins=cells, range=((0, 1), (0, 1)), weights=w)[0]
    empirical = counts.cumsum(axis=0).cumsum(axis=1) / w.sum()
    edges = (np.arange(cells) + 1) / cells
    return float((counts * (empirical - copula.distribution(edges[:, None], edges)) ** 2).sum())


def _candidate(name: str, is_negative: bool, half_turned: bool) -> str:
    if not FAMILIES[name].is_rotated:
        return name
    turn = {(False, False): 0, (False, True): 180, (True, False): 90, (True, True): 270}[is_negative, half_turned]
    return f"{name} {turn}" if turn else name
