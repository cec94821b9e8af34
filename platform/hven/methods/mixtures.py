"""Mixtures for data with errors: extreme deconvolution, sequences, two populations; distances in units of errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods import _deconvolution as xd
from hven.methods._mixture_rows import (
    Table,
    Units,
    log_sum,
    mean_error_covariance,
    rows_of,
    smallest_noise,
    starting_points,
)
from hven.methods._populations import PopulationFraction, two_populations
from hven.methods._sequences import SequenceFit, Track, fit_sequences, fit_sequences_of_each
from hven.methods.padding import pad, padded_length
from hven.methods.precision import in_float64

__all__ = [
    "GaussianMixture",
    "MixtureFit",
    "MixtureSums",
    "PopulationFraction",
    "SequenceFit",
    "Track",
    "Whitening",
    "extreme_deconvolution",
    "extreme_deconvolution_of_each",
    "fit_sequences",
    "fit_sequences_of_each",
    "two_populations",
    "whitening",
]

Array = NDArray[np.float64]
_TRIAL_STEPS = 30
_NO_WIDTH = 1e-10
"""Variance, in units of that of a column, below which a component has no width."""


@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of k Gaussians in d dimensions: the distribution without the errors.

    Attributes
    ----------
    weights, means, covs
        Shapes (k,), (k, d) and (k, d, d).

    Examples
    --------
    >>> one = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> round(float(np.exp(one.log_density([[0.0]], err=[[1.0]])[0])), 4)  # N(0 | 0, 1 + 1)
    0.2821
    """

    weights: Array
    means: Array
    covs: Array

    @in_float64
    def log_density(self, x: ArrayLike, err: ArrayLike | None = None, projection: ArrayLike | None = None) -> Array:
        """Return ln p(x) of each row with its errors, shape (n,); missing values are marginalised over.

        Parameters are those of `extreme_deconvolution`. NaN where all values are missing.
        """
        terms = self._posterior(x, err, projection)[0]
        return log_sum(terms)

    @in_float64
    def membership(self, x: ArrayLike, err: ArrayLike | None = None, projection: ArrayLike | None = None) -> Array:
        """Return the probability that each row belongs to each component, shape (n, k)."""
        terms = self._posterior(x, err, projection)[0]
        return np.asarray(np.exp(terms - log_sum(terms)[:, None]))

    @in_float64
    def denoise(
        self, x: ArrayLike, err: ArrayLike | None = None, projection: ArrayLike | None = None
    ) -> tuple[Array, Array]:
        """Return mean (n, d) and covariance (n, d, d) of the true values given the observed ones."""
        terms, shift, spread = self._posterior(x, err, projection)
        q = np.exp(terms - log_sum(terms)[:, None])
        each = self.means + shift
        mean = np.einsum("nk,nkd->nd", q, each)
        off = each - mean[:, None]
        return mean, np.einsum("nk,nkde->nde", q, spread + off[..., :, None] * off[..., None, :])

    def sample(self, n: int, seed: int) -> Array:
        """Return `n` draws of the true values, shape (n, d)."""
        rng = np.random.default_rng(seed)
        component = rng.choice(len(self.weights), n, p=self.weights)
        roots = np.linalg.cholesky(self.covs)
        return np.asarray(
            self.means[component] + np.einsum("nde,ne->nd", roots[component], rng.normal(size=(n, self.means.shape[1])))
        )

    @in_float64
    def expect(
        self,
        x: ArrayLike,
        err: ArrayLike | None = None,
        projection: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> "MixtureSums":
        """Return the sums of the E step over these rows; those of parts of a table merge: `MixtureSums`."""
        table = rows_of(x, err, projection, weights)
        sums = xd.compiled_expect()(self._parameters(), _padded(table))
        return MixtureSums(self, *(np.asarray(v) for v in sums))

    def _parameters(self) -> xd.Parameters:
        return xd.Parameters(self.weights, self.means, self.covs)

    def _posterior(
        self, x: ArrayLike, err: ArrayLike | None, projection: ArrayLike | None
    ) -> tuple[Array, Array, Array]:
        table = rows_of(x, err, projection, None)
        n = len(table.x)
        terms, shift, spread = (np.array(v)[:n] for v in xd.compiled_posterior()(self._parameters(), _padded(table)))
        terms[table.n_seen == 0] = np.nan
        return terms, shift, spread


@dataclass(frozen=True)
class MixtureSums:
    """What one pass over some rows says about a mixture: sums that add over parts of a table.

    Attributes
    ----------
    mixture
        Under which the expectations were taken.
    mass, first, second
        Sums of memberships q, of q (b - m) and of q [(b - m)(b - m)^T + B]; shapes (k,), (k, d) and (k, d, d).
    loglike, weight
        Sum of ln p and of the weights.
    """

    mixture: GaussianMixture
    mass: Array
    first: Array
    second: Array
    loglike: Array
    weight: Array

    def merge(self, other: "MixtureSums") -> "MixtureSums":
        """Return the sums over the rows of both, which must come from the same mixture."""
        if self.mixture is not other.mixture and not all(
            np.array_equal(a, b)
            for a, b in zip(self.mixture._parameters(), other.mixture._parameters(), strict=True)  # noqa: SLF001
        ):
            raise DataRefusedError(
                "sums under different mixtures cannot be merged",
                expected="one mixture for all parts of a step",
                hint="Send the same mixture to every part.",
            )
        added = (
            getattr(self, name) + getattr(other, name) for name in ("mass", "first", "second", "loglike", "weight")
        )
        return MixtureSums(self.mixture, *added)

    @in_float64
    def maximise(self, w: float = 0.0) -> GaussianMixture:
        """Return the mixture after one EM step; its likelihood is not lower. `w` as for `extreme_deconvolution`.

        Examples
        --------
        >>> x = np.random.default_rng(0).normal(size=(500, 1))
        >>> start = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.full((1, 1, 1), 9.0))
        >>> better = start.expect(x[:200]).merge(start.expect(x[200:])).maximise()
        >>> bool(np.isclose(better.covs[0, 0, 0], x.var()))
        True
        """
        sums = xd.Expectations(self.mass, self.first, self.second, self.loglike, self.weight)
        held = np.full(self.first.shape[1], w)
        after = xd.maximise(self.mixture._parameters(), sums, held)  # noqa: SLF001
        return GaussianMixture(*(np.asarray(v) for v in after))


@dataclass(frozen=True)
class MixtureFit:
    """A mixture fitted by `extreme_deconvolution`.

    Attributes
    ----------
    mixture
        The distribution without the errors.
    loglike, bic
        ln L at the end and the Bayesian information criterion.
    n
        Rows with at least one value.
    history
        What EM climbs at each step from the best start: ln L, less the penalty when `w` is positive. Never falls.
    converged
        Whether the last step gained less than `tol` per row.
    """

    mixture: GaussianMixture
    loglike: float
    bic: float
    n: int
    history: Array
    converged: bool


@in_float64
def extreme_deconvolution(
    x: ArrayLike,
    err: ArrayLike | None = None,
    *,
    n_components: int | Sequence[int],
    projection: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    w: float = 0.0,
    seed: int = 0,
    n_starts: int = 5,
    tol: float = 1e-7,
    max_steps: int = 2000,
) -> MixtureFit:
    """Return the mixture of Gaussians that the true values follow, behind errors that differ from row to row.

    Extreme deconvolution (Bovy, Hogg & Roweis 2011, arXiv:0905.2979): x_i = R_i v_i + N(0, S_i),
    v ~ sum_k alpha_k N(m_k, V_k). With T_ik = R_i V_k R_i^T + S_i the EM steps are (their eqs. 16-19)
    q_ik ~ alpha_k N(x_i | R_i m_k, T_ik), b_ik = m_k + V_k R_i^T T_ik^-1 (x_i - R_i m_k),
    B_ik = V_k - V_k R_i^T T_ik^-1 R_i V_k, m_k = sum q b / sum q,
    V_k = (sum q [(b - m)(b - m)^T + B] + w I) / (sum q + 1), where the 1 and w I are left out for w = 0.

    The fit works in units in which every column has mean 0 and scatter 1: another unit of a column gives the same
    mixture in that unit. A start whose component shrinks onto rows that repeat, where the likelihood has no maximum
    without errors, is given up for the next best.

    Parameters
    ----------
    x
        Observed values, shape (n, q); NaN is missing.
    err
        1-sigma errors (n, q), or error covariances (n, q, q); None for none. A value with an unusable error is missing.
    n_components
        Number of Gaussians; of several numbers the one with the lowest BIC is taken.
    projection
        R_i, shape (n, q, d); None is the identity.
    weights
        How often each row counts, shape (n,).
    w
        Regularisation, in squared units of v: keeps a component from collapsing on a single row.
    seed
        Of the starting points, which do not depend on the order of the rows.
    n_starts
        How many are tried for a few steps each; the highest goes on.
    tol, max_steps
        EM stops when a step gains less than `tol` in ln L per row, or after `max_steps`.

    Raises
    ------
    DataRefusedError
        Shapes do not fit; or every start collapses: a column does not vary, or rows repeat, and they have no errors.
    TooFewObjectsError
        Fewer rows than components.
    ParameterError
        `n_components`, `n_starts` or `w` is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> err = rng.uniform(0.5, 2.0, (4000, 1))
    >>> x = rng.normal(size=(4000, 1)) + err * rng.normal(size=(4000, 1))
    >>> fit = extreme_deconvolution(x, err, n_components=1)
    >>> round(float(fit.mixture.covs[0, 0, 0]), 1), round(float(x.var()), 1)
    (1.0, 2.7)
    """
    numbers = [n_components] if isinstance(n_components, int | np.integer) else list(n_components)
    table = rows_of(x, err, projection, weights)
    fits, collapsed = [], None
    for k in numbers:
        try:
            fits += _fit([table], k, w=w, seed=seed, n_starts=n_starts, tol=tol, max_steps=max_steps, many=False)
        except DataRefusedError as error:
            collapsed = error
    if collapsed is not None and not fits:
        raise collapsed
    if not fits:
        raise ParameterError("no number of components", expected="at least one", hint="Try n_components=(1, 2, 3).")
    return min(fits, key=lambda fit: fit.bic)


@in_float64
def extreme_deconvolution_of_each(
    groups: Sequence[ArrayLike],
    errs: Sequence[ArrayLike] | None = None,
    *,
    n_components: int,
    w: float = 0.0,
    seed: int = 0,
    n_starts: int = 5,
    tol: float = 1e-7,
    max_steps: int = 2000,
) -> list[MixtureFit]:
    """Return `extreme_deconvolution` of each of many groups, all in one batch on the device.

    Parameters
    ----------
    groups, errs
        One array per group, as `x` and `err` there; the lengths may differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fits = extreme_deconvolution_of_each([rng.normal(m, 1, (300, 1)) for m in (0, 5)], n_components=1)
    >>> [round(float(fit.mixture.means[0, 0])) for fit in fits]
    [0, 5]
    """
    tables = [rows_of(x, None if errs is None else errs[i], None, None) for i, x in enumerate(groups)]
    return _fit(tables, n_components, w=w, seed=seed, n_starts=n_starts, tol=tol, max_steps=max_steps, many=True)


def _fit(
    tables: list[Table], k: int, *, w: float, seed: int, n_starts: int, tol: float, max_steps: int, many: bool
) -> list[MixtureFit]:
    if k < 1 or n_starts < 1 or w < 0:
        raise ParameterError(
            f"n_components is {k}, n_starts {n_starts}, w {w}", expected="k >= 1, n_starts >= 1, w >= 0", hint="Adjust."
        )
    for table in tables:
        if table.n < k:
            raise TooFewObjectsError(
                f"{table.n} rows for a mixture of {k}", expected=f"at least {k}", hint="Use fewer components."
            )
    if not tables:
        return []
    units = [Units.of(table) for table in tables]
    scaled = [unit.standardise(table) for unit, table in zip(units, tables, strict=True)]
    length = max(padded_length(len(table.x)) for table in tables)
    rows = [_padded(table, length) for table in scaled]
    starts = [starting_points(table, k, n_starts, seed) for table in scaled]  # of each group: (s, ...) three times
    held = [w / unit.scale**2 for unit in units]
    climb = xd.compiled(max(max_steps, _TRIAL_STEPS) + 1, many=many)
    data = xd.Rows(*map(np.stack, zip(*rows, strict=True))) if many else rows[0]

    def run(start: list[xd.Parameters], steps: int) -> list[xd.Fit]:
        stacked = xd.Parameters(*map(np.stack, zip(*start, strict=True))) if many else start[0]
        found = climb(stacked, data, np.stack(held) if many else held[0], tol, steps)
        return [_part(found, i) for i in range(len(tables))] if many else [found]

    tried = [run([xd.Parameters(*(v[s] for v in start)) for start in starts], _TRIAL_STEPS) for s in range(n_starts)]
    trials = [_by_height([fits[i] for fits in tried]) for i in range(len(tables))]
    taken = [0] * len(tables)
    while True:
        best = [trials[i][min(taken[i], len(trials[i]) - 1)] if trials[i] else tried[0][i] for i in range(len(tables))]
        found = run([fit.parameters for fit in best], max_steps)
        lost = [i for i, fit in enumerate(found) if _is_collapsed(fit, scaled[i])]
        if not lost:
            break
        for i in lost:
            taken[i] += 1
            if taken[i] >= len(trials[i]):
                raise _no_maximum(tables[i], k, f"group {i}" if many else "")
    return [
        _told(fit, table, np.asarray(trial.history)[: int(trial.n_steps)], unit, w)
        for fit, table, trial, unit in zip(found, tables, best, units, strict=True)
    ]


def _by_height(trials: list[xd.Fit]) -> list[xd.Fit]:
    """Return the trials of one group that are not lost, from the one that climbed highest."""
    heights = [float(np.asarray(fit.history)[int(fit.n_steps)]) for fit in trials]
    order = sorted(range(len(trials)), key=lambda s: -heights[s] if np.isfinite(heights[s]) else np.inf)
    return [trials[s] for s in order if np.isfinite(heights[s])]


def _is_collapsed(fit: xd.Fit, table: Table) -> bool:
    """Return whether a component has no width along some direction in which some rows have no error."""
    values = [np.asarray(v) for v in (*fit.parameters, fit.loglike)]
    if not all(np.isfinite(v).all() for v in values):
        return True
    return bool(np.linalg.eigvalsh(values[2]).min() < _NO_WIDTH and smallest_noise(table) < _NO_WIDTH)


def _no_maximum(table: Table, k: int, where: str) -> DataRefusedError:
    return DataRefusedError(
        f"the likelihood of a mixture of {k} has no maximum for these {table.n} rows: a component shrinks to no width"
        " at values that repeat without errors",
        where=where,
        expected="columns that vary, rows that differ, or errors above zero",
        hint="Give errors, leave out columns of one value, use fewer components, or hold the widths by w.",
    )


def _part(fit: xd.Fit, i: int) -> xd.Fit:
    parameters = xd.Parameters(*(v[i] for v in fit.parameters))
    return xd.Fit(parameters, *(v[i] for v in fit[1:]))


def _told(fit: xd.Fit, table: Table, before: Array, unit: Units, w: float) -> MixtureFit:
    weights, means, covs = (np.asarray(v) for v in fit.parameters)
    mixture = GaussianMixture(weights, unit.mean + unit.scale * means, np.outer(unit.scale, unit.scale) * covs)
    k, d = mixture.means.shape
    n_parameters = k - 1 + k * d + k * d * (d + 1) // 2
    offset = unit.log_unit(table)
    loglike = float(fit.loglike) - offset
    climbed = np.concatenate([before, np.asarray(fit.history)[: int(fit.n_steps) + 1]])
    return MixtureFit(
        mixture=mixture,
        loglike=loglike,
        bic=float(n_parameters * np.log(table.weight[table.n_seen > 0].sum()) - 2 * loglike),
        n=table.n,
        history=climbed - offset - (k * np.log(unit.scale).sum() if w > 0 else 0.0),
        converged=bool(fit.converged),
    )


def _padded(table: Table, length: int | None = None) -> xd.Rows:
    length = length or padded_length(len(table.x))
    noise = pad(table.noise, length, 0.0)
    noise[len(table.x) :] = np.eye(noise.shape[1])
    return xd.Rows(
        pad(table.x, length, 0.0),
        noise,
        pad(table.projection, length, 0.0),
        pad(table.n_seen, length, 0.0),
        pad(np.where(table.n_seen > 0, table.weight, 0.0), length, 0.0),
    )


@dataclass(frozen=True)
class Whitening:
    """The linear map after which the mean error is one in every direction: distances are then in units of errors.

    Attributes
    ----------
    root
        L with L L^T = mean error covariance, shape (d, d).
    """

    root: Array

    def apply(self, x: ArrayLike) -> Array:
        """Return L^-1 x of each row (n, d)."""
        from scipy.linalg import solve_triangular

        return np.asarray(
            solve_triangular(self.root, np.asarray(x, dtype=np.float64).T, lower=True, check_finite=False).T
        )

    def invert(self, z: ArrayLike) -> Array:
        """Return L z of each row (n, d)."""
        return np.asarray(np.asarray(z, dtype=np.float64) @ self.root.T)


def whitening(err: ArrayLike) -> Whitening:
    """Return the `Whitening` of errors (n, d), or error covariances (n, d, d); rows with an unusable one are left out.

    Raises
    ------
    DataRefusedError
        The mean error covariance is not positive definite: a column has no errors.

    Examples
    --------
    >>> white = whitening([[0.1, 2.0], [0.1, 2.0]])
    >>> white.apply([[0.2, 2.0]]).round(6).tolist(), white.invert([[2.0, 1.0]]).round(6).tolist()
    ([[2.0, 1.0]], [[0.2, 2.0]])
    """
    mean = mean_error_covariance(err)
    try:
        return Whitening(np.linalg.cholesky(mean))
    except np.linalg.LinAlgError:
        raise DataRefusedError(
            "the mean error covariance is not positive definite",
            expected="errors above zero in every column",
            hint="Leave columns without errors out, or give them one.",
        ) from None
