"""Gradients of populations whose ages are uncertain: each star belongs to several of them, with known chances.

An error of the age moves stars into neighbouring populations, so that the gradient of each is mixed with those beside
it and the trend with age is flattened. Here the likelihood of a star is that of a mixture, sum_j P_ij p(R_obs, y | line
j), with the chance P_ij that its true age lies in population j.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hven.methods import eiv, in_float64, pad, padded_length

Array = NDArray[np.float64]

_ROUNDS, _STEPS, _SETTLED = 8, 25, 0.02
_BLOCK = 1 << 16


class Blurred(NamedTuple):
    """The lines of k populations, maximum likelihood, and how many stars each has.

    Attributes
    ----------
    lines
        The fit of each population, weighted by the stars' chances; its errors take these as known and are too small.
    parameters, cov
        slope, intercept and sigma_int of each, (k, 3), and their covariance by the observed information, (k, 3, 3).
    n
        Expected number of stars, (k,).
    converged
        Whether the lines settled.
    """

    lines: list[eiv.EivFit]
    parameters: Array
    cov: Array
    n: Array
    converged: bool


def chances(values: Array, errors: Array, edges: Array, rounds: int = 300) -> Array:
    """Return the chance of each star to belong to each population, shape (n, k).

    P_ij is proportional to pi_j / width_j times the part of the star's Gaussian error between the edges; the fractions
    pi_j, those of the true values, follow from all stars by expectation maximisation.

    Parameters
    ----------
    values, errors
        Observed ages or temperatures and their 1-sigma errors, shape (n,); an error of zero leaves no doubt.
    edges
        Those of the populations, shape (k + 1,); beyond the outer ones there is nothing.

    Examples
    --------
    >>> chances(np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.array([0.0, 2.0, 4.0]), rounds=1).round(2).tolist()
    [[1.0, 0.0], [0.75, 0.25]]
    """
    from scipy.special import ndtr

    scale = np.maximum(errors, 1e-9 * np.ptp(edges))[:, None]
    likelihood = np.diff(ndtr((edges - values[:, None]) / scale), axis=1) / np.diff(edges)
    inside = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    lost = likelihood.sum(axis=1) <= 0
    likelihood[lost] = np.eye(len(edges) - 1)[inside[lost]]
    share = np.full(len(edges) - 1, 1 / (len(edges) - 1))
    for _ in range(rounds):
        joint = share * likelihood
        share = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
    joint = share * likelihood
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def fit_blurred(
    x: Array, y: Array, x_err: Array, y_err: Array, chance: Array, *, x0: float, n_components: int | None
) -> Blurred:
    """Return the lines of all populations together, by expectation maximisation and Newton's method.

    Parameters
    ----------
    x, y, x_err, y_err
        Radii and metallicities with errors, shape (n,).
    chance
        Of each star to belong to each population, shape (n, k).
    x0, n_components
        As `hven.methods.eiv.fit` takes them; a number of components of None is chosen once, by the first fit.
    """
    weights, lines = chance, []
    columns = x, y, x_err, y_err
    components = [n_components] * chance.shape[1]
    for _ in range(_ROUNDS):
        lines = [
            eiv.fit(*columns, x0=x0, n_components=k, weights=_trimmed(w))
            for w, k in zip(weights.T, components, strict=True)
        ]
        components = [line.n_components for line in lines]
        with np.errstate(divide="ignore"):
            joint = np.log(chance) + np.stack([line.log_density(*columns) for line in lines], axis=1)
        joint -= joint.max(axis=1, keepdims=True)
        weights = np.exp(joint)
        weights /= weights.sum(axis=1, keepdims=True)
    at, cov, settled = _climb(columns, chance, lines, x0)
    return Blurred(lines, at, cov, weights.sum(axis=0), settled)


def _climb(columns: tuple[Array, ...], chance: Array, lines: list[eiv.EivFit], x0: float) -> tuple[Array, Array, bool]:
    """Return parameters (k, 3) at the maximum by Newton's method, their covariances, and whether it was reached.

    Expectation maximisation creeps where populations overlap much; the mixtures of the radii, which hardly depend on
    the lines, are kept from its last round.
    """
    at = np.array([line.values[:3] for line in lines])
    cov, settled = np.full((len(lines), 3, 3), np.nan), False
    for _ in range(_STEPS):
        slope, information = _derivatives(columns, chance, lines, at, x0)
        values, axes = np.linalg.eigh(information)
        inverse = (axes / np.abs(values)) @ axes.T  # up the hill also where the likelihood is not yet a summit
        error = np.sqrt(np.diag(inverse))
        step = inverse @ slope
        if np.all(values > 0) and np.all(np.abs(step) < _SETTLED * error):
            cov = np.array([inverse[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] for i in range(len(lines))])
            settled = True
            break
        longest = float(np.max(np.abs(step) / error))
        at = at + (step * min(1.0, 2.0 / longest)).reshape(at.shape)
    return at, cov, settled


def _trimmed(weights: Array) -> Array:
    """Return the weights without those that are next to nothing, whose stars would only cost time."""
    return np.where(weights > 1e-4, weights, 0.0)


@in_float64
def _derivatives(
    columns: tuple[Array, ...], chance: Array, lines: list[eiv.EivFit], at: Array, x0: float
) -> tuple[Array, Array]:
    """Return gradient and minus the Hessian of ln L in slope, intercept and sigma_int of all lines: (3k,), (3k, 3k)."""
    widest = max(line.n_components for line in lines)
    prior = np.zeros((3, len(lines), widest))
    prior[2] = 1.0
    for i, line in enumerate(lines):
        prior[:, i, : line.n_components] = line.prior_weights, line.prior_means, line.prior_widths
    slope, information = np.zeros(at.size), np.zeros((at.size, at.size))
    rows = np.column_stack([*columns, chance])
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        padded = pad(block, padded_length(len(block)), 0.0)
        counts = (np.arange(len(padded)) < len(block)).astype(np.float64)
        padded[len(block) :, 2:] = 1.0
        first, second = _compiled()(at.ravel(), padded, counts, prior, x0)
        slope, information = slope + np.asarray(first), information - np.asarray(second)
    return slope, information


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def loglike(p: Any, rows: Any, counts: Any, prior: Any, x0: Any) -> Any:
        slope, intercept, scatter = p.reshape(-1, 3).T[:, :, None, None]
        x, y, x_err, y_err = rows[:, :4].T
        weight, mean, width = prior[..., None]
        var_x, cov = width**2 + x_err**2, slope * width**2
        var_y = slope * cov + scatter**2 + y_err**2
        off_x, off_y = x - mean, y - intercept - slope * (mean - x0)
        det = var_x * var_y - cov**2
        chi2 = (var_y * off_x**2 - 2 * cov * off_x * off_y + var_x * off_y**2) / det
        density = jnp.sum(weight * jnp.exp(-0.5 * chi2) / jnp.sqrt(det), axis=1)
        return jnp.sum(counts * jnp.log(jnp.sum(rows[:, 4:].T * density, axis=0) + 1e-300))

    return jax.jit(lambda *given: (jax.grad(loglike)(*given), jax.hessian(loglike)(*given)))
