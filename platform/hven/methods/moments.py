"""Means, covariances and correlations of any number of rows in one pass: weights, gaps, errors, bootstrap.

`Moments` is what is known after some rows; two of them `merge` to what is known after all, whichever way the rows were
cut. `bootstrap_moments` gives a `Moments` with one more axis, the replicates. `moments_by_group` and `pool` leave the
differences between groups out: covariances at a fixed place in other variables.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._moments_bootstrap import poisson_weights, replicate_sums
from hven.methods._moments_sums import Sums, add, sums

__all__ = ["Moments", "Reason", "bootstrap_moments", "moments_by_group", "poisson_weights", "pool"]

Array = NDArray[np.float64]
WeightsAre = Literal["counts", "reliability"]


class Reason(IntEnum):
    """Why a covariance or a correlation is NaN, or is not to be trusted."""

    NONE = 0
    TOO_FEW = 1
    """Fewer than two rows with both values for a covariance, than three for a correlation: NaN."""
    CONSTANT = 2
    """A column does not vary (to rounding): the correlation is NaN."""
    NEGATIVE_VARIANCE = 3
    """The errors are larger than the scatter: the corrected variance and its correlations are NaN."""
    ABOVE_ONE = 4
    """The error-corrected correlation lies beyond +-1, as it may by chance. It is kept: clipping would bias."""


@dataclass(frozen=True)
class Moments:
    """Weighted first and second moments of p columns; every field has the shape (..., p, p).

    Values may be missing. Row i, column j of a field then speaks of column i over the rows that have both i and j.
    Leading axes are replicates of a bootstrap.

    Attributes
    ----------
    n
        Number of rows.
    weight, weight2
        Sums of the weights and of their squares.
    mean
        Weighted mean of column i.
    spread
        Weighted sum of squared deviations of column i from that mean.
    comoment
        Weighted sum of products of the deviations of columns i and j.
    noise, conoise
        Weighted sums of the error variance of column i, and of the error covariance of i and j; None without errors.
    groups
        How many means were taken from the data: 1, or the number of groups after `pool`.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0], [2.0, 4.5], [3.0, 5.5], [4.0, 8.0]])
    >>> half = Moments.from_array(x[:2])
    >>> whole = half.merge(Moments.from_array(x[2:]))
    >>> bool(np.allclose(whole.covariance(), np.cov(x, rowvar=False), rtol=1e-12))
    True
    """

    n: NDArray[np.int64]
    weight: Array
    weight2: Array
    mean: Array
    spread: Array
    comoment: Array
    noise: Array | None
    conoise: Array | None
    groups: NDArray[np.int64]

    @classmethod
    def from_array(cls, x: ArrayLike, err: ArrayLike | None = None, weights: ArrayLike | None = None) -> "Moments":
        """Return the moments of the rows of `x`.

        Parameters
        ----------
        x
            Shape (n, p), or (n,) for one column. What is not finite is missing.
        err
            1-sigma errors, shape (n, p), or the error covariance of each row, shape (n, p, p). A value whose error is
            negative or not finite is taken as missing, for it cannot be corrected.
        weights
            How often each row counts, shape (n,). Rows of weight zero or NaN are left out.

        Raises
        ------
        DataRefusedError
            Shapes do not fit, or a weight is negative.
        """
        return _moments(sums(*_checked(x, err, weights)))

    @property
    def means(self) -> Array:
        """Weighted mean of each column over the rows that have it, shape (..., p); NaN where none has."""
        known = np.diagonal(self.weight, axis1=-2, axis2=-1) > 0
        return np.where(known, np.diagonal(self.mean, axis1=-2, axis2=-1), np.nan)

    @property
    def n_effective(self) -> Array:
        """Kish's effective number of rows, (sum w)^2 / sum w^2, shape (..., p, p)."""
        return np.divide(self.weight**2, self.weight2, out=np.zeros_like(self.weight), where=self.weight2 > 0)

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of the rows of both (Chan, Golub & LeVeque 1979): order and cuts do not matter.

        Raises
        ------
        DataRefusedError
            The numbers of columns differ, one has errors and the other has not, or one was pooled.
        """
        if self.n.shape != other.n.shape or (self.noise is None) != (other.noise is None):
            raise DataRefusedError(
                f"moments of shape {self.n.shape} and {other.n.shape}"
                f" {'without' if self.noise is None else 'with'} and {'without' if other.noise is None else 'with'}"
                " errors cannot be merged",
                expected="the same columns and replicates, errors in all parts or in none",
                hint="Give every part the same columns and errors.",
            )
        if np.any(self.groups > 1) or np.any(other.groups > 1):
            raise DataRefusedError(
                "moments that were pooled cannot be merged",
                expected="moments of rows",
                hint="Merge the moments of each group first, then pool.",
            )
        return _moments(add(_sums(self), _sums(other)))

    def select(self, columns: Sequence[int]) -> "Moments":
        """Return the moments of some of the columns, in the given order."""
        at = np.asarray(columns, dtype=np.intp)
        named: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        taken: dict[str, Any] = {k: v if v is None else v[..., at[:, None], at] for k, v in named.items()}
        return Moments(**taken)

    def covariance(self, corrected: bool | None = None, weights_are: WeightsAre = "counts") -> Array:
        """Return the covariance, shape (..., p, p): comoment / (weight - 1), less the mean error covariance.

        Parameters
        ----------
        corrected
            Whether the errors are subtracted; None does it when there are any. A variance that comes out negative is
            NaN, see `reasons`: the errors explain more than there is.
        weights_are
            ``"counts"``: weights say how often a row counts, and the denominator is sum w - 1. ``"reliability"``: they
            say how much it is trusted, and the denominator is sum w - sum w^2 / sum w; their scale does not matter.

        Raises
        ------
        ParameterError
            `corrected` is True and there are no errors.
        """
        corrected = self._corrects(corrected)
        return self._covariance(self.comoment, self.conoise, corrected=corrected, weights_are=weights_are)

    def correlation(self, corrected: bool | None = None, weights_are: WeightsAre = "counts") -> Array:
        """Return the correlation, shape (..., p, p); parameters are those of `covariance`, `reasons` explains NaN.

        Over the rows that have both columns: covariance_ij / sqrt(variance_i variance_j), all three corrected.
        """
        return self._correlation(corrected, weights_are)[0]

    def reasons(self, corrected: bool | None = None, weights_are: WeightsAre = "counts") -> NDArray[np.int8]:
        """Return why each element of `correlation` is NaN or suspect, as codes of `Reason`, shape (..., p, p)."""
        return self._correlation(corrected, weights_are)[1]

    def cross_covariance(self, rows: Sequence[int], columns: Sequence[int], corrected: bool | None = None) -> Array:
        """Return the covariance of the columns `rows` with the columns `columns`, shape (..., r, c)."""
        covariance = self.covariance(corrected)
        return np.asarray(covariance[..., np.asarray(rows, dtype=np.intp)[:, None], np.asarray(columns, dtype=np.intp)])

    def partial_covariance(self, given: Sequence[int], corrected: bool | None = None) -> Array:
        """Return the covariance of the other columns with the columns `given` held fixed, shape (..., r, r).

        S_aa - S_ab S_bb^-1 S_ba: the covariance of the residuals from linear regression on `given`, without their
        attenuation by errors when the covariance is the corrected one. NaN where S_bb is not positive definite.

        Examples
        --------
        >>> rng = np.random.default_rng(1)
        >>> age, rest = rng.normal(size=5000), rng.normal(size=(5000, 2))
        >>> m = Moments.from_array(np.column_stack([age + rest[:, 0], age + rest[:, 1], age]))
        >>> round(float(m.correlation()[0, 1]), 1), bool(abs(m.partial_correlation([2])[0, 1]) < 0.05)
        (0.5, True)
        """
        p = self.n.shape[-1]
        b = np.asarray(given, dtype=np.intp) % p
        a = np.setdiff1d(np.arange(p), b)
        covariance = self.covariance(corrected)
        s_bb = covariance[..., b[:, None], b]
        s_ab = covariance[..., a[:, None], b]
        good = np.isfinite(s_bb).all(axis=(-2, -1))
        safe = np.where(good[..., None, None], s_bb, np.eye(len(b)))
        scale = np.sqrt(np.abs(np.diagonal(safe, axis1=-2, axis2=-1)))
        scale = np.where(scale > 0, scale, 1.0)
        unit = safe / (scale[..., :, None] * scale[..., None, :])
        good &= np.linalg.eigvalsh(unit)[..., 0] > 1e-12
        unit = np.where(good[..., None, None], unit, np.eye(len(b)))
        s_ab = s_ab / scale[..., None, :]
        explained = s_ab @ np.linalg.solve(unit, np.swapaxes(s_ab, -1, -2))
        return np.where(good[..., None, None], covariance[..., a[:, None], a] - explained, np.nan)

    def partial_correlation(self, given: Sequence[int], corrected: bool | None = None) -> Array:
        """Return the correlation of the other columns with the columns `given` held fixed, shape (..., r, r).

        NaN where the remaining variance is not positive, or nothing but rounding.
        """
        left = self.partial_covariance(given, corrected)
        a = np.setdiff1d(np.arange(self.n.shape[-1]), np.asarray(given, dtype=np.intp) % self.n.shape[-1])
        total = np.diagonal(self.covariance(corrected), axis1=-2, axis2=-1)[..., a]
        variance = np.diagonal(left, axis1=-2, axis2=-1)
        spread = np.sqrt(np.where(variance > 1e-13 * total, variance, np.nan))
        return np.asarray(_with_unit_diagonal(left / (spread[..., :, None] * spread[..., None, :])))

    def _corrects(self, corrected: bool | None) -> bool:
        if corrected and self.noise is None:
            raise ParameterError(
                "corrected=True, but the moments were made without errors",
                expected="errors given to Moments.from_array",
                hint="Pass err=, or corrected=None.",
            )
        return self.noise is not None if corrected is None else corrected

    def _covariance(self, products: Array, noise: Array | None, *, corrected: bool, weights_are: WeightsAre) -> Array:
        """Return products / degrees of freedom less the noise, negative variances being NaN."""
        if weights_are not in ("counts", "reliability"):
            raise ParameterError(
                f"weights_are is {weights_are!r}", expected="'counts' or 'reliability'", hint="Choose one of the two."
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = self.groups if weights_are == "counts" else self.groups * self.weight2 / self.weight
            freedom = self.weight - lost
            values = np.where((self.n > self.groups) & (freedom > 0), products / freedom, np.nan)
            if corrected and noise is not None:
                values = values - noise / self.weight
        negative = np.eye(values.shape[-1], dtype=bool) & (values < 0)
        return np.where(negative, np.nan, values)

    def _correlation(self, corrected: bool | None, weights_are: WeightsAre) -> tuple[Array, NDArray[np.int8]]:
        corrected = self._corrects(corrected)
        covariance = self._covariance(self.comoment, self.conoise, corrected=corrected, weights_are=weights_are)
        variance = _everywhere(self, corrected=corrected, weights_are=weights_are)
        rounding = 64 * np.finfo(float).eps * np.abs(self.mean)
        is_constant = self.spread <= self.weight * rounding**2
        with np.errstate(invalid="ignore"):
            is_negative = ~is_constant & ~(variance > 0)
            scale = np.sqrt(np.where(variance > 0, variance, np.nan))
            values = _with_unit_diagonal(covariance / (scale * np.swapaxes(scale, -1, -2)))
            is_above = np.abs(values) > 1 + 1e-12
        told = np.zeros(values.shape, dtype=np.int8)
        told[is_above] = Reason.ABOVE_ONE
        told[is_negative | np.swapaxes(is_negative, -1, -2)] = Reason.NEGATIVE_VARIANCE
        told[is_constant | np.swapaxes(is_constant, -1, -2)] = Reason.CONSTANT
        told[(self.n < self.groups + 2) | (self.weight <= self.groups)] = Reason.TOO_FEW
        lost = (told != Reason.NONE) & (told != Reason.ABOVE_ONE)
        return np.where(lost, np.nan, values), told


def moments_by_group(
    x: ArrayLike, labels: ArrayLike, err: ArrayLike | None = None, weights: ArrayLike | None = None
) -> dict[int, Moments]:
    """Return the `Moments` of the rows of each label; parameters are those of `Moments.from_array`.

    `labels` (n,) are whole numbers; rows with a negative label are left out. Parts of a table are merged label by
    label.

    Examples
    --------
    >>> cells = moments_by_group([[1.0], [2.0], [5.0], [7.0]], labels=[0, 0, 3, 3])
    >>> {label: float(m.means[0]) for label, m in cells.items()}
    {0: 1.5, 3: 6.0}
    """
    columns, errors, w = _checked(x, err, weights)
    of = np.asarray(labels)
    if of.shape != (len(columns),) or not np.issubdtype(of.dtype, np.integer):
        raise DataRefusedError(
            f"labels have shape {of.shape} and type {of.dtype}",
            expected=f"({len(columns)},) whole numbers",
            hint="Number the cells, for example with np.digitize.",
        )
    order = np.argsort(of, kind="stable")
    order = order[np.searchsorted(of[order], 0) :]
    names, first = np.unique(of[order], return_index=True)
    parts = np.split(order, first[1:]) if len(names) else []
    return {
        int(name): _moments(
            sums(columns[rows], None if errors is None else errors[rows], None if w is None else w[rows])
        )
        for name, rows in zip(names, parts, strict=True)
    }


def pool(groups: Iterable[Moments] | Mapping[int, Moments]) -> Moments:
    """Return the moments within groups: deviations from each group's own mean, added up.

    Its covariance is sum_g comoment_g / (weight - number of groups), unbiased whatever the means of the groups are.
    With groups being small cells of other variables (a box of 0.05 dex in [Fe/H] and [Mg/Fe]) this is the covariance of
    the residuals at a fixed place in them (Ting & Weinberg 2022, arXiv:2102.04992). What a mean that changes within a
    cell still adds, `Moments.partial_covariance` given the same variables takes out.

    Raises
    ------
    DataRefusedError
        There is no group.
    """
    parts = list(groups.values()) if isinstance(groups, Mapping) else list(groups)
    if not parts:
        raise DataRefusedError("no groups to pool", expected="at least one group with rows", hint="Use wider cells.")
    whole = _sums(parts[0])
    for part in parts[1:]:
        whole = add(whole, _sums(part))
    within = {name: np.sum([getattr(part, name) for part in parts], axis=0) for name in ("spread", "comoment")}
    seen = np.sum([part.weight > 0 for part in parts], axis=0)
    return replace(_moments(whole), **within, groups=np.maximum(seen, 1))


def bootstrap_moments(
    x: ArrayLike,
    ids: ArrayLike,
    seed: int,
    *,
    n_boot: int = 200,
    err: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Moments:
    """Return `n_boot` bootstrap replicates of the moments of `x`, as `Moments` with fields of shape (n_boot, p, p).

    Object i counts Poisson(1) times in each replicate, drawn from the seed and its id alone: parts of a table need
    not talk to each other, and their replicates merge to those of the whole (the partitioned form of the multinomial
    bootstrap; Chamandy et al. 2012). One matrix product per block of rows gives all replicates at once.

    Parameters
    ----------
    x, err, weights
        As for `Moments.from_array`.
    ids
        Whole numbers, unique to each object, shape (n,).
    seed
        Of the draws.
    n_boot
        Number of replicates.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(2000, 2))
    >>> replicates = bootstrap_moments(x, np.arange(2000), seed=1, n_boot=400)
    >>> error = replicates.correlation()[:, 0, 1].std()
    >>> bool(abs(error * np.sqrt(2000) - 1) < 0.1)
    True
    """
    columns, errors, w = _checked(x, err, weights)
    return _moments(replicate_sums(columns, errors, w, ids=ids, seed=seed, n_boot=n_boot))


def _moments(s: Sums) -> Moments:
    named: dict[str, Any] = s._asdict()
    return Moments(**named, groups=np.ones(s.n.shape, dtype=np.int64))


def _sums(moments: Moments) -> Sums:
    return Sums(*(getattr(moments, name) for name in Sums._fields))


def _everywhere(moments: Moments, *, corrected: bool, weights_are: WeightsAre) -> Array:
    """Return the variance of column i over the rows that also have j, shape (..., p, p), negative ones kept."""
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = weights_are == "counts"
        lost = moments.groups if counts else moments.groups * moments.weight2 / moments.weight
        values = moments.spread / (moments.weight - lost)
        if corrected and moments.noise is not None:
            values = values - moments.noise / moments.weight
    return np.asarray(values)


def _with_unit_diagonal(values: Array) -> Array:
    """Return `values` with the finite elements of the diagonal set to exactly one."""
    diagonal = np.eye(values.shape[-1], dtype=bool) & np.isfinite(values)
    return np.where(diagonal, 1.0, values)


def _checked(
    x: ArrayLike, err: ArrayLike | None, weights: ArrayLike | None
) -> tuple[NDArray[np.floating], Array | None, Array | None]:
    columns = np.asarray(x)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2:
        raise DataRefusedError(
            f"the values have shape {columns.shape}", expected="(rows, columns)", hint="Stack the columns."
        )
    n, p = columns.shape
    if columns.dtype != np.float32:
        columns = np.asarray(columns, dtype=np.float64)
    errors = None if err is None else np.asarray(err, dtype=np.float64)
    if errors is not None and errors.ndim == 1 and p == 1:
        errors = errors[:, None]
    if errors is not None and errors.shape not in ((n, p), (n, p, p)):
        raise DataRefusedError(
            f"the errors have shape {errors.shape}", expected=f"({n}, {p}) or ({n}, {p}, {p})", hint="Align the arrays."
        )
    w = None if weights is None else np.asarray(weights, dtype=np.float64)
    if w is not None and (w.shape != (n,) or np.any(w < 0)):
        raise DataRefusedError(
            f"the weights have shape {w.shape} and the smallest is {np.nanmin(w, initial=0.0):g}",
            expected=f"({n},), none negative",
            hint="Weights say how often each row counts.",
        )
    return columns, errors, w
