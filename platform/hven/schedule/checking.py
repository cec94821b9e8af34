"""Whether a schedule could run: checked when it is added, not at three in the night."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hven.errors import DatasetNotFoundError, HvenError, PipelineError, ScheduleError, did_you_mean
from hven.schedule.rule import Schedule
from hven.schema import check_name

if TYPE_CHECKING:
    from hven.compute import Pipeline, Selection
    from hven.lake import Lake


def check_schedule(lake: "Lake", name: str, schedule: Schedule, others: Mapping[str, Schedule]) -> None:
    """Refuse a schedule that could not run.

    Raises
    ------
    ScheduleError
        If its analysis is not there, its inputs or parameters do not fit, what it follows is not there, or it would set
        itself off.
    PipelineError
        If its pipeline does not fit: with everything that does not.
    """
    from hven.compute import check_pipeline, outputs_for

    check_name(name, "schedule")
    made = {result for other in others.values() for result in other.results}
    _check_cycle(name, {**others, name: schedule})
    _check_watched(lake, name, schedule, made)
    with told_as_schedule(name):
        if schedule.update:
            if schedule.update not in made:
                outputs_for(lake, schedule.update)
            return
        if schedule.pipeline:
            check_pipeline(lake, pipeline_of_schedule(name, schedule))
            return
        try:
            _plan(lake, schedule)
        except DatasetNotFoundError:
            # Another schedule makes it before this one runs; then the inputs are checked, as for any run.
            if not made.intersection(schedule.after):
                raise


def selections_of(schedule: Schedule) -> "dict[str, Selection]":
    """Return what a schedule's analysis takes in, as `hven.run` takes it."""
    from hven.compute import select

    return {
        given: select(
            told["datasets"], told.get("where"), told.get("region") or None, told.get("columns"), told.get("with")
        )
        for given, told in schedule.inputs.items()
    }


def pipeline_of_schedule(name: str, schedule: Schedule) -> "Pipeline":
    """Return the pipeline that a schedule runs."""
    from hven.compute import pipeline_told

    return pipeline_told(schedule.pipeline, f"schedule {name!r}")


@contextmanager
def told_as_schedule(name: str) -> Iterator[None]:
    """Tell whatever keeps a schedule from running as an error of the schedule.

    Examples
    --------
    >>> with told_as_schedule("nightly"):
    ...     check_name("no/name")
    Traceback (most recent call last):
    ...
    hven.errors.ScheduleError: schedule 'nightly' could not run: ...
    """
    try:
        yield
    except (ScheduleError, PipelineError):
        raise
    except HvenError as error:
        raise ScheduleError(
            f"schedule {name!r} could not run: {error.what}",
            where=error.where,
            expected=error.expected,
            hint=error.hint,
        ) from error


def _plan(lake: "Lake", schedule: Schedule) -> None:
    from hven.compute import plan

    plan(lake, schedule.analysis, selections_of(schedule), schedule.parameters, output=schedule.output or None)


def _check_watched(lake: "Lake", name: str, schedule: Schedule, made: set[str]) -> None:
    catalog = lake.catalog
    for dataset in schedule.on_change:
        if dataset not in catalog and dataset not in made:
            raise ScheduleError(
                f"schedule {name!r} follows {dataset!r}, which is not there",
                where="on_change",
                expected="a dataset of this lake",
                hint=did_you_mean(dataset, catalog, f"The datasets are: {', '.join(catalog) or 'none yet'}."),
            )
    for result in schedule.after:
        parts = [entry for entry in catalog.entries.values() if is_of(entry.name, result)]
        if result not in made and not any("run" in entry.provenance for entry in parts):
            known = sorted({*made, *(e.name for e in catalog.entries.values() if "run" in e.provenance)})
            raise ScheduleError(
                f"schedule {name!r} comes after {result!r}, which nothing makes",
                where="after",
                expected="a result of this lake, or what another schedule makes",
                hint=did_you_mean(result, known, f"The results are: {', '.join(known) or 'none yet'}."),
            )


def is_of(dataset: str, result: str) -> bool:
    """Return whether a dataset is a result, or one of its parts.

    Examples
    --------
    >>> is_of("halves.low", "halves"), is_of("halves_low", "halves")
    (True, False)
    """
    return dataset == result or dataset.startswith(f"{result}.")


def _check_cycle(name: str, rules: Mapping[str, Schedule]) -> None:
    """Refuse a schedule that would set itself off, however many others are in between."""
    trail: list[str] = []
    visited: set[str] = set()

    def follow(at: str) -> None:
        trail.append(at)
        visited.add(at)
        for other, schedule in rules.items():
            if any(is_of(watched, result) for watched in schedule.watched for result in rules[at].results):
                if other == name:
                    raise ScheduleError(
                        f"schedule {name!r} would set itself off: {' -> '.join([*trail, name])}",
                        where="after and on_change",
                        expected="schedules that follow one another without a circle",
                        hint="Let one of them follow something else, or write another output.",
                    )
                if other not in visited:
                    follow(other)
        trail.pop()

    follow(name)
