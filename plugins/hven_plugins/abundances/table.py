"""Abundances of stars as a matrix, block by block: which columns, on which scale, with which errors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import hven
from hven_plugins.abundances.elements import SYMBOLS, elements_of

Array = NDArray[np.float64]
Scale = Literal["auto", "h", "fe"]

ROWS = 1 << 16
"""Stars that are in memory at a time; fewer when each has a covariance matrix, which takes as many bytes then."""

UNUSABLE = 1.0
"""Error in dex from which on a value is no measurement: 9.99 and 99 stand for a missing error."""

BY_PLACE = "stars are told apart by their place in the table"

COVARIANCE = "cov"
"""A variable over (object, c, c2): the error covariance of each star, c being named by a coordinate."""


class Block(NamedTuple):
    """Some of the stars: ids (n,), abundances (n, e) and errors (n, e) or (n, e, e) in dex, given columns (n, g).

    `left_out` (c, 2) counts the values of each column that have an error of zero or less, and one of `UNUSABLE` or
    more.
    """

    ids: NDArray[np.int64]
    x: Array
    err: Array | None
    given: Array
    left_out: NDArray[np.int64]


@dataclass(frozen=True)
class Abundances:
    """A table of stars and how its columns make abundances of e elements.

    Attributes
    ----------
    stars
        The table, lazy or not.
    elements
        Symbols, by atomic number.
    scale
        ``"h"`` or ``"fe"``: abundances over hydrogen or iron.
    converted
        Elements whose abundances come from the other scale by means of [Fe/H].
    has_covariance
        Whether errors come as a covariance of each star, or with correlations between them.
    given
        Columns that come along.
    assumed
        What had to be assumed, in words.
    """

    stars: xr.Dataset
    elements: tuple[str, ...]
    scale: Literal["h", "fe"]
    converted: tuple[str, ...]
    has_covariance: bool
    given: tuple[str, ...]
    assumed: str

    def blocks(self) -> Iterator[Block]:
        """Give the stars in blocks of `ROWS`; each chunk of a lazy table is computed once."""
        names = [*self.columns(), *(f"{c}_err" for c in self.columns()), *self.given, "object_id", COVARIANCE]
        names += [f"{a}_{b}_corr" for a, b in permutations(self.columns(), 2)]
        matrices = bool(self.converted) or self.has_covariance
        rows = max(256, 4 * ROWS // len(self.columns()) ** 2) if matrices else ROWS
        table = self.stars[[name for name in dict.fromkeys(names) if name in self.stars]]
        size = table.sizes["object"]
        ends = np.cumsum(table.chunksizes["object"]) if "object" in table.chunksizes else [size]
        start = 0
        for end in map(int, ends):
            chunk = table.isel(object=slice(start, end)).compute()
            for first in range(0, end - start, rows):
                yield self._block(chunk.isel(object=slice(first, first + rows)), start + first)
            start = end

    def columns(self) -> list[str]:
        """Return the columns to read, that of each element first; [Fe/H] last where it only serves to convert."""
        other = "fe" if self.scale == "h" else "h"
        own = [column_of(symbol, other if symbol in self.converted else self.scale) for symbol in self.elements]
        return [*own, *(["feh"] if self.converted and "feh" not in own else [])]

    def _block(self, part: xr.Dataset, start: int) -> Block:
        n = part.sizes["object"]
        ids = part["object_id"].values.astype(np.int64) if "object_id" in part else np.arange(start, start + n)
        columns = self.columns()
        x = np.stack([part[name].values.astype(np.float64) for name in columns], axis=1)
        x, err, left_out = self._with_errors(x, part)
        given = np.empty((n, 0))
        if self.given:
            given = np.stack([part[name].values.astype(np.float64) for name in self.given], axis=1)
        return Block(ids, *(self._on_one_scale(x, err) if self.converted else (x, err)), given, left_out)

    def _with_errors(self, x: Array, part: xr.Dataset) -> tuple[Array, Array | None, NDArray[np.int64]]:
        """Return values (n, c), NaN where an error is unusable, errors (n, c) or (n, c, c), and `Block.left_out`."""
        columns = self.columns()
        if COVARIANCE in part:
            named = _named(part)
            at = [named.index(name) for name in columns]
            covariance = np.asarray(part[COVARIANCE].values, dtype=np.float64)[:, at][:, :, at]
            variance = np.diagonal(covariance, axis1=1, axis2=2)
            left_out = _count(x, variance <= 0, variance >= UNUSABLE**2)
            x = np.where((variance > 0) & (variance < UNUSABLE**2), x, np.nan)
            known = np.isfinite(x)
            return x, np.where(known[:, :, None] & known[:, None, :], np.nan_to_num(covariance), 0.0), left_out
        told = np.array([f"{name}_err" in part for name in columns])
        if not told.any():
            return x, None, np.zeros((len(columns), 2), dtype=np.int64)
        exact = np.zeros(len(x))
        err = np.stack(
            [part[f"{name}_err"].values.astype(np.float64) if f"{name}_err" in part else exact for name in columns],
            axis=1,
        )
        left_out = _count(x, told & (err <= 0), err >= UNUSABLE)
        x = np.where(told & ~((err > 0) & (err < UNUSABLE)), np.nan, x)
        err = np.where(np.isfinite(x), err, 0.0)
        if not self.has_covariance:
            return x, err, left_out
        correlation = np.tile(np.eye(len(columns)), (len(x), 1, 1))
        for i, j in permutations(range(len(columns)), 2):
            name = f"{columns[i]}_{columns[j]}_corr"
            if name in part:
                correlation[:, i, j] = correlation[:, j, i] = np.nan_to_num(part[name].values)
        return x, correlation * err[:, :, None] * err[:, None, :], left_out

    def _on_one_scale(self, x: Array, err: Array | None) -> tuple[Array, Array | None]:
        """Return [X/H] = [X/Fe] + [Fe/H], or [X/Fe] = [X/H] - [Fe/H], and the covariances of their errors."""
        e, iron = len(self.elements), self.columns().index("feh")
        sign = 1.0 if self.scale == "h" else -1.0
        at = np.array([i for i, symbol in enumerate(self.elements) if symbol in self.converted])
        made = x[:, :e].copy()
        made[:, at] += sign * x[:, iron : iron + 1]
        if err is None:
            return made, None
        sums = np.eye(e, x.shape[1])
        sums[at, iron] += sign
        if err.ndim == 2:
            return made, (err**2)[:, None, :] * sums @ sums.T
        return made, sums @ err @ sums.T


def abundances(stars: xr.Dataset, elements: Sequence[str] | None, scale: Scale, given: Sequence[str]) -> Abundances:
    """Return how the columns of `stars` make abundances of `elements`, or of all that are there.

    Raises
    ------
    MissingColumnError
        There are not two elements, or one that is asked for is not there.
    DataRefusedError
        The error covariance does not name its columns, or has other dimensions.
    """
    columns = [str(name) for name in stars.data_vars]
    over_h = [s for s in SYMBOLS if s in elements_of(columns, "h") or (s == "Fe" and "feh" in columns)]
    over_fe = elements_of(columns, "fe")
    if scale == "auto":
        scale = "h" if len(over_h) >= min(2, len(over_fe)) else "fe"
    own, other = (over_h, over_fe) if scale == "h" else (over_fe, [s for s in over_h if s != "Fe"])
    convertible = [s for s in other if s not in own] if "feh" in columns else []
    there = [s for s in SYMBOLS if s in own or s in convertible]
    wanted = list(there) if elements is None else [name[:1].upper() + name[1:] for name in elements]
    held = {symbol for symbol in there if column_of(symbol, _own_scale(symbol, convertible, scale)) in given}
    if elements is None:
        wanted = [symbol for symbol in wanted if symbol not in held]
    absent = [symbol for symbol in wanted if symbol not in there]
    if absent or len(wanted) < 2:
        one = (absent or ["mg"])[0].lower()
        raise hven.errors.MissingColumnError(
            f"there is no column {f'{one}_{scale}'!r}" if absent else f"there are {len(wanted)} elements to correlate",
            where="input 'stars'",
            expected="two or more columns like mg_h or mg_fe; feh is iron over hydrogen",
            hint=f"Columns: {', '.join(columns) or 'none'}.",
        )
    both = sorted(held & set(wanted))
    if both:
        raise hven.errors.ParameterError(
            f"{both[0]} is held fixed and correlated at the same time",
            where="parameters elements and given",
            hint="Take it out of one of them.",
        )
    wanted = [symbol for symbol in SYMBOLS if symbol in wanted]
    converted = tuple(symbol for symbol in wanted if symbol in convertible)
    told = Abundances(stars, tuple(wanted), scale, converted, False, tuple(given), "")
    lost = [s for s in other if s not in there] if elements is None else []
    texts = [f"{', '.join(lost)} cannot be put on the scale [X/{scale.capitalize()}] without feh"] if lost else []
    has_covariance = COVARIANCE in stars
    if has_covariance:
        _check_covariance(stars, told.columns())
    else:
        has_covariance = any(f"{a}_{b}_corr" in stars for a, b in permutations(told.columns(), 2))
        without = [name for name in told.columns() if f"{name}_err" not in stars and name in stars]
        texts += [f"no errors in {', '.join(without)}"] if without else []
        texts += ["errors of [X/Fe] and [Fe/H] are independent"] if converted and not has_covariance else []
    texts += [] if "object_id" in stars else [BY_PLACE]
    return replace(told, has_covariance=has_covariance, assumed="; ".join(texts) or "nothing")


def _own_scale(symbol: str, convertible: Sequence[str], scale: str) -> str:
    """Return the scale that an element has in the table."""
    return ("fe" if scale == "h" else "h") if symbol in convertible else scale


def _count(x: Array, *unusable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many of the values (n, c) each kind of error (n, c) makes unusable, (c, kinds)."""
    known = np.isfinite(x)
    return np.stack([(known & bad).sum(axis=0) for bad in unusable], axis=1)


def _named(stars: xr.Dataset) -> list[str]:
    """Return the columns that the error covariance is of."""
    along = stars[COVARIANCE].dims[1]
    return [str(name) for name in stars[along].values] if along in stars.coords else []


def _check_covariance(stars: xr.Dataset, columns: Sequence[str]) -> None:
    shape = stars[COVARIANCE].dims
    lacking = [] if len(shape) != 3 else [name for name in columns if name not in _named(stars)]
    if len(shape) != 3 or shape[0] != "object" or lacking:
        raise hven.errors.DataRefusedError(
            f"the error covariance is over ({', '.join(map(str, shape))})"
            + (f" and does not name {lacking[0]!r}" if lacking else ""),
            where=f"input 'stars', variable {COVARIANCE!r}",
            expected=f"(object, c, c2), c being a coordinate that names columns, {columns[0]} among them",
            hint="Name its columns by a coordinate of its second dimension.",
        )


def column_of(symbol: str, scale: str) -> str:
    """Return the column of an element: ``feh`` for iron over hydrogen, ``mg_fe`` for magnesium over iron.

    Examples
    --------
    >>> column_of("Fe", "h"), column_of("Mg", "fe")
    ('feh', 'mg_fe')
    """
    return "feh" if symbol == "Fe" and scale == "h" else f"{symbol.lower()}_{scale}"
