"""Straight lines through points with errors in both variables: maximum likelihood, intrinsic scatter included.

`fit` is the estimator; `ols` and `deming` are the textbook lines that it replaces, kept as baselines; `log_density` is
the likelihood itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods._line_likelihood import TAU_FLOOR, Data, Layout, value_gradient_hessian
from hven.methods._line_likelihood import log_density as _log_density
from hven.methods._line_search import Evaluate, Maximum, maximise
from hven.methods._line_start import Line, ols, start
from hven.methods.padding import pad, padded_length
from hven.methods.precision import in_float64

__all__ = ["EivFit", "Line", "deming", "fit", "log_density", "ols"]

Array = NDArray[np.float64]
_FIRST_CLIMB = 4096


@dataclass(frozen=True)
class EivFit:
    """A fitted line y = intercept + slope (x - x0) [+ coefficients . covariates] with intrinsic scatter in y.

    Attributes
    ----------
    slope, intercept, sigma_int
        The maximum-likelihood values; `sigma_int` is a standard deviation.
    slope_err, intercept_err, sigma_int_err
        1-sigma errors from the observed information. With `at_boundary` (the likelihood is highest at no scatter at
        all), `sigma_int` is 0 and `sigma_int_err` the value at which ln L has fallen by 1/2: an upper limit.
    coefficients, coefficients_err
        Those of the covariates, shape (m,).
    names, cov
        Names of the parameters and their covariance, shape (3 + m, 3 + m): slope, intercept, sigma_int, coefficients.
        Rows of parameters that were not fitted, or stand at the boundary, are NaN.
    loglike, bic
        Maximum of ln L and the Bayesian information criterion.
    n, n_dropped
        Objects used, and objects left out because a value or an error of theirs is not finite.
    x0
        The abscissa at which the intercept stands.
    n_components, prior_weights, prior_means, prior_widths
        The Gaussian mixture that the true x follow, each of shape (n_components,).
    outlier_fraction, outlier_mean, outlier_width
        The broad component, NaN without one.
    ols
        The ordinary least-squares line through the same objects: attenuated by the errors of x.
    converged, at_boundary
        Whether the gradient vanishes and the information is positive; whether `sigma_int` is at zero.
    """

    slope: float
    intercept: float
    sigma_int: float
    slope_err: float
    intercept_err: float
    sigma_int_err: float
    coefficients: Array
    coefficients_err: Array
    names: tuple[str, ...]
    cov: Array
    loglike: float
    bic: float
    n: int
    n_dropped: int
    x0: float
    n_components: int
    prior_weights: Array
    prior_means: Array
    prior_widths: Array
    outlier_fraction: float
    outlier_mean: float
    outlier_width: float
    ols: Line
    converged: bool
    at_boundary: bool

    def predict(self, x: ArrayLike, covariates: ArrayLike | None = None) -> Array:
        """Return the line at `x` (n,), with `covariates` (n, m) or at zero of them."""
        line = self.intercept + self.slope * (np.asarray(x, dtype=np.float64) - self.x0)
        if covariates is None:
            return np.asarray(line)
        w = np.asarray(covariates, dtype=np.float64).reshape(len(line), -1)
        return np.asarray(line + w @ self.coefficients)

    def predict_err(self, x: ArrayLike) -> Array:
        """Return the 1-sigma error of the line at `x` (n,); the intrinsic scatter is not part of it."""
        shift = np.asarray(x, dtype=np.float64) - self.x0
        variance = self.cov[1, 1] + 2 * shift * self.cov[0, 1] + shift**2 * self.cov[0, 0]
        return np.asarray(np.sqrt(variance))


@in_float64
def fit(
    x: ArrayLike,
    y: ArrayLike,
    x_err: ArrayLike | None = None,
    y_err: ArrayLike | None = None,
    *,
    x0: float = 0.0,
    rho: ArrayLike = 0.0,
    n_components: int | None = None,
    outliers: bool = False,
    sigma_int: float | None = None,
    covariates: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> EivFit:
    """Return the maximum-likelihood line through points with errors in both variables and intrinsic scatter in y.

    y = a + b (x - x0) [+ c . w] + N(0, sigma_int^2), with x and y observed with Gaussian errors and the true x drawn
    from a mixture of Gaussians that is fitted with the line and integrated out in closed form (Kelly 2007,
    arXiv:0705.2774, without the sampling). Errors come from the observed information.

    The likelihood takes each error as known and as saying nothing about the true x. Where the error is computed from
    the observed value (a distance error that grows with distance) the slope keeps a bias of second order.

    Parameters
    ----------
    x, y
        Observed values, shape (n,).
    x_err, y_err
        Their 1-sigma errors, shape (n,) or one for all. None means none: taken as exact.
    x0
        Where the intercept is wanted.
    rho
        Correlation of the errors of x and y, shape (n,) or one for all.
    n_components
        Gaussians in the prior of x, 1 to 3. None takes the number with the lowest BIC.
    outliers
        Adds a fraction (at most 0.5) of objects that do not follow the line but a broad Gaussian in y.
    sigma_int
        Fixes the intrinsic scatter instead of fitting it.
    covariates
        Further columns that y depends on linearly, without errors, shape (n, m) or (n,).
    weights
        How often each object counts, shape (n,); errors are right for whole counts.

    Raises
    ------
    DataRefusedError
        Lengths differ, an error or weight is negative, rho is not between -1 and 1, or all x are equal.
    TooFewObjectsError
        Fewer finite objects than twice the parameters.
    ParameterError
        `n_components` is not 1, 2 or 3.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=1000)
    >>> y = 1 - 0.5 * x + rng.normal(scale=0.1, size=1000)
    >>> line = fit(x + rng.normal(scale=0.5, size=1000), y, x_err=0.5, n_components=1)
    >>> bool(abs(line.slope + 0.5) < 3 * line.slope_err), round(line.ols.slope, 1)
    (True, -0.4)
    """
    if n_components not in (None, 1, 2, 3):
        raise ParameterError(
            f"n_components is {n_components!r}", expected="1, 2, 3, or None for the best by BIC", hint="Choose one."
        )
    columns, n_dropped = _finite_columns(
        x, y, x_err=x_err, y_err=y_err, rho=rho, covariates=covariates, weights=weights
    )
    scale = _Scale.of(columns, x0)
    data = scale.standardise(columns)
    variance = None if sigma_int is None else (sigma_int / scale.y) ** 2
    layout = Layout(n_components or 1, data.covariates.shape[1], outliers)
    if len(data.x) < 2 * layout.size:
        raise TooFewObjectsError(
            f"{len(data.x)} finite objects for a line of {layout.size} parameters",
            expected=f"at least {2 * layout.size}",
            hint="Loosen the selection, or use fewer components or covariates.",
        )
    maximum = _maximum(data, layout, variance)
    for k in () if n_components else (2, 3):
        larger = replace(layout, n_components=k)
        if len(data.x) < 2 * larger.size:
            break
        other = _maximum(data, larger, variance)
        if other.bic(data.weight.sum()) >= maximum.bic(data.weight.sum()):
            break
        layout, maximum = larger, other
    return _report(layout, maximum, data, columns, scale=scale, n_dropped=n_dropped)


def _maximum(data: Data, layout: Layout, variance: float | None) -> Maximum:
    step = len(data.x) // _FIRST_CLIMB
    guess = start(data, layout)
    if step > 1:  # climb with few objects first: the rest then takes a handful of steps instead of tens
        few = data._replace(**{name: v[::step] for name, v in data._asdict().items()})
        guess = maximise(_evaluator(few, layout), guess, variance).as_start(guess)
    return maximise(_evaluator(data, layout), guess, variance)


def _evaluator(data: Data, layout: Layout) -> Evaluate:
    import jax.numpy as jnp

    length = padded_length(len(data.x))
    fills = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0)  # no weight, and variances that divide
    padded = Data(*(jnp.asarray(pad(v, length, f)) for v, f in zip(data, fills, strict=True)))
    compiled = value_gradient_hessian(layout)

    def evaluate(z: Array) -> tuple[float, Array, Array]:
        value, gradient, hessian = compiled(z, padded)
        return float(value), np.asarray(gradient), np.asarray(hessian)

    return evaluate


@in_float64
def log_density(
    x: ArrayLike,
    y: ArrayLike,
    x_err: ArrayLike | None = None,
    y_err: ArrayLike | None = None,
    *,
    slope: float,
    intercept: float,
    sigma_int: float,
    prior_weights: Sequence[float] | Array,
    prior_means: Sequence[float] | Array,
    prior_widths: Sequence[float] | Array,
    x0: float = 0.0,
    rho: ArrayLike = 0.0,
) -> Array:
    """Return ln p(x, y) of each object, shape (n,), under a given line and prior: the closed form that `fit` maximises.

    Parameters are those of `fit` and `EivFit`; the prior's means are on the axis of `x`, not relative to `x0`.

    Examples
    --------
    >>> density = log_density([0.0], [0.0], slope=0.0, intercept=0.0, sigma_int=1.0,
    ...                       prior_weights=[1.0], prior_means=[0.0], prior_widths=[1.0])
    >>> round(float(np.exp(density[0])), 6), round(1 / (2 * np.pi), 6)
    (0.159155, 0.159155)
    """
    columns, _ = _finite_columns(x, y, x_err=x_err, y_err=y_err, rho=rho, covariates=None, weights=None)
    widths = np.asarray(prior_widths, dtype=np.float64)
    unit = float(widths.min())  # in this unit of x every width is above the floor
    layout = Layout(len(widths), 0, outliers=False)
    z = np.zeros(layout.size)
    z[:2] = slope * unit, intercept - slope * x0
    z[layout.means] = np.asarray(prior_means) / unit
    z[layout.log_widths] = 0.5 * np.log((widths / unit) ** 2 - TAU_FLOOR**2)
    z[layout.logits] = np.log(np.asarray(prior_weights)[1:] / prior_weights[0])
    z[layout.variance] = sigma_int**2
    data = columns._replace(x=columns.x / unit, x_var=columns.x_var / unit**2, xy_cov=columns.xy_cov / unit)
    return np.asarray(np.asarray(_log_density(z, data, layout)) - np.log(unit))


def deming(x: ArrayLike, y: ArrayLike, x_err: float, y_err: float) -> tuple[float, float]:
    """Return slope and intercept (at x = 0) of the Deming line: constant errors, no intrinsic scatter.

    Closed form; the limit of `fit` for sigma_int = 0, one component and the same errors for all.

    Examples
    --------
    >>> [round(v, 12) for v in deming([0, 1, 2], [1, 3, 5], x_err=0.1, y_err=0.3)]
    [2.0, 1.0]
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    (s_xx, s_xy), (_, s_yy) = np.cov(x, y, bias=True)
    ratio = y_err**2 / x_err**2
    slope = (s_yy - ratio * s_xx + np.sqrt((s_yy - ratio * s_xx) ** 2 + 4 * ratio * s_xy**2)) / (2 * s_xy)
    return float(slope), float(y.mean() - slope * x.mean())


@dataclass(frozen=True)
class _Scale:
    """The linear map between the user's units and standardised ones, in which every parameter is of order one."""

    x: float
    y: float
    x_mean: float
    y_mean: float
    w: Array
    w_mean: Array
    x0: float

    @classmethod
    def of(cls, data: Data, x0: float) -> "_Scale":
        weight = data.weight / data.weight.sum()
        x_mean, y_mean, w_mean = weight @ data.x, weight @ data.y, weight @ data.covariates
        x = np.sqrt(weight @ (data.x - x_mean) ** 2)
        y = np.sqrt(weight @ (data.y - y_mean) ** 2)
        w = np.sqrt(weight @ (data.covariates - w_mean) ** 2)
        if not x > 1e-12 * abs(x_mean) or not np.all(w > 0):
            raise DataRefusedError(
                "all objects have the same x, or the same value of a covariate",
                expected="values that differ",
                hint="A line needs a range to be fitted over; check the selection.",
            )
        return cls(float(x), float(y) or 1.0, float(x_mean), float(y_mean), w, w_mean, x0)

    def standardise(self, data: Data) -> Data:
        return Data(
            x=(data.x - self.x_mean) / self.x,
            y=(data.y - self.y_mean) / self.y,
            x_var=data.x_var / self.x**2,
            y_var=data.y_var / self.y**2,
            xy_cov=data.xy_cov / (self.x * self.y),
            weight=data.weight,
            covariates=(data.covariates - self.w_mean) / self.w,
        )

    def jacobian(self) -> Array:
        """Return d(slope, intercept, sigma_int, coefficients) / d(the standardised ones)."""
        size = 3 + len(self.w)
        matrix = np.zeros((size, size))
        matrix[0, 0] = self.y / self.x
        matrix[1, 0] = matrix[0, 0] * (self.x0 - self.x_mean)
        matrix[1, 1] = matrix[2, 2] = self.y
        for j in range(len(self.w)):
            matrix[3 + j, 3 + j] = self.y / self.w[j]
            matrix[1, 3 + j] = -matrix[3 + j, 3 + j] * self.w_mean[j]
        return matrix


def _finite_columns(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_err: ArrayLike | None,
    y_err: ArrayLike | None,
    rho: ArrayLike,
    covariates: ArrayLike | None,
    weights: ArrayLike | None,
) -> tuple[Data, int]:
    x = np.asarray(x, dtype=np.float64)
    n = x.size
    given = {
        "y": y,
        "x_err": 0.0 if x_err is None else x_err,
        "y_err": 0.0 if y_err is None else y_err,
        "rho": rho,
        "weights": 1.0 if weights is None else weights,
    }
    arrays: dict[str, Array] = {"x": x}
    for name, values in given.items():
        array = np.asarray(values, dtype=np.float64)
        if array.shape not in ((), (n,)) or (name == "y" and array.shape == ()):
            raise DataRefusedError(
                f"{name} has shape {array.shape}", expected=f"({n},), as x", hint="Align the arrays."
            )
        arrays[name] = np.broadcast_to(array, (n,))
    w = np.zeros((n, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64).reshape(n, -1)
    finite = np.isfinite(w).all(axis=1)
    for array in arrays.values():
        finite &= np.isfinite(array)
    x, y, x_err, y_err, rho, weight = (a[finite] for a in arrays.values())
    if np.any(x_err < 0) or np.any(y_err < 0) or np.any(weight < 0) or np.any(np.abs(rho) >= 1):
        raise DataRefusedError(
            "an error or weight is negative, or a correlation is not between -1 and 1",
            expected="errors >= 0, weights >= 0, |rho| < 1",
            hint="Mark missing errors as NaN, then the object is left out.",
        )
    data = Data(x, y, x_err**2, y_err**2, rho * x_err * y_err, weight, w[finite])
    return Data(*(v[weight > 0] for v in data)), int(n - finite.sum())


def _report(layout: Layout, maximum: Maximum, data: Data, columns: Data, *, scale: _Scale, n_dropped: int) -> EivFit:
    z = maximum.z
    total = data.weight.sum()
    linear = np.array([z[0], z[1], np.sqrt(z[layout.variance]), *z[layout.coefficients]])
    jacobian = scale.jacobian()
    values = jacobian @ linear
    values[1] += scale.y_mean
    wanted = [0, 1, layout.variance, *range(layout.coefficients.start, layout.coefficients.stop)]
    standard = maximum.covariance(wanted, total)
    cov = jacobian @ np.nan_to_num(standard) @ jacobian.T
    cov[np.isnan(standard)] = np.nan
    errors = np.sqrt(np.diag(cov))
    sigma_err = errors[2] if not maximum.at_boundary else scale.y * maximum.scatter_limit(total)
    loglike = -total * (maximum.value + np.log(scale.x * scale.y))
    log_weights = np.concatenate([[0.0], z[layout.logits]])
    fraction, mean, width = z[layout.outlier] if layout.outliers else (np.nan, np.nan, np.nan)
    order = np.argsort(z[layout.means])
    weights = np.exp(log_weights - np.logaddexp.reduce(log_weights))
    return EivFit(
        slope=float(values[0]),
        intercept=float(values[1]),
        sigma_int=float(values[2]),
        slope_err=float(errors[0]),
        intercept_err=float(errors[1]),
        sigma_int_err=float(sigma_err),
        coefficients=values[3:],
        coefficients_err=errors[3:],
        names=("slope", "intercept", "sigma_int", *(f"coefficient_{j}" for j in range(layout.n_covariates))),
        cov=cov,
        loglike=float(loglike),
        bic=maximum.bic(total) + 2 * float(total * np.log(scale.x * scale.y)),
        n=len(data.x),
        n_dropped=n_dropped,
        x0=scale.x0,
        n_components=layout.n_components,
        prior_weights=weights[order],
        prior_means=(scale.x_mean + scale.x * z[layout.means])[order],
        prior_widths=(scale.x * np.sqrt(TAU_FLOOR**2 + np.exp(2 * z[layout.log_widths])))[order],
        outlier_fraction=float(0.5 / (1 + np.exp(-fraction))),
        outlier_mean=float(scale.y_mean + scale.y * mean),
        outlier_width=float(scale.y * np.exp(width)),
        ols=ols(columns.x, columns.y, x0=scale.x0, weights=columns.weight),
        converged=bool(maximum.converged and np.isfinite(errors[:2]).all()),
        at_boundary=maximum.at_boundary,
    )
