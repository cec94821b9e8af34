"""Made-up tables for property tests: any types and values that a lake keeps, the awkward ones among them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

INTEGERS: Mapping[Any, int] = {pl.Int64: 64, pl.Int32: 32, pl.Int16: 16}


def frames(
    types: Sequence[Any] = (pl.Float64, pl.Float32, pl.Int64, pl.Int32, pl.Int16, pl.String, pl.Boolean),
    *,
    most_rows: int = 8,
    nulls: bool = True,
) -> "SearchStrategy[pl.DataFrame]":
    r"""Return a Hypothesis strategy of tables with columns ``c0``, ``c1``, ... of some of `types`.

    Values are finite; texts are any Unicode but control characters, and are neither empty nor end with a blank, which
    many file formats cannot tell from nothing.

    Parameters
    ----------
    types
        Polars types to choose from.
    most_rows
        How many rows there are at most; at least one.
    nulls
        Whether values may be missing, except in columns of true and false.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(frames([pl.Int16]), lambda frame: frame["c0"].sum() > 5).rows()
    [(6,)]
    """
    strategies = pytest.importorskip("hypothesis").strategies

    def columns(draw: Any) -> pl.DataFrame:
        rows = draw(strategies.integers(1, most_rows))
        chosen = draw(strategies.lists(strategies.sampled_from(list(types)), min_size=1, max_size=5))
        made = []
        for number, dtype in enumerate(chosen):
            one = values(dtype)
            one = strategies.none() | one if nulls and dtype != pl.Boolean else one
            column = draw(strategies.lists(one, min_size=rows, max_size=rows))
            made.append(pl.Series(f"c{number}", column, dtype=dtype))
        return pl.DataFrame(made)

    made: SearchStrategy[pl.DataFrame] = strategies.composite(columns)()
    return made


def values(dtype: Any) -> "SearchStrategy[Any]":
    """Return a Hypothesis strategy of values of one Polars type.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(values(pl.Int16), lambda value: value < -5)
    -6
    """
    strategies = pytest.importorskip("hypothesis").strategies
    if dtype in INTEGERS:
        half = 2 ** (INTEGERS[dtype] - 1)
        found = strategies.integers(-half, half - 1)
    elif dtype in (pl.Float32, pl.Float64):
        found = strategies.floats(allow_nan=False, allow_infinity=False, width=32 if dtype == pl.Float32 else 64)
    elif dtype == pl.Boolean:
        found = strategies.booleans()
    else:
        letters = strategies.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cc", "Cs", "Z"])
        found = strategies.text(letters, min_size=1, max_size=8)
    made: SearchStrategy[Any] = found
    return made
