"""Fisher forecasts: how well data would constrain parameters, from derivatives of their mean and their covariance.

Data of mean mu(theta), shape (d,), and Gaussian covariance C, shape (d, d), constrain p parameters with the information
F_ab = d_a mu^T C^-1 d_b mu [+ 1/2 tr(C^-1 d_a C C^-1 d_b C)]. Derivatives have shape (p, d).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, TooFewObjectsError
from hven.methods.precision import in_float64

__all__ = [
    "Derivatives",
    "Ellipse",
    "area_ratio",
    "bias_shift",
    "central_derivatives",
    "cross_information",
    "ellipse",
    "errors",
    "exact_derivatives",
    "hartlap_factor",
    "information",
    "is_definite",
    "sellentin_heavens",
    "student_factor",
]

Array = NDArray[np.float64]

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Derivatives:
    """Numerical derivatives of a model.

    Attributes
    ----------
    values
        d mu_i / d theta_a, shape (p, d).
    steps
        The step that was chosen for each parameter, shape (p,).
    error
        Largest difference between the derivatives at the chosen step and at the next longer one, relative to the
        largest derivative of that parameter, shape (p,): small when steps are neither too long nor drowned in noise.
    """

    values: Array
    steps: Array
    error: Array


def central_derivatives(
    model: Callable[[Array], ArrayLike],
    theta: ArrayLike,
    steps: ArrayLike,
    *,
    scan: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125),
) -> Derivatives:
    """Return the derivatives of `model` at `theta` (p,) by central differences, each step scanned for stability.

    For every parameter the differences are taken with ``scan`` times its step; of the neighbouring pairs the one that
    agrees best is kept, at its shorter step. The model is called 2 p len(scan) times.

    Parameters
    ----------
    model
        Takes theta (p,), returns the mean of the data (d,). Simulations should use the same seed at each call.
    theta
        Where the derivatives are wanted, shape (p,).
    steps
        About right steps, shape (p,): a tenth of the range over which the model bends.
    scan
        Factors, from long to short, each half of the one before.

    Examples
    --------
    >>> told = central_derivatives(lambda t: np.array([np.exp(t[0]), t[1] ** 2]), [0.0, 3.0], [0.1, 0.1])
    >>> told.values.round(3).tolist()
    [[1.0, 0.0], [0.0, 6.0]]
    """
    centre, wanted = np.asarray(theta, dtype=np.float64), np.asarray(steps, dtype=np.float64)
    values, chosen, error = [], [], []
    for a, step in enumerate(np.broadcast_to(wanted, centre.shape)):
        shift = np.zeros(len(centre))
        shift[a] = step
        slopes = np.array(
            [
                (np.asarray(model(centre + f * shift)) - np.asarray(model(centre - f * shift))) / (2 * f * step)
                for f in scan
            ]
        )
        size = np.abs(slopes).max(axis=1)
        change = np.abs(np.diff(slopes, axis=0)).max(axis=1) / np.where(size[1:] > 0, size[1:], 1.0)
        best = int(np.argmin(change))
        values.append(slopes[best + 1])
        chosen.append(scan[best + 1] * step)
        error.append(change[best])
    return Derivatives(np.array(values), np.array(chosen), np.array(error))


@in_float64
def exact_derivatives(model: Callable[[Any], Any], theta: ArrayLike) -> Array:
    """Return d mu / d theta, shape (p, d), of a `model` written with `jax.numpy`, as an emulator is, at `theta` (p,).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> exact_derivatives(lambda t: jnp.stack([jnp.exp(t[0]), t[1] ** 2]), [0.0, 3.0]).tolist()
    [[1.0, 0.0], [0.0, 6.0]]
    """
    import jax

    return np.asarray(jax.jacfwd(model)(np.asarray(theta, dtype=np.float64)), dtype=np.float64).T


def hartlap_factor(n_sims: int, n_data: int) -> float:
    """Return (n - d - 2)/(n - 1), which makes the inverse of a covariance from n simulations unbiased.

    Hartlap et al. 2007, arXiv:astro-ph/0608064, eq. 17.

    Raises
    ------
    TooFewObjectsError
        Not more simulations than data + 2.

    Examples
    --------
    >>> hartlap_factor(103, 1)
    0.9803921568627451
    """
    if n_sims <= n_data + 2:
        raise TooFewObjectsError(
            f"{n_sims} simulations for the covariance of {n_data} data", expected=f"more than {n_data + 2}",
            hint="Compress the data, or make more simulations.",
        )  # fmt: skip
    return (n_sims - n_data - 2) / (n_sims - 1)


def student_factor(n_sims: int, n_data: int) -> float:
    """Return what the information is times, when the likelihood is that of `sellentin_heavens`: a t distribution.

    n (n - d) / [(n + 2)(n - 1)]: the information of a multivariate t distribution of n - d degrees of freedom on its
    place (Lange, Little & Taylor 1989). A little more than `hartlap_factor`, which keeps the likelihood Gaussian.

    Raises
    ------
    TooFewObjectsError
        Not more simulations than data + 2.

    Examples
    --------
    >>> 0.9 < hartlap_factor(500, 25) < student_factor(500, 25) < 1
    True
    """
    hartlap_factor(n_sims, n_data)
    return n_sims * (n_sims - n_data) / ((n_sims + 2) * (n_sims - 1))


def information(
    derivatives: ArrayLike,
    cov: ArrayLike,
    *,
    cov_derivatives: ArrayLike | None = None,
    n_sims: int | None = None,
    prior: ArrayLike | None = None,
) -> Array:
    """Return the Fisher matrix (p, p) of `derivatives` (p, d) and covariance `cov` (d, d).

    Parameters
    ----------
    derivatives
        d_a mu, shape (p, d). Where they are noisy the matrix is too large: use `cross_information`.
    cov
        Covariance of the data, shape (d, d), or their variances, shape (d,).
    cov_derivatives
        d_a C, shape (p, d, d): adds the information in the covariance, 1/2 tr(C^-1 d_a C C^-1 d_b C).
    n_sims
        Number of simulations that `cov` was estimated from: its inverse is corrected by `hartlap_factor`.
    prior
        Information of a prior, shape (p, p), that is added.

    Examples
    --------
    >>> information([[1.0, 0.0], [0.0, 2.0]], [0.25, 1.0]).tolist()
    [[4.0, 0.0], [0.0, 4.0]]
    """
    slopes, matrix = _slopes_and_cov(derivatives, cov)
    factor = 1.0 if n_sims is None else hartlap_factor(n_sims, slopes.shape[1])
    fisher = factor * slopes @ np.linalg.solve(matrix, slopes.T)
    if cov_derivatives is not None:
        relative = np.linalg.solve(matrix, np.asarray(cov_derivatives, dtype=np.float64))
        fisher = fisher + 0.5 * factor**2 * np.einsum("aij,bji->ab", relative, relative)
    if prior is not None:
        fisher = fisher + np.asarray(prior, dtype=np.float64)
    return np.asarray(0.5 * (fisher + fisher.T))


def cross_information(first: ArrayLike, second: ArrayLike, cov: ArrayLike, *, n_sims: int | None = None) -> Array:
    """Return (F_12 + F_21)/2 of two independent estimates of the derivatives, each (p, d): noise adds nothing to it.

    Noise of covariance N in the derivatives adds tr(C^-1 N) to each diagonal element of `information`; between halves
    that share no seed it averages out. The result need not be positive definite when noise dominates.

    Examples
    --------
    >>> cross_information([[1.1, 0.0]], [[0.9, 0.0]], [1.0, 1.0]).round(6).tolist()
    [[0.99]]
    """
    one, matrix = _slopes_and_cov(first, cov)
    other, _ = _slopes_and_cov(second, cov)
    factor = 1.0 if n_sims is None else hartlap_factor(n_sims, one.shape[1])
    mixed = factor * one @ np.linalg.solve(matrix, other.T)
    return np.asarray(0.5 * (mixed + mixed.T))


def _slopes_and_cov(derivatives: ArrayLike, cov: ArrayLike) -> tuple[Array, Array]:
    slopes, matrix = np.asarray(derivatives, dtype=np.float64), np.asarray(cov, dtype=np.float64)
    matrix = np.diag(matrix) if matrix.ndim == 1 else matrix
    if slopes.ndim != 2 or matrix.shape != (slopes.shape[1],) * 2:
        raise DataRefusedError(
            f"derivatives have shape {slopes.shape} and the covariance {matrix.shape}", where="fisher",
            expected="(p, d) and (d, d)", hint="Put parameters first, data second.",
        )  # fmt: skip
    return slopes, matrix


def is_definite(matrices: ArrayLike) -> NDArray[np.bool_]:
    """Return whether symmetric `matrices` (..., p, p) are positive definite, shape (...), whichever units columns have.

    The smallest eigenvalue of the matrix whose diagonal is scaled to one is more than rounding. The sign of a
    determinant would not tell: it is positive, too, where two eigenvalues are negative.

    Examples
    --------
    >>> is_definite([[[4.0, 0.0], [0.0, 1e-20]], [[-1.0, 0.0], [0.0, -1.0]], [[1.0, 1.0], [1.0, 1.0]]]).tolist()
    [True, False, False]
    """
    values = np.asarray(matrices, dtype=np.float64)
    diagonal = np.diagonal(values, axis1=-2, axis2=-1)
    good = np.isfinite(values).all(axis=(-2, -1)) & (diagonal > 0).all(axis=-1)
    safe = np.where(good[..., None, None], values, np.eye(values.shape[-1]))
    scale = np.sqrt(np.diagonal(safe, axis1=-2, axis2=-1))
    smallest = np.linalg.eigvalsh(safe / (scale[..., :, None] * scale[..., None, :]))[..., 0]
    return np.asarray(good & (smallest > _ROUNDING))


def errors(fisher: ArrayLike) -> Array:
    """Return the 1-sigma errors (p,), each parameter marginalised over the others.

    Examples
    --------
    >>> errors([[4.0, 0.0], [0.0, 100.0]]).tolist()
    [0.5, 0.1]
    """
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(np.asarray(fisher, dtype=np.float64)))))


def bias_shift(fisher: ArrayLike, derivatives: ArrayLike, cov: ArrayLike, difference: ArrayLike) -> Array:
    """Return the shift (p,) of the best-fit parameters when the data are off by `difference` (d,).

    F^-1 d mu^T C^-1 (mu_a - mu_b): what it costs to analyse data a with model b (arXiv:0710.5171).

    Examples
    --------
    >>> bias_shift([[4.0]], [[2.0]], [1.0], [0.5]).tolist()
    [0.25]
    """
    slopes, matrix = _slopes_and_cov(derivatives, cov)
    pull = slopes @ np.linalg.solve(matrix, np.asarray(difference, dtype=np.float64))
    return np.asarray(np.linalg.solve(np.asarray(fisher, dtype=np.float64), pull))


def sellentin_heavens(residual: ArrayLike, cov: ArrayLike, n_sims: int) -> Array:
    """Return ln p of `residual` (..., d) when `cov` (d, d) itself was estimated from `n_sims` simulations.

    A multivariate t distribution (Sellentin and Heavens 2016, arXiv:1511.05969, eq. 12), normalised:
    -n/2 ln(1 + chi^2/(n - 1)) - 1/2 ln|C| + ln Gamma(n/2) - ln Gamma((n - d)/2) - d/2 ln(pi (n - 1)).

    Examples
    --------
    >>> from hven.methods.likelihoods import gaussian
    >>> many = sellentin_heavens([1.0], [[4.0]], n_sims=10_000_000)
    >>> bool(abs(many - gaussian(1.0, 0.0, 2.0)) < 1e-6)
    True
    """
    from scipy.special import gammaln

    off, matrix = np.asarray(residual, dtype=np.float64), np.asarray(cov, dtype=np.float64)
    d = off.shape[-1]
    if n_sims <= d:
        hartlap_factor(n_sims, d)
    chi2 = np.einsum("...i,...i->...", off, np.linalg.solve(matrix, off[..., None])[..., 0])
    log_det = np.linalg.slogdet(matrix)[1]
    norm = gammaln(n_sims / 2) - gammaln((n_sims - d) / 2) - 0.5 * d * np.log(np.pi * (n_sims - 1))
    return np.asarray(norm - 0.5 * log_det - 0.5 * n_sims * np.log1p(chi2 / (n_sims - 1)))


@dataclass(frozen=True)
class Ellipse:
    """A confidence ellipse of two parameters.

    Attributes
    ----------
    semi_major, semi_minor
        Half axes.
    angle
        Of the major axis, anticlockwise from the first parameter, in radians within (-pi/2, pi/2].
    """

    semi_major: float
    semi_minor: float
    angle: float

    def curve(self, centre: tuple[float, float] = (0.0, 0.0), n: int = 181) -> tuple[Array, Array]:
        """Return the abscissae and ordinates of `n` points around the ellipse, for a figure."""
        phase = np.linspace(0, 2 * np.pi, n)
        u, v = self.semi_major * np.cos(phase), self.semi_minor * np.sin(phase)
        c, s = np.cos(self.angle), np.sin(self.angle)
        return centre[0] + c * u - s * v, centre[1] + s * u + c * v


def ellipse(fisher: ArrayLike, i: int = 0, j: int = 1, *, level: float = 0.683) -> Ellipse:
    """Return the ellipse that holds parameters i and j with probability `level`, the others marginalised over.

    Examples
    --------
    >>> shape = ellipse([[1.0, 0.0], [0.0, 4.0]])
    >>> round(shape.semi_major / shape.semi_minor, 6), round(shape.semi_major, 2), shape.angle
    (2.0, 1.52, 0.0)
    """
    cov = np.linalg.inv(np.asarray(fisher, dtype=np.float64))[np.ix_([i, j], [i, j])]
    values, vectors = np.linalg.eigh(cov)
    scale = np.sqrt(-2 * np.log1p(-level))
    x, y = vectors[:, 1]
    if x < 0 or (x == 0 and y < 0):
        x, y = -x, -y
    return Ellipse(float(scale * np.sqrt(values[1])), float(scale * np.sqrt(values[0])), float(np.arctan2(y, x)))


def area_ratio(fisher_a: ArrayLike, fisher_b: ArrayLike) -> float:
    """Return the area (volume) of the confidence ellipse of a over that of b: sqrt(det F_b / det F_a).

    Raises
    ------
    DataRefusedError
        A matrix is not positive definite: there is no ellipse.

    Examples
    --------
    >>> round(area_ratio([[4.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]]), 12)
    0.25
    """
    both = [np.asarray(fisher, dtype=np.float64) for fisher in (fisher_a, fisher_b)]
    if not all(is_definite(fisher) for fisher in both):
        raise DataRefusedError(
            "a Fisher matrix is not positive definite", where="fisher.area_ratio",
            hint="A parameter is not constrained, or noise dominates: add a prior, or more simulations.",
        )  # fmt: skip
    one, other = (np.linalg.slogdet(fisher)[1] for fisher in both)
    return float(np.exp(0.5 * (other - one)))
