"""Two columns, group by group, as pseudo-observations: what every analysis of this family starts from."""

from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import hven
from hven.methods import caveats, gather, ranks
from hven.methods.weights import effective_number, scaled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[np.float64]

MEASURED, TOO_FEW, CONSTANT = "ok", "too few stars", "a column has one value only"
_TIED, _SHOWN = 0.05, 6
GROUPED = ("group", "group_valid")
RESAMPLED = 4000
"""Stars that replicates of a bootstrap are drawn from at most; errors fall as 1/sqrt(n) from there."""


@dataclass(frozen=True)
class Pairs:
    """The stars of one group that have both values, in an order that depends on the values alone.

    Attributes
    ----------
    label
        Of the group; ``"all"`` without groups.
    rows
        Their places in the table.
    x, y
        Values in their own units, shape (n,).
    u, v
        Pseudo-observations within the group, shape (n,).
    w
        Weights that add up to the effective number of stars, or None.
    x_err, y_err
        1-sigma errors where there are any.
    reason
        ``"ok"``, or why nothing can be said of the group.
    """

    label: str
    rows: NDArray[np.intp]
    x: Array
    y: Array
    u: Array
    v: Array
    w: Array | None
    x_err: Array | None
    y_err: Array | None
    reason: str

    @property
    def n(self) -> int:
        """Number of stars."""
        return len(self.rows)

    @property
    def n_effective(self) -> float:
        """Number of stars of equal weight that tell as much: (sum w)^2 / sum w^2 (Kish 1965)."""
        return float(self.n) if self.w is None else effective_number(self.w)

    def some(self, most: int, seed: int) -> "Pairs":
        """Return the group with at most so many of its stars, ranked anew when some are left out."""
        if self.n <= most:
            return self
        kept = np.sort(np.random.default_rng([seed, self.n]).choice(self.n, most, replace=False))
        w = None if self.w is None else self.w[kept]
        u, v = (ranks.pseudo_observations(side[kept], w) for side in (self.u, self.v))
        return replace(self, rows=self.rows[kept], x=self.x[kept], y=self.y[kept], u=u, v=v, w=w)


def pairs_by_group(stars: xr.Dataset, columns: Sequence[str], *, n_min: int, where: str) -> list[Pairs]:
    """Return the pairs of each group, groups in ascending order; all stars are one where there is no ``group``.

    Raises
    ------
    ParameterError
        Both columns are the same.
    DataRefusedError
        A column does not hold numbers.
    TooFewObjectsError
        No group has `n_min` stars.
    """
    first, second = columns
    if first == second:
        raise hven.errors.ParameterError(
            f"both columns are {first!r}", where=where, expected="two different ones", hint="Name two columns."
        )
    names = (first, second, f"{first}_err", f"{second}_err", "weight", "group", "group_valid")
    held = gather(stars, [name for name in names if name in stars])
    x, y = (_numbers(held[name], where) for name in columns)
    errors = [_numbers(held[f"{n}_err"], where) if f"{n}_err" in held else None for n in columns]
    w = _numbers(held["weight"], where) if "weight" in held else None
    known = np.isfinite(x) & np.isfinite(y)
    if w is not None:
        known &= np.nan_to_num(w) > 0
    groups = [_pairs(label, np.flatnonzero(known & here), x, y, w, errors, n_min) for label, here in _labels(held, x)]
    if not any(g.reason != TOO_FEW for g in groups):
        most = max((g.n_effective for g in groups), default=0.0)
        raise hven.errors.TooFewObjectsError(
            f"no group has {n_min} stars with both {first} and {second}; the largest has {most:.0f}{_weighted(w)}",
            where=where,
            hint="Loosen the selection, or lower n_min.",
        )
    return groups


def bootstrapped(
    pairs: Pairs, statistics: Callable[[Array, Array, Array], "ArrayLike"], *, n_boot: int, seed: int
) -> tuple[Array, Array]:
    """Return the 1-sigma error of each statistic of (u, v, weights), and the 16 % and 84 % marks about its mean.

    Each replicate draws stars with replacement and ranks them anew. Large groups are resampled in part and the spread
    scaled by sqrt(m/n).
    """
    some = pairs.some(RESAMPLED, seed)
    rng = np.random.default_rng([seed, some.n])
    given = np.ones(some.n) if some.w is None else some.w
    values = []
    for _ in range(n_boot):
        w = given * np.bincount(rng.integers(0, some.n, some.n), minlength=some.n)
        drawn = w > 0
        u, v = (ranks.pseudo_observations(side[drawn], w[drawn]) for side in (some.u, some.v))
        values.append(np.asarray(statistics(u, v, w[drawn]), dtype=np.float64))
    scale = np.sqrt(some.n / pairs.n)
    stacked = np.asarray(values)
    marks = np.quantile(stacked, [0.16, 0.84], axis=0) - stacked.mean(axis=0)
    return scale * stacked.std(axis=0, ddof=1), scale * marks


def is_too_long(stars: xr.Dataset, columns: Sequence[str], memory: str) -> bool:
    """Return whether the columns are lazy and larger than `memory`."""
    from dask.utils import parse_bytes

    held = [stars[name] for name in columns]
    return all(column.chunks is not None for column in held) and sum(c.nbytes for c in held) > parse_bytes(memory)


def pairs_out_of_core(stars: xr.Dataset, columns: Sequence[str], *, n_min: int, where: str) -> list[Pairs]:
    """Return the pairs of each group of stars, ranked out of core; values are float32, ranks exact.

    Weights and the names of the groups are held in memory. Each group takes passes of its own.

    Raises
    ------
    TooFewObjectsError
        No group has `n_min` stars.
    """
    x, y = (stars[name] for name in columns)
    known = np.asarray(x.notnull() & y.notnull())
    w = None
    if "weight" in stars:
        w = np.asarray(stars["weight"].values, dtype=np.float64)
        known &= np.nan_to_num(w) > 0
    groups = []
    for label, here in _labels(stars, known):
        mine = known & here
        rows = np.flatnonzero(mine)
        counts, own = None, None
        if w is not None:
            counts = scaled(w[rows])
            own = np.zeros(len(w))
            own[rows] = counts
        if (len(rows) if counts is None else effective_number(counts)) < n_min:
            nothing = np.empty(0)
            groups.append(Pairs(label, rows, nothing, nothing, nothing, nothing, counts, None, None, TOO_FEW))
            continue
        u, v = (exact_observations(column.data, mine, own)[rows] for column in (x, y))
        order = np.lexsort((v, u))
        raw = [np.asarray(column.data.astype(np.float32).compute())[rows][order] for column in (x, y)]
        rows, u, v = rows[order], u[order], v[order]
        reason = CONSTANT if np.ptp(u) == 0 or np.ptp(v) == 0 else MEASURED
        counts = None if counts is None else counts[order]
        groups.append(Pairs(label, rows, raw[0], raw[1], u, v, counts, None, None, reason))
    if all(g.reason == TOO_FEW for g in groups):
        most = max((g.n_effective for g in groups), default=0.0)
        raise hven.errors.TooFewObjectsError(
            f"no group has {n_min} stars with both {columns[0]} and {columns[1]}; the largest has"
            f" {most:.0f}{_weighted(w)}", where=where, hint="Loosen the selection, or lower n_min.",
        )  # fmt: skip
    return groups


def exact_observations(
    column: Any, known: NDArray[np.bool_], weights: Array | None = None, rows_in_memory: int = 4_000_000
) -> Array:
    """Return the pseudo-observations of a lazy column, its values never all in memory; NaN where not `known`.

    Examples
    --------
    >>> import dask.array as da
    >>> column = da.from_array([3.0, 1.0, np.nan, 2.0], chunks=2)
    >>> exact_observations(column, np.array([True, True, False, True])).tolist()
    [0.75, 0.25, nan, 0.5]
    """
    starts = np.concatenate([[0], np.cumsum(column.chunks[0])])
    spans = list(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))

    def reader(a: int, b: int) -> Callable[[], Array]:
        return lambda: np.where(known[a:b], np.asarray(column[a:b].compute(), dtype=np.float64), np.nan)

    parts = [reader(a, b) for a, b in spans]
    counts = None if weights is None else [np.where(known[a:b], weights[a:b], 0.0) for a, b in spans]
    out = np.full(len(known), np.nan)
    for part, positions, found in ranks.exact_ranks(parts, weights=counts, rows_in_memory=rows_in_memory):
        out[spans[part][0] + positions] = found
    total = float(known.sum()) if weights is None else float(weights[known].sum())
    return out / (total + 1)


def caveats_of(groups: Sequence[Pairs], n_given: int, columns: Sequence[str]) -> list[str]:
    """Return the caveats of pairs: groups that say nothing, stars left out or repeated, ties, few effective stars."""
    texts = caveats.of_missing(n_given, sum(g.n for g in groups))
    for reason in dict.fromkeys(g.reason for g in groups if g.reason != MEASURED):
        labels = [g.label for g in groups if g.reason == reason]
        more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
        texts.append(f"Group {', '.join(labels[:_SHOWN])}{more}: {reason}.")
    measured = [g for g in groups if g.reason == MEASURED]
    if not measured:
        return texts
    light = [g for g in measured if g.n_effective < 0.5 * g.n]
    if light:
        one = min(light, key=lambda g: g.n_effective / g.n)
        texts.append(f"Weights leave the {one.n:,} stars of group {one.label} the worth of {one.n_effective:,.0f}.")
    sides = [np.concatenate([getattr(g, side) for g in measured]) for side in ("x", "y")]
    for name, values in zip(columns, sides, strict=True):
        distinct, counts = np.unique(values, return_counts=True)
        if counts.max() > _TIED * len(values):
            share, value = counts.max() / len(values), distinct[np.argmax(counts)]
            texts.append(
                f"{share:.0%} of the stars have one {name}, {value:g}: ranks of ties say nothing of their order."
            )
    for name, values, side in zip(columns, sides, ("x_err", "y_err"), strict=True):
        if all(getattr(g, side) is not None for g in measured):
            texts += caveats.of_errors(name, values, np.concatenate([getattr(g, side) for g in measured]))
    return texts + caveats.of_repeats(sides)


def _weighted(w: Array | None) -> str:
    return "" if w is None else " by its weights, (sum w)^2 / sum w^2"


def _labels(held: xr.Dataset, x: Sized) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    if "group" not in held:
        yield "all", np.ones(len(x), dtype=bool)
        return
    values, is_known = held["group"].values, is_labelled(held, "group")
    for label in sorted(set(values[is_known].tolist())):
        told = f"{label:g}" if isinstance(label, float) else str(label)
        yield told, is_known & (values == label)


def is_labelled(stars: xr.Dataset, name: str) -> NDArray[np.bool_]:
    """Return which stars have a label, (n,); nulls of a column of any type are none.

    Examples
    --------
    >>> labels = {"group": ("object", [3, 0]), "group_valid": ("object", [True, False])}
    >>> is_labelled(xr.Dataset(labels), "group").tolist()
    [True, False]
    """
    values = np.asarray(stars[name].values)
    if values.dtype.kind == "f":
        return np.isfinite(values)
    known = np.array([value is not None for value in values], dtype=bool)
    return known & np.asarray(stars[f"{name}_valid"].values) if f"{name}_valid" in stars else known


def _pairs(
    label: str, rows: NDArray[np.intp], x: Array, y: Array, w: Array | None, errors: list[Array | None], n_min: int
) -> Pairs:
    rows = rows[np.lexsort((y[rows], x[rows]))]
    taken = [None if w is None else scaled(w[rows]), *(None if column is None else column[rows] for column in errors)]
    a, b = x[rows], y[rows]
    u, v = (ranks.pseudo_observations(side, taken[0]) for side in (a, b))
    reason = MEASURED
    if (len(rows) if w is None else effective_number(w[rows])) < max(n_min, 2):
        reason = TOO_FEW
    elif np.ptp(a) == 0 or np.ptp(b) == 0:
        reason = CONSTANT
    counts, x_err, y_err = taken
    return Pairs(label, rows, a, b, u, v, counts, x_err, y_err, reason)


def _numbers(column: xr.DataArray, where: str) -> Array:
    if column.dtype.kind not in "iufb":
        raise hven.errors.DataRefusedError(
            f"column {column.name!r} holds {column.dtype}", where=where, expected="numbers", hint="Name another column."
        )
    return np.asarray(column.values, dtype=np.float64)
