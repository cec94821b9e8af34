"""The high- and the low-alpha sequence, split along the valley of their copula."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import ranks
from hven.mocks import Mock, two_sequence_stars
from hven_plugins.copulas.density import GRID, data_plane, density_of
from hven_plugins.copulas.pairs import MEASURED, Pairs, pairs_by_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

LOW, HIGH, UNDECIDED = 0, 1, -1
SUPPORTED = 0.2
"""Confidence of the split below which no star is labelled."""

_WHERE = "analysis 'alpha_sequence'"
_SCORES = np.linspace(-2.2, 2.2, 45)
_ACROSS = np.linspace(-3.2, 3.2, 257)


@hven.analysis(
    stars=hven.Table(feh="dex", mg_fe="dex", optional={"weight": ""}),
    produces={
        "": {
            "confidence": "",
            "is_supported": "",
            "u_polynomial": "",
            "data_polynomial": "",
            "feh_low": "dex",
            "feh_high": "dex",
            "column_u": "",
            "valley_u": "",
            "valley_depth": "",
            "density": "",
            "counts": "",
            "x_edge": "dex",
            "y_edge": "dex",
            "n": "",
            "n_high": "",
        },
        "stars": {"alpha_seq": "", "confidence": ""},
    },
    references=("2306.09319",),
    version="1",
)
def alpha_sequence(
    stars: xr.Dataset,
    *,
    prominence: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    significance: Annotated[float, Field(ge=0)] = 3.0,
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0,
    n_min: Annotated[int, Field(ge=100)] = 500,
) -> dict[str, xr.Dataset]:
    """High- and low-alpha stars, split without a hand-drawn line: along the valley of the copula of [Fe/H] and [Mg/Fe].

    Both abundances are replaced by their ranks, u1 and u2, so that zero points, scales and any other increasing
    calibration of a survey drop out, and its labels carry over to another survey. On the normal scores x = Phi^-1(u)
    each column of f(x2 | x1), |x1| < 2.2, is searched for its two highest peaks (each standing out by `prominence` of
    the maximum) and the valley between them. A quadratic u2 = q(u1) goes through the valleys, weighted by
    ln(lower peak / valley), outliers losing their weight; a star is of the high sequence where u2 > q(u1). Mapped back
    through the ranks, the same curve is a cubic in [Fe/H] (``data_polynomial``, rising powers, from ``feh_low`` to
    ``feh_high``).

    ``confidence`` of a star is the depth of the valley at its u1, 1 - valley / lower peak: 1 for two sequences well
    apart, 0 where they have merged and only the extrapolated curve decides (high [Fe/H]). A valley shallower than
    `significance` times the noise of the density counts as none. ``confidence`` of the whole split is the mean
    over the quarter of the columns with the deepest valleys; below 0.2 there is no second sequence to speak of,
    ``is_supported`` is false and all stars are undecided.
    ``alpha_seq`` is 0 (low), 1 (high) or -1 (undecided: a value missing, less confidence than `min_confidence`, or a
    split that is not supported).

    Errors of measurement widen the sequences: no split can be better than the overlap allows. Bind ``mg_fe`` to
    [alpha/M] and ``feh`` to [M/H] where a survey has those.

    Parameters
    ----------
    prominence
        How far a peak must stand out, as a fraction of the highest of its column.
    significance
        How many standard deviations a valley must be deep.
    min_confidence
        Least confidence of a star that is labelled.
    n_min
        Fewest stars with both abundances.

    Raises
    ------
    TooFewObjectsError
        Fewer than `n_min` stars have both abundances.
    DataRefusedError
        One of the abundances has one value only.
    """
    (pairs,) = pairs_by_group(stars.drop_vars("group", errors="ignore"), ["feh", "mg_fe"], n_min=n_min, where=_WHERE)
    if pairs.reason != MEASURED:
        raise hven.errors.DataRefusedError(
            pairs.reason, where=_WHERE, expected="two columns that vary", hint="Bind other columns."
        )
    split = split_by_valley(pairs, prominence, significance)
    depth = split.confidence(pairs.u)
    whole = split.overall
    is_supported = whole >= SUPPORTED
    is_high = pairs.v > split.curve(pairs.u)
    labels, confidence = (
        np.full(stars.sizes["object"], UNDECIDED, dtype=np.int8),
        np.full(stars.sizes["object"], np.nan),
    )
    decided = is_supported & (depth >= min_confidence)
    labels[pairs.rows] = np.where(decided, is_high, UNDECIDED)
    confidence[pairs.rows] = depth
    result = xr.Dataset(
        {
            "confidence": whole,
            "is_supported": is_supported,
            "u_polynomial": ("u_power", split.polynomial),
            "data_polynomial": ("power", in_data_space(pairs, split)),
            "feh_low": float(np.quantile(pairs.x, 0.01)),
            "feh_high": float(np.quantile(pairs.x, 0.99)),
            "column_u": ("column", split.column_u),
            "valley_u": ("column", split.valley_u),
            "valley_depth": ("column", split.depth),
            "density": (("u1", "u2"), density_of(pairs)),
            "n": pairs.n,
            "n_high": int(is_high.sum()) if is_supported else 0,
        },
        coords={"u1": GRID, "u2": GRID},
        attrs={"n_given": stars.sizes["object"]},
    )
    plane = data_plane([pairs]).isel(group=0)
    by_star = xr.Dataset({"alpha_seq": ("object", labels), "confidence": ("object", confidence)})
    return {"": result.merge(plane), "stars": by_star}


@dataclass(frozen=True)
class Split:
    """A curve through the valleys between two sequences on the copula plane.

    Attributes
    ----------
    polynomial
        u2 = q(u1), rising powers, shape (3,); NaN without valleys.
    column_u, valley_u, depth
        Of each column, shape (columns,): u1, u2 of the valley (NaN for none), and 1 - valley / lower peak (0 for none).
    """

    polynomial: Array
    column_u: Array
    valley_u: Array
    depth: Array

    @property
    def overall(self) -> float:
        """The mean depth of the quarter of the columns whose valleys are deepest."""
        return float(np.sort(self.depth)[-len(self.depth) // 4 :].mean())

    def curve(self, u: Array) -> Array:
        """Return u2 of the split at u1 = `u`."""
        return np.clip(np.polynomial.polynomial.polyval(u, self.polynomial), 0.0, 1.0)

    def confidence(self, u: Array) -> Array:
        """Return the depth of the valley at u1 = `u`, 0 beyond the last valley."""
        return np.asarray(np.interp(u, self.column_u, self.depth, left=self.depth[0], right=self.depth[-1]))


def split_by_valley(pairs: Pairs, prominence: float, significance: float) -> Split:
    """Return the split along the valleys of f(x2 | x1)."""
    from scipy.special import ndtr

    columns, across = ndtr(_SCORES), ndtr(_ACROSS)
    histogram = ranks.CopulaHistogram.of(pairs.u, pairs.v, pairs.w)
    width = 1.069 * (histogram.counts.sum() ** 2 / histogram.weight2) ** -0.2
    # across a column the sequences are narrower than the margin that the rule of thumb is made for
    found = histogram.density(columns, across, bandwidth=(width, 0.5 * width), keep_margins=False)
    joint = found.density * np.exp(-0.5 * (_SCORES[:, None] ** 2 + _ACROSS**2)) / (2 * np.pi)
    noise = np.sqrt(joint / (found.n * 4 * np.pi * np.prod(found.bandwidth)))  # of a kernel density, to first order
    valleys = [_valley(density, sigma, prominence, significance) for density, sigma in zip(joint, noise, strict=True)]
    valley_u = np.array([across[at] if at >= 0 else np.nan for at, _, _ in valleys])
    depth = np.array([depth for _, depth, _ in valleys])
    weight = np.array([weight for _, _, weight in valleys])
    has = np.isfinite(valley_u)
    polynomial = np.full(3, np.nan)
    if has.sum() >= 3:
        polynomial = _quadratic(columns[has], valley_u[has], weight[has])
    elif has.any():
        polynomial = np.array([np.average(valley_u[has], weights=weight[has]), 0.0, 0.0])
    return Split(polynomial, columns, valley_u, depth)


def _quadratic(u: Array, valley: Array, weight: Array) -> Array:
    """Return the quadratic through the valleys, those far off it (beyond a rank of .03) losing their weight."""
    trust = np.ones(len(u))
    for _ in range(20):
        polynomial = np.polynomial.polynomial.polyfit(u, valley, 2, w=np.sqrt(weight * trust))
        trust = 1 / (1 + ((valley - np.polynomial.polynomial.polyval(u, polynomial)) / 0.03) ** 2)
    return np.asarray(polynomial)


def in_data_space(pairs: Pairs, split: Split) -> Array:
    """Return the split as a cubic of [Fe/H], rising powers, through the quantiles that its points have."""
    if not np.isfinite(split.polynomial).all():
        return np.full(4, np.nan)
    u = np.linspace(0.01, 0.99, 99)
    x, y = (_quantile(side, pairs.w, level) for side, level in ((pairs.x, u), (pairs.y, split.curve(u))))
    inside = (split.curve(u) > 0.005) & (split.curve(u) < 0.995)
    if inside.sum() < 4:
        return np.full(4, np.nan)
    return np.asarray(np.polynomial.Polynomial.fit(x[inside], y[inside], 3).convert().coef)


def _valley(density: Array, noise: Array, prominence: float, significance: float) -> tuple[int, float, float]:
    """Return where the valley of one column is (-1 for none), its depth, and ln(lower peak / valley)."""
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(density, prominence=prominence * density.max())
    if len(peaks) < 2:
        return -1, 0.0, 0.0
    first, second = np.sort(peaks[np.argsort(density[peaks])[-2:]])
    at = first + int(np.argmin(density[first : second + 1]))
    lower = first if density[first] < density[second] else second
    if density[lower] - density[at] < significance * np.hypot(noise[lower], noise[at]):
        return -1, 0.0, 0.0
    ratio = density[lower] / max(density[at], 1e-300)
    return at, 1 - 1 / ratio, float(np.log(ratio))


def _quantile(values: Array, w: Array | None, level: Array) -> Array:
    order = np.argsort(values)
    w = np.ones(len(values)) if w is None else w
    reached = (np.cumsum(w[order]) - 0.5 * w[order]) / w.sum()
    return np.asarray(np.interp(level, reached, values[order]))


@alpha_sequence.figure
def _figure(result: "dict[str, xr.Dataset]") -> "Figure":
    from hven_plugins.copulas.figures import draw_split

    return draw_split(result[""])


@alpha_sequence.mock
def _mock(size: int, seed: int) -> Mock:
    return two_sequence_stars(size, seed)
