"""The quality sheet of a table: what the values of each column look like, and what in them needs attention.

`quality_of` makes the sheet of a frame, `merged_quality` that of several frames from theirs: counts of rows, nulls and
infinite values, smallest and largest value are exact; quantiles are right to about half a percent of ranks; counts of
repeated values are exact for those that make up more than 1 % of a frame and for usual codes at its ends, else of a
sample. A sheet is small (about 1 kB a column): an ingest makes one of each segment that it writes and merges them in
the end; an append merges that of the dataset with its own.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hven.schema.canonical import PLAUSIBLE
from hven.schema.columns import Column
from hven.schema.fillers import Filler, fillers_of, is_code
from hven.schema.note import Note
from hven.schema.sketches import NumberSketch, weighted_quantiles

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

SHOWN = (0.01, 0.16, 0.5, 0.84, 0.99)
"""The quantiles that are shown."""

_HALF = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.16, 0.25, 0.35)
SHARES = (*_HALF, 0.5, *(1 - share for share in reversed(_HALF)))
"""The quantiles that are kept."""

SAMPLE = 2**16
"""Rows of a frame of which quantiles and repeats are taken; all of a smaller one."""

_KEPT = 24
_EDGE = 8
_POINTS = 1000
_EXACT_INTEGERS = 2**53
_NUMBERS = 0.9


@dataclass(frozen=True)
class ColumnQuality:
    """What the values of one column look like.

    Attributes
    ----------
    name, dtype, unit, assumed
        As in the schema.
    rows, nulls, infinite
        How many values there are, are missing, are infinite.
    distinct, distinct_is
        How many distinct values, and whether that is ``"exact"``, ``"about"`` or ``"at least"`` so.
    smallest, largest
        The smallest and the largest distinct finite values, ascending, at most eight each; of texts none.
    repeated
        The most frequent values with their counts, the most frequent first.
    rest
        Quantiles, at `SHARES`, of the finite values that are not among `repeated`; none of texts and of integers
        beyond 2^53.
    is_whole
        Whether every number is whole.
    numbers
        Of texts, how many read as numbers.

    Examples
    --------
    >>> import polars as pl
    >>> (column,) = quality_of(pl.DataFrame({"teff": [5000.0, None, 4800.0, 4800.0]})).columns
    >>> column.nulls, column.distinct, column.smallest, column.repeated[0]
    (1, 2, (4800.0, 5000.0), (4800.0, 2))
    """

    name: str
    dtype: str
    unit: str = ""
    assumed: str = ""
    rows: int = 0
    nulls: int = 0
    infinite: int = 0
    distinct: int = 0
    distinct_is: str = "exact"
    smallest: tuple[float, ...] = ()
    largest: tuple[float, ...] = ()
    repeated: tuple[tuple[Any, int], ...] = ()
    rest: tuple[float, ...] = ()
    is_whole: bool = False
    numbers: int = 0

    @property
    def count(self) -> int:
        """How many values are finite numbers, or texts."""
        return self.rows - self.nulls - self.infinite

    @cached_property
    def fillers(self) -> tuple[Filler, ...]:
        """The values that look like "missing"; see `hven.schema.find_fillers`."""
        return fillers_of(_Numbers(self), self.name, self.unit) if self.smallest else ()

    def quantile(self, share: float) -> float:
        """Return a quantile of the finite values, NaN when there is none.

        Examples
        --------
        >>> import polars as pl
        >>> quality_of(pl.DataFrame({"x": [0.0, 1.0, 2.0]})).columns[0].quantile(0.5)
        1.0
        """
        if not self.smallest:
            return float("nan")
        if share in (0, 1):
            return self.largest[-1] if share else self.smallest[0]
        values, reached = self._ranks
        return float(values[min(int(np.searchsorted(reached, share * reached[-1])), values.size - 1)])

    def notes(self) -> list[Note]:
        """Return what needs attention: fillers, values that do not suit an assumed unit, numbers kept as text."""
        told = []
        for filler in self.fillers:
            text = f"{filler.value:g} looks like a filler: {filler.count:,} of {self.count:,} values, {filler.reason}"
            told.append(Note(f"column {self.name!r}: {text}", True, self.name))
        limits = PLAUSIBLE.get(self.name)
        if self.assumed == "unit" and limits and self.smallest:
            middle = self._middle_without_fillers()
            if not limits[0] <= middle <= limits[1]:
                told.append(
                    Note(
                        f"column {self.name!r} has no unit in the file and is taken in {self.unit}, but its median is "
                        f"{middle:.2g}: that is no usual {self.name!r} in {self.unit}. If it is in another unit, "
                        f"ingest it again with units={{{self.name!r}: UNIT}}",
                        True,
                        self.name,
                    )
                )
        if self.dtype == "string" and self.count and _NUMBERS * self.count < self.numbers:
            rest = self.count - self.numbers
            others = ", ".join(repr(text) for text, _ in self.repeated if not _is_number(text))
            said = f" (others: {others})" if others else ""
            all_or = "all" if not rest else f"all but {rest:,}"
            told.append(
                Note(
                    f"column {self.name!r} is text, though {all_or} of {self.count:,} are numbers{said}",
                    True,
                    self.name,
                )
            )
        return told

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, with ``fillers`` and ``quantiles`` for readers."""
        told = {key: value for key, value in asdict(self).items() if value not in ("", (), 0, False)}
        if self.smallest:
            told["quantiles"] = {str(share): self.quantile(share) for share in SHOWN}
        if self.fillers:
            told["fillers"] = [asdict(filler) for filler in self.fillers]
        return told

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        told: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v
            for key, v in values.items()
            if key not in ("fillers", "quantiles")
        }
        told["repeated"] = tuple((value, count) for value, count in values.get("repeated", ()))
        return cls(**told)

    @cached_property
    def _ranks(self) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
        """Values in ascending order, and how many are not larger than each."""
        values, weights = _Numbers(self).points()
        return values, np.cumsum(weights)

    def _middle_without_fillers(self) -> float:
        values, weights = _Numbers(self).points()
        kept = ~np.isin(values, [filler.value for filler in self.fillers])
        return float(weighted_quantiles(values[kept], weights[kept], 0.5)) if kept.any() else float("nan")


@dataclass(frozen=True)
class Quality:
    """The quality sheet of a table.

    Attributes
    ----------
    rows
        Of the table.
    columns
        What the values of each column look like.

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"feh_err": [0.02 + 0.001 * n for n in range(99)] + [9.99] * 40})
    >>> [note.text[:53] for note in quality_of(stars).notes()]
    ["column 'feh_err': 9.99 looks like a filler: 40 of 139"]
    """

    rows: int = 0
    columns: tuple[ColumnQuality, ...] = field(default_factory=tuple)

    def __getitem__(self, name: str) -> ColumnQuality:
        return next(column for column in self.columns if column.name == name)

    def notes(self) -> list[Note]:
        """Return what needs attention in any column."""
        return [note for column in self.columns for note in column.notes()]

    def to_json(self) -> bytes:
        """Return canonical JSON text: equal sheets give equal bytes."""
        told = {"rows": self.rows, "shares": list(SHARES), "columns": [column.to_json() for column in self.columns]}
        return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Return the sheet that `to_json` wrote."""
        told = json.loads(text)
        return cls(told["rows"], tuple(map(ColumnQuality.from_json, told["columns"])))


def quality_of(frame: "pl.DataFrame", columns: Mapping[str, Column] | None = None) -> Quality:
    """Return the quality sheet of a frame; `columns` say units, by name. Vectors are left out.

    Examples
    --------
    >>> import polars as pl
    >>> sheet = quality_of(pl.DataFrame({"parallax": [0.5, 1.5]}), {"parallax": Column("parallax", "", unit="mas")})
    >>> sheet["parallax"].unit, Quality.from_json(sheet.to_json()) == sheet
    ('mas', True)
    """
    told = columns or {}
    flat = [series for series in frame.iter_columns() if not series.dtype.is_nested()]
    return Quality(frame.height, tuple(_of_series(s, told.get(s.name, Column(s.name, ""))) for s in flat))


def merged_quality(sheets: Iterable[Quality]) -> Quality:
    """Return the quality sheet of all rows of which there are sheets; a column that a sheet lacks is null in it.

    Examples
    --------
    >>> import polars as pl
    >>> frames = pl.DataFrame({"x": [1.0, 2.0]}), pl.DataFrame({"x": [None, 9.0]})
    >>> both = merged_quality(map(quality_of, frames))
    >>> both.rows, both["x"].nulls, both["x"].largest[-1]
    (4, 1, 9.0)
    """
    several = list(sheets)
    rows = sum(sheet.rows for sheet in several)
    named: dict[str, list[ColumnQuality]] = {}
    for sheet in several:
        for column in sheet.columns:
            named.setdefault(column.name, []).append(column)
    merged = []
    for columns in named.values():
        one = reduce(_merged, columns[1:], columns[0]) if len(columns) < 3 else _merged_all(columns)
        merged.append(replace(one, rows=rows, nulls=one.nulls + rows - one.rows))
    return Quality(rows, tuple(merged))


class _Numbers:
    """A column's numbers, as `fillers_of` asks for them."""

    def __init__(self, column: ColumnQuality) -> None:
        self.count = column.count
        self.smallest = np.array(column.smallest)
        self.largest = np.array(column.largest)
        self.repeated = {float(value): count for value, count in column.repeated}
        self.distinct = column.distinct
        self.is_whole = column.is_whole
        self._rest = column.rest

    def points(self) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
        """Return values in ascending order with weights, that have the quantiles of the column."""
        repeated = np.array(list(self.repeated), dtype=np.float64)
        weights = np.fromiter(self.repeated.values(), np.int64, len(self.repeated))
        if self._rest:
            left = max(1, self.count - int(weights.sum()))
            middles = (np.arange(_POINTS) + 0.5) / _POINTS
            repeated = np.concatenate([repeated, np.interp(middles, SHARES, self._rest)])
            weights = np.concatenate([weights * _POINTS, np.full(_POINTS, left)])
        order = np.argsort(repeated, kind="stable")
        return repeated[order], weights[order]


def _of_series(series: "pl.Series", column: Column) -> ColumnQuality:
    import polars as pl

    rows, nulls = series.len(), series.null_count()
    known: dict[str, Any] = {"name": series.name, "unit": column.unit, "assumed": column.assumed, "rows": rows}
    if series.dtype == pl.String:
        return _of_texts(series, known, nulls)
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        return ColumnQuality(**known, dtype="string", nulls=nulls)
    dtype = "bool" if series.dtype == pl.Boolean else str(series.dtype).lower()
    # In NumPy: a query of Polars costs 0.2 ms, and half a dozen of them as much as the rest.
    numbers = series.drop_nulls().to_numpy()
    finite = numbers
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        numbers = numbers[~np.isnan(numbers)]
        nulls, finite = rows - len(numbers), numbers[np.isfinite(numbers)]
    infinite = len(numbers) - len(finite)
    if not len(finite):
        return ColumnQuality(**known, dtype=dtype, nulls=nulls, infinite=infinite)
    ends: list[Any] = [finite.min().item(), finite.max().item()]
    if finite.dtype.kind in "iu" and max(map(abs, ends)) > _EXACT_INTEGERS:
        distinct, how = _distinct(pl.Series(series.name, finite))
        return ColumnQuality(**known, dtype=dtype, nulls=nulls, distinct=distinct, distinct_is=how)
    is_whole = len(finite) <= SAMPLE
    # Sorted once, in the type of the column: that is most of the time that a sheet takes.
    sample = finite if is_whole else pl.Series(finite).sample(SAMPLE, seed=7).to_numpy()
    ordered = np.sort(sample).astype(np.float64)
    sketch = NumberSketch()
    sketch.update(ordered)
    distinct, how = (sketch.distinct, "exact" if sketch.is_complete else "about")
    repeated = {v: n for v, n in sketch.repeated.items() if n > 1 or sketch.is_complete or is_code(v)}
    if is_whole:
        how = "exact"  # The sketch has seen a single batch.
    else:
        everything = pl.Series(series.name, finite)
        distinct, how = (int(everything.n_unique()), "exact") if sketch.is_complete else _distinct(everything)
        frequent = [v for v, n in repeated.items() if n > 0.01 * len(ordered) or is_code(v)] + [float(e) for e in ends]
        floats = everything.cast(pl.Float64)
        counted = floats.filter(floats.is_in(pl.Series(frequent, dtype=pl.Float64).implode())).value_counts()
        scale = len(finite) / len(ordered)
        repeated = {v: round(n * scale) for v, n in repeated.items()} | dict(counted.rows())
    most = sorted(repeated.items(), key=lambda item: (-item[1], item[0]))
    most = most[:_KEPT] + [item for item in most[_KEPT:] if is_code(item[0])]
    return ColumnQuality(
        **known,
        dtype=dtype,
        nulls=nulls,
        infinite=infinite,
        distinct=distinct,
        distinct_is=how,
        smallest=_edge([float(ends[0]), *sketch.smallest.tolist()], last=False),
        largest=_edge([*sketch.largest.tolist(), float(ends[1])], last=True),
        repeated=tuple(most),
        rest=tuple(_quantiles(_without(ordered, [value for value, _ in most])).tolist()),
        is_whole=sketch.is_whole,
    )


def _without(ordered: "NDArray[np.float64]", values: list[float]) -> "NDArray[np.float64]":
    """Return ascending numbers without those that are among `values`."""
    stays = np.ones(ordered.size, bool)
    for start, stop in zip(np.searchsorted(ordered, values), np.searchsorted(ordered, values, "right"), strict=True):
        stays[start:stop] = False
    return ordered[stays]


def _quantiles(ordered: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return what ``np.quantile`` does at `SHARES` of ascending numbers, of none nothing."""
    if not ordered.size:
        return np.empty(0)
    found: NDArray[np.float64] = np.interp(np.array(SHARES) * (ordered.size - 1), np.arange(ordered.size), ordered)
    return found


def _of_texts(series: "pl.Series", known: Mapping[str, Any], nulls: int) -> ColumnQuality:
    import polars as pl

    texts = series.drop_nulls()
    if not texts.len():
        return ColumnQuality(**known, dtype="string", nulls=nulls)
    distinct, how = _distinct(texts)
    sample = texts if texts.len() <= SAMPLE else texts.sample(SAMPLE, seed=7)
    scale = texts.len() / sample.len()
    is_number = sample.str.strip_chars().cast(pl.Float64, strict=False).is_not_null()
    most = sample.value_counts(sort=True).head(5).rows()
    if 0 < is_number.sum() < sample.len():
        most += [row for row in sample.filter(~is_number).value_counts(sort=True).head(3).rows() if row not in most]
    return ColumnQuality(
        **known,
        dtype="string",
        nulls=nulls,
        distinct=distinct,
        distinct_is=how,
        repeated=tuple((text[:60], round(count * scale)) for text, count in most),
        numbers=round(int(is_number.sum()) * scale),
    )


def _distinct(series: "pl.Series") -> tuple[int, str]:
    if series.len() <= SAMPLE:
        return int(series.n_unique()), "exact"
    return int(series.to_frame().select(_approximate(series.name)).item()), "about"


def _approximate(name: str) -> "pl.Expr":
    import polars as pl

    return pl.col(name).approx_n_unique()


def _edge(values: Iterable[float], *, last: bool) -> tuple[float, ...]:
    ordered = sorted(set(values))
    return tuple(ordered[-_EDGE:] if last else ordered[:_EDGE])


def _merged(one: ColumnQuality, other: ColumnQuality) -> ColumnQuality:
    return _merged_all([one, other])


def _merged_all(columns: list[ColumnQuality]) -> ColumnQuality:
    """Return what a column looks like in all rows, from what it looks like in parts of them."""
    filled = [column for column in columns if column.count] or columns[:1]
    counts: Counter[Any] = Counter()
    for column in filled:
        counts.update(dict(column.repeated))
    is_complete = all(c.distinct <= len(c.repeated) and c.distinct_is == "exact" for c in filled)
    most = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    kept = most[:_KEPT] + [item for item in most[_KEPT:] if _is_code_of(item[0])]
    numeric = [column for column in filled if column.smallest]
    rest = _rest([*numeric], [item for item in most if item not in kept]) if numeric else ()
    return replace(
        filled[0],
        assumed=next((c.assumed for c in columns if c.assumed), ""),
        rows=sum(c.rows for c in columns),
        nulls=sum(c.nulls for c in columns),
        infinite=sum(c.infinite for c in columns),
        distinct=len(counts) if is_complete else max(c.distinct for c in columns),
        distinct_is="exact" if is_complete else "at least",
        smallest=_edge((v for c in numeric for v in c.smallest), last=False),
        largest=_edge((v for c in numeric for v in c.largest), last=True),
        repeated=tuple(kept),
        rest=rest,
        is_whole=all(c.is_whole for c in numeric) if numeric else False,
        numbers=sum(c.numbers for c in columns),
    )


def _rest(columns: list[ColumnQuality], dropped: list[tuple[float, int]]) -> tuple[float, ...]:
    """Return the quantiles of what is not among the repeated values of all columns together."""
    middles = (np.arange(_POINTS) + 0.5) / _POINTS
    left = [(c, c.count - sum(count for _, count in c.repeated)) for c in columns if c.rest]
    values = [np.interp(middles, SHARES, c.rest) for c, _ in left] + [np.array([v for v, _ in dropped], np.float64)]
    weights = [np.full(_POINTS, max(1, count)) for _, count in left] + [np.array([n for _, n in dropped]) * _POINTS]
    joined, heavy = np.concatenate(values), np.concatenate(weights).astype(np.int64)
    if not joined.size:
        return ()
    order = np.argsort(joined, kind="stable")
    ends = (
        [c.rest[0] for c, _ in left] + [v for v, _ in dropped],
        [c.rest[-1] for c, _ in left] + [v for v, _ in dropped],
    )
    inner = weighted_quantiles(joined[order], heavy[order], SHARES)
    return (float(min(ends[0])), *map(float, inner[1:-1]), float(max(ends[1])))


def _is_code_of(value: Any) -> bool:
    return not isinstance(value, str) and is_code(float(value))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
