"""Where stars are poorer in metals than the field around them: a matched filter on pixels, in mean and in scatter.

The residuals of a disc are correlated over half a kiloparsec without any patch, so that the noise of a smoothed map is
not what a patch must stand out from. Here the map is a Gaussian process, learned from itself, and a patch is sought
with the filter that is best against that: T = g^T C^-1 m / sqrt(g^T C^-1 g), g being its profile and C the covariance
of field and noise. In a patch of two kinds of stars the scatter is larger, too, which a field cannot do.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hven.methods import gp

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Smoothing = Literal["gp", "gaussian"]
Use = Literal["both", "mean"]

_RING = 0.5
_ROUNDS, _QUIET = 3, 2.0


@dataclass(frozen=True)
class Stars:
    """Stars in the plane of the Galaxy: residuals with errors, and what an error of the radius does to them.

    Attributes
    ----------
    x, y
        Place in kpc, (n,).
    delta, err
        Residual and its error in dex, (n,).
    r_err
        Error of the radius in kpc, (n,), zero where it is not known.
    by_radius
        What that error adds to the residual, the gradient times it, in dex, (n,).
    pixel
        Which pixel each star is in, (n,), -1 for none.
    assumed
        What had to be assumed, in words.
    """

    x: Array
    y: Array
    delta: Array
    err: Array
    r_err: Array
    by_radius: Array
    pixel: Integers
    assumed: str = "nothing"

    def moved(self, source: Integers) -> "Stars":
        """Return the stars with the residuals, errors included, of the stars `source` (n,) at their places."""
        return replace(
            self, delta=self.delta[source], err=self.err[source], r_err=self.r_err[source],
            by_radius=self.by_radius[source],
        )  # fmt: skip

    def sums(self, values: Array, n: int) -> Array:
        """Return the sums over the stars in each of `n` pixels."""
        inside = self.pixel >= 0
        return np.bincount(self.pixel[inside], values[inside], n)


@dataclass(frozen=True)
class Evidence:
    """What m pixels tell of metal-poor stars, in standard deviations, negative where there are some.

    Attributes
    ----------
    x, y
        Mean place of the stars of each pixel, (m,).
    mean, mean_err, field
        Mean residual with the error that stars leave, and the smooth field through it, (m,).
    mean_z, scatter_z, z
        Evidence in the mean (negative for a deficit), in the scatter (positive for an excess), and of both, (m,).
    amplitude, scale
        Of the field, in dex and kpc; NaN without one.
    """

    x: Array
    y: Array
    mean: Array
    mean_err: Array
    field: Array
    mean_z: Array
    scatter_z: Array
    z: Array
    amplitude: float
    scale: float


@dataclass(frozen=True)
class Detector:
    """A filter for patches of one size on fixed pixels; applied to the stars as they are, or shuffled.

    Attributes
    ----------
    n
        Number of pixels.
    template
        Profile of a patch at each pixel, (m, m).
    process
        The field, or None where noise is all that there is.
    variance
        That of each star beside the field: scatter and errors, (n,).
    quiet
        Pixels that seem to have no patch, (m,): the scatter is held against theirs.
    use
        ``"both"``, or ``"mean"`` alone.
    """

    n: int
    template: Array
    process: gp.GaussianProcess | None
    variance: Array
    quiet: NDArray[np.bool_]
    use: Use

    def evidence(self, stars: Stars, places: tuple[Array, Array]) -> Evidence:
        """Return what the stars tell of patches at each pixel."""
        w = 1 / self.variance
        total = stars.sums(w, self.n)
        mean = stars.sums(w * stars.delta, self.n) / total
        err = 1 / np.sqrt(total)
        if self.process is None:
            level = np.average(mean, weights=total)
            field = np.full(self.n, level)
            mean_z = self.template @ (total * (mean - level)) / np.sqrt(self.template**2 @ total)
            amplitude = scale = np.nan
        else:
            field, _ = self.process.predict(self.process.x, mean)
            filtered = self._filtered()
            mean_z = (filtered[0].T @ mean - filtered[1] * self.process.level(mean)) / filtered[2]
            amplitude, scale = self.process.amplitude, self.process.scale
        scatter_z = self._scatter(stars, places, field)
        z = mean_z if self.use == "mean" else (mean_z - scatter_z) / np.sqrt(2)
        return Evidence(*places, mean, err, field, mean_z, scatter_z, z, amplitude, scale)

    def _filtered(self) -> tuple[Array, Array, Array]:
        """Return C^-1 g, its sum and the norm of the filter, for each pixel; the unknown level costs some of it."""
        assert self.process is not None  # noqa: S101 - only called where there is one
        solved = self.process.solve(self.template)
        ones = self.process.solve(np.ones(self.n))
        along = solved.sum(axis=0)
        norm2 = np.einsum("ij,ij->j", self.template, solved) - along**2 / ones.sum()
        return solved, along, np.sqrt(norm2)

    def _scatter(self, stars: Stars, places: tuple[Array, Array], field: Array) -> Array:
        """Return the excess of the scatter about the field, over that of stars at the same radius."""
        w2 = 1 / self.variance**2
        off = stars.delta - along(stars, places, field, self.process)
        weight = stars.sums(w2, self.n)
        excess = stars.sums(w2 * (off**2 - self.variance), self.n) / weight
        inverse = 0.5 * weight
        radius = np.hypot(*places)
        near = (np.abs(radius[:, None] - radius) < _RING) & self.quiet
        everywhere = np.average(excess[self.quiet], weights=inverse[self.quiet])
        excess = excess - (near @ (inverse * excess) + everywhere) / (near @ inverse + 1)
        return np.asarray(self.template @ (inverse * excess) / np.sqrt(self.template**2 @ inverse))


def detector(
    stars: Stars, n: int, places: tuple[Array, Array], *, radius: float, smoothing: Smoothing, use: Use, seed: int
) -> Detector:
    """Return the filter for patches of a Gaussian profile of width `radius` kpc, its field learned from the stars."""
    at = np.column_stack(places)
    apart2 = np.sum((at[:, None] - at) ** 2, axis=2)
    template = np.exp(-0.5 * apart2 / radius**2)
    quiet = np.ones(n, dtype=bool)
    variance = _scatter2(stars, n, np.zeros(len(stars.x)), stars.err**2, quiet) + stars.err**2
    made = Detector(n, template, None, variance, quiet, use)
    for turn in range(_ROUNDS if smoothing == "gp" else 1):
        process, err2, smooth = None, stars.err**2, np.zeros(len(stars.x))
        if smoothing == "gp":
            w = 1 / made.variance
            total = stars.sums(w, n)
            mean = stars.sums(w * stars.delta, n) / total
            known = made.process
            process = gp.fit(
                at, mean, 1 / np.sqrt(total), seed=seed, amplitude=known.amplitude if known else None,
                scale=known.scale if known else None,
            )  # fmt: skip
            err2 = _with_slope(stars, process)
            smooth = along(stars, places, process.predict(at)[0], process)
        variance = _scatter2(stars, n, smooth, err2, quiet) + err2
        made = Detector(n, template, process, variance, quiet, use)
        if turn + 1 < _ROUNDS:
            # both tails, or the scatter of a map without any patch would come out too small
            quiet = np.abs(made.evidence(stars, places).z) < _QUIET
    return replace(made, quiet=quiet)


def _with_slope(stars: Stars, process: gp.GaussianProcess) -> Array:
    """Return the squared errors of the residuals, (n,), where the field has a slope along which errors move stars."""
    r = np.hypot(stars.x, stars.y)
    slope = process.gradient(process.x)[np.maximum(stars.pixel, 0)]
    rises = (slope[:, 0] * stars.x + slope[:, 1] * stars.y) / r
    moved2 = (rises * stars.r_err) ** 2 + 2 * rises * stars.r_err * stars.by_radius
    return np.maximum(stars.err**2 + moved2, 0.25 * stars.err**2)


def along(stars: Stars, places: tuple[Array, Array], field: Array, process: gp.GaussianProcess | None) -> Array:
    """Return the field at each star, (n,): that of its pixel, along its slope within."""
    inside = np.maximum(stars.pixel, 0)
    at = field[inside]
    if process is not None:
        slope = process.gradient(process.x)[inside]
        at = at + slope[:, 0] * (stars.x - places[0][inside]) + slope[:, 1] * (stars.y - places[1][inside])
    return at


def _scatter2(stars: Stars, n: int, field: Array, err2: Array, quiet: NDArray[np.bool_]) -> float:
    """Return the variance of stars at one place without their errors: the median over quiet pixels."""
    count = stars.sums(np.ones(len(stars.x)), n)
    off = stars.delta - field
    mean = stars.sums(off, n) / np.maximum(count, 1)
    squares = stars.sums((off - mean[np.maximum(stars.pixel, 0)]) ** 2, n) / np.maximum(count - 1, 1)
    noise = stars.sums(err2, n) / np.maximum(count, 1)
    many = quiet & (count >= min(20, np.quantile(count, 0.5)))
    return float(max(np.median((squares - noise)[many]), 1e-8))
