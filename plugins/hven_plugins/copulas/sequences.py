"""The high- and the low-alpha sequence, split along the valley of their copula."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats, ranks
from hven.mocks import Mock, two_sequence_stars
from hven_plugins.copulas.density import GRID, data_plane, density_of
from hven_plugins.copulas.pairs import GROUPED, MEASURED, Pairs, caveats_of, pairs_by_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

LOW, HIGH, UNDECIDED = 0, 1, -1
SUPPORTED = 0.2
"""Confidence of the split below which no star is labelled."""

_WHERE = "analysis 'alpha_sequence'"
_SCORES = np.linspace(-2.2, 2.2, 45)
_ACROSS = np.linspace(-3.2, 3.2, 257)
_FAINT = 1.0
"""Significance of a valley that counts when it lies in one run of columns with a significant one."""
_DAMPED = 0.4
"""Kernel in units of the step between rounded values that leaves a twentieth of their comb."""
_FOUND = {1000: 0.0, 2000: 0.08, 4000: 0.5, 8000: 1.0}
"""Share of samples of so many APOGEE giants whose two sequences are supported (measured)."""
_RANK, _BEND = 0.03, 0.5
"""Scatter of valleys about the curve, in ranks, and how strongly the curve may bend where few valleys hold it."""


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
            "split_u": "",
            "split_u_low": "",
            "split_u_high": "",
            "split_feh": "dex",
            "split_mg_fe": "dex",
            "split_mg_fe_low": "dex",
            "split_mg_fe_high": "dex",
            "stability": "",
            "density": "",
            "counts": "",
            "x_edge": "dex",
            "y_edge": "dex",
            "n": "",
            "n_high": "",
        },
        "stars": {"alpha_seq": "", "confidence": "", "p_high": ""},
    },
    references=("2306.09319", "1901.04502", "1810.12325", "2002.04622", "1903.04030"),
    version="2",
    min_objects="n_min",
)
def alpha_sequence(
    stars: xr.Dataset,
    *,
    prominence: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    significance: Annotated[float, Field(ge=0)] = 2.0,
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0,
    n_min: Annotated[int, Field(ge=100)] = 500,
    n_boot: Annotated[int, Field(ge=2, le=1000)] = 30,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """High- and low-alpha stars, split without a hand-drawn line: along the valley of the copula of [Fe/H] and [Mg/Fe].

    Both abundances are replaced by their ranks, u1 and u2, so that zero points, scales and any other increasing
    calibration of a survey drop out, and its labels carry over to another survey. On the normal scores x = Phi^-1(u)
    each column of f(x2 | x1), |x1| < 2.2, is searched for its two highest peaks (each standing out by `prominence` of
    the maximum) and the valley between them. A valley counts when it is deeper than `significance` times the noise of
    the density, and so do fainter ones in an unbroken run of columns with it. A quadratic u2 = q(u1) goes through the
    valleys, weighted by ln(lower peak / valley), outliers losing their weight, its bend held small where few valleys
    tell it; a star is of the high sequence where u2 > q(u1). Mapped back through the ranks, the same curve is a cubic
    in [Fe/H] (``data_polynomial``, rising powers, from ``feh_low`` to ``feh_high``).

    How far the split itself is known tells a bootstrap of the stars: ``split_mg_fe_low`` and ``split_mg_fe_high`` are
    the 16 and 84 % points of the curve at ``split_feh`` (the same in ranks: ``split_u_low``, ``split_u_high``), and
    ``p_high`` of a star is the share of the replicates that put it above, one without a split counting half.
    ``confidence`` of a star is the depth of the valley at its u1, 1 - valley / lower peak, times | 2 p_high - 1 |: 1
    for two sequences well apart and a curve well known, 0 where they have merged and only the extrapolated curve
    decides (high [Fe/H]), or where the curve may as well pass on the other side. ``confidence`` of the whole split is
    the mean depth over the quarter of the columns with the deepest valleys times ``stability``, the mean of
    | 2 p_high - 1 | over the stars; below 0.2 there is no second sequence to speak of, ``is_supported`` is false and
    all stars are undecided. Of samples of APOGEE giants 8 % are supported at 2,000 stars, 50 % at 4,000 and all at
    8,000 (of the mock, whose sequences are narrower, five in six at 1,000): below 8,000 stars an unsupported split says
    little, and a caveat says so. Values on a comb along a slope ([Mg/Fe] made of rounded abundances) may split a single
    sequence. The band knows of the sample and not of the kernel's width, which moves the curve as much in samples of
    tens of thousands.
    ``alpha_seq`` is 0 (low), 1 (high) or -1 (undecided: a value missing, less confidence than `min_confidence`, or a
    split that is not supported). Columns rounded to a few decimals have their ties spread at random before the density
    is made, by a kernel wider than their steps: gaps between decimals are no valleys, and sequences that rounding hides
    are not found.

    The figure shows beside it the lines that Mackereth et al. 2019, Weinberg et al. 2019, Frankel et al. 2020 and
    Gandhi & Ness 2019 drew by hand. Errors of measurement widen the sequences: no split can be better than the
    overlap allows. Bind ``mg_fe`` to [alpha/M] and ``feh`` to [M/H] where a survey has those.

    Parameters
    ----------
    prominence
        How far a peak must stand out, as a fraction of the highest of its column.
    significance
        How many standard deviations a valley must be deep; 1 finds more in a few hundred stars, and more that is wrong.
    min_confidence
        Least confidence of a star that is labelled.
    n_min
        Fewest stars with both abundances.
    n_boot
        Replicates of the bootstrap.
    seed
        Of the bootstrap.

    Raises
    ------
    TooFewObjectsError
        Fewer than `n_min` stars have both abundances.
    DataRefusedError
        One of the abundances has one value only.
    """
    (pairs,) = pairs_by_group(stars.drop_vars(GROUPED, errors="ignore"), ["feh", "mg_fe"], n_min=n_min, where=_WHERE)
    if pairs.reason != MEASURED:
        raise hven.errors.DataRefusedError(
            pairs.reason, where=_WHERE, expected="two columns that vary", hint="Bind other columns."
        )
    split, replicates = split_by_valley(pairs, prominence, significance, n_boot, seed)
    p_high = share_above(pairs, replicates)
    agreed = np.abs(2 * p_high - 1)
    weight = np.ones(pairs.n) if pairs.w is None else pairs.w
    stability = float(np.average(agreed, weights=weight))
    star_confidence = split.confidence(pairs.u) * agreed
    whole = split.overall * stability
    is_supported = whole >= SUPPORTED
    is_high = pairs.v > split.curve(pairs.u)
    labels = np.full(stars.sizes["object"], UNDECIDED, dtype=np.int8)
    confidence, above = np.full((2, stars.sizes["object"]), np.nan)
    decided = is_supported & (star_confidence >= min_confidence)
    labels[pairs.rows] = np.where(decided, is_high, UNDECIDED)
    confidence[pairs.rows] = star_confidence
    above[pairs.rows] = p_high
    columns: dict[str, Any] = {"column_u": split.column_u, "valley_u": split.valley_u, "valley_depth": split.depth}
    result = xr.Dataset(
        {
            "confidence": whole,
            "stability": stability,
            "is_supported": is_supported,
            "u_polynomial": ("u_power", split.polynomial),
            "data_polynomial": ("power", in_data_space(pairs, split)),
            "feh_low": float(np.quantile(pairs.x, 0.01)),
            "feh_high": float(np.quantile(pairs.x, 0.99)),
            **{name: ("column", values) for name, values in (columns | band(pairs, split, replicates)).items()},
            "density": (("u1", "u2"), density_of(pairs)),
            "n": pairs.n,
            "n_high": int(is_high.sum()) if is_supported else 0,
        },
        coords={"u1": GRID, "u2": GRID},
        attrs={
            "n_given": stars.sizes["object"],
            "n_boot": n_boot,
            "columns": [str(stars[name].attrs.get("column", name)) for name in ("feh", "mg_fe")],
        },
    )
    plane = data_plane([pairs]).isel(group=0)
    by_star = xr.Dataset(
        {"alpha_seq": ("object", labels), "confidence": ("object", confidence), "p_high": ("object", above)}
    )
    texts = caveats_of([pairs], stars.sizes["object"], ["feh", "mg_fe"])
    if not is_supported:
        texts.append(f"No second sequence is supported (confidence {whole:.2f}): all stars are undecided.")
        texts += _weak(pairs.n_effective)
    return {"": caveats.with_caveats(result.merge(plane), texts), "stars": by_star}


def _weak(n: float) -> list[str]:
    """Return a caveat where two sequences of as many giants may be missed, with how often they are found.

    Examples
    --------
    >>> _weak(4000)
    ['Of samples of 4,000 giants of the disc, about 50 % show their two sequences: this says little.']
    >>> _weak(9000)
    []
    """
    found = float(np.interp(np.log(n), np.log(list(_FOUND)), list(_FOUND.values())))
    if found >= 1:
        return []
    return [f"Of samples of {n:,.0f} giants of the disc, about {found:.0%} show their two sequences: this says little."
            .replace("%", " %")]  # fmt: skip


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
    def is_found(self) -> bool:
        """Whether there are valleys enough for a curve."""
        return bool(np.isfinite(self.polynomial).all())

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


def split_by_valley(
    pairs: Pairs, prominence: float, significance: float, n_boot: int, seed: int
) -> tuple[Split, list[Split]]:
    """Return the split along the valleys of f(x2 | x1), and those of `n_boot` bootstrap replicates of the stars.

    Replicates draw the counts of the histogram of normal scores anew (Poisson): the stars' ranks stay, being no more
    than the axes that the curve is drawn on.
    """
    (u, step_u), (v, step_v) = (
        _apart(side, values, pairs.w, seed) for side, values in ((pairs.u, pairs.x), (pairs.v, pairs.y))
    )
    histogram = ranks.CopulaHistogram.of(u, v, pairs.w)
    heaviness = histogram.weight2 / histogram.counts.sum()  # weights draw as few stars of this weight each
    width = 1.069 * (histogram.counts.sum() ** 2 / histogram.weight2) ** -0.2
    # across a column the sequences are narrower than the margin that the rule of thumb is made for
    bandwidth = (max(width, _DAMPED * step_u), max(0.5 * width, _DAMPED * step_v))
    rng = np.random.default_rng(seed)
    occupied = histogram.counts > 0
    replicates = []
    for _ in range(n_boot):
        counts = np.zeros_like(histogram.counts)
        counts[occupied] = heaviness * rng.poisson(histogram.counts[occupied] / heaviness)
        drawn = ranks.CopulaHistogram(counts, histogram.weight2)
        replicates.append(_along_valleys(drawn, bandwidth, prominence, significance))
    return _along_valleys(histogram, bandwidth, prominence, significance), replicates


def _apart(u: Array, values: Array, w: Array | None, seed: int) -> tuple[Array, float]:
    """Return the pseudo-observations with ties spread at random over the ranks they share, and the step of the ties.

    A column of a few decimals makes a comb of ranks, and the gaps of a comb would be valleys. The step is what nine in
    ten stars do not exceed, in normal scores; a kernel wider than it does not see the comb.
    """
    from scipy.special import ndtri

    _, label, count = np.unique(values, return_inverse=True, return_counts=True)
    if count.max() == 1:
        return u, 0.0
    weight = np.ones(len(u)) if w is None else w
    shared = np.where(count[label] > 1, np.bincount(label, weight)[label], 0.0) / (weight.sum() + 1)
    steps = ndtri(np.clip(u + shared / 2, 1e-6, 1 - 1e-6)) - ndtri(np.clip(u - shared / 2, 1e-6, 1 - 1e-6))
    spread = u + (np.random.default_rng([seed, 1]).random(len(u)) - 0.5) * shared
    return np.asarray(spread), float(np.quantile(steps, 0.9))


def share_above(pairs: Pairs, replicates: list[Split]) -> Array:
    """Return the share of the replicates that put each star on the high sequence; one without a split counts half."""
    total = np.zeros(pairs.n)
    for replicate in replicates:
        total += (pairs.v > replicate.curve(pairs.u)) if replicate.is_found else 0.5
    return total / len(replicates)


def band(pairs: Pairs, split: Split, replicates: list[Split]) -> dict[str, Array]:
    """Return the curve at each column with its 16 and 84 % points, in ranks and in dex; NaN without a split."""
    nothing = np.full((3, len(split.column_u)), np.nan)
    curves = np.array([r.curve(split.column_u) for r in replicates if r.is_found])
    ends = np.quantile(curves, [0.16, 0.84], axis=0) if split.is_found and len(curves) > 1 else nothing[1:]
    of_u = np.stack([split.curve(split.column_u) if split.is_found else nothing[0], *ends])
    in_dex = _quantile(pairs.y, pairs.w, of_u)
    names = ("split_u", "split_u_low", "split_u_high", "split_mg_fe", "split_mg_fe_low", "split_mg_fe_high")
    return {"split_feh": _quantile(pairs.x, pairs.w, split.column_u)} | dict(zip(names, [*of_u, *in_dex], strict=True))


def _along_valleys(
    histogram: ranks.CopulaHistogram, bandwidth: tuple[float, float], prominence: float, significance: float
) -> Split:
    from scipy.special import ndtr

    columns, across = ndtr(_SCORES), ndtr(_ACROSS)
    found = histogram.density(columns, across, bandwidth=bandwidth, keep_margins=False)
    joint = found.density * np.exp(-0.5 * (_SCORES[:, None] ** 2 + _ACROSS**2)) / (2 * np.pi)
    noise = np.sqrt(joint / (found.n * 4 * np.pi * np.prod(found.bandwidth)))  # of a kernel density, to first order
    valleys = [_valley(density, sigma, prominence) for density, sigma in zip(joint, noise, strict=True)]
    at, ratio, sigmas = (np.array(part) for part in zip(*valleys, strict=True))
    counts = _runs_with(sigmas >= significance, sigmas >= min(_FAINT, significance))
    valley_u = np.where(counts, across[at], np.nan)
    depth = np.where(counts, 1 - 1 / ratio, 0.0)
    polynomial = np.full(3, np.nan)
    if counts.sum() >= 3:
        polynomial = _quadratic(columns[counts], valley_u[counts], np.log(ratio[counts]))
    return Split(polynomial, columns, valley_u, depth)


def _runs_with(seeds: NDArray[np.bool_], members: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the members of those unbroken runs of members that hold a seed."""
    run = np.cumsum(np.diff(members, prepend=False) & members)  # a number for each run, from 1
    return members & np.isin(run, run[seeds & members])


def _quadratic(u: Array, valley: Array, weight: Array) -> Array:
    """Return the quadratic through the valleys, those far off it losing their weight, with a prior on its bend."""
    powers = np.vander(u, 3, increasing=True)
    held = np.diag([1e-9, 1e-9, (_RANK / _BEND) ** 2])
    trust = np.ones(len(u))
    for _ in range(20):
        weighed = powers * (weight * trust)[:, None]
        polynomial = np.linalg.solve(weighed.T @ powers + held, weighed.T @ valley)
        trust = 1 / (1 + ((valley - powers @ polynomial) / _RANK) ** 2)
    return np.asarray(polynomial)


def in_data_space(pairs: Pairs, split: Split) -> Array:
    """Return the split as a cubic of [Fe/H], rising powers, through the quantiles that its points have."""
    if not split.is_found:
        return np.full(4, np.nan)
    u = np.linspace(0.01, 0.99, 99)
    x, y = (_quantile(side, pairs.w, level) for side, level in ((pairs.x, u), (pairs.y, split.curve(u))))
    inside = (split.curve(u) > 0.005) & (split.curve(u) < 0.995)
    if inside.sum() < 4:
        return np.full(4, np.nan)
    return np.asarray(np.polynomial.Polynomial.fit(x[inside], y[inside], 3).convert().coef)


def _valley(density: Array, noise: Array, prominence: float) -> tuple[int, float, float]:
    """Return where the valley of one column is, lower peak / valley, and by how many sigma it is deep (0 for none)."""
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(density, prominence=prominence * density.max())
    if len(peaks) < 2:
        return 0, 1.0, 0.0
    first, second = np.sort(peaks[np.argsort(density[peaks])[-2:]])
    at = first + int(np.argmin(density[first : second + 1]))
    lower = first if density[first] < density[second] else second
    sigmas = (density[lower] - density[at]) / max(np.hypot(noise[lower], noise[at]), 1e-300)
    return at, float(density[lower] / max(density[at], 1e-300)), float(sigmas)


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
