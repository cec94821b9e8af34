"""The maximum of the line's likelihood, its observed information, and what happens when the scatter goes to zero.

SciPy's trust-region Newton method climbs with exact Hessians; a few plain Newton steps then bring the gradient down to
rounding. The intrinsic variance is searched in its logarithm. When that runs away to minus infinity the maximum is at
no scatter: the rest is maximised there, and the derivative with respect to the variance tells whether it really is one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Evaluate = Callable[[Array], tuple[float, Array, Array]]

_NEGLIGIBLE = 1e-5
"""Intrinsic variance, in units of the variance of y, below which zero is tried."""
_FLAT = 1e-13
"""Largest element of a gradient that no step lowers: what rounding leaves of it."""


@dataclass(frozen=True)
class Maximum:
    """Where the mean negative log-likelihood is lowest: `z`, and value, gradient and Hessian there."""

    z: Array
    value: float
    gradient: Array
    hessian: Array
    free_variance: bool
    at_boundary: bool
    converged: bool

    @property
    def n_free(self) -> int:
        """Number of parameters that were fitted."""
        return len(self.z) - (not self.free_variance)

    def bic(self, n: float) -> float:
        """Return the Bayesian information criterion for `n` objects."""
        return float(2 * n * self.value + self.n_free * np.log(n))

    def as_start(self, fallback: Array) -> Array:
        """Return a vector to go on from with more objects, or `fallback` when the search was lost."""
        if not self.converged or not np.isfinite(self.z).all():
            return fallback
        return np.append(self.z[:-1], max(self.z[-1], 10 * _NEGLIGIBLE))

    def covariance(self, wanted: list[int], n: float) -> Array:
        """Return the covariance (m, m) of the parameters at `wanted`, `n` objects; the variance as standard deviation.

        The other parameters are marginalised over (Schur complement); those of them along which the likelihood is
        flat, as a component of weight zero, do not count. NaN where the parameter is not free.
        """
        size = len(self.z)
        fitted = self.free_variance and not self.at_boundary
        free = [i for i in wanted if i != size - 1 or fitted]
        others = [i for i in range(size - 1) if i not in free]
        hessian = n * self.hessian
        mixed = hessian[np.ix_(free, others)]
        inner = np.linalg.pinv(hessian[np.ix_(others, others)], rcond=1e-12, hermitian=True)
        information = hessian[np.ix_(free, free)] - mixed @ inner @ mixed.T
        cov = np.full((len(wanted), len(wanted)), np.nan)
        if np.all(np.isfinite(information)) and np.linalg.eigvalsh(information)[0] > 0:
            inverse = np.linalg.inv(information)
            slots = [wanted.index(i) for i in free]
            cov[np.ix_(slots, slots)] = inverse
            if fitted:
                to_deviation = np.ones(len(wanted))
                to_deviation[wanted.index(size - 1)] = 0.5 / np.sqrt(self.z[-1])
                cov *= np.outer(to_deviation, to_deviation)
        return cov

    def scatter_limit(self, n: float) -> float:
        """Return the scatter at which ln L has fallen by 1/2 from its maximum at zero, other parameters refitted."""
        inner = np.linalg.pinv(self.hessian[:-1, :-1], rcond=1e-12, hermitian=True)
        slope = n * self.gradient[-1]
        bend = n * (self.hessian[-1, -1] - self.hessian[-1, :-1] @ inner @ self.hessian[:-1, -1])
        # 1/2 = slope v + bend v^2 / 2, with slope >= 0
        if bend > 0:
            return float(np.sqrt((np.sqrt(slope**2 + bend) - slope) / bend))
        return float(np.sqrt(0.5 / slope)) if slope > 0 else np.nan


def maximise(evaluate: Evaluate, z: Array, variance: float | None) -> Maximum:
    """Return the maximum reached from `z`; `variance` holds the intrinsic variance, None fits it."""
    if variance is not None:
        found, converged = _descend(evaluate, np.append(z[:-1], variance), free_variance=False)
        return Maximum(found, *evaluate(found), free_variance=False, at_boundary=False, converged=converged)
    found, converged = _descend(evaluate, z, free_variance=True)
    at_zero = np.append(found[:-1], 0.0)
    if found[-1] < _NEGLIGIBLE and all(np.isfinite(v).all() for v in evaluate(at_zero)):
        edge, edge_converged = _descend(evaluate, at_zero, free_variance=False)
        at_edge = Maximum(edge, *evaluate(edge), free_variance=True, at_boundary=True, converged=edge_converged)
        if at_edge.gradient[-1] >= 0:
            return at_edge
    return Maximum(found, *evaluate(found), free_variance=True, at_boundary=False, converged=converged)


def _descend(evaluate: Evaluate, z: Array, *, free_variance: bool) -> tuple[Array, bool]:
    from scipy.optimize import minimize

    fixed = z[-1]

    def full(u: Array) -> Array:
        return np.append(u[:-1], np.exp(2 * u[-1])) if free_variance else np.append(u, fixed)

    last: tuple[Array, tuple[float, Array, Array]] | None = None

    def at(u: Array) -> tuple[float, Array, Array]:
        nonlocal last
        if last is None or not np.array_equal(last[0], u):
            last = (u.copy(), _in_log(*evaluate(full(u)), full(u)[-1], free_variance))
        return last[1]

    u = np.append(z[:-1], 0.5 * np.log(z[-1])) if free_variance else z[:-1]
    found = minimize(
        lambda u: at(u)[0],
        u,
        jac=lambda u: at(u)[1],
        hess=lambda u: at(u)[2],
        method="trust-exact",
        options={"gtol": 1e-6, "maxiter": 300, "initial_trust_radius": 0.5, "max_trust_radius": 10.0},
    )
    u, size = _polish(at, np.asarray(found.x))
    return full(u), bool(size < 1e-5)


def _in_log(value: float, gradient: Array, hessian: Array, variance: float, free: bool) -> tuple[float, Array, Array]:
    """Return the derivatives with the variance v replaced by ln sqrt(v), or with it left out when it is not free."""
    if not free:
        return value, gradient[:-1], hessian[:-1, :-1]
    chain = np.ones(len(gradient))
    chain[-1] = 2 * variance
    log_hessian = hessian * np.outer(chain, chain)
    log_hessian[-1, -1] += 2 * chain[-1] * gradient[-1]
    return value, gradient * chain, log_hessian


def _polish(at: Callable[[Array], tuple[float, Array, Array]], u: Array) -> tuple[Array, float]:
    """Return `u` after Newton steps that lower the gradient, and the gradient's largest element."""
    _, gradient, hessian = at(u)
    for _ in range(8):
        if np.abs(gradient).max() < _FLAT:
            break
        values, vectors = np.linalg.eigh(hessian)
        usable = values > 1e-8 * values[-1]
        step = vectors[:, usable] @ (vectors[:, usable].T @ gradient / values[usable])
        _, new_gradient, new_hessian = at(u - step)
        if not np.abs(new_gradient).max() < np.abs(gradient).max():
            break
        u, gradient, hessian = u - step, new_gradient, new_hessian
    return u, float(np.abs(gradient).max())
