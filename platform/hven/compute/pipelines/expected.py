"""What the datasets of a pipeline will look like, told before any of them is made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hven.compute.bound import IDENTITY
from hven.compute.pipelines.pipeline import Pipeline, Step
from hven.errors import DatasetNotFoundError, HvenError, did_you_mean
from hven.lake import Lake
from hven.lake import open as open_lake
from hven.plugins import ANY, Input, Variable
from hven.schema import Column, Schema

if TYPE_CHECKING:
    from hven.catalog import Catalog
    from hven.compute.selection import Reference

_OBJECT = ("object",)
_AXES = ("wavelength", "band", "distance", "pixel", "z", "y", "x", "sample")


@dataclass(frozen=True)
class Expected:
    """A dataset as a step will find it.

    Attributes
    ----------
    schema
        Its columns, when it is in the lake as the pipeline will leave it; None when it is yet to be made.
    frame
        Their Polars types.
    produced
        Units of the variables that its analysis declares, which may be patterns; None when nobody knows before it is
        there.
    """

    schema: Schema | None = None
    frame: Mapping[str, Any] = field(default_factory=dict)
    produced: Mapping[str, str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing can be said of its columns."""
        return self.schema is None and self.produced is None

    def columns_for(self, given: Input, rename: Mapping[str, str], asked: Iterable[str]) -> dict[str, Column]:
        """Return its columns by name, as an input finds them; `asked` are names that a pattern may stand for.

        Of what is yet to be made only names and units are known, so dimensions are those that the input asks for.
        """
        if self.schema is not None:
            return {column.name: column for column in self.schema}
        promised = [Variable(name, unit) for name, unit in (self.produced or {}).items()]
        names = {variable.name: variable.unit or "" for variable in promised if not variable.is_pattern}
        names |= {name: v.unit or "" for name in asked for v in promised if v.is_pattern and v.matches(name)}
        wanted_as = {source: wanted for wanted, source in rename.items()}
        columns = {}
        for name, unit in names.items():
            variable = given.variable(wanted_as.get(name, name))
            columns[name] = Column(name, "float64", variable.dims[0] if variable is not None else _OBJECT, unit)
        for name in (*IDENTITY, *(axis for axis in _AXES if given.variable(axis) is not None)):
            # Ids follow the objects, and coordinates come along undeclared.
            variable = given.variable(name)
            told = variable.unit or "" if variable is not None and variable.unit != ANY else ""
            columns.setdefault(name, Column(name, "int64", variable.dims[0] if variable is not None else _OBJECT, told))
        return columns


class Expectations:
    """The datasets that the steps of a pipeline will find: in the lake, or made by the pipeline before them."""

    def __init__(self, lake: Lake, pipeline: Pipeline) -> None:
        self.lake = lake.pinned()
        self.made: dict[str, Expected] = {}
        for intake in pipeline.ingest:
            for name in intake.makes:
                self.made[name] = _in_lake(self.lake, name) or Expected()
        for step in pipeline.steps:
            for part, name in zip(_parts(step), step.makes, strict=True):
                self.made[name] = _made(self.lake, step, part, name)

    def of(self, reference: "Reference") -> Expected:
        """Return what a step will find under a reference.

        Raises
        ------
        DatasetNotFoundError, VersionNotFoundError, LakeNotFoundError
            If it is not there, and no step makes it.
        """
        if not reference.version and not reference.url:
            if reference.name in self.made:
                return self.made[reference.name]
            found = _in_lake(self.lake, reference.name)
            if found is None:
                raise self.missing(reference.name)
            return found
        home = open_lake(reference.url) if reference.url else self.lake
        source = (home.at(reference.version) if reference.version else home)[reference.name].source
        return Expected(source.schema, source.frame_schema())

    def missing(self, name: str) -> DatasetNotFoundError:
        """Return the error for a dataset that is neither in the lake nor made by a step."""
        known = [*self.made, *self.lake]
        return DatasetNotFoundError(
            f"there is no dataset {name!r}, and no step makes it",
            where=self.lake.url,
            hint=did_you_mean(name, known, f"There are: {', '.join(known) or 'none yet'}."),
        )


def is_made_so(catalog: "Catalog", step: Step, name: str) -> bool:
    """Return whether a dataset is there that this very step made: the same analysis, version and parameters."""
    analysis = step.known
    if analysis is None or name not in catalog:
        return False
    made = catalog[name].provenance
    if (made.get("analysis"), made.get("version")) != (analysis.name, analysis.version):
        return False
    try:
        return bool(made.get("asked") == analysis.parameters_json(analysis.check(step.parameters)))
    except HvenError:
        return False


def _parts(step: Step) -> Sequence[str]:
    return tuple(step.known.produces) if step.known is not None else ("",)


def _made(lake: Lake, step: Step, part: str, name: str) -> Expected:
    if step.known is None:
        return Expected()
    is_other = name in lake and lake.catalog[name].provenance.get("analysis") != step.known.name
    if is_other or is_made_so(lake.catalog, step, name):
        # What somebody else made stays as it is: a step that would write over it is refused.
        return _in_lake(lake, name) or Expected()
    return Expected(produced=step.known.produces[part])


def _in_lake(lake: Lake, name: str) -> Expected | None:
    if name not in lake:
        return None
    source = lake[name].source
    return Expected(source.schema, source.frame_schema())
