"""The distribution of [alpha/M] at given [M/H]: two sequences with tails, and stray stars; its fits and its posterior.

    p(a | m) = (1 - o) sum_k f_k [(1 - w) N(a | t_k, s_k^2 + v_k) + w N(a | t_k, (3 s_k)^2 + v_k)]
               + o N(a | middle, S^2 + e^2)
    t_k = ridge_k(m) + delta + b (m - mean m),  v_k = e^2 + (d ridge_k/dm)^2 e_m^2

k is the low or the high sequence, each with a width s_k of its own; the share w of a sequence has three times its
width, which makes its scatter Gaussian, Laplace or in between; the share o of the stars is on no sequence. All
simulated groups of a test are fitted together, in NumPy: the searches are small and many.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hven.methods.mixtures import Track
from hven.methods.weights import effective_number, scaled

Array = NDArray[np.float64]

TAIL = 3.0
"""Width of the tail of a sequence in units of that of its core."""
STRAY_SD = 0.2
"""Width in dex of the stars on no sequence."""
FRACTION, STRAY, WING, WIDTH_LOW, WIDTH_HIGH, OFFSET, SLOPE = range(7)
"""Where the fraction on the low sequence, ln o, ln w, ln s of both sequences, delta and b stand in a vector."""

_LOWER = np.array([0.0, np.log(1e-5), np.log(1e-4), np.log(5e-4), np.log(5e-4), -5.0, -5.0])
_UPPER = np.array([1.0, np.log(0.4), np.log(0.6), np.log(0.3), np.log(0.3), 5.0, 5.0])
_STRAY_PRIOR, _WING_PRIOR = (np.log(0.04), 1.0), (np.log(0.03), 1.5)
_AT_ONCE = 400_000
"""Stars of simulated groups that are fitted together, so that memory stays below 200 MB."""
_STEPS = 150
_KNOTS = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, 41))
"""Fractions at which the posterior is computed; between them it is interpolated."""


@dataclass(frozen=True)
class Stars:
    """[M/H], [alpha/M] and their errors of n stars, and how often each counts."""

    m: Array
    a: Array
    m_err: Array
    a_err: Array
    w: Array | None = None

    @property
    def n_effective(self) -> float:
        """Number of equal stars that say as much: (sum w)^2 / sum w^2."""
        return float(len(self.m)) if self.w is None else effective_number(self.w)

    @property
    def weight(self) -> Array:
        """Weights that sum up to the effective number, (n,)."""
        return np.ones(len(self.m)) if self.w is None else scaled(self.w)

    @property
    def columns(self) -> tuple[Array | None, ...]:
        """What `fit_sequences_of_each` takes."""
        return self.m, self.a, self.m_err, self.a_err, None if self.w is None else scaled(self.w)

    def with_alpha(self, a: Array) -> "Stars":
        """Return the same stars with other [alpha/M]."""
        return replace(self, a=a)


@dataclass(frozen=True)
class Templates:
    """Ridge lines and intrinsic widths of the low and the high sequence, and how far a survey may be off them.

    Attributes
    ----------
    tracks
        Low and high.
    widths
        Of both, in dex.
    offset_sd, slope_sd
        Widths of the priors of the zero point (dex) and of the slope (dex/dex) against the templates; 0 fixes them.
    width_sd
        Width of the prior of ln(width).
    """

    tracks: tuple[Track, Track]
    widths: tuple[float, float]
    offset_sd: float = 0.02
    slope_sd: float = 0.05
    width_sd: float = 0.3

    @property
    def prior(self) -> tuple[Array, Array]:
        """Mean and width of the Gaussian prior of each parameter; no width (infinite) for the fraction."""
        low, high = np.log(self.widths)
        mean = np.array([0.0, _STRAY_PRIOR[0], _WING_PRIOR[0], low, high, 0.0, 0.0])
        sd = np.array([np.inf, _STRAY_PRIOR[1], _WING_PRIOR[1], self.width_sd, self.width_sd])
        return mean, np.append(sd, [self.offset_sd, self.slope_sd])


@dataclass(frozen=True)
class Scene:
    """Where the sequences lie for the stars of one group: ridges and variances of the errors (n, 2), m - mean, weights.

    `sample` holds what every simulated group of it shares.
    """

    ridge: Array
    variance: Array
    stray_variance: Array
    lever: Array
    weight: Array

    @classmethod
    def of(cls, stars: Stars, templates: Templates) -> "Scene":
        """Return the scene of a group."""
        at = [track.at(stars.m) for track in templates.tracks]
        slopes = np.stack([slope for _, slope in at], axis=1)
        weight = stars.weight
        return cls(
            np.stack([ridge for ridge, _ in at], axis=1),
            stars.a_err[:, None] ** 2 + slopes**2 * stars.m_err[:, None] ** 2,
            STRAY_SD**2 + stars.a_err**2,
            stars.m - float(weight @ stars.m / weight.sum()),
            weight,
        )


def log_density(p: Array, a: Array, scene: Scene) -> tuple[Array, Array]:
    """Return ln p(a) of each star (b, n) under the parameters (b, 7), and its derivatives (b, n, 7)."""
    f, stray, wing = p[:, FRACTION, None], np.exp(p[:, STRAY, None]), np.exp(p[:, WING, None])
    shift = p[:, OFFSET, None] + p[:, SLOPE, None] * scene.lever
    sums, pulls, spreads, tails = [], [], [], []
    for k, name in ((0, WIDTH_LOW), (1, WIDTH_HIGH)):
        off = a - scene.ridge[:, k] - shift
        square = np.exp(2 * p[:, name, None])
        each = []
        for share, scale in ((1 - wing, 1.0), (wing, TAIL**2)):
            var = scale * square + scene.variance[:, k]
            normal = np.exp(-0.5 * off**2 / var) / np.sqrt(2 * np.pi * var)
            each.append(
                (normal, share * normal * off / var, share * normal * (off**2 / var - 1) / var * scale * square)
            )
        sums.append((1 - wing) * each[0][0] + wing * each[1][0])
        pulls.append(each[0][1] + each[1][1])
        spreads.append(each[0][2] + each[1][2])
        tails.append(wing * (each[1][0] - each[0][0]))
    middle = scene.ridge.mean(axis=1)
    lost = np.exp(-0.5 * (a - middle) ** 2 / scene.stray_variance) / np.sqrt(2 * np.pi * scene.stray_variance)
    on = f * sums[0] + (1 - f) * sums[1]
    total = np.maximum((1 - stray) * on + stray * lost, 1e-300)
    share = (1 - stray) / total
    pull = share * (f * pulls[0] + (1 - f) * pulls[1])
    slopes = np.stack(
        [
            share * (sums[0] - sums[1]),
            stray * (lost - on) / total,
            share * (f * tails[0] + (1 - f) * tails[1]),
            share * f * spreads[0],
            share * (1 - f) * spreads[1],
            pull,
            pull * scene.lever,
        ],
        axis=2,
    )
    return np.log(total), slopes


def memberships(p: Array, stars: Stars, templates: Templates) -> tuple[Array, Array]:
    """Return the probabilities of each star to be on the low sequence, and on no sequence, both (n,)."""
    scene = Scene.of(stars, templates)
    whole, slopes = log_density(p[None], stars.a, scene)
    stray = np.exp(p[STRAY])
    lost = np.exp(-0.5 * (stars.a - scene.ridge.mean(axis=1)) ** 2 / scene.stray_variance)
    outside = stray * lost / np.sqrt(2 * np.pi * scene.stray_variance) / np.exp(whole[0])
    # d ln p / d f = (1 - o)(L - H) / p, and (1 - o)(f L + (1 - f) H) / p = 1 - outside
    low = p[FRACTION] * (1 - outside + (1 - p[FRACTION]) * slopes[0, :, FRACTION])
    return np.clip(low, 0.0, 1.0), np.clip(outside, 0.0, 1.0)


def cumulative(p: Array, a: Array, scene: Scene) -> Array:
    """Return the probability below each star's [alpha/M], (b, n), uniform between 0 and 1 where the model holds."""
    from scipy.special import ndtr

    f, stray, wing = p[:, FRACTION, None], np.exp(p[:, STRAY, None]), np.exp(p[:, WING, None])
    shift = p[:, OFFSET, None] + p[:, SLOPE, None] * scene.lever
    below = stray * ndtr((a - scene.ridge.mean(axis=1)) / np.sqrt(scene.stray_variance))
    for k, share in ((0, f), (1, 1 - f)):
        off, square = a - scene.ridge[:, k] - shift, np.exp(2 * p[:, WIDTH_LOW + k, None])
        core, tail = (ndtr(off / np.sqrt(scale * square + scene.variance[:, k])) for scale in (1.0, TAIL**2))
        below = below + (1 - stray) * share * ((1 - wing) * core + wing * tail)
    return np.asarray(below)


def simulate(p: Array, stars: Stars, templates: Templates, seed: Any) -> Array:
    """Return [alpha/M] of the same stars drawn anew from the model with the parameters (7,), shape (n,)."""
    rng = np.random.default_rng(seed)
    scene = Scene.of(stars, templates)
    n = len(stars.m)
    k = (rng.random(n) >= p[FRACTION]).astype(int)
    scale = np.where(rng.random(n) < np.exp(p[WING]), TAIL, 1.0)
    spread = np.sqrt((scale * np.exp(p[[WIDTH_LOW, WIDTH_HIGH]])[k]) ** 2 + scene.variance[np.arange(n), k])
    noise = rng.standard_normal(n)
    a = scene.ridge[np.arange(n), k] + p[OFFSET] + p[SLOPE] * scene.lever + spread * noise
    is_stray = rng.random(n) < np.exp(p[STRAY])
    return np.where(is_stray, scene.ridge.mean(axis=1) + np.sqrt(scene.stray_variance) * noise, a)


@dataclass(frozen=True)
class Fits:
    """Where ln L plus ln prior is highest, of b groups: parameters (b, 7), that height (b,) and convergence (b,)."""

    p: Array
    height: Array
    converged: NDArray[np.bool_]


def start_of(templates: Templates, fraction: float) -> Array:
    """Return the parameters in the middle of their priors, with this fraction on the low sequence, (7,)."""
    mean = templates.prior[0].copy()
    mean[FRACTION] = fraction
    return mean


def fit(a: Array, scene: Scene, templates: Templates, starts: Array, fixed: tuple[int, ...] = ()) -> Fits:
    """Return the fits of b groups (b, n) from their `starts` (b, 7), with the parameters `fixed` as they start."""
    size = max(1, _AT_ONCE // a.shape[1])
    parts = [_climb(a[i : i + size], scene, templates, starts[i : i + size], fixed) for i in range(0, len(a), size)]
    return Fits(*(np.concatenate(v) for v in zip(*((x.p, x.height, x.converged) for x in parts), strict=True)))


def fit_both(a: Array, scene: Scene, templates: Templates) -> tuple[Fits, Fits]:
    """Return the fits of the high sequence alone, and of both, of b groups (b, n); those of both are never lower."""
    alone = fit(a, scene, templates, np.tile(start_of(templates, 0.0), (len(a), 1)), (FRACTION,))
    best = alone
    for fraction in (0.05, 0.5):
        starts = alone.p.copy()
        starts[:, FRACTION] = fraction
        if fraction == 0.5:
            starts[:, WIDTH_LOW:] = start_of(templates, 0.0)[WIDTH_LOW:]
        tried = fit(a, scene, templates, starts)
        better = tried.height > best.height
        best = Fits(
            np.where(better[:, None], tried.p, best.p),
            np.where(better, tried.height, best.height),
            np.where(better, tried.converged, best.converged),
        )
    return alone, best


def _climb(a: Array, scene: Scene, templates: Templates, starts: Array, fixed: tuple[int, ...]) -> Fits:
    """Return the fits of groups by damped scoring: the curvature is the sum of squares of each star's gradient."""
    mean, sd = templates.prior
    held = np.zeros(7, dtype=bool)
    held[list(fixed)] = True
    held |= sd == 0
    with np.errstate(divide="ignore"):
        stiffness = np.where(held, 0.0, 1 / np.where(held, 1.0, sd) ** 2)

    def at(p: Array, a: Array) -> tuple[Array, Array, Array]:
        each, slopes = log_density(p, a, scene)
        off = np.where(held, 0.0, p - mean)
        height = each @ scene.weight - 0.5 * (off**2) @ stiffness
        gradient = np.einsum("n,bnj->bj", scene.weight, slopes) - off * stiffness
        weighted = slopes * scene.weight[:, None]
        curvature = np.matmul(weighted.transpose(0, 2, 1), slopes) + np.diag(stiffness)
        return height, gradient, curvature

    p = np.clip(starts, _LOWER, _UPPER)
    height, gradient, curvature = at(p, a)
    damping = np.full(len(a), 1e-3)
    converged = np.zeros(len(a), dtype=bool)
    going = np.arange(len(a))
    for _ in range(_STEPS):
        g, x = gradient[going], p[going]
        free = ~(held | ((x <= _LOWER) & (g < 0)) | ((x >= _UPPER) & (g > 0)))
        matrix = np.where(free[:, :, None] & free[:, None, :], curvature[going], 0.0)
        diagonal = np.einsum("bjj->bj", matrix)
        diagonal += damping[going, None] * diagonal + 1e-9 + ~free
        step = np.linalg.solve(matrix, (g * free)[:, :, None])[:, :, 0]
        expected = 0.5 * (g * free * step).sum(axis=1)
        step *= np.minimum(1.0, 1.0 / np.maximum(np.abs(step).max(axis=1), 1e-300))[:, None]
        trial = np.clip(x + step, _LOWER, _UPPER)
        after = at(trial, a[going])
        higher = after[0] >= height[going]
        damping[going] = np.where(higher, 0.2 * damping[going], 8 * damping[going])
        won = going[higher]
        p[won], height[won], gradient[won], curvature[won] = (v[higher] for v in (trial, *after))
        done = expected < 1e-5
        converged[going[done]] = True
        going = going[~done & (damping[going] < 1e12)]
        if not len(going):
            break
    return Fits(p, height, converged)


def curvature_of(p: Array, a: Array, scene: Scene, templates: Templates, which: list[int]) -> Array:
    """Return minus the second derivatives of ln L plus ln prior in the parameters `which`, (b, k, k)."""
    mean, sd = templates.prior

    def gradient(q: Array) -> Array:
        slopes = log_density(q, a, scene)[1][:, :, which]
        return np.asarray(np.einsum("n,bnj->bj", scene.weight, slopes) - ((q - mean) / sd**2)[:, which])

    rows = []
    for j in which:
        step = np.zeros(7)
        step[j] = 1e-4
        rows.append((gradient(p - step) - gradient(p + step)) / 2e-4)
    matrix = np.stack(rows, axis=1)
    return (matrix + matrix.transpose(0, 2, 1)) / 2


def posterior_of_fraction(best: Array, stars: Stars, templates: Templates, grid: Array) -> Array:
    """Return the posterior of the low fraction on an even `grid`, flat prior, summing up to one.

    Everything else is integrated over by Laplace's approximation at each fraction: the height of the best fit there,
    and the volume around it.
    """
    from scipy.interpolate import PchipInterpolator

    scene = Scene.of(stars, templates)
    sd = templates.prior[1]
    which = [j for j in range(7) if j != FRACTION and sd[j] > 0]
    floor = 0.05 / sd[which] ** 2

    def heights(fractions: Array, start: Array) -> tuple[Array, Array]:
        starts = np.tile(start, (len(fractions), 1))
        starts[:, FRACTION] = fractions
        a = np.broadcast_to(stars.a, (len(fractions), len(stars.a)))
        found = fit(a, scene, templates, starts, (FRACTION,))
        values = np.concatenate([
            np.linalg.slogdet(_positive(curvature_of(found.p[[i]], stars.a[None], scene, templates, which), floor))[1]
            for i in range(len(fractions))
        ])  # fmt: skip
        return found.height - 0.5 * values, found.p

    knots = np.unique(np.append(_KNOTS, best[FRACTION]))
    height, _ = heights(knots, best)
    again, _ = heights(knots, start_of(templates, 0.5))
    curve = np.maximum(height, again)
    # ln p has a bend at the top and tails: finer fractions where the mass is
    near = knots[curve > curve.max() - 12]
    finer = np.linspace(near.min(), near.max(), 41)
    more, _ = heights(finer, best)
    where, order = np.unique(np.append(knots, finer), return_index=True)
    density = np.exp(PchipInterpolator(where, np.append(curve, more)[order])(grid) - max(curve.max(), more.max()))
    density[[0, -1]] *= 0.5
    return np.asarray(density / density.sum())


def _positive(matrix: Array, floor: Array) -> Array:
    """Return symmetric matrices with eigenvalues, in units of `floor` (k,), of one or more."""
    root = np.sqrt(floor)
    values, vectors = np.linalg.eigh(matrix / np.outer(root, root))
    return np.asarray(
        (vectors * np.maximum(values, 1.0)[:, None, :]) @ vectors.transpose(0, 2, 1) * np.outer(root, root)
    )


def errors_of(best: Array, stars: Stars, templates: Templates) -> Array:
    """Return the 1-sigma errors of the parameters (7,), NaN for those that are fixed or at a bound."""
    scene, sd = Scene.of(stars, templates), templates.prior[1]
    which = [j for j in range(7) if sd[j] > 0 and _LOWER[j] + 1e-3 < best[j] < _UPPER[j] - 1e-3]
    errors = np.full(7, np.nan)
    matrix = curvature_of(best[None], stars.a[None], scene, templates, which)[0]
    if np.linalg.eigvalsh(matrix)[0] > 0:
        errors[which] = np.sqrt(np.diag(np.linalg.inv(matrix)))
    return errors


def misfit_statistics(p: Array, a: Array, scene: Scene, m: Array) -> Array:
    """Return how far b groups are from the fits (b, 7), shape (b, 2): in their distribution, and along [M/H].

    Of the probabilities below each star: the Cramer-von Mises distance from uniform, and the largest of their running
    sums in the order of [M/H]. They have meaning beside those of groups simulated from the fit.
    """
    u = cumulative(p, a, scene)
    order = np.argsort(u, axis=1)
    weight = scene.weight / scene.weight.sum()
    sorted_u, sorted_w = np.take_along_axis(u, order, axis=1), weight[order]
    middle = np.cumsum(sorted_w, axis=1) - 0.5 * sorted_w
    distance = (sorted_w * (sorted_u - middle) ** 2).sum(axis=1)
    along = np.argsort(m, kind="stable")
    running = np.cumsum(((u - 0.5) * weight)[:, along], axis=1)
    return np.stack([distance, np.abs(running).max(axis=1)], axis=1)


def in_parts(draw: Callable[[int], Array], n: int) -> Array:
    """Return the groups that `draw` gives for 0 ... n - 1, stacked."""
    return np.stack([draw(b) for b in range(n)])
