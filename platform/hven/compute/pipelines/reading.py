"""The file of a pipeline: steps in the words of run files, and what is ingested before them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hven.compute.pipelines.pipeline import Intake, Pipeline, Step
from hven.compute.pipelines.report import report_told
from hven.compute.run_file import KEYS as RUN_KEYS
from hven.compute.run_file import RunFile, read_yaml, refusal, run_told, unknown_keys
from hven.compute.selection import Selection, select
from hven.errors import AnalysisNotFoundError, HvenError, RunFileError
from hven.plugins import plugins

KEYS = ("report", "ingest", "steps", "cluster", "workers")
STEP_KEYS = tuple(key for key in RUN_KEYS if key not in KEYS)
INTAKE_KEYS = ("name", "reader", "files", "options")
_SAID_ONCE = dict.fromkeys(("cluster", "workers"), "It is said once, for the whole pipeline, beside 'steps'.")


def is_pipeline(path: str | Path) -> bool:
    """Return whether a file for ``hven run -c`` describes a pipeline: whether it has steps, or ingests.

    Raises
    ------
    RunFileError
        If it cannot be read, or is not YAML.
    """
    return bool({"steps", "ingest"} & set(read_yaml(path)))


def read_pipeline(path: str | Path) -> Pipeline:
    r"""Return the pipeline that a YAML (or JSON) file describes.

    What does not fit is kept, and told with all the rest by `check_pipeline`, `plan_pipeline` and `run_pipeline`.
    Relative paths of survey files are meant from the folder of the pipeline's file.

    Raises
    ------
    RunFileError
        If it cannot be read, or is not YAML.

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile("w", suffix=".yaml") as file:
    ...     _ = file.write("steps:\n- {analysis: red_clump_distances, inputs: {stars: apogee}, output: distances}")
    ...     file.flush()
    ...     pipeline = read_pipeline(file.name)
    >>> [(step.analysis, step.name, step.takes) for step in pipeline.steps]
    [('red_clump_distances', 'distances', ('apogee',))]
    """
    said = read_yaml(path, KEYS)
    return pipeline_told(said, str(path))


def pipeline_told(said: Mapping[str, Any], path: str) -> Pipeline:
    """Return the pipeline that a mapping describes, as `Pipeline.to_json` gives it; errors call it `path`."""
    told, misfits = run_told({key: said[key] for key in ("cluster", "workers") if key in said}, path)
    misfits += unknown_keys(said, KEYS, path)
    intakes = [_intake(one, number, path) for number, one in enumerate(_listed(said, "ingest", path, misfits), 1)]
    steps = [_step(one, number, path) for number, one in enumerate(_listed(said, "steps", path, misfits), 1)]
    report = report_told(said.get("report"), path)
    return Pipeline(tuple(steps), tuple(intakes), told.cluster, told.workers, report, path, tuple(misfits))


def _listed(said: Mapping[str, Any], key: str, path: str, misfits: list[RunFileError]) -> list[dict[str, Any]]:
    """Return the mappings listed under a key; whatever else stands there is a misfit."""
    given = said.get(key)
    if given is None and key == "ingest":
        return []
    if not isinstance(given, list) or not given:
        wanted = "a list with an analysis in each item" if key == "steps" else "a list with a dataset in each item"
        misfits.append(refusal(key, given, wanted, path))
        return []
    wrong = [one for one in given if not isinstance(one, dict)]
    misfits += [refusal(f"an item of {key}", one, "'key: value' lines", path) for one in wrong]
    return [one for one in given if isinstance(one, dict)]


def _step(said: dict[str, Any], number: int, path: str) -> Step:
    told, wrong = run_told(said, path, STEP_KEYS, _SAID_ONCE)
    misfits: list[HvenError] = list(wrong)
    name = told.output or told.analysis or f"step {number}"
    selections: dict[str, str | Selection] = {}
    if not told.analysis and not any("analysis is" in error.what for error in wrong):
        misfits.append(RunFileError("no analysis is named", where=path, hint="Name one: 'analysis: NAME'."))
    try:
        analysis = plugins().analysis(told.analysis) if told.analysis else None
    except AnalysisNotFoundError:
        analysis = None  # the check tells it
    if analysis is not None:
        selections, more = _selections(told, analysis)
        misfits += more
    return Step(told.analysis, selections, told.parameters, name, tuple(misfits))


def _selections(told: RunFile, analysis: Any) -> tuple[dict[str, str | Selection], list[HvenError]]:
    """Return the selections of a step as far as they can be understood, and everything that cannot."""
    misfits: list[HvenError] = []
    by_key: dict[str, dict[str, Any]] = {"inputs": {}, "where": {}, "region": {}, "columns": {}, "derived": {}}
    for key, by_input in by_key.items():
        for name, value in getattr(told, key).items():
            try:
                one = replace(RunFile(told.path), **{key: {name: value}})  # type: ignore[arg-type]
                for known, said in one.by_input(key, analysis).items():
                    by_input[known] = {**by_input.get(known, {}), **said} if isinstance(said, dict) else said
            except HvenError as error:
                misfits.append(error)
    selections: dict[str, str | Selection] = {}
    for name, dataset in by_key["inputs"].items():
        try:
            rest = (by_key[key].get(name) for key in ("where", "region", "columns", "derived"))
            selections[name] = select(dataset, *rest)
        except HvenError as error:
            misfits.append(error)
    for key in ("where", "region", "columns", "derived"):
        misfits += [
            RunFileError(
                f"{'with' if key == 'derived' else key} is said of input {name!r}, which is not given",
                where=told.path,
                hint=f"Give it: 'inputs: {{{name}: DATASET}}'.",
            )
            for name in by_key[key]
            if name not in by_key["inputs"]
        ]
    return selections, misfits


def _intake(said: dict[str, Any], number: int, path: str) -> Intake:
    misfits: list[HvenError] = list(unknown_keys(said, INTAKE_KEYS, path))

    def text(key: str) -> str:
        value = said.get(key, "")
        if not isinstance(value, str):
            misfits.append(refusal(key, value, "text", path))
        return str(value)

    files, options = said.get("files", ()), said.get("options") or {}
    files = [files] if isinstance(files, str) else files
    if not isinstance(files, list | tuple) or not all(isinstance(file, str) for file in files):
        misfits.append(refusal("files", files, "a path, or a list of paths", path))
        files = ()
    if not isinstance(options, dict):
        misfits.append(refusal("options", options, "'name: value' lines", path))
        options = {}
    if not text("name"):
        misfits.append(RunFileError("the dataset has no name", where=path, hint="Say what it is called: 'name: NAME'."))
    home = Path(path).resolve().parent
    placed = tuple(file if "://" in file or Path(file).is_absolute() else str(home / file) for file in files)
    return Intake(text("name") or f"ingest {number}", placed, text("reader"), options, tuple(misfits))
