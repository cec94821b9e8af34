"""Caveats at the border: what is wrong with the values that an analysis is given, found while they are read anyway.

Workers hand over some values of the bound columns of a few blocks; nothing is read for it. Of a small dataset these are
all values, of a large one some thousands, evenly over the sky.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hven.schema import Schema, find_fillers, is_of_several_units

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from hven.compute.bound import BoundInput
    from hven.lake import Block
    from hven.plugins import Analysis

    Values = NDArray[np.float64]

SAMPLED = 16_384
"""Values of a column that are looked at, about."""

_BLOCKS = 16
_MANY_MISSING = 0.5
_LARGE_ERRORS = 0.01
_ERROR = "_err"


@dataclass
class Sample:
    """Some of the values that an analysis is given.

    Attributes
    ----------
    columns
        ``input/column`` -> arrays of values, of one block each.
    """

    columns: "dict[str, list[Values]]" = field(default_factory=dict)

    def add(self, columns: "Mapping[str, Values]") -> None:
        """Take in the values of one block."""
        for name, values in columns.items():
            self.columns.setdefault(name, []).append(values)

    def values(self, name: str) -> "Values":
        """Return all values of a column, float64, shape (n,)."""
        return np.concatenate(self.columns[name])


def sampled_blocks(blocks: "Sequence[Block]") -> frozenset[int]:
    """Return the indices of the blocks whose values are looked at: all of a few, some of many."""
    if len(blocks) <= _BLOCKS:
        return frozenset(block.index for block in blocks)
    return frozenset(blocks[at].index for at in np.linspace(0, len(blocks) - 1, _BLOCKS).astype(int))


def some_values(inputs: "Mapping[str, xr.Dataset]", rows: int, most: int) -> "dict[str, Values]":
    """Return values of every column of numbers by object, evenly over the rows and `most` at most.

    Examples
    --------
    >>> import xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", [0.0, 0.1, 0.2, 0.3]), "name": ("object", ["a", "b", "c", "d"])})
    >>> some_values({"stars": stars}, 4, 2)
    {'stars/feh': array([0. , 0.2])}
    """
    step = max(-(-rows // max(most, 1)), 1)
    found: dict[str, Values] = {}
    for name, data in inputs.items():
        for key, variable in data.variables.items():
            if variable.dims == ("object",) and variable.dtype.kind in "fiu" and not str(key).endswith("_valid"):
                values = np.asarray(variable.values[:rows:step])
                found[f"{name}/{key}"] = values.astype(np.float64)
    return found


def border_caveats(
    analysis: "Analysis", inputs: "Sequence[BoundInput]", sample: Sample, templates: "Mapping[str, xr.Dataset]"
) -> list[str]:
    """Return what is wrong with the inputs of an analysis, one sentence each.

    Parameters
    ----------
    analysis
        Declares which columns it needs.
    inputs
        As they are bound.
    sample
        Some of their values.
    templates
        One made-up object of each input, for units.
    """
    caveats: list[str] = []
    for given in inputs:
        own = [key for key in sample.columns if key.startswith(f"{given.name}/")]
        columns = {key.partition("/")[2]: sample.values(key) for key in own}
        names = {name: bound.source for name, bound in given.binding.columns.items()}
        units = {str(key): str(v.attrs.get("units", "")) for key, v in templates[given.name].variables.items()}
        caveats += missing_errors(given.first.text, given.binding.absent, names)
        caveats += assumed_units(given.schema, names)
        declared = {name: analysis.inputs[given.name].variable(name) for name in columns}
        optional = [name for name, v in declared.items() if v is None or v.is_pattern or not v.is_required]
        caveats += column_caveats(columns, units, names, optional)
    return list(dict.fromkeys(caveats))


def few_complete(analysis: "Analysis", inputs: "Sequence[BoundInput]", sample: Sample, rows: int, fewest: int) -> str:
    """Return the caveat that too few objects have all that an analysis needs; empty when enough do, or nobody knows.

    Parameters
    ----------
    analysis, inputs
        Declares which columns it needs, and of what they are.
    sample
        Values of all objects: of some of them it tells nothing.
    rows
        How many objects there are.
    fewest
        How many the analysis needs.
    """
    needed = [
        f"{given.name}/{name}"
        for given in inputs
        if not given.is_whole
        for name in given.binding.columns
        if (declared := analysis.inputs[given.name].variable(name)) is not None and declared.is_required
    ]
    columns = {name: sample.values(name) for name in needed if name in sample.columns}
    if not columns or any(len(values) != rows for values in columns.values()):
        return ""
    complete = int(np.logical_and.reduce([np.isfinite(values) for values in columns.values()]).sum())
    if complete >= fewest:
        return ""
    names = ", ".join(repr(name.partition("/")[2]) for name in columns)
    verb = "has" if complete == 1 else "have"
    return f"Too few: {complete:,} of {rows:,} objects {verb} a value of {names}, and the analysis needs {fewest:,}."


def missing_errors(dataset: str, absent: Iterable[str], bound: Mapping[str, str]) -> Iterator[str]:
    """Give a caveat for each optional column of errors that a dataset does not have, though it has the values.

    Examples
    --------
    >>> list(missing_errors("stars", ["feh_err", "age"], {"feh": "fe_h"}))
    ["Dataset 'stars' has no column 'feh_err': the analysis ran without errors of 'feh'."]
    """
    for name in absent:
        value = name.removesuffix(_ERROR)
        if name.endswith(_ERROR) and value in bound:
            yield f"Dataset {dataset!r} has no column {name!r}: the analysis ran without errors of {value!r}."


def assumed_units(schema: Schema, bound: Mapping[str, str]) -> Iterator[str]:
    """Give a caveat for each bound column whose unit no file said, where surveys use several.

    Parameters
    ----------
    schema
        Columns of the dataset.
    bound
        The analysis's names for columns, and the dataset's.

    Examples
    --------
    >>> from hven.schema import Column
    >>> distance = Column("distance", "float64", unit="kpc", assumed="unit")
    >>> stars = Schema((distance, Column("age", "float64", unit="Gyr")))
    >>> list(assumed_units(stars, {"distance": "distance", "age": "age"}))
    ["Unit assumed: the values of 'distance' are taken as kpc, as the data do not say their unit."]
    """
    for name, source in bound.items():
        if source in schema and schema[source].assumed == "unit" and is_of_several_units(source):
            taken = f"the values of {_called(name, bound)} are taken as {schema[source].unit}"
            yield f"Unit assumed: {taken}, as the data do not say their unit."


def is_of_missing_errors(caveat: str) -> bool:
    """Return whether a caveat is one of `missing_errors`."""
    return "the analysis ran without errors of" in caveat


def is_of_schema(caveat: str) -> bool:
    """Return whether a caveat follows from what the columns are, whatever values were looked at: it is found anew."""
    return is_of_missing_errors(caveat) or caveat.startswith("Unit assumed:")


def column_caveats(
    columns: "Mapping[str, Values]",
    units: Mapping[str, str],
    sources: Mapping[str, str],
    optional: Sequence[str] = (),
) -> Iterator[str]:
    """Give a caveat for each thing that is wrong with some columns.

    Parameters
    ----------
    columns
        Values by the analysis's name for the column, float64, shape (n,).
    units
        Of the columns.
    sources
        The dataset's names for them.
    optional
        Those that may well have one value only: labels, weights, what the analysis does not need.

    Examples
    --------
    >>> feh = np.linspace(-0.5, 0.3, 100)
    >>> for caveat in column_caveats({"feh": feh, "feh_err": np.r_[np.full(99, 0.05), -1.0]}, {}, {}):
    ...     print(caveat)
    Errors that are zero or negative: 1 of 100 values (1 %) of 'feh_err'.
    """
    for name, values in columns.items():
        called = _called(name, sources)
        finite = values[np.isfinite(values)]
        if not len(finite):
            if len(values):
                yield f"No value at all: all {len(values):,} values of {called} are missing."
            continue
        yield from _missing(values, called)
        fillers = find_fillers(finite, name, units.get(name, "")) if _may_have_fillers(finite) else ()
        for filler in fillers:
            count = _of(filler.count, len(finite))
            yield f"A value that looks like 'missing': {count} of {called} are {filler.value:g} ({filler.reason})."
        if name.endswith(_ERROR):
            real = finite[~np.isin(finite, [filler.value for filler in fillers])]
            yield from _errors(real, columns.get(name.removesuffix(_ERROR)), name, called)
        elif len(finite) > 1 and name not in optional and finite.min() == finite.max():
            yield f"One value only: all {len(finite):,} values of {called} are {finite[0]:g}."


def _missing(values: "Values", called: str) -> Iterator[str]:
    missing, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    if missing > _MANY_MISSING * len(values):
        yield f"Mostly missing: {_of(missing, len(values))} of {called} are missing."
    if infinite:
        yield f"Infinite values: {_of(infinite, len(values))} of {called} are infinite."


def _errors(errors: "Values", values: "Values | None", name: str, called: str) -> Iterator[str]:
    wrong = int((errors <= 0).sum())
    if wrong:
        yield f"Errors that are zero or negative: {_of(wrong, len(errors))} of {called}."
    values = values[np.isfinite(values)] if values is not None else np.empty(0)
    if len(values) < 3 or not len(errors):
        return
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    reach = float(np.quantile(values, 0.995) - np.quantile(values, 0.005))
    value = name.removesuffix(_ERROR)
    large = int((errors > reach).sum()) if reach > 0 else 0
    scatter = float(high - low) / 2
    if large > _LARGE_ERRORS * len(errors):
        yield (
            f"Errors larger than the range of their values: {_of(large, len(errors))} of {called} exceed {reach:.3g}, "
            f"which 99 % of {value!r} span."
        )
    elif scatter > 0 and np.median(errors) > 1.5 * scatter:
        yield (
            f"Errors larger than the scatter of their values: the median of {called} is {np.median(errors):.3g}, and "
            f"{value!r} scatters by {scatter:.3g} about {middle:.3g}."
        )


def _may_have_fillers(finite: "Values") -> bool:
    """Return whether a column is worth a close look: a value is repeated, and is zero or stands apart from the rest.

    Most columns are seen to be sound by this in a fraction of the time.
    """
    distinct, counts = np.unique(finite, return_counts=True)
    if len(distinct) < 2:
        return False
    if (counts[distinct == 0] > 1).any() or (counts[0] > 1 and distinct[0] < 0 < distinct[1]):
        return True
    gaps = np.diff(distinct)
    widest = int(gaps.argmax())
    lower, upper = distinct[: widest + 1], distinct[widest + 1 :]
    rest = finite[finite <= lower[-1]] if len(lower) >= len(upper) else finite[finite >= upper[0]]
    width = float(np.subtract(*np.quantile(rest, [0.84, 0.16])))
    # An extreme value that is repeated need not stand as far apart as one that is not.
    at_end = max(counts[0] > 1 and gaps[0], counts[-1] > 1 and gaps[-1])
    return bool(gaps[widest] > width or at_end > 0.25 * width)


def _called(name: str, sources: Mapping[str, str]) -> str:
    source = sources.get(name, name)
    return repr(name) if source == name else f"{name!r} (column {source!r})"


def _of(count: int, of: int) -> str:
    return f"{count:,} of {of:,} values ({_percent(count, of)} %)"


def _percent(count: int, of: int) -> str:
    """Return a share in per cent: whole from one per cent on, but never 100 of a part."""
    share = 100 * count / of
    return f"{share:.2g}" if share < 1 else f"{min(share, 99.4) if count < of else share:.0f}"
