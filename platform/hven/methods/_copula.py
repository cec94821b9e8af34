"""A bivariate copula of six families and their rotations: what it is, without data."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, did_you_mean
from hven.methods import _copula_laws as laws
from hven.methods._copula_families import EDGE, FAMILIES
from hven.methods._copula_fits import log_density
from hven.methods._copula_tails import Corner

Array = NDArray[np.float64]

CORNERS: tuple[Corner, ...] = ("upper-upper", "lower-lower", "upper-lower", "lower-upper")


@dataclass(frozen=True)
class Copula:
    """A bivariate copula.

    Attributes
    ----------
    family
        ``"independence"``, ``"gaussian"``, ``"student"``, ``"clayton"``, ``"gumbel"``, ``"frank"`` or ``"joe"``.
    theta
        Its parameter: rho of Gaussian and Student; > 0 (Clayton), >= 1 (Gumbel, Joe), not 0 (Frank).
    nu
        Degrees of freedom of Student's, between 2 and 50; infinite for all others.
    rotation
        0, or 90, 180, 270 degrees for Clayton, Gumbel and Joe: the densities c(1-u, v), c(1-u, 1-v), c(u, 1-v).

    Raises
    ------
    ParameterError
        The family is not known, or a parameter is outside its range.

    Examples
    --------
    >>> gumbel = Copula("gumbel", 1.8)
    >>> round(gumbel.tau, 4), round(gumbel.tail("upper-upper"), 4)
    (0.4444, 0.5303)
    >>> gumbel.chi([0.9, 0.99]).round(2).tolist()
    [0.57, 0.53]
    """

    family: str
    theta: float = float("nan")
    nu: float = float("inf")
    rotation: int = 0

    def __post_init__(self) -> None:
        known = ("independence", *FAMILIES)
        if self.family not in known:
            raise ParameterError(
                f"there is no copula family {self.family!r}", expected=", ".join(known),
                hint=did_you_mean(self.family, known, "Choose one."),
            )  # fmt: skip
        allowed = {0, 90, 180, 270} if self._is_rotated else {0}
        if self.rotation not in allowed:
            raise ParameterError(
                f"a {self.family} copula rotated by {self.rotation} degrees", expected=f"one of {sorted(allowed)}",
                hint="Clayton, Gumbel and Joe are rotated; the others have the sign in theta.",
            )  # fmt: skip
        low, high = {
            "independence": (-np.inf, np.inf), "gaussian": (-1, 1), "student": (-1, 1), "clayton": (0, np.inf),
            "gumbel": (1, np.inf), "frank": (-np.inf, np.inf), "joe": (1, np.inf),
        }[self.family]  # fmt: skip
        if self.family != "independence" and not (low <= self.theta <= high and abs(self.theta) != low + high):
            raise ParameterError(
                f"theta of a {self.family} copula is {self.theta:g}", expected=f"between {low:g} and {high:g}, not 0"
                if self.family == "frank" else f"between {low:g} and {high:g}", hint="Make it with Copula.from_tau.",
            )  # fmt: skip
        if self.family == "student" and not 2 <= self.nu <= 50:
            raise ParameterError(
                f"nu of a student copula is {self.nu:g}", expected="between 2 and 50", hint="Beyond, take a gaussian."
            )

    @classmethod
    def from_tau(cls, family: str, tau: float, nu: float = float("inf"), *, rotation: int = 0) -> "Copula":
        """Return the copula of a family that has Kendall's `tau`; of the unrotated one where a `rotation` is given.

        Examples
        --------
        >>> round(Copula.from_tau("clayton", 0.5).theta, 12)
        2.0
        """
        sign = -1.0 if tau < 0 and family == "frank" else 1.0
        return cls(family, sign * laws.theta_of(family, sign * tau), nu, rotation)

    @property
    def tau(self) -> float:
        """Kendall's tau."""
        base = self._base
        return (-1.0 if self.flips[0] != self.flips[1] else 1.0) * laws.tau_of(base.family, base.theta)

    @property
    def spearman(self) -> float:
        """Spearman's rho, 12 int int C du dv - 3, by Gauss-Legendre quadrature."""
        return _spearman(self)

    @property
    def n_parameters(self) -> int:
        """How many parameters it has: 0, 1 or 2."""
        return {"independence": 0, "student": 2}.get(self.family, 1)

    @property
    def name(self) -> str:
        """The family with its rotation, as in `CANDIDATES`."""
        return f"{self.family} {self.rotation}" if self.rotation else self.family

    def log_density(self, u: ArrayLike, v: ArrayLike) -> Array:
        """Return ln c(u, v), shape (n,), for u and v (n,) between 0 and 1."""
        a, b = self._flipped(*pair(u, v))
        base = self._base
        if self.family == "independence":
            return 0 * (a + b)
        parameters = (base.theta, 1 / base.nu) if base.family == "student" else (base.theta,)
        return np.where(np.isnan(a + b), np.nan, log_density(base.family, a, b, parameters))

    def distribution(self, u: ArrayLike, v: ArrayLike) -> Array:
        """Return C(u, v) = P(U <= u, V <= v)."""
        first, second = np.broadcast_arrays(np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64))
        (flip_u, flip_v), base = self.flips, self._base
        a, b = (np.clip(x, 1e-15, 1 - 1e-15) for x in self._flipped(first, second))
        value = laws.distribution(base.family, base.theta, base.nu, a, b)
        if flip_u and flip_v:
            return np.asarray(first + second - 1 + value)
        if flip_u:
            return np.asarray(second - value)
        return np.asarray(first - value) if flip_v else value

    def conditional(self, u: ArrayLike, v: ArrayLike) -> Array:
        """Return P(V <= v | U = u), the h-function of vine copulas."""
        first, second = np.broadcast_arrays(np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64))
        base = self._base
        a, b = (np.clip(x, EDGE, 1 - EDGE) for x in self._flipped(first, second))
        value = laws.conditional(base.family, base.theta, base.nu, a, b)
        return 1 - value if self.flips[1] else value

    def tail(self, corner: Corner) -> float:
        """Return the tail dependence lambda in a corner: the limit of `chi`."""
        base = self._base
        sides = [side == "upper" for side in corner.split("-")]
        first, second = (side != flip for side, flip in zip(sides, self.flips, strict=True))
        if first != second:
            return laws.student_tail(-base.theta, base.nu) if base.family == "student" else 0.0
        return laws.tails_of(base.family, base.theta, base.nu)[int(first)]

    def chi(self, q: ArrayLike, corner: Corner = "upper-upper") -> Array:
        """Return P(both beyond q) / (1 - q) in a corner: (1 - 2q + C(q, q)) / (1 - q) in the upper one.

        Source: Coles, Heffernan & Tawn 1999.
        """
        return self.joint_tail(q, corner) / (1 - np.asarray(q, dtype=np.float64))

    def chibar(self, q: ArrayLike, corner: Corner = "upper-upper") -> Array:
        """Return 2 ln(1 - q) / ln P(both beyond q) - 1; its limit of -1 where that probability vanishes."""
        joint = self.joint_tail(q, corner)
        known = np.where(joint > 0, joint, 0.5)
        told = 2 * np.log1p(-np.asarray(q, dtype=np.float64)) / np.log(known) - 1
        return np.asarray(np.where(joint > 0, told, -1.0))

    def joint_tail(self, q: ArrayLike, corner: Corner = "upper-upper") -> Array:
        """Return the probability that both lie beyond the quantile `q` towards a corner."""
        level = np.asarray(q, dtype=np.float64)
        if self.family in {"gaussian", "student"}:  # their symmetry spares differences of nearly equal numbers
            mixed = -1.0 if corner in {"upper-lower", "lower-upper"} else 1.0
            return replace(self, theta=mixed * self.theta).distribution(1 - level, 1 - level)
        u, v = (level if side == "upper" else 1 - level for side in corner.split("-"))
        both = self.distribution(u, v)
        if corner == "lower-lower":
            return both
        if corner == "upper-upper":
            return np.asarray(1 - u - v + both)
        return np.asarray(v - both) if corner == "upper-lower" else np.asarray(u - both)

    def sample(self, n: int, seed: int | np.random.Generator) -> tuple[Array, Array]:
        """Return `n` pairs u, v, each (n,)."""
        base = self._base
        u, v = laws.draw(base.family, base.theta, base.nu, n, np.random.default_rng(seed))
        return self._flipped(u, v)

    @property
    def _is_rotated(self) -> bool:
        return self.family in FAMILIES and FAMILIES[self.family].is_rotated

    @property
    def flips(self) -> tuple[bool, bool]:
        """Return whether u and v count from the other end."""
        if self.family == "frank" and self.theta < 0:
            return True, False
        return self.rotation in {90, 180}, self.rotation in {180, 270}

    def _flipped(self, u: Array, v: Array) -> tuple[Array, Array]:
        flip_u, flip_v = self.flips
        return 1 - u if flip_u else u, 1 - v if flip_v else v

    @property
    def _base(self) -> "Copula":
        """The copula of positive dependence that this one is the flip of (Gaussian and Student keep their sign)."""
        return replace(self, theta=abs(self.theta) if self.family == "frank" else self.theta, rotation=0)


def pair(u: ArrayLike, v: ArrayLike) -> tuple[Array, Array]:
    """Return two aligned columns of values between 0 and 1, or raise DataRefusedError."""
    a, b = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataRefusedError(f"u has shape {a.shape} and v {b.shape}", expected="(n,) both", hint="Align them.")
    check_open(a, b)
    return a, b


def check_open(a: Array, b: Array) -> None:
    """Raise DataRefusedError where a value is not between 0 and 1."""
    if np.any((a <= 0) | (a >= 1) | (b <= 0) | (b >= 1)):
        raise DataRefusedError(
            "a pseudo-observation is not between 0 and 1", expected="0 < u < 1",
            hint="Make them with ranks.pseudo_observations.",
        )  # fmt: skip


@lru_cache(maxsize=256)
def _spearman(copula: Copula) -> float:
    nodes, weights = np.polynomial.legendre.leggauss(200)
    u, w = 0.5 * (nodes + 1), 0.5 * weights
    return float(12 * w @ copula.distribution(u[:, None], u) @ w - 3)
