"""What y may be of the true x: a straight line, a line with a knee, a spline; values and slopes, in JAX.

All three are a polynomial and truncated powers, m(x) = sum_j c_j (x - lo)^j + sum_j d_j max(x - k_j, 0)^degree: the
line has no knot, the knee one whose place is fitted, the spline some whose places are given. A spline is told by its
B-spline coefficients, which are of the size of y; a matrix turns them into the powers.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """Which mean, and for a spline its degree and number of inner knots; it decides what is compiled."""

    kind: Literal["line", "knee", "spline"] = "line"
    degree: int = 1
    n_inner: int = 0

    @property
    def size(self) -> int:
        """Number of parameters: (slope, intercept), then (slope beyond, knee); or the B-spline coefficients."""
        return {"line": 2, "knee": 4, "spline": self.n_inner + self.degree + 1}[self.kind]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in their order."""
        if self.kind == "spline":
            return tuple(f"spline_{j}" for j in range(self.size))
        return ("slope", "intercept", "slope_beyond", "knee")[: self.size]


class Basis(NamedTuple):
    """The outermost knots of a spline, the inner ones (m,), and the matrix to powers (degree + 1 + m, size)."""

    lo: Any
    hi: Any
    inner: Any
    matrix: Any


LINE = Mean()
NO_BASIS = Basis(np.zeros(()), np.zeros(()), np.zeros(0), np.zeros((0, 0)))


def basis_of(knots: Array, degree: int) -> Basis:
    """Return the basis of the B-splines of `degree` over `knots` (m + 2,): the outermost two and the m inner ones."""
    from scipy.interpolate import BSpline, PPoly

    full = np.concatenate([[knots[0]] * degree, knots, [knots[-1]] * degree])
    size = len(full) - degree - 1
    each = [PPoly.from_spline(BSpline(full, one, degree)).c for one in np.eye(size)]
    pieces = np.stack(each, axis=-1)[:, degree : degree + len(knots) - 1]  # (power, interval, spline)
    return Basis(knots[0], knots[-1], knots[1:-1], np.concatenate([pieces[::-1, 0], np.diff(pieces[0], axis=0)]))


def b_splines(x: Array, knots: Array, degree: int, derivative: bool = False) -> Array:
    """Return each B-spline, or its derivative, at `x`: shape (n, size). Beyond the knots they go on straight."""
    from scipy.interpolate import BSpline

    full = np.concatenate([[knots[0]] * degree, knots, [knots[-1]] * degree])
    spline = BSpline(full, np.eye(len(full) - degree - 1), degree)
    inside = np.clip(x, knots[0], knots[-1])
    slope = np.asarray(spline.derivative()(inside))
    return slope if derivative else np.asarray(spline(inside) + slope * (x - inside)[:, None])


def mean_and_slope(p: Any, x: Any, mean: Mean, basis: Basis) -> tuple[Any, Any]:
    """Return the mean and its derivative at `x`, of any shape, for the parameters `p` (size,)."""
    import jax.numpy as jnp

    if mean.kind != "spline":
        line = p[1] + p[0] * x, p[0] * jnp.ones_like(x)
        if mean.kind == "line":
            return line
        beyond = x - p[3]
        bend = p[2] - p[0]
        return line[0] + bend * jnp.maximum(beyond, 0.0), line[1] + bend * (beyond > 0)
    powers = basis.matrix @ p
    inside = jnp.clip(x, basis.lo, basis.hi)
    value, slope = jnp.zeros_like(x), jnp.zeros_like(x)
    for c in powers[: mean.degree + 1][::-1]:
        slope = value + slope * (inside - basis.lo)
        value = c + value * (inside - basis.lo)
    for c, knot in zip(powers[mean.degree + 1 :], basis.inner, strict=True):
        beyond = jnp.maximum(inside - knot, 0.0)
        below = beyond ** (mean.degree - 1) if mean.degree > 1 else (inside > knot).astype(x.dtype)
        value, slope = value + c * below * beyond, slope + mean.degree * c * below
    return value + slope * (x - inside), slope


def corners(p: Any, mean: Mean, basis: Basis) -> Any:
    """Return where the slope jumps, shape (m,), ascending."""
    if mean.kind == "knee":
        return p[3:4]
    return basis.inner if mean.degree == 1 else basis.inner[:0]
