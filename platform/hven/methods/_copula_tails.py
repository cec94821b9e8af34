"""Empirical tail dependence: do extremes go together beyond what a correlation says (Coles, Heffernan & Tawn 1999)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError

Array = NDArray[np.float64]
Corner = Literal["upper-upper", "lower-lower", "upper-lower", "lower-upper"]
_CORNERS = ("upper-upper", "lower-lower", "upper-lower", "lower-upper")


@dataclass(frozen=True)
class TailCurve:
    """Dependence beyond each quantile; arrays of the shape of `q`.

    Attributes
    ----------
    q
        Quantiles, towards 1 into the corner.
    chi, chi_err
        P(both beyond q) / (1 - q) and its binomial error. Its limit for q -> 1 is the tail dependence, chi(q) is not.
    chibar
        2 ln(1 - q) / ln P(both beyond q) - 1: tends to 1 with tail dependence, to rho for a Gaussian copula, NaN where
        no pair is beyond q.
    n_joint
        Pairs beyond q in both.
    """

    q: Array
    chi: Array
    chi_err: Array
    chibar: Array
    n_joint: NDArray[np.int64]


@dataclass(frozen=True)
class TailIndex:
    """Ledford & Tawn's coefficient: 1 with tail dependence, 1/2 for independence, (1 + rho)/2 for a Gaussian copula."""

    eta: float
    eta_err: float
    k: int


def tail_curve(u: ArrayLike, v: ArrayLike, q: ArrayLike, corner: Corner = "upper-upper") -> TailCurve:
    """Return chi(q) and chibar(q) of pseudo-observations in one corner.

    Parameters
    ----------
    u, v
        Pseudo-observations, shape (n,); rows with a missing value are left out.
    q
        Quantiles, shape (m,), between 0 and 1, measured towards the corner.
    corner
        Which tail of u meets which tail of v.

    Raises
    ------
    ParameterError
        An unknown corner, or a `q` that is not between 0 and 1.

    Examples
    --------
    >>> u = np.linspace(0.005, 0.995, 100)
    >>> tail_curve(u, u, [0.9]).chi.round(6).tolist(), tail_curve(u, 1 - u, [0.9]).chi.tolist()
    ([1.0], [0.0])
    """
    a, b = _into_corner(u, v, corner)
    levels = np.asarray(q, dtype=np.float64)
    if np.any(~((levels > 0) & (levels < 1))):
        raise ParameterError("a quantile is not between 0 and 1", expected="0 < q < 1", hint="0.9 to 0.99 is usual.")
    weakest = np.sort(np.minimum(a, b))
    joint = len(weakest) - np.searchsorted(weakest, levels, side="right")
    n = max(len(weakest), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        chi = np.where(len(weakest) > 0, joint / n / (1 - levels), np.nan)
        error = np.sqrt(np.clip(chi * (1 - chi), 0.0, None) / (n * (1 - levels)))
        chibar = np.where(joint > 0, 2 * np.log1p(-levels) / np.log(joint / n) - 1, np.nan)
    return TailCurve(levels, chi, error, chibar, joint.astype(np.int64))


def tail_index(u: ArrayLike, v: ArrayLike, k: int, corner: Corner = "upper-upper") -> TailIndex:
    """Return eta by Hill's estimator on the `k` largest of T = min(1/(1-u), 1/(1-v)), with error eta / sqrt(k).

    Ledford & Tawn 1996. Parameters are those of `tail_curve`; NaN when there are not more than `k` pairs.

    Examples
    --------
    >>> u = np.linspace(0.0005, 0.9995, 1000)
    >>> round(tail_index(u, u, k=100).eta, 1)
    1.0
    """
    a, b = _into_corner(u, v, corner)
    if k < 1:
        raise ParameterError(f"k is {k}", expected="at least 1", hint="A few percent of the pairs is usual.")
    if len(a) <= k:
        return TailIndex(np.nan, np.nan, k)
    t = np.sort(-np.log1p(-np.minimum(a, b)))
    eta = float(np.mean(t[-k:] - t[-k - 1]))
    return TailIndex(eta, eta / np.sqrt(k), k)


def _into_corner(u: ArrayLike, v: ArrayLike, corner: Corner) -> tuple[Array, Array]:
    a, b = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataRefusedError(f"u has shape {a.shape} and v {b.shape}", expected="(n,) both", hint="Align them.")
    if corner not in _CORNERS:
        raise ParameterError(f"corner is {corner!r}", expected=", ".join(_CORNERS), hint="Choose one of the four.")
    known = ~(np.isnan(a) | np.isnan(b))
    first, second = corner.split("-")
    a, b = a[known], b[known]
    return (a if first == "upper" else 1 - a), (b if second == "upper" else 1 - b)
