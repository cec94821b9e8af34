"""Variances of generated images relative to those of a reference, along all directions and at fixed parameters."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hven.errors import DataRefusedError, TooFewObjectsError
from hven.methods import frechet
from hven_plugins.generative.summary import Summary

Array = NDArray[np.float64]

_ROUNDING = 1e-12
"""What a constant varies by, in float64, relative to its value, and a parameter that follows from others at fixed ones:
1e-16, with room for sums of many images."""
_PART = 1e-3
"""Of a direction of length one, in which parameters do not vary: those of smaller part are there by rounding alone."""


class Ratios(NamedTuple):
    """Variances along the principal directions, generated over reference.

    Attributes
    ----------
    values
        The ratios (p,), the smallest first.
    log_det
        The difference of the log-determinants, less what the finite numbers of images make of it.
    """

    values: Array
    log_det: float


def ratios(ours: Summary, theirs: Summary, names: list[str], where: str) -> Ratios:
    """Return the ratios of variances of two sets, at fixed parameters where there are any that vary.

    With parameters, only images count that have all of them.

    Parameters
    ----------
    ours, theirs
        The reference and the generated.
    names
        Of the parameters.
    where
        Which analysis asks.

    Raises
    ------
    DataRefusedError
        A parameter follows from others.
    TooFewObjectsError
        Fewer images with all parameters than features and parameters + 2.
    """
    one, other = (_at_fixed(s, names, f"{where}, {w}") for s, w in ((ours, "reference"), (theirs, "generated")))
    values = frechet.covariance_ratio(one.covariance, other.covariance)
    expected = other.expected_log_det - one.expected_log_det
    return Ratios(values, float(np.log(np.maximum(values, 1e-300)).sum()) - expected)


class _Fixed(NamedTuple):
    covariance: Array
    expected_log_det: float


def _at_fixed(summary: Summary, names: list[str], where: str) -> _Fixed:
    moments = summary.features.moments
    p = moments.n.shape[-1]
    if summary.with_theta is None:
        return _Fixed(moments.covariance(), frechet.expected_log_det(int(moments.n[0, 0]), p))
    n = summary.with_theta.n
    if n < p + len(names) + 2:
        raise TooFewObjectsError(
            f"{n} images have features and all parameters", where=where, expected=f"at least {p + len(names) + 2}",
            hint="Add images, or leave out parameters that few have.",
        )  # fmt: skip
    both = summary.with_theta.moments
    covariance, means = both.covariance()[p:, p:], both.means[p:]
    varies = np.flatnonzero(which_vary(means, covariance))
    if not len(varies):
        return _Fixed(both.covariance()[:p, :p], frechet.expected_log_det(n, p))
    check_apart(covariance[np.ix_(varies, varies)], [names[i] for i in varies], where)
    fixed = both.select([*range(p), *(p + varies)]).partial_covariance(range(p, p + len(varies)))
    return _Fixed(fixed, frechet.expected_log_det(n, p, len(varies)))


def which_vary(means: Array, covariance: Array) -> NDArray[np.bool_]:
    """Return which parameters have more than one value, by their means (t,) and covariance (t, t)."""
    return np.asarray(np.sqrt(np.diag(covariance)) > _ROUNDING * np.abs(means))


def check_apart(covariance: Array, names: list[str], where: str) -> None:
    """Refuse parameters of which one follows from the others, by their covariance (t, t).

    Raises
    ------
    DataRefusedError
        Tells which vary only together.
    """
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    if values[0] <= _ROUNDING:
        tied = [name for name, part in zip(names, np.abs(vectors[:, 0]), strict=True) if part > _PART]
        raise DataRefusedError(
            f"parameters {', '.join(map(repr, tied))} vary only together: one follows from the others", where=where,
            expected="parameters that vary by themselves", hint=f"Leave theta_{tied[-1]} out.",
        )  # fmt: skip
