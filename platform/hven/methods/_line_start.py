"""Where the fit of a line starts: ordinary least squares, the moment-corrected slope, and the prior of x alone.

A bent mean starts at least squares through the observed x, the knee at the best of some places among them. Upper
limits take no part.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError
from hven.methods._line_likelihood import TAU_FLOOR, Data, Layout
from hven.methods._line_means import b_splines

Array = NDArray[np.float64]
_EM_STEPS = 25
_EM_OBJECTS = 20_000
_LEAST_VARIANCE = 1e-8
"""Variance about the mean, in units of that of y, below which rounding is all that there is."""
_KNEES = np.linspace(0.1, 0.9, 17)


class Line(NamedTuple):
    """Slope and intercept with their 1-sigma errors, and the scatter (standard deviation) of y about the line."""

    slope: float
    intercept: float
    slope_err: float
    intercept_err: float
    scatter: float


def ols(x: ArrayLike, y: ArrayLike, *, x0: float = 0.0, weights: ArrayLike | None = None) -> Line:
    """Return the least-squares line y = intercept + slope (x - x0), errors of x ignored.

    Errors in x of variance e^2 pull its slope towards zero by var(x) / (var(x) + e^2). Its own errors are the
    heteroscedasticity-robust ones (White 1980, HC1).

    Raises
    ------
    DataRefusedError
        All x are the same.

    Examples
    --------
    >>> line = ols([0, 1, 2, 3], [1, 3, 5, 7], x0=1.0)
    >>> round(line.slope, 12), round(line.intercept, 12)
    (2.0, 3.0)
    """
    x, y = np.asarray(x, dtype=np.float64) - x0, np.asarray(y, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(x) or not np.ptp(x[w > 0]) > 1e-12 * np.abs(x + x0).max():
        raise DataRefusedError(
            f"the {len(x)} x of a line are all the same" if len(x) else "there are no points",
            expected="values that differ",
            hint="Check the selection.",
        )
    design = np.stack([x - w @ x / w.sum(), np.ones_like(x)], axis=1)
    inverse = np.linalg.inv(design.T @ (w[:, None] * design))
    slope, centre = inverse @ (design.T @ (w * y))
    residual = y - design @ np.array([slope, centre])
    meat = design.T @ ((w * residual**2)[:, None] * design) * w.sum() / max(w.sum() - 2, 1.0)
    shift = -w @ x / w.sum()
    to_x0 = np.array([[1.0, 0.0], [shift, 1.0]])
    cov = to_x0 @ inverse @ meat @ inverse @ to_x0.T
    slope_err, intercept_err = np.sqrt(np.diag(cov))
    scatter = np.sqrt(w @ residual**2 / max(w.sum() - 2, 1.0))
    return Line(float(slope), float(centre + slope * shift), float(slope_err), float(intercept_err), float(scatter))


def start(data: Data, layout: Layout, knots: Array) -> Array:
    """Return the parameter vector to start from; `data` is standardised, without padding."""
    z = np.zeros(layout.size)
    of_mean = _start_of_mean(Data(*(v[data.is_limit == 0] for v in data)), layout, knots)
    z[: layout.mean.size], z[layout.coefficients], z[layout.variance] = of_mean
    parts = [Data(*(v[data.error_bin == b] for v in data)) for b in range(layout.n_bins)]
    mixtures = [_mixture_of_x(part if len(part.x) else data, layout.n_components) for part in parts]
    weights, means, variances = (np.stack(values, axis=1) for values in zip(*mixtures, strict=True))  # (k, bins)
    z[layout.means] = means.ravel()
    z[layout.log_widths] = 0.5 * np.log(np.maximum(variances - TAU_FLOOR**2, TAU_FLOOR**2)).ravel()
    z[layout.logits] = np.log(weights[1:] / weights[0]).ravel()
    if layout.outliers:
        fraction = 0.02
        z[layout.outlier] = np.log(2 * fraction / (1 - 2 * fraction)), 0.0, np.log(2.0)
    return z


def without_infinities(data: Data, layout: Layout, knots: Array) -> tuple[Data, bool]:
    """Return `data` whose likelihood is finite, and whether all y lie on the mean as well as numbers are known.

    Objects without any error that lie on one mean have an infinite likelihood at no scatter. They get an error in y of
    1e-4 of the scatter of all y.
    """
    exact = (data.x_var == 0) & (data.y_var == 0) & (data.is_limit == 0)
    if not exact.any():
        return data, False
    _, _, variance = _start_of_mean(Data(*(v[exact] for v in data)), layout, knots)
    if variance > 2 * _LEAST_VARIANCE:
        return data, False
    return data._replace(y_var=np.where(exact, _LEAST_VARIANCE, data.y_var)), bool(exact[data.is_limit == 0].all())


def _start_of_mean(seen: Data, layout: Layout, knots: Array) -> tuple[Array, Array, float]:
    return _straight(seen) if layout.mean.kind == "line" else _bent(seen, layout, knots)


def _straight(data: Data) -> tuple[Array, Array, float]:
    """Return (slope, intercept), coefficients and variance, by moments from which those of the errors are taken off."""
    weight = data.weight / data.weight.sum()
    x_var, y_var, xy_cov = weight @ data.x_var, weight @ data.y_var, weight @ data.xy_cov
    design = np.concatenate([data.x[:, None], data.covariates], axis=1)
    centre, y_mean = weight @ design, weight @ data.y
    off, y_off = design - centre, data.y - y_mean
    moments = off.T @ (weight[:, None] * off)
    moments[0, 0] = max(moments[0, 0] - x_var, 0.1 * moments[0, 0])
    crossed = off.T @ (weight * y_off)
    crossed[0] -= xy_cov
    slopes = np.linalg.lstsq(moments, crossed, rcond=None)[0]
    scatter = weight @ (y_off - off @ slopes) ** 2
    variance = max(scatter - y_var - slopes[0] ** 2 * x_var + 2 * slopes[0] * xy_cov, 0.05 * scatter, _LEAST_VARIANCE)
    return np.array([slopes[0], y_mean - centre @ slopes]), slopes[1:], float(variance)


def _bent(data: Data, layout: Layout, knots: Array) -> tuple[Array, Array, float]:
    """Return the mean's parameters, coefficients and variance, by least squares."""
    root = np.sqrt(data.weight / data.weight.sum())

    def solve(design: Array) -> tuple[float, Array]:
        whole = root[:, None] * np.concatenate([design, data.covariates], axis=1)
        found = np.linalg.lstsq(whole, root * data.y, rcond=None)[0]
        return float(np.sum((root * data.y - whole @ found) ** 2)), found

    if layout.mean.kind == "spline":
        scatter, found = solve(b_splines(data.x, knots, layout.mean.degree))
        p, coefficients = found[: layout.mean.size], found[layout.mean.size :]
    else:
        places = np.quantile(data.x, _KNEES)
        tries = [
            solve(np.stack([np.minimum(data.x - k, 0), np.ones_like(data.x), np.maximum(data.x - k, 0)], 1))
            for k in places
        ]
        best = int(np.argmin([t[0] for t in tries]))
        (scatter, found), knee = tries[best], places[best]
        p, coefficients = np.array([found[0], found[1] - found[0] * knee, found[2], knee]), found[3:]
    return p, coefficients, max(scatter - float(root**2 @ data.y_var), 0.05 * scatter, _LEAST_VARIANCE)


def _mixture_of_x(data: Data, k: int) -> tuple[Array, Array, Array]:
    """Return weights, means and variances, each (k,), of the true x: extreme deconvolution in one dimension, by EM."""
    thin = slice(None, None, max(1, len(data.x) // _EM_OBJECTS))
    x, noise, weight = data.x[thin], data.x_var[thin], data.weight[thin]
    levels = (np.arange(k) + 0.5) / k
    means = np.quantile(x, levels)
    spread = max(weight @ (x - weight @ x / weight.sum()) ** 2 / weight.sum() - weight @ noise / weight.sum(), 0.1)
    variances = np.full(k, spread / k)
    weights = np.full(k, 1 / k)
    for _ in range(_EM_STEPS if k > 1 else 0):
        total = variances[:, None] + noise
        log_share = np.log(weights)[:, None] - 0.5 * (np.log(total) + (x - means[:, None]) ** 2 / total)
        share = np.exp(log_share - np.logaddexp.reduce(log_share, axis=0)) * weight
        gain = variances[:, None] / total
        expected = means[:, None] + gain * (x - means[:, None])
        mass = np.maximum(share.sum(axis=1), 1e-6 * weight.sum())
        means = (share * expected).sum(axis=1) / mass
        spread_k = (expected - means[:, None]) ** 2 + variances[:, None] * (1 - gain)
        variances = np.maximum((share * spread_k).sum(axis=1) / mass, 4 * TAU_FLOOR**2)
        weights = mass / mass.sum()
    return weights, means, variances
