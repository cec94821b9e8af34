"""Abundances of stars as a matrix, block by block: which columns, on which scale, with which errors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import hven
from hven_plugins.abundances.elements import SYMBOLS, elements_of

Array = NDArray[np.float64]
Scale = Literal["auto", "h", "fe"]

ROWS = 1 << 16
"""Stars that are in memory at a time."""


class Block(NamedTuple):
    """Some of the stars: ids (n,), abundances (n, e) and errors (n, e) or (n, e, e) in dex, given columns (n, g)."""

    ids: NDArray[np.int64]
    x: Array
    err: Array | None
    given: Array


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
    derived
        Whether [X/H] is made of [X/Fe] and [Fe/H].
    given
        Columns that come along.
    assumed
        What had to be assumed, in words.
    """

    stars: xr.Dataset
    elements: tuple[str, ...]
    scale: Literal["h", "fe"]
    derived: bool
    given: tuple[str, ...]
    assumed: str

    def blocks(self) -> Iterator[Block]:
        """Give the stars in blocks of `ROWS`; each chunk of a lazy table is computed once."""
        names = [*self.columns(), *(f"{c}_err" for c in self.columns()), *self.given, "object_id"]
        table = self.stars[[name for name in dict.fromkeys(names) if name in self.stars]]
        size = table.sizes["object"]
        ends = np.cumsum(table.chunksizes["object"]) if "object" in table.chunksizes else [size]
        start = 0
        for end in map(int, ends):
            chunk = table.isel(object=slice(start, end)).compute()
            for first in range(0, end - start, ROWS):
                yield self._block(chunk.isel(object=slice(first, first + ROWS)), start + first)
            start = end

    def columns(self) -> list[str]:
        """Return the columns to read; of derived abundances those of [X/Fe], and [Fe/H] last."""
        if self.derived:
            return [*(column_of(symbol, "fe") for symbol in self.elements if symbol != "Fe"), "feh"]
        return [column_of(symbol, self.scale) for symbol in self.elements]

    def _block(self, part: xr.Dataset, start: int) -> Block:
        n = part.sizes["object"]
        ids = part["object_id"].values.astype(np.int64) if "object_id" in part else np.arange(start, start + n)
        columns = self.columns()
        x = np.stack([part[name].values.astype(np.float64) for name in columns], axis=1)
        has_errors = any(f"{name}_err" in part for name in columns)
        err = None
        if has_errors:
            exact = np.zeros(n)
            err = np.stack(
                [part[f"{name}_err"].values.astype(np.float64) if f"{name}_err" in part else exact for name in columns],
                axis=1,
            )
            told = np.array([f"{name}_err" in part for name in columns])
            x = np.where(told & ~(err > 0), np.nan, x)
            err = np.where(np.isfinite(x), err, 0.0)
        given = np.empty((n, 0))
        if self.given:
            given = np.stack([part[name].values.astype(np.float64) for name in self.given], axis=1)
        return Block(ids, *(self._over_hydrogen(x, err) if self.derived else (x, err)), given)

    def _over_hydrogen(self, x: Array, err: Array | None) -> tuple[Array, Array | None]:
        """Return [X/H] = [X/Fe] + [Fe/H] and the covariance of its errors, [Fe/H] being common to all."""
        at = [i for i, symbol in enumerate(self.elements) if symbol != "Fe"]
        made = np.repeat(x[:, -1:], len(self.elements), axis=1)
        made[:, at] += x[:, :-1]
        if err is None:
            return made, None
        covariance = np.tile((err[:, -1] ** 2)[:, None, None], (1, len(self.elements), len(self.elements)))
        covariance[:, at, at] += err[:, :-1] ** 2
        return made, covariance


def abundances(stars: xr.Dataset, elements: Sequence[str] | None, scale: Scale, given: Sequence[str]) -> Abundances:
    """Return how the columns of `stars` make abundances of `elements`, or of all that are there.

    Raises
    ------
    MissingColumnError
        There are not two elements, or one that is asked for is not there.
    DataRefusedError
        A column of errors has no error that is positive.
    """
    columns = [str(name) for name in stars.data_vars]
    over_h = [s for s in SYMBOLS if s in elements_of(columns, "h") or (s == "Fe" and "feh" in columns)]
    over_fe = elements_of(columns, "fe")
    if scale == "auto":
        scale = "h" if len(over_h) >= min(2, len(over_fe)) else "fe"
    derived = scale == "h" and len(over_h) < 2 and "feh" in columns
    there = over_h
    if derived:
        there = [s for s in SYMBOLS if s in over_fe or s == "Fe"]
    elif scale == "fe":
        there = over_fe
    wanted = list(there) if elements is None else [name[:1].upper() + name[1:] for name in elements]
    held = {symbol for symbol in there if column_of(symbol, "fe" if derived else scale) in given}
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
    told = Abundances(stars, tuple(wanted), scale, derived, tuple(given), "")
    without = [name for name in told.columns() if f"{name}_err" not in stars and name in stars]
    texts = [f"no errors in {', '.join(without)}"] if without else []
    texts += ["errors of [X/Fe] and [Fe/H] are independent"] if derived else []
    texts += [] if "object_id" in stars else ["stars are told apart by their place in the table"]
    return Abundances(stars, told.elements, scale, derived, told.given, "; ".join(texts) or "nothing")


def column_of(symbol: str, scale: str) -> str:
    """Return the column of an element: ``feh`` for iron over hydrogen, ``mg_fe`` for magnesium over iron.

    Examples
    --------
    >>> column_of("Fe", "h"), column_of("Mg", "fe")
    ('feh', 'mg_fe')
    """
    return "feh" if symbol == "Fe" and scale == "h" else f"{symbol.lower()}_{scale}"
