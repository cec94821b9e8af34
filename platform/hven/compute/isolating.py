"""Objects that make an analysis raise: found by bisection and set aside, so that the rest of their block has a result.

The objects of a block are in memory when an analysis raises, so that the worker looks for the culprits itself. Halves
that raise are halved again, down to single objects. The number of calls has a bound: when some objects all over the
block raise the same error, the error is one of the analysis and not of objects, and the block fails as a whole; once
the calls are spent, what still raises is set aside in the ranges that are left.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from hven.compute.journal import caveats_in
from hven.compute.reading import Aligned
from hven.compute.retrying import cause_of
from hven.errors import ResultRefusedError
from hven.lake.axes import axes_of, difference, other_attribute

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

Made = TypeVar("Made")

_PROBES = 8
"""Objects that are tried by themselves first: when all raise the same, so would all others."""

_CALLS = 400
"""Calls of the analysis that a block is worth beyond the first."""


@dataclass(frozen=True)
class Isolated(Generic[Made]):
    """What bisection came to.

    Attributes
    ----------
    made
        First and last (exclusive) row, and the result, of each range that has one; in order.
    faults
        First and last (exclusive) row, and the error, of each range that raises; in order.
    """

    made: Sequence[tuple[int, int, Made]]
    faults: Sequence[tuple[int, int, Exception]]


@dataclass
class _Search(Generic[Made]):
    attempt: Callable[[int, int], Made]
    calls: int = 0
    made: list[tuple[int, int, Made]] = field(default_factory=list)
    faults: list[tuple[int, int, Exception]] = field(default_factory=list)

    def error_of(self, start: int, stop: int) -> Exception | None:
        """Try a range: keep its result and return None, or return what it raises."""
        self.calls += 1
        try:
            self.made.append((start, stop, self.attempt(start, stop)))
        except Exception as error:
            if not is_of_objects(error):
                raise
            return error
        return None


def is_of_objects(error: Exception) -> bool:
    """Return whether an error may be that of some of the objects: of the data, and not of what the result looks like.

    Examples
    --------
    >>> is_of_objects(ValueError("a negative metallicity")), is_of_objects(MemoryError())
    (True, False)
    """
    return cause_of(error) == "data" and not isinstance(error, ResultRefusedError)


def isolate(attempt: Callable[[int, int], Made], rows: int, error: Exception) -> Isolated[Made]:
    """Return what can be made of some rows of which `attempt` raises, and the ranges that raise.

    Parameters
    ----------
    attempt
        Makes the result of a range of rows (first, last exclusive), or raises.
    rows
        How many there are.
    error
        What all of them together raise.

    Raises
    ------
    Exception
        Whatever `attempt` raises that is no error of objects.

    Examples
    --------
    >>> def total(start, stop):
    ...     if start <= 5 < stop:
    ...         raise ValueError("row 5")
    ...     return sum(range(start, stop))
    >>> found = isolate(total, 16, ValueError("row 5"))
    >>> found.made, found.faults
    ([(0, 4, 6), (4, 5, 4), (6, 8, 13), (8, 16, 92)], [(5, 6, ValueError('row 5'))])
    """
    search: _Search[Made] = _Search(attempt)
    if rows > 2 * _PROBES and _is_everywhere(attempt, rows):
        return Isolated([], [(0, rows, error)])
    waiting = [(0, rows, error)]
    while waiting:
        start, stop, known = waiting.pop()
        if stop - start == 1 or search.calls >= _CALLS:
            search.faults.append((start, stop, known))
            continue
        middle = (start + stop) // 2
        right = None
        left = search.error_of(start, middle)
        # Where the left half has a result, the right one raises, and is tried only when it is a single object.
        right = known if left is None and stop - middle > 1 else search.error_of(middle, stop)
        waiting += [(middle, stop, right)] if right is not None else []
        waiting += [(start, middle, left)] if left is not None else []
    return Isolated(sorted(search.made, key=lambda one: one[0]), _joined(search.faults))


def _is_everywhere(attempt: Callable[[int, int], Any], rows: int) -> bool:
    """Return whether objects all over the block raise the same error, numbers in its text apart."""
    told: set[tuple[type, str]] = set()
    for row in np.linspace(0, rows - 1, _PROBES).astype(int).tolist():
        try:
            attempt(row, row + 1)
        except Exception as error:
            if not is_of_objects(error):
                raise
            told.add((type(error), re.sub(r"[-+.\d]+(e[-+]?\d+)?", "#", str(error))))
        else:
            return False
        if len(told) > 1:
            return False
    return True


def _joined(faults: Iterable[tuple[int, int, Exception]]) -> list[tuple[int, int, Exception]]:
    return sorted(faults, key=lambda one: one[0])


def rows_of(ranges: Iterable[tuple[int, int, Any]]) -> "NDArray[np.int64]":
    """Return the rows of some ranges, int64, shape (n,).

    Examples
    --------
    >>> rows_of([(0, 2, None), (5, 6, None)]).tolist()
    [0, 1, 5]
    """
    pieces = [np.arange(start, stop) for start, stop, _ in ranges]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)


def some_of(aligned: Aligned, start: int, stop: int) -> "dict[str, xr.Dataset]":
    """Return what an analysis is given of a range of the objects of a block.

    With a margin all others of the block become neighbours: they may be near.
    """
    if not aligned.margin and not any("is_margin" in data.variables for data in aligned.inputs.values()):
        return {name: data.isel(object=slice(start, stop)) for name, data in aligned.inputs.items()}
    others = np.r_[0:start, stop : aligned.rows + aligned.margin]
    order = np.r_[start:stop, others]
    flags = np.arange(len(order)) >= stop - start
    return {name: data.isel(object=order).assign(is_margin=("object", flags)) for name, data in aligned.inputs.items()}


def joined_parts(made: "Sequence[tuple[int, int, Mapping[str, xr.Dataset]]]") -> "dict[str, xr.Dataset]":
    """Return the parts of a result whose objects were computed in several ranges.

    Raises
    ------
    ResultRefusedError
        If what does not follow the objects (a wavelength axis) differs between them.
    """
    import xarray as xr

    parts: dict[str, xr.Dataset] = {}
    for name in made[0][2]:
        pieces = [
            result[name].isel(object=slice(0, stop - start)) if "object" in result[name].dims else result[name]
            for start, stop, result in made
        ]
        caveats = caveats_in(piece.attrs for piece in pieces)
        if len({frozenset(piece.variables) for piece in pieces}) > 1:
            raise ResultRefusedError(
                "the result has other variables for some objects than for others",
                hint="Let the analysis return the same variables for any objects.",
            )
        for piece in pieces[1:]:
            found = other_attribute(pieces[0].attrs, piece.attrs, exact=True)
            if found is not None:
                raise ResultRefusedError(
                    f"attribute {found[0]!r} of the result {found[1]} for some objects",
                    hint="An attribute holds for all objects: make it a variable over 'object', or leave it out.",
                )
            other = difference(axes_of(pieces[0]), axes_of(piece), exact=True)
            if other is not None:
                raise ResultRefusedError(
                    f"{other[0]!r} of the result {other[1]} for some objects",
                    hint="Let the analysis return the same coordinates and attributes for any objects.",
                )
        try:
            whole = xr.concat(
                pieces,
                "object",
                data_vars="minimal",
                coords="minimal",
                compat="equals",
                join="exact",
                combine_attrs="drop_conflicts",
            )
        except (xr.MergeError, ValueError) as error:
            raise ResultRefusedError(
                f"the result differs by objects in what is the same for all: {error}",
                hint="Let the analysis return the same coordinates for any objects.",
            ) from error
        parts[name] = whole.assign_attrs(caveats=caveats) if caveats else whole
    return parts


def without(aligned: Aligned, rows: "NDArray[np.int64]") -> Aligned:
    """Return the objects of a block that have a result, by their rows; their inputs are let go of."""
    return replace(aligned, inputs={}, ids=aligned.ids.isel(object=rows), rows=len(rows), margin=0)
