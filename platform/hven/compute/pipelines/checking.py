"""Whether a pipeline fits together and fits the lake: everything that does not, told at once, before anything runs."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from hven.compute.derived import derive, named_with_unit, polars_types
from hven.compute.pipelines.expected import Expectations, Expected
from hven.compute.pipelines.pipeline import Intake, Pipeline, Step, selected
from hven.compute.pipelines.reading import read_pipeline
from hven.compute.request import check_output, make_request
from hven.compute.selection import Selection
from hven.errors import HvenError, MissingColumnError, NameRefusedError, ParameterError, PipelineError, did_you_mean
from hven.lake import Lake, check_columns, parse_where, sql_expression
from hven.plugins import Analysis, Input, bind, named_columns, plugins
from hven.schema import Column, Schema, check_name

if TYPE_CHECKING:
    from pathlib import Path

Misfit = tuple[str, HvenError]
_PLACED = ("_healpix_29", "ra", "dec")


def check_pipeline(lake: Lake, pipeline: "Pipeline | str | Path") -> Pipeline:
    """Return the pipeline (read from its file, if that is given) when it fits together and fits the lake.

    Columns and units of what a step makes are held against what later steps take in, from what analyses declare.
    What survey files hold is known once they are read: columns of a dataset that is yet to be ingested are checked
    then, before the first step runs.

    Raises
    ------
    PipelineError
        With everything that does not fit, each with its step: unknown analyses, parameters, keys and inputs, values
        outside their range, datasets, columns and units that are not there, outputs that two steps write or that are
        taken, steps that wait for each other in a circle, and steps that the report is to show and that are none.
    RunFileError
        If the file cannot be read, or is not YAML.

    Examples
    --------
    >>> hven.compute.check_pipeline(lake, "disc.yaml").needs  # doctest: +SKIP
    {'apogee_distances': (), 'metallicity_gradients': ('apogee_distances',)}
    """
    told = pipeline if isinstance(pipeline, Pipeline) else read_pipeline(pipeline)
    misfits = list(_misfits(lake, told))
    if misfits:
        count = "1 thing does" if len(misfits) == 1 else f"{len(misfits)} things do"
        raise PipelineError(
            f"{count} not fit in the pipeline", where=told.path, hint="Nothing was run.", misfits=misfits
        )
    return told


def _misfits(lake: Lake, pipeline: Pipeline) -> Iterator[Misfit]:
    report, names = pipeline.report, [step.name for step in pipeline.steps]
    for error in (*pipeline.misfits, *report.misfits, *report.unknown_steps(names, pipeline.path)):
        yield "", error
    expectations = Expectations(lake, pipeline)
    for intake in pipeline.ingest:
        yield from ((intake.name, error) for error in (*intake.misfits, *_of_intake(lake, intake)))
    yield from _twice(pipeline)
    yield from _circles(pipeline)
    needs = pipeline.needs
    for step in pipeline.steps:
        found = [*step.misfits, *_of_step(step, expectations)]
        if not found and not needs[step.name] and not _is_ingested(pipeline, lake, step):
            found = [*_of_request(lake, step)]
        yield from ((step.name, error) for error in found)


def _of_intake(lake: Lake, intake: Intake) -> Iterator[HvenError]:
    from hven.ingest.files import expanded

    reader = None
    try:
        check_name(intake.name)
        reader = plugins().reader(intake.reader) if intake.reader else None
        if intake.name not in lake and not intake.misfits:
            expanded(intake.files, reader)
    except HvenError as error:
        yield error
    if reader is not None:
        yield from reader.misfits(intake.options)


def _is_ingested(pipeline: Pipeline, lake: Lake, step: Step) -> bool:
    """Return whether a step takes in what is yet to be ingested."""
    made = {name for intake in pipeline.ingest for name in intake.makes}
    return any(name in made and name not in lake for name in step.takes)


def _twice(pipeline: Pipeline) -> Iterator[Misfit]:
    """Give an error for each dataset that is made twice."""
    makers = [(intake.name, "an ingest", name) for intake in pipeline.ingest for name in intake.makes]
    for number, step in enumerate(pipeline.steps, 1):
        analysis = step.analysis if isinstance(step.analysis, str) else step.analysis.name
        makers += [(step.name, f"step {number} ({analysis})", name) for name in step.makes]
    made_by: dict[str, str] = {}
    for step_name, maker, name in makers:
        if name in made_by:
            by = f"by {made_by[name]} and by {maker}"
            yield (
                step_name,
                NameRefusedError(f"the dataset {name!r} is made twice, {by}", hint="Choose another output."),
            )
        made_by.setdefault(name, maker)


def _circles(pipeline: Pipeline) -> Iterator[Misfit]:
    """Give an error for each circle of steps that wait for each other."""
    needs: dict[str, set[str]] = {name: set(others) for name, others in pipeline.needs.items()}
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            # Each of them is followed by one that takes it in.
            circle = list(error.args[1])
            told = " -> ".join(map(repr, circle))
            yield (
                circle[-1],
                NameRefusedError(
                    f"steps wait for each other: {told}",
                    expected="steps that take in one another's results without a circle",
                    hint="Let one of them take in something else, or write another output.",
                ),
            )
            needs[circle[1]].discard(circle[0])
        else:
            return


def _of_step(step: Step, expectations: Expectations) -> Iterator[HvenError]:
    try:
        analysis = plugins().analysis(step.analysis) if isinstance(step.analysis, str) else step.analysis
    except HvenError as error:
        if step.analysis:
            yield error
        return
    wrong = analysis.misfits(step.parameters)
    yield from wrong
    parameters = {} if wrong else analysis.check(step.parameters)
    yield from _of_output(step, expectations)
    for name in step.takes:
        if name not in expectations.made and name not in expectations.lake and not _is_input(step, name):
            yield expectations.missing(name)
    for name, given in step.inputs.items():
        if name not in analysis.inputs:
            yield ParameterError(
                f"there is no input {name!r}",
                where=f"analysis {analysis.name!r}",
                hint=did_you_mean(name, analysis.inputs, f"Its inputs are: {', '.join(analysis.inputs)}."),
            )
            continue
        selection = selected(given)
        if isinstance(selection, HvenError):
            yield selection
        else:
            yield from _of_input(analysis.inputs[name], name, selection, parameters, expectations)
    if not step.misfits:
        yield from _not_given(analysis, step)


def _is_input(step: Step, name: str) -> bool:
    return any(name == reference.name for s in step.selections.values() for reference in s.datasets)


def _not_given(analysis: Analysis, step: Step) -> Iterator[HvenError]:
    for name, given in analysis.inputs.items():
        if name not in step.inputs:
            yield ParameterError(
                f"input {name!r} is not given",
                where=f"analysis {analysis.name!r}",
                expected=f"a dataset of kind {given.kind}",
                hint=f"Name one: 'inputs: {{{name}: DATASET}}'.",
            )


def _of_output(step: Step, expectations: Expectations) -> Iterator[HvenError]:
    try:
        check_name(step.name)
        if step.known is not None:
            for name in step.makes:
                check_output(name, expectations.lake.catalog, step.known)
    except HvenError as error:
        yield error


def _of_input(
    given: Input, name: str, selection: Selection, parameters: Mapping[str, Any], expectations: Expectations
) -> Iterator[HvenError]:
    legs: list[Expected] = []
    for reference in selection.datasets:
        try:
            legs.append(expectations.of(reference))
        except HvenError as error:
            yield error
    if len(legs) < len(selection.datasets) or any(leg.is_open for leg in legs):
        return
    where, named = f"dataset {selection.text!r}, input {name!r}", named_columns(given, parameters)
    try:
        used, derived = _used(selection), _derived(selection, legs)
    except HvenError as error:
        yield error
        used, derived = (), {}
    asked = {
        *used,
        *named,
        *selection.columns.values(),
        *(selection.columns.get(v.name, v.name) for v in given.variables),
    }
    columns: dict[str, Column] = {}
    for leg in reversed(legs):
        # A column that several have is the first one's.
        columns |= leg.columns_for(given, selection.columns, sorted(asked - derived.keys()))
    columns |= derived
    try:
        bind(given, Schema(tuple(columns.values())), selection.columns, named=named, where=where)
    except HvenError as error:
        yield error
    yield from _of_where(selection, used, legs, columns)
    if len(legs) > 1:
        for leg, reference in zip(legs, selection.datasets, strict=True):
            if leg.schema is not None and "object_id" not in leg.schema:
                yield MissingColumnError(
                    "there is no column 'object_id' to join by",
                    where=f"dataset {str(reference)!r}, input {name!r}",
                    hint="Join datasets of objects, or write their object_id when ingesting.",
                )


def _used(selection: Selection) -> tuple[str, ...]:
    """Return the columns that condition and region speak of."""
    where = selection.where
    if isinstance(where, str):
        # Whether the text can be parsed does not depend on any column.
        where = sql_expression(where, f"dataset {selection.text!r}")
    names = where.meta.root_names() if where is not None else []
    for key, text in selection.derived.items():
        made, _ = named_with_unit(key)
        names = [name for name in names if name != made]
        names += sql_expression(text, f"dataset {selection.text!r}", is_condition=False).meta.root_names()
    return tuple(dict.fromkeys((*names, *(_PLACED if selection.region is not None else ()))))


def _derived(selection: Selection, legs: list[Expected]) -> dict[str, Column]:
    """Return the derived columns of a selection; held against types where these are known already."""
    import polars as pl

    frame = {name: dtype for leg in reversed(legs) for name, dtype in leg.frame.items()}
    if frame and all(leg.schema is not None for leg in legs):
        return {one.name: one.column for one in derive(selection.derived, pl.Schema(frame), selection.text)}
    named = (named_with_unit(key) for key in selection.derived)
    return {name: Column(name, "float64", ("object",), unit) for name, unit in named}


def _of_where(
    selection: Selection, used: tuple[str, ...], legs: list[Expected], columns: Mapping[str, Any]
) -> Iterator[HvenError]:
    import polars as pl

    frame = {name: dtype for leg in reversed(legs) for name, dtype in leg.frame.items()}
    if frame and selection.derived and all(leg.schema is not None for leg in legs):
        with suppress(HvenError):
            frame |= polars_types(derive(selection.derived, pl.Schema(frame), selection.text))
    known = dict.fromkeys((*columns, *frame))
    for name in used:
        try:
            check_columns([name], known, selection.text)
        except HvenError as error:
            yield error
    if selection.where is not None and used and set(used) <= set(frame):
        try:
            parse_where(selection.where, pl.Schema(frame), selection.text)
        except HvenError as error:
            yield error


def _of_request(lake: Lake, step: Step) -> Iterator[HvenError]:
    """Give what a run would refuse of a step whose inputs are all there."""
    try:
        make_request(lake, step.analysis, step.inputs, step.parameters, step.name, None)
    except HvenError as error:
        yield error
