"""Values that stand for "missing" in a column of numbers: 9.99, -9999, 99.9, exact zeros where none is measured.

`find_fillers` looks at an array; to look at a column batch by batch, feed a `NumberSketch` and give it to
`fillers_of`. Both give the same answer: the array is summarised first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hven.schema.sketches import NumberSketch, weighted_quantiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ATOM = 0.02
"""A value that makes up more than this share of a column is suspect when it stands far outside the rest."""

_FAR = 3.0
"""Far outside: more than this many widths of the middle 68 % of the rest from its range of 99 %."""

_POSITIVE = frozenset(("teff", "distance", "mass", "radius", "prot", "age", "snr", "wavelength"))
_NEVER_ZERO = (_POSITIVE - {"age", "snr"}) | {"logg", "parallax", "ra", "dec", "pmra", "pmdec", "radial_velocity"}
_NO_MEASUREMENT = (
    "flag",
    "mask",
    "bit",
    "id",
    "class",
    "type",
    "mode",
    "status",
    "code",
    "index",
    "healpix",
    "kic",
    "tic",
    "hip",
)
_HUGE = 1e10
_INTEGER_LIMITS = frozenset(float(v) for bits in (16, 32, 64) for v in (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


@dataclass(frozen=True)
class Filler:
    """A value that looks like "missing".

    Attributes
    ----------
    value
        The value.
    count
        How often it occurs.
    share
        Its share of the values that are not null.
    reason
        Why it looks like one, in words.
    """

    value: float
    count: int
    share: float
    reason: str


def find_fillers(values: "ArrayLike", name: str = "", unit: str = "") -> tuple[Filler, ...]:
    """Return the values of a numeric column that look like "missing", the most frequent first.

    A value is suspect when it is repeated and far outside the rest: a usual code (all nines such as 99 and -99.9; the
    limits of integers; 1e20) from the second time on, a code of three digits such as -9999 and 9.99 from the first; any
    other value when it is more than 2 % of the column. In magnitudes, errors, positions, parallaxes, temperatures and
    the like, so is an exact zero that is repeated as no other value is; in a column that is positive otherwise, a
    repeated negative value. Whole numbers (counts, classes, flags) are only held against the codes. Nothing is found in
    rounded or clipped data, in bit fields, ids and categories.

    Parameters
    ----------
    values
        Numbers, shape (n,); NaN and infinite values are left out.
    name
        Of the column; hven's canonical names (or what surveys call them) say which values cannot be.
    unit
        Of the column, as astropy writes it.

    Examples
    --------
    >>> errors = np.r_[np.linspace(0.02, 0.30, 421), np.full(367, 9.99)]
    >>> [(filler.value, filler.count) for filler in find_fillers(errors, "feh_err")]
    [(9.99, 367)]
    >>> find_fillers(np.linspace(4000.0, 6000.0, 1000), "teff")
    ()
    """
    sketch = NumberSketch()
    sketch.update(values)
    return fillers_of(sketch, name, unit)


class Numbers(Protocol):
    """What is known of a column's numbers: a `NumberSketch`, or what a quality sheet keeps of them."""

    count: int
    smallest: "NDArray[np.float64]"
    largest: "NDArray[np.float64]"
    repeated: dict[float, int]
    is_whole: bool

    @property
    def distinct(self) -> int:
        """The number of distinct values."""

    def points(self) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
        """Return values in ascending order with weights, that have the quantiles of the whole."""


def fillers_of(sketch: Numbers, name: str = "", unit: str = "") -> tuple[Filler, ...]:
    """Return what `find_fillers` returns, of a column that was summarised batch by batch.

    Examples
    --------
    >>> sketch = NumberSketch()
    >>> for batch in (np.linspace(10.0, 18.0, 500), np.full(40, 99.99)):
    ...     sketch.update(batch)
    >>> fillers_of(sketch, "g_mag")[0].count
    40
    """
    quantity = _Quantity(name, unit)
    if not sketch.count or quantity.is_no_measurement:
        return ()
    values, weights = sketch.points()
    found: list[Filler] = []
    suspects = sorted(_suspects(sketch), key=lambda value: -sketch.repeated[value])
    is_new = True
    while is_new:  # what was found is left out of the rest in which the others are sought
        is_new = False
        for value in suspects:
            if any(value == filler.value for filler in found):
                continue
            without = [*(f.value for f in found), value]
            reason = _reason(value, sketch, _rest(sketch, values, weights, without), quantity)
            if reason:
                count = sketch.repeated[value]
                found.append(Filler(value, count, count / sketch.count, reason))
                is_new = True
    return tuple(sorted(found, key=lambda filler: (-filler.count, filler.value)))


def is_code(value: float) -> bool:
    """Return whether a number is one that catalogues write for "missing": nines, limits of integers, powers of ten.

    Examples
    --------
    >>> [is_code(value) for value in (9.99, -9999.0, 99.9, -32768, 1e20, 9.9, 12.0, 0.0)]
    [True, True, True, True, True, False, False, False]
    """
    size = abs(value)
    if value in _INTEGER_LIMITS:
        return True
    if size >= _HUGE:
        power = np.log10(size)
        return bool(abs(power - round(power)) < 1e-6 or _is_limit(value))
    return size > 9.9 + 1e-6 and _nines(size) >= 2


def _nines(size: float) -> int:
    """Return how many digits a number of nines only has (9.99: 3), 0 for others; also after rounding to float32."""
    for decimals in range(5):
        scaled = size * 10**decimals
        whole = round(scaled)
        if whole and abs(scaled - whole) <= 2e-7 * scaled:
            return len(str(whole)) if set(str(whole)) == {"9"} else 0
    return 0


def _is_limit(value: float) -> bool:
    near = [float(np.finfo(kind).max) for kind in (np.float32, np.float64)] + [2.0**31, 2.0**63, 1.6375e30]
    return any(abs(abs(value) / limit - 1) < 1e-6 for limit in near)


def _is_strong(value: float) -> bool:
    """Return whether one occurrence is enough: -999, -99.9, 999.9 and longer; limits of integers; huge numbers."""
    return is_code(value) and (
        abs(value) >= _HUGE or value in _INTEGER_LIMITS or _nines(abs(value)) >= 3 or value == -99
    )


class _Quantity:
    """What the name and unit of a column say of the values it can have."""

    def __init__(self, name: str, unit: str) -> None:
        from hven.schema.canonical import canonical_column

        lower = name.casefold()
        words = set(lower.replace("_", " ").split())
        known = canonical_column(name)
        plain = known.name if known is not None else lower
        self.is_error = plain.endswith(("_err", "_error", "_sigma", "_unc")) or lower.startswith(
            ("e_", "err_", "sigma_")
        )
        base = plain.removesuffix("_err")
        is_magnitude = unit.startswith("mag") or base.endswith(("mag", "_mag"))
        self.is_no_measurement = known is None and (
            bool(words & set(_NO_MEASUREMENT)) or lower.endswith(("flag", "flags", "mask", "id", "bits"))
        )
        if known is not None and not known.unit and base in {"object_id", "source_id", "_healpix_29", "mask"}:
            self.is_no_measurement = True
        self.never_zero = self.is_error or base in _NEVER_ZERO or (is_magnitude and not _is_colour(base))
        self.is_positive = self.is_error or base in _POSITIVE
        self.is_known = known is not None


def _is_colour(name: str) -> bool:
    return name.startswith(("a_", "ebv", "e_bv", "bp_rp")) or "excess" in name


@dataclass(frozen=True)
class _Rest:
    """The values of a column but those left out: distinct ones, range of 99 %, width of the middle, limits."""

    distinct: int
    low: float
    high: float
    middle: float
    width: float
    smallest: float
    largest: float
    most: int

    @property
    def range(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}"


def _suspects(sketch: Numbers) -> Iterator[float]:
    for value, count in sketch.repeated.items():
        if count > ATOM * sketch.count or (count > 1 and value <= 0) or is_code(value):
            yield value


def _rest(sketch: Numbers, values: "NDArray[Any]", weights: "NDArray[Any]", without: list[float]) -> _Rest | None:
    outer = np.concatenate([sketch.smallest, sketch.largest])
    codes = [v for v in sketch.repeated if is_code(v) and (v <= sketch.smallest[-1] or v >= sketch.largest[0])]
    edge = max(map(abs, without))
    # Larger codes at the edges are no part of the rest either.
    dropped = np.array([*without, *(c for c in codes if abs(c) >= edge)])
    kept = ~np.isin(values, dropped)
    if not kept.any():
        return None
    low, first, middle, last, high = weighted_quantiles(values[kept], weights[kept], [0.005, 0.16, 0.5, 0.84, 0.995])
    outer = outer[~np.isin(outer, dropped)]
    inner = values[kept]
    smallest, largest = (
        float(min(inner[0], outer.min(initial=np.inf))),
        float(max(inner[-1], outer.max(initial=-np.inf))),
    )
    others = [count for value, count in sketch.repeated.items() if value not in dropped]
    distinct = max(0, sketch.distinct - len(set(dropped.tolist())))
    return _Rest(
        distinct, low, high, middle, max(last - first, 1e-12 * abs(middle)), smallest, largest, max(others, default=1)
    )


def _reason(value: float, sketch: Numbers, rest: _Rest | None, quantity: _Quantity) -> str:
    """Return why a value looks like a filler; empty when it does not."""
    count = sketch.repeated[value]
    share = count / sketch.count
    text = f"{share:.2g} of the values" if share < 0.001 else f"{share:.1%} of the values"
    if rest is None:
        return "the only value, and a usual code for missing" if is_code(value) and count > 1 else ""
    is_atom = share > ATOM and count > 2
    if is_code(value) and rest.distinct >= (2 if _is_strong(value) else 5):
        is_enough = is_atom or count > 1 or _is_strong(value)
        if is_enough and (_is_far(value, rest) if is_atom else _is_alone(value, rest)):
            return f"a usual code for missing, {text}, far outside the rest ({rest.range})"
    is_measured = rest.distinct >= 20 or (rest.distinct >= 10 and sketch.count < 100)
    if not is_measured:
        return ""
    if value == 0 and quantity.never_zero and count > 1 and count > 3 * rest.most and (rest.width > 0):
        return f"exactly 0 in {text}, which is not measured in this quantity"
    if sketch.is_whole and not quantity.is_known:
        return ""
    if is_atom and count >= 5 and _is_far(value, rest):
        return f"{text}, far outside the rest ({rest.range})"
    if (
        value < 0 < rest.smallest
        and count > 3 * rest.most
        and (quantity.is_positive or (is_atom and value.is_integer()))
    ):
        return f"{text}, the only value below zero (the rest is {rest.range})"
    return ""


def _is_far(value: float, rest: _Rest) -> bool:
    """Return whether an atom is far from the range of 99 % of the rest."""
    beyond = max(rest.low - value, value - rest.high)
    return beyond > _FAR * rest.width and beyond > 0.25 * abs(value - rest.middle)


def _is_alone(value: float, rest: _Rest) -> bool:
    """Return whether a value is far from every other value, with an empty gap between."""
    beyond = max(rest.smallest - value, value - rest.largest)
    return beyond > _FAR * rest.width and beyond > 0.5 * abs(value - rest.middle)
