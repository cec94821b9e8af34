"""Several sequences in a plane, each a track with scatter, seen through errors in both variables.

    a_i | m_i ~ sum_k f_k N(t_k(m_i) + delta, s_k^2 + e_i^2 + (dt_k/dm)^2 e_m,i^2)

Tracks are given (templates, known up to one zero point delta) or free (B-splines).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods._box_newton import Minimum, minimise
from hven.methods._mixture_rows import log_sum
from hven.methods.padding import pad, padded_length
from hven.methods.precision import in_float64

Array = NDArray[np.float64]
_LOWEST_SCATTER = 1e-4
"""In units of the spread of a."""
_STEP = 128
"""Groups are padded to a multiple of this."""


@dataclass(frozen=True)
class Track:
    """A ridge line a = t(m) through points: monotone cubic between them, straight beyond.

    Attributes
    ----------
    knots, values
        m, increasing, and t there, shapes (j,), at least two.

    Examples
    --------
    >>> value, slope = Track((-1.0, 0.0), (0.3, 0.1)).at([-0.5, 1.0])
    >>> value.round(6).tolist(), slope.round(6).tolist()
    ([0.2, -0.1], [-0.2, -0.2])
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, m: ArrayLike) -> tuple[Array, Array]:
        """Return t and dt/dm at m (n,)."""
        from scipy.interpolate import PchipInterpolator

        where = np.asarray(m, dtype=np.float64)
        inside = np.clip(where, self.knots[0], self.knots[-1])
        curve = PchipInterpolator(self.knots, self.values)
        slope = curve.derivative()(inside)
        return np.asarray(curve(inside) + slope * (where - inside)), np.asarray(slope)


class _Rows(NamedTuple):
    """Standardised columns (n,), and templates and basis at each m: (n, k), (n, k), (n, j), (n, j)."""

    a: Any
    a_var: Any
    m_var: Any
    weight: Any
    template: Any
    template_slope: Any
    basis: Any
    basis_slope: Any


@dataclass(frozen=True)
class _Model:
    """What is fitted: the vector holds stick lengths, log scatters, zero point, and coefficients of free tracks."""

    n_tracks: int
    n_basis: int
    shared_scatter: bool
    has_offset: bool

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        k = self.n_tracks
        return k - 1, 1 if self.shared_scatter else k, int(self.has_offset), k * self.n_basis

    def parts(self, p: Any) -> Any:
        """Return fractions (k,), scatters (k,), offset, coefficients (k, j) of the vector; NumPy or JAX."""
        import jax.numpy as jnp

        ends = np.cumsum(self.sizes)
        sticks, scatter, offset = p[: ends[0]], jnp.exp(p[ends[0] : ends[1]]), p[ends[1] : ends[2]]
        left = jnp.cumprod(jnp.concatenate([jnp.ones(1), 1 - sticks]))
        fractions = left * jnp.concatenate([sticks, jnp.ones(1)])
        scatters = jnp.broadcast_to(scatter, (self.n_tracks,))
        return fractions, scatters, offset.sum(), p[ends[2] :].reshape(self.n_tracks, self.n_basis)


@dataclass(frozen=True)
class SequenceFit:
    """Sequences fitted by `fit_sequences`; k of them, with the tracks as given or, when free, from the lowest up.

    Attributes
    ----------
    fractions, fractions_err
        Shape (k,). A fraction at 0 or 1 has no error (NaN); for its limit give `log_terms` to `two_populations`.
    scatter, scatter_err
        Intrinsic width of each, shape (k,); an error is NaN where the width is at its floor of 1e-4 of the spread of a.
    offset, offset_err
        The zero point delta; 0 and NaN when it is not fitted.
    loglike, bic
        ln L and the Bayesian information criterion.
    n
        Objects used: those with finite values and errors and a weight.
    converged
        Whether the gradient vanishes, for parameters within their bounds.
    """

    fractions: Array
    fractions_err: Array
    scatter: Array
    scatter_err: Array
    offset: float
    offset_err: float
    loglike: float
    bic: float
    n: int
    converged: bool
    _tracks: tuple[Any, ...]

    def tracks(self, m: ArrayLike) -> Array:
        """Return each track with the zero point at m (n,), shape (k, n)."""
        return np.stack([track.at(m)[0] + self.offset for track in self._tracks])

    def log_terms(
        self, m: ArrayLike, a: ArrayLike, m_err: ArrayLike | None = None, a_err: ArrayLike | None = None
    ) -> Array:
        """Return ln N of each object under each sequence, fractions left out, shape (n, k)."""
        where, values = np.asarray(m, dtype=np.float64), np.asarray(a, dtype=np.float64)
        e_m, e_a = (0.0 if e is None else np.asarray(e, dtype=np.float64) for e in (m_err, a_err))
        terms = np.empty((len(where), len(self.fractions)))
        for k, track in enumerate(self._tracks):
            t, slope = track.at(where)
            variance = self.scatter[k] ** 2 + e_a**2 + slope**2 * e_m**2
            terms[:, k] = -0.5 * ((values - t - self.offset) ** 2 / variance + np.log(2 * np.pi * variance))
        return terms

    def membership(
        self, m: ArrayLike, a: ArrayLike, m_err: ArrayLike | None = None, a_err: ArrayLike | None = None
    ) -> Array:
        """Return the probability that each object belongs to each sequence, shape (n, k); NaN for missing values."""
        terms = self.log_terms(m, a, m_err, a_err)
        with np.errstate(divide="ignore"):
            terms = terms + np.log(self.fractions)
        return np.asarray(np.exp(terms - log_sum(terms)[:, None]))


@dataclass(frozen=True)
class _Spline:
    """A free track: coefficients of B-splines."""

    knots: tuple[float, ...]
    coefficients: tuple[float, ...]
    degree: int

    def at(self, m: ArrayLike) -> tuple[Array, Array]:
        from scipy.interpolate import BSpline

        curve = BSpline(np.array(self.knots), np.array(self.coefficients), self.degree)
        where = np.asarray(m, dtype=np.float64)
        return np.asarray(curve(where)), np.asarray(curve.derivative()(where))


@dataclass(frozen=True)
class _Problem:
    rows: _Rows
    starts: Array
    centre: float
    scale: float
    spline_knots: Array
    n: int


@in_float64
def fit_sequences(
    m: ArrayLike,
    a: ArrayLike,
    m_err: ArrayLike | None = None,
    a_err: ArrayLike | None = None,
    *,
    tracks: Sequence[Track] | int,
    degree: int = 2,
    knots: Sequence[float] = (),
    offset_sd: float = 0.0,
    shared_scatter: bool = True,
    weights: ArrayLike | None = None,
) -> SequenceFit:
    """Return the mixture of sequences in the plane (m, a) with the highest likelihood, errors in both accounted for.

    a_i | m_i ~ sum_k f_k N(t_k(m_i) + delta, s_k^2 + e_i^2 + (dt_k/dm)^2 e_m,i^2). Fractions may reach zero; errors are
    from the observed information of the parameters that are not at a bound.

    Parameters
    ----------
    m, a
        The two variables, [M/H] and [alpha/M] say, shape (n,).
    m_err, a_err
        1-sigma errors, shape (n,) or one for all; None for none.
    tracks
        Templates, or the number of free tracks.
    degree, knots
        Of free tracks: B-splines with these inner knots in m; without any, a polynomial.
    offset_sd
        Width of the Gaussian prior around 0 of the common zero point delta; 0 holds it at 0. For templates.
    shared_scatter
        One intrinsic width for all sequences, or one each.
    weights
        How often each object counts, shape (n,).

    Raises
    ------
    DataRefusedError
        Shapes do not fit, or all a are equal.
    TooFewObjectsError
        Not more objects than parameters.
    ParameterError
        No track, or an offset for free tracks.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> m = rng.uniform(-1, 0.3, 600)
    >>> is_low = rng.random(600) < 0.3
    >>> a = np.where(is_low, 0.05, 0.25) + rng.normal(scale=0.04, size=600)
    >>> low, high = Track((-1.0, 0.5), (0.05, 0.05)), Track((-1.0, 0.5), (0.25, 0.25))
    >>> fit = fit_sequences(m, a, a_err=0.02, tracks=[low, high])
    >>> bool(abs(fit.fractions[0] - is_low.mean()) < 0.02)
    True
    """
    return _fit_all(
        [(m, a, m_err, a_err, weights)], tracks, degree, knots, offset_sd=offset_sd, shared_scatter=shared_scatter
    )[0]


@in_float64
def fit_sequences_of_each(
    groups: Sequence[tuple[ArrayLike | None, ...]],
    *,
    tracks: Sequence[Track] | int,
    degree: int = 2,
    knots: Sequence[float] = (),
    offset_sd: float = 0.0,
    shared_scatter: bool = True,
) -> list[SequenceFit]:
    """Return `fit_sequences` of each of many groups (fields, radial bins, bootstrap samples), in one batch.

    Parameters
    ----------
    groups
        (m, a, m_err, a_err) of each, or (m, a, m_err, a_err, weights); the lengths may differ.
    tracks, degree, knots, offset_sd, shared_scatter
        As for `fit_sequences`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> low, high = Track((-1.0, 0.5), (0.05, 0.05)), Track((-1.0, 0.5), (0.25, 0.25))
    >>> field = rng.uniform(-1, 0.3, 600), rng.normal(0.25, 0.05, 600), None, 0.02
    >>> [round(float(fit.fractions[1])) for fit in fit_sequences_of_each([field], tracks=[low, high])]
    [1]
    """
    each = [(*group, *[None] * (5 - len(group))) for group in groups]
    return _fit_all(each, tracks, degree, knots, offset_sd=offset_sd, shared_scatter=shared_scatter) if each else []


def _fit_all(
    groups: Sequence[tuple[Any, ...]],
    tracks: Sequence[Track] | int,
    degree: int,
    knots: Sequence[float],
    *,
    offset_sd: float,
    shared_scatter: bool,
) -> list[SequenceFit]:
    given = None if isinstance(tracks, int | np.integer) else tuple(tracks)
    n_tracks = int(tracks) if given is None else len(given)  # type: ignore[arg-type]
    if n_tracks < 1 or offset_sd < 0 or (given is None and offset_sd > 0):
        raise ParameterError(
            f"{n_tracks} tracks with offset_sd {offset_sd:g}",
            expected="at least one track, and an offset for templates only",
            hint="Free tracks fit their own zero point.",
        )
    model = _Model(n_tracks, 0 if given else degree + 1 + len(knots), shared_scatter, offset_sd > 0)
    problems = [_problem(group, model, given, degree, knots) for group in groups]
    longest = max(len(problem.rows.a) for problem in problems)
    length = padded_length(longest) if len(problems) == 1 else -(-longest // _STEP) * _STEP
    rows = _Rows(
        *(
            np.stack([pad(v, length, 1.0 if name == "a_var" else 0.0) for v in fields])
            for name, fields in zip(_Rows._fields, zip(*(p.rows for p in problems), strict=True), strict=True)
        )
    )
    prior = np.array([(problem.scale / offset_sd) ** 2 if offset_sd > 0 else 0.0 for problem in problems])
    found = _compiled(model)(np.stack([problem.starts for problem in problems]), rows, prior)
    return [
        _told(Minimum(*(np.asarray(v)[i] for v in found)), problem, model, given, degree, prior[i])
        for i, problem in enumerate(problems)
    ]


def _problem(
    group: tuple[Any, ...], model: _Model, given: tuple[Track, ...] | None, degree: int, knots: Sequence[float]
) -> _Problem:
    m, a, m_err, a_err, weights = (None if v is None else np.asarray(v, dtype=np.float64) for v in group)
    assert m is not None and a is not None  # noqa: S101, PT018 - callers give both
    columns = [a, *(np.asarray(d if v is None else v) for v, d in ((m_err, 0.0), (a_err, 0.0), (weights, 1.0)))]
    if m.ndim != 1 or a.shape != m.shape or any(v.shape not in ((), m.shape) for v in columns):
        raise DataRefusedError(
            f"m has shape {m.shape} and the other columns {[v.shape for v in columns]}",
            expected="(n,) for all, or one error for all",
            hint="Align the columns.",
        )
    a, e_m, e_a, w = (np.broadcast_to(v, m.shape) for v in columns)
    good = np.isfinite(m) & np.isfinite(a) & np.isfinite(e_m) & np.isfinite(e_a) & (e_m >= 0) & (e_a >= 0) & (w > 0)
    m, a, e_m, e_a, w = (v[good] for v in (m, a, e_m, e_a, w))
    if len(m) <= sum(model.sizes):
        raise TooFewObjectsError(
            f"{len(m)} objects for {sum(model.sizes)} parameters",
            expected=f"more than {sum(model.sizes)}",
            hint="Take templates, fewer tracks, or a wider bin.",
        )
    centre = float(np.average(a, weights=w))
    scale = float(np.sqrt(np.average((a - centre) ** 2, weights=w)))
    if not scale > 1e-12 * abs(centre):
        raise DataRefusedError("all objects have the same a", expected="values that differ", hint="Check the column.")
    template, slope = np.zeros((2, len(m), model.n_tracks))
    basis = basis_slope = np.zeros((len(m), 0))
    spline_knots = np.empty(0)
    if given is not None:
        pairs = [track.at(m) for track in given]
        template = (np.stack([t for t, _ in pairs], axis=1) - centre) / scale
        slope = np.stack([s for _, s in pairs], axis=1) / scale
    else:
        from scipy.interpolate import BSpline

        ends = m.min(), max(m.max(), m.min() + 1e-12 + 1e-9 * abs(m.min()))
        spline_knots = np.concatenate([np.repeat(ends[0], degree + 1), knots, np.repeat(ends[1], degree + 1)])
        curves = BSpline(spline_knots, np.eye(model.n_basis), degree)
        basis, basis_slope = curves(m), curves.derivative()(m)
    y = (a - centre) / scale
    rows = _Rows(y, (e_a / scale) ** 2, e_m**2, w, template, slope, basis, basis_slope)
    return _Problem(rows, _starts(rows, model), centre, scale, spline_knots, len(m))


def _starts(rows: _Rows, model: _Model) -> Array:
    """Return starting vectors, shape (3, m): small, equal and large fractions of the first tracks."""
    from scipy.special import ndtri

    k = model.n_tracks
    if model.n_basis:
        middle = np.linalg.lstsq(rows.basis, rows.a, rcond=None)[0]
        spread = np.std(rows.a - rows.basis @ middle)
        coefficients = (middle + (spread * ndtri((np.arange(k) + 0.5) / k))[:, None]).ravel()
        nearest = np.array([spread / k])
    else:
        coefficients = np.empty(0)
        nearest = np.abs(rows.a[:, None] - rows.template).min(axis=1)
    width = np.log(np.clip(np.sqrt(np.mean(nearest**2)), 0.05, 1.0))
    tail = [np.full(model.sizes[1], width), np.zeros(model.sizes[2]), coefficients]
    return np.stack([np.concatenate([np.full(k - 1, share), *tail]) for share in (0.1, 0.5, 0.9)])


@lru_cache(maxsize=32)
def _compiled(model: _Model) -> Any:
    """Return the compiled search of many problems from their best start: (starts, rows, prior) -> Minimum."""
    import jax
    import jax.numpy as jnp

    # a batch goes on until its slowest member stops: worth it on a device, not on a processor
    each: Any = jax.lax.map if jax.default_backend() == "cpu" else (lambda f, args: jax.vmap(f)(args))
    ends = np.cumsum(model.sizes)
    lower, upper = np.full(ends[-1], -np.inf), np.full(ends[-1], np.inf)
    lower[: ends[0]], upper[: ends[0]] = 0.0, 1.0
    lower[ends[0] : ends[1]], upper[ends[0] : ends[1]] = np.log(_LOWEST_SCATTER), np.log(100.0)

    def one(starts: Any, rows: _Rows, prior: Any) -> Minimum:
        search = partial(minimise, partial(_loss, rows=rows, prior=prior, model=model), lower=lower, upper=upper)
        found = each(search, starts)
        best = jnp.argmin(jnp.where(jnp.isfinite(found.value), found.value, jnp.inf))
        return Minimum(*(v[best] for v in found))

    return jax.jit(lambda starts, rows, prior: each(lambda args: one(*args), (starts, rows, prior)))


def _loss(p: Any, rows: _Rows, prior: Any, model: _Model) -> Any:
    """Return the mean negative log-likelihood, the prior of the zero point included."""
    import jax.numpy as jnp

    fractions, scatters, offset, coefficients = model.parts(p)
    t = rows.template + rows.basis @ coefficients.T + offset
    slope = rows.template_slope + rows.basis_slope @ coefficients.T
    variance = scatters**2 + rows.a_var[:, None] + slope**2 * rows.m_var[:, None]
    log_terms = -0.5 * ((rows.a[:, None] - t) ** 2 / variance + jnp.log(2 * jnp.pi * variance))
    top = log_terms.max(axis=1)
    # fractions stay outside the logarithm, where zero is allowed and has a finite derivative
    inside = jnp.maximum((fractions * jnp.exp(log_terms - top[:, None])).sum(axis=1), 1e-300)
    total = jnp.where(rows.weight > 0, rows.weight * (jnp.log(inside) + top), 0.0).sum()
    return (-total + 0.5 * prior * offset**2) / rows.weight.sum()


def _told(
    found: Minimum, problem: _Problem, model: _Model, given: tuple[Track, ...] | None, degree: int, prior: float
) -> SequenceFit:
    import jax

    weight = float(problem.rows.weight.sum())
    scale = problem.scale
    fractions, scatters, offset, coefficients = (np.asarray(v) for v in model.parts(found.p))
    cov = np.zeros_like(found.hessian)
    free = np.flatnonzero(found.is_free)
    information = weight * found.hessian[np.ix_(free, free)]
    is_peak = len(free) > 0 and np.isfinite(information).all() and np.linalg.eigvalsh(information)[0] > 0
    cov[np.ix_(free, free)] = np.linalg.inv(information) if is_peak else np.nan
    sizes = model.sizes
    jacobian = np.asarray(jax.jacfwd(lambda p: model.parts(p)[0])(found.p))
    fractions_err = np.sqrt(np.diag(jacobian @ cov @ jacobian.T))
    log_err = np.sqrt(np.diag(cov)[sizes[0] : sizes[0] + sizes[1]])
    offset_err = np.sqrt(np.diag(cov)[sum(sizes[:2]) : sum(sizes[:3])]).sum() * scale if model.has_offset else np.nan
    knots = tuple(problem.spline_knots.tolist())
    curves: tuple[Any, ...] = given or tuple(
        _Spline(knots, tuple((problem.centre + scale * c).tolist()), degree) for c in coefficients
    )
    order = np.arange(model.n_tracks)
    if given is None:
        order = np.argsort([np.mean(problem.rows.basis @ c) for c in coefficients])
    scatter_err = np.broadcast_to(log_err, scatters.shape) * scatters * scale
    loglike = -float(found.value) * weight + 0.5 * prior * float(offset) ** 2 - weight * np.log(scale)
    return SequenceFit(
        fractions=fractions[order],
        fractions_err=np.where(fractions_err > 0, fractions_err, np.nan)[order],
        scatter=(scatters * scale)[order],
        scatter_err=np.where(scatter_err > 0, scatter_err, np.nan)[order],
        offset=float(offset) * scale,
        offset_err=float(offset_err),
        loglike=float(loglike),
        bic=float(sum(sizes) * np.log(weight) - 2 * loglike),
        n=problem.n,
        converged=bool(found.converged),
        _tracks=tuple(curves[k] for k in order),
    )
