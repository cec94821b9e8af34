"""Lines and curves through points with errors in both variables: maximum likelihood, intrinsic scatter included.

`fit` is the estimator; `ols` and `deming` are the textbook lines that it replaces, kept as baselines; `log_density` is
the likelihood of a straight line itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods._line_columns import Scale, error_edges, finite_columns, in_bins
from hven.methods._line_likelihood import TAU_FLOOR, Data, Layout, densities
from hven.methods._line_means import NO_BASIS, Basis, Mean, b_splines, basis_of
from hven.methods._line_model import MOST_NODES, NODES, Model, padded
from hven.methods._line_posterior import draw
from hven.methods._line_search import Maximum
from hven.methods._line_start import Line, ols, without_infinities
from hven.methods.precision import in_float64

__all__ = ["EivFit", "Line", "deming", "fit", "log_density", "ols"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EivFit:
    """A fitted mean y = m(x) [+ coefficients . covariates] with intrinsic scatter in y.

    The straight line is m = intercept + slope (x - x0); one with a knee has another slope beyond it; a spline is
    sum_j spline_j B_j(x), straight beyond its outermost knots.

    Attributes
    ----------
    mean
        ``"line"``, ``"knee"`` or ``"spline"``.
    slope, intercept, sigma_int
        The maximum-likelihood values; `sigma_int` is a standard deviation. `intercept` is the mean at `x0`; `slope`
        that of the line, of the part below the knee, or of the spline at `x0`.
    slope_err, intercept_err, sigma_int_err
        1-sigma errors. With `at_boundary` (the likelihood is highest at no scatter at all), `sigma_int` is 0 and
        `sigma_int_err` the value at which ln L has fallen by 1/2: an upper limit.
    coefficients, coefficients_err
        Those of the covariates, shape (m,).
    names, values, cov
        Names of the fitted parameters, their values (p,) and covariance (p, p): of a line slope, intercept, sigma_int,
        coefficients; of a knee slope, intercept, slope_beyond, knee, sigma_int, coefficients; of a spline spline_0...,
        sigma_int, coefficients. Rows of parameters that were not fitted, or stand at the boundary, are NaN.
    knots, degree
        Of a spline: its knots (m,) from the lowest to the highest, on the axis of x, and its degree.
    loglike, bic
        Maximum of ln L and the Bayesian information criterion.
    n, n_limits, n_dropped
        Objects used, how many of them have upper limits, and objects left out because a value or an error of theirs is
        not finite.
    x0
        The abscissa at which the intercept stands.
    n_components, prior_weights, prior_means, prior_widths
        The Gaussian mixture that the true x follow, each of shape (n_components,); (bins, n_components) with bins.
    error_edges
        Inner edges of the bins of `x_err`, (bins - 1,).
    outlier_fraction, outlier_mean, outlier_width
        The broad component, NaN without one.
    ols
        The ordinary least-squares line through the objects with a measured y: attenuated by the errors of x.
    is_exact
        Whether all points lie on the mean as well as their numbers are known, without errors: `sigma_int` is 0, and all
        errors are those that an error in y of 1e-4 of its scatter would leave.
    converged, at_boundary
        Whether the gradient vanishes, the information is positive, the knee lies among the objects, the integral over
        the true x is exact and chains, where asked for, are reliable; whether `sigma_int` is at zero.
    draws
        With ``errors="hmc"`` the sampled posterior, shape (d, p) in the order of `names`; else (0, p).
    """

    mean: Literal["line", "knee", "spline"]
    slope: float
    intercept: float
    sigma_int: float
    slope_err: float
    intercept_err: float
    sigma_int_err: float
    coefficients: Array
    coefficients_err: Array
    names: tuple[str, ...]
    values: Array
    cov: Array
    knots: Array
    degree: int
    loglike: float
    bic: float
    n: int
    n_limits: int
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
    draws: Array
    is_exact: bool = False
    error_edges: Array = field(default_factory=lambda: np.zeros(0))

    def value(self, name: str) -> float:
        """Return the value of one of `names`, as ``"knee"``."""
        return float(self.values[self.names.index(name)])

    def err(self, name: str) -> float:
        """Return the 1-sigma error of one of `names`."""
        i = self.names.index(name)
        return float(np.sqrt(self.cov[i, i]))

    def predict(self, x: ArrayLike, covariates: ArrayLike | None = None) -> Array:
        """Return the mean at `x` (n,), with `covariates` (n, m) or at zero of them."""
        at = np.asarray(x, dtype=np.float64)
        flat = at.ravel()
        if self.mean == "spline":
            line = b_splines(flat, self.knots, self.degree) @ self.values[: len(self.knots) + self.degree - 1]
        else:
            line = self.intercept + self.slope * (flat - self.x0)
        if self.mean == "knee":
            bend, knee = self.value("slope_beyond") - self.slope, self.value("knee")
            line = line + bend * (np.maximum(flat - knee, 0) - max(self.x0 - knee, 0))
        if covariates is not None:
            line = line + np.asarray(covariates, dtype=np.float64).reshape(len(flat), -1) @ self.coefficients
        return np.asarray(line).reshape(at.shape)

    def predict_err(self, x: ArrayLike) -> Array:
        """Return the 1-sigma error of the mean at `x` (n,); the intrinsic scatter is not part of it."""
        at = np.asarray(x, dtype=np.float64)
        flat, shift = at.ravel(), at.ravel() - self.x0
        if self.mean == "spline":
            rows = b_splines(flat, self.knots, self.degree)
        elif self.mean == "line":
            rows = np.stack([shift, np.ones_like(shift)], axis=1)
        else:
            knee, bend = self.value("knee"), self.value("slope_beyond") - self.slope
            beyond = np.maximum(flat - knee, 0) - max(self.x0 - knee, 0)
            moves = -bend * ((flat > knee).astype(np.float64) - (self.x0 > knee))
            rows = np.stack([shift - beyond, np.ones_like(shift), beyond, moves], axis=1)
        cov = self.cov[: rows.shape[1], : rows.shape[1]]
        return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", rows, cov, rows))).reshape(at.shape)

    @in_float64
    def log_density(
        self,
        x: ArrayLike,
        y: ArrayLike,
        x_err: ArrayLike | None = None,
        y_err: ArrayLike | None = None,
        *,
        rho: ArrayLike = 0.0,
        covariates: ArrayLike | None = None,
        upper_limits: ArrayLike | None = None,
    ) -> Array:
        """Return ln p(x, y) of each object, shape (n,), under this fit; ln p(x, y lower) for an upper limit.

        Parameters are those of `fit`; objects with a value that is not finite get NaN.
        """
        data, finite = finite_columns(
            x, y, x_err=x_err, y_err=y_err, rho=rho, covariates=covariates, upper_limits=upper_limits
        )
        unit, zero = float(self.prior_widths.min()), self.prior_means.flat[0]  # every width is above the floor
        mean = Mean(self.mean, self.degree, max(len(self.knots) - 2, 0))
        p, basis = self.values[: mean.size].copy(), NO_BASIS
        if self.mean == "spline":
            basis = basis_of((self.knots - zero) / unit, self.degree)
        else:
            p[1] += self.slope * (zero - self.x0)
            p[0] *= unit
        if self.mean == "knee":
            slope, knee = self.slope, p[3]
            p[1] -= (p[2] - slope) * max(self.x0 - knee, 0.0)
            p[2:4] = p[2] * unit, (knee - zero) / unit
        has_outliers = bool(np.isfinite(self.outlier_fraction))
        components = np.atleast_2d(self.prior_weights).shape[1]
        layout = Layout(components, data.covariates.shape[1], has_outliers, mean, n_bins=len(self.error_edges) + 1)
        data = in_bins(data, self.error_edges)
        z = np.zeros(layout.size)
        z[: mean.size], z[layout.coefficients] = p, self.coefficients[: layout.n_covariates]
        if has_outliers:
            odds = 2 * self.outlier_fraction / (1 - 2 * self.outlier_fraction)
            z[layout.outlier] = np.log(odds), self.outlier_mean, np.log(self.outlier_width)
        prior = self.prior_weights, (self.prior_means - zero) / unit, self.prior_widths / unit
        _fill_prior(z, layout, prior, self.sigma_int)
        data = data._replace(x=data.x - zero)
        out = np.full(len(finite), np.nan)
        out[finite] = _densities_in(unit, z, data, layout, basis)
        return out


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
    error_bins: int = 1,
    outliers: bool = False,
    mean: Literal["line", "knee", "spline"] = "line",
    knots: int | ArrayLike = 3,
    degree: int = 3,
    upper_limits: ArrayLike | None = None,
    sigma_int: float | None = None,
    covariates: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    errors: Literal["information", "hmc"] = "information",
    seed: int = 0,
) -> EivFit:
    """Return the maximum-likelihood mean of points with errors in both variables and intrinsic scatter in y.

    y = m(x) [+ c . w] + N(0, sigma_int^2), with x and y observed with Gaussian errors and the true x drawn from a
    mixture of Gaussians that is fitted with the mean and integrated out (Kelly 2007, arXiv:0705.2774, without the
    sampling): in closed form for a line, else by a quadrature whose error in ln L is held below 1e-4.

    The mean is m = a + b (x - x0); with a knee x_k, a continuous line of slope b below and b' beyond x_k; or a spline
    sum_j s_j B_j(x), straight beyond its outermost knots. A y that is an upper limit counts with the probability that
    a measurement with its error would have been lower, Phi((y - m(x)) / sqrt(sigma_int^2 + y_err^2)) integrated over x.

    The likelihood takes each error as known. With one prior for all it also takes the error of x as saying nothing
    about the true x: where errors grow with distance that is false, and the slope is over-corrected (-.066 for -.060
    with distances good to 30 %). `error_bins` gives each bin of `x_err` a prior of its own, which takes this out. A
    bias of second order remains where the error is computed from the observed value.

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
    error_bins
        Bins of equal numbers of objects by `x_err`, each with a prior of its own; of a line without chains only.
    outliers
        Adds a fraction (at most 0.5) of objects that do not follow the mean but a broad Gaussian in y.
    mean
        ``"line"``, ``"knee"`` or ``"spline"``.
    knots, degree
        Of a spline: how many inner knots, at quantiles of x between its extremes, or all knots from the lowest to the
        highest; and the degree, 1 to 3. Errors of x wash out what is finer than they are: knots should lie farther
        apart.
    upper_limits
        Whether y is an upper limit, shape (n,).
    sigma_int
        Fixes the intrinsic scatter instead of fitting it.
    covariates
        Further columns that y depends on linearly, without errors, shape (n, m) or (n,).
    weights
        How often each object counts, shape (n,); errors are right for whole counts.
    errors
        ``"information"``: from the Hessian of the likelihood. ``"hmc"``: from the posterior under flat priors of the
        mean's parameters and of sigma_int (broad ones of the mixture), sampled with `hven.methods.hmc`; takes many
        times as long and holds where the likelihood is not Gaussian.
    seed
        Of the chains.

    Raises
    ------
    DataRefusedError
        Lengths differ, an error or weight is negative, rho is not between -1 and 1, or all x are equal.
    TooFewObjectsError
        Fewer finite objects than twice the parameters, or too few of them with a measured y.
    ParameterError
        `n_components`, `mean`, `knots`, `degree` or `errors` is not one that exists.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=1000)
    >>> y = 1 - 0.5 * x + rng.normal(scale=0.1, size=1000)
    >>> line = fit(x + rng.normal(scale=0.5, size=1000), y, x_err=0.5, n_components=1)
    >>> bool(abs(line.slope + 0.5) < 3 * line.slope_err), round(line.ols.slope, 1)
    (True, -0.4)
    """
    _refuse_unknown(n_components=n_components, mean=mean, errors=errors, degree=degree)
    if error_bins < 1 or (error_bins > 1 and (mean != "line" or errors == "hmc")):
        raise ParameterError(
            f"error_bins is {error_bins} for a {mean} with errors={errors!r}", expected="1, or more for a line without"
            " chains", hint="Leave error_bins away.",
        )  # fmt: skip
    columns, finite = finite_columns(
        x, y, x_err=x_err, y_err=y_err, rho=rho, covariates=covariates, weights=weights, upper_limits=upper_limits
    )
    edges = error_edges(np.sqrt(columns.x_var), error_bins)
    columns = in_bins(columns, edges)
    places = _knots(columns.x, knots) if mean == "spline" else np.zeros(0)
    kind = Mean(mean, degree if mean == "spline" else 1, max(len(places) - 2, 0))
    layout = Layout(
        n_components or 1, columns.covariates.shape[1], outliers, kind, bool(columns.is_limit.any()),
        n_nodes=0 if mean == "line" else NODES, n_bins=len(edges) + 1,
    )  # fmt: skip
    _refuse_few(columns, layout)
    scale = Scale.of(columns, x0)
    inner = (places - scale.x_mean) / scale.x
    data, is_exact = without_infinities(scale.standardise(columns), layout, inner)
    model = Model(data, layout, inner, None if sigma_int is None else sigma_int / scale.y)
    maximum = model.maximum()
    for k in () if n_components else (2, 3):
        larger = replace(model, layout=replace(layout, n_components=k))
        if len(data.x) < 2 * larger.layout.size:
            break
        other = larger.maximum()
        if other.bic(data.weight.sum()) >= maximum.bic(data.weight.sum()):
            break
        model, maximum = larger, other
    model, maximum, is_integrated = model.with_exact_integrals(maximum)
    draws, is_reliable = np.zeros((0, len(model.layout.wanted))), True
    if errors == "hmc":
        draws, is_reliable = draw(
            model.layout, padded(model.data), model.basis(), maximum.z, fixed_variance=sigma_int is not None, seed=seed
        )
    report = _report(model, maximum, columns, scale=scale, draws=draws)
    return replace(
        report,
        knots=places,
        n_dropped=int(len(finite) - finite.sum()),
        converged=report.converged and is_integrated and is_reliable,
        is_exact=is_exact,
        error_edges=edges,
    )


def _refuse_unknown(*, n_components: int | None, mean: str, errors: str, degree: int) -> None:
    if n_components not in (None, 1, 2, 3):
        raise ParameterError(
            f"n_components is {n_components!r}", expected="1, 2, 3, or None for the best by BIC", hint="Choose one."
        )
    allowed = {"mean": (mean, ("line", "knee", "spline")), "errors": (errors, ("information", "hmc"))}
    for name, (value, choices) in {**allowed, "degree": (degree, (1, 2, 3))}.items():
        if value not in choices:
            raise ParameterError(f"{name} is {value!r}", expected=f"one of {choices}", hint="Choose one.")


def _knots(x: Array, knots: int | ArrayLike) -> Array:
    if isinstance(knots, int):
        places = np.quantile(x, np.linspace(0, 1, max(knots, 0) + 2)) if len(x) and knots >= 0 else np.zeros(0)
    else:
        places = np.asarray(knots, dtype=np.float64)
    if places.ndim != 1 or len(places) < 2 or not np.all(np.diff(places) > 0):
        raise ParameterError(
            f"the knots are {np.asarray(knots).tolist()}, which gives them the places {places.tolist()}",
            expected="a number of inner knots, or at least two places, ascending",
            hint="Take fewer where many objects have the same x.",
        )
    return places


def _refuse_few(data: Data, layout: Layout) -> None:
    if len(data.x) < 2 * layout.size:
        raise TooFewObjectsError(
            f"{len(data.x)} finite objects for a {layout.mean.kind} of {layout.size} parameters",
            expected=f"at least {2 * layout.size}",
            hint="Loosen the selection, or use fewer components, knots or covariates.",
        )
    measured = int(np.sum(data.is_limit == 0))
    least = layout.mean.size + layout.n_covariates + 2
    if measured < least:
        raise TooFewObjectsError(
            f"{measured} of {len(data.x)} objects have a measured y, the others upper limits",
            expected=f"at least {least} measured",
            hint="Limits alone bound the mean from one side only; add objects that are detected.",
        )


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
    upper_limits: ArrayLike | None = None,
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
    data, _ = finite_columns(x, y, x_err=x_err, y_err=y_err, rho=rho, upper_limits=upper_limits)
    widths = np.asarray(prior_widths, dtype=np.float64)
    unit = float(widths.min())  # in this unit of x every width is above the floor
    layout = Layout(len(widths), 0, outliers=False)
    z = np.zeros(layout.size)
    z[:2] = slope * unit, intercept - slope * x0
    _fill_prior(z, layout, (prior_weights, np.asarray(prior_means) / unit, widths / unit), sigma_int)
    return _densities_in(unit, z, data, layout, NO_BASIS)


def _fill_prior(z: Array, layout: Layout, prior: tuple[Any, Array, Array], sigma_int: float) -> None:
    """Put weights, means and widths of the components, and the intrinsic variance, into `z`."""
    weights, means, widths = (np.atleast_2d(v).T for v in prior)  # (k, bins)
    z[layout.means] = means.ravel()
    z[layout.log_widths] = 0.5 * np.log(widths**2 - TAU_FLOOR**2).ravel()
    z[layout.logits] = np.log(weights[1:] / weights[0]).ravel()
    z[layout.variance] = sigma_int**2


def _densities_in(unit: float, z: Array, data: Data, layout: Layout, basis: Basis) -> Array:
    """Return ln p of each row, (n,); `z` has `unit` as the unit of x, `data` that of the user."""
    nodes = 0 if layout.mean.kind == "line" else MOST_NODES
    layout = replace(layout, has_limits=bool(data.is_limit.any()), n_nodes=nodes)
    rows = data._replace(x=data.x / unit, x_var=data.x_var / unit**2, xy_cov=data.xy_cov / unit)
    return np.asarray(np.asarray(densities(layout)(z, padded(rows), basis))[: len(data.x)] - np.log(unit))


def deming(x: ArrayLike, y: ArrayLike, x_err: float, y_err: float) -> tuple[float, float]:
    """Return slope and intercept (at x = 0) of the Deming line: constant errors, no intrinsic scatter.

    Closed form; the limit of `fit` for sigma_int = 0, one component and the same errors for all.

    Raises
    ------
    DataRefusedError
        x and y are not correlated, or do not vary: no line is better than another, or the best one is upright.

    Examples
    --------
    >>> [round(v, 12) for v in deming([0, 1, 2], [1, 3, 5], x_err=0.1, y_err=0.3)]
    [2.0, 1.0]
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    (s_xx, s_xy), (_, s_yy) = np.cov(x, y, bias=True)
    ratio = y_err**2 / x_err**2
    if s_xy == 0 and (s_yy >= ratio * s_xx):
        raise DataRefusedError(
            "x and y are not correlated, or do not vary", expected="points along a line", hint="Check the selection."
        )
    if s_xy == 0:
        return 0.0, float(y.mean())
    slope = (s_yy - ratio * s_xx + np.sqrt((s_yy - ratio * s_xx) ** 2 + 4 * ratio * s_xy**2)) / (2 * s_xy)
    return float(slope), float(y.mean() - slope * x.mean())


def _report(model: Model, maximum: Maximum, columns: Data, *, scale: Scale, draws: Array) -> EivFit:
    layout, z, total = model.layout, maximum.z, model.data.weight.sum()
    mean = layout.mean
    place = mean.size
    fitted = z[layout.wanted]
    fitted[place] = np.sqrt(fitted[place])
    values, jacobian = scale.to_user(fitted, mean), scale.jacobian(fitted, mean)
    standard = maximum.covariance(layout.wanted, total)
    cov = jacobian @ np.nan_to_num(standard) @ jacobian.T
    cov[np.isnan(standard)] = np.nan
    sigma_err = np.sqrt(cov[place, place])
    if maximum.at_boundary:
        sigma_err = scale.y * maximum.scatter_limit(total)
    if len(draws):
        draws = scale.to_user(draws, mean)
        cov = np.cov(draws.T)
        sigma_err = np.quantile(draws[:, place], 0.683) if maximum.at_boundary else np.sqrt(cov[place, place])
    knots = scale.x_mean + scale.x * model.knots
    to_y = b_splines(np.array([scale.x0]), knots, mean.degree) if mean.kind == "spline" else np.eye(place)[1:2]
    to_slope = (
        b_splines(np.array([scale.x0]), knots, mean.degree, derivative=True) if mean.kind == "spline"
        else np.eye(place)[:1]
    )  # fmt: skip
    of_mean, mean_cov = values[:place], cov[:place, :place]
    seen = columns.is_limit == 0
    unit = total * np.log(scale.x) + columns.weight @ seen * np.log(scale.y)
    is_inside = mean.kind != "knee" or columns.x.min() < values[3] < columns.x.max()
    slope_err, intercept_err = (float(np.sqrt(row @ mean_cov @ row)) for row in (to_slope[0], to_y[0]))
    weights, means, widths = _prior(z, layout)
    fraction, outlier_mean, width = z[layout.outlier] if layout.outliers else (np.nan, np.nan, np.nan)
    return EivFit(
        mean=mean.kind,
        slope=float(to_slope[0] @ of_mean),
        intercept=float(to_y[0] @ of_mean),
        sigma_int=float(values[place]),
        slope_err=slope_err,
        intercept_err=intercept_err,
        sigma_int_err=float(sigma_err),
        coefficients=values[place + 1 :],
        coefficients_err=np.sqrt(np.diag(cov))[place + 1 :],
        names=(*mean.names, "sigma_int", *(f"coefficient_{j}" for j in range(layout.n_covariates))),
        values=values,
        cov=cov,
        knots=knots,
        degree=mean.degree,
        loglike=float(-total * maximum.value - unit),
        bic=maximum.bic(total) + 2 * float(unit),
        n=len(columns.x),
        n_limits=int(np.sum(~seen)),
        n_dropped=0,
        x0=scale.x0,
        n_components=layout.n_components,
        prior_weights=weights,
        prior_means=scale.x_mean + scale.x * means,
        prior_widths=scale.x * widths,
        outlier_fraction=float(0.5 / (1 + np.exp(-fraction))),
        outlier_mean=float(scale.y_mean + scale.y * outlier_mean),
        outlier_width=float(scale.y * np.exp(width)),
        ols=ols(columns.x[seen], columns.y[seen], x0=scale.x0, weights=columns.weight[seen]),
        converged=bool(maximum.converged and np.isfinite(mean_cov).all() and is_inside),
        at_boundary=maximum.at_boundary,
        draws=draws,
    )


def _prior(z: Array, layout: Layout) -> tuple[Array, Array, Array]:
    """Return weights, means and widths of the prior in standardised units, means ascending: (k,), or (bins, k)."""
    k, bins = layout.n_components, layout.n_bins
    logits = np.concatenate([np.zeros((1, bins)), z[layout.logits].reshape(k - 1, bins)])
    means, widths = (
        z[layout.means].reshape(k, bins),
        np.sqrt(TAU_FLOOR**2 + np.exp(2 * z[layout.log_widths])).reshape(k, bins),
    )
    weights = np.exp(logits - np.logaddexp.reduce(logits, axis=0))
    order = np.argsort(means, axis=0)
    ordered = [np.take_along_axis(v, order, axis=0).T for v in (weights, means, widths)]
    first, second, third = (v[0] if bins == 1 else v for v in ordered)
    return first, second, third
