"""A pipeline: analyses that take in what others make, said as one thing before there are any results."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hven.compute.pipelines.report import PipelineReport
from hven.compute.selection import Selection, select
from hven.errors import HvenError, RecipeError
from hven.plugins import Analysis, plugins


@dataclass(frozen=True)
class Intake:
    """Survey files that become a dataset before the first step; of one that is there, those that are new or changed.

    Attributes
    ----------
    name
        Of the dataset of objects; what else the reader brings is called ``<name>_<part>``.
    files
        Files, folders or glob patterns; none for a reader that finds its file by itself.
    reader
        By default the one whose pattern fits a file's name best.
    options
        Of the reader.
    misfits
        What was wrong with it where it was read.
    """

    name: str
    files: tuple[str, ...] = ()
    reader: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    misfits: tuple[HvenError, ...] = field(default=(), repr=False)

    @property
    def makes(self) -> tuple[str, ...]:
        """The datasets that it makes, as far as its reader tells before it reads."""
        from hven.ingest.files import expanded

        try:
            known = plugins().reader(self.reader) if self.reader else plugins().reader_for(expanded(self.files)[0])
        except (HvenError, OSError):
            return (self.name,)
        return tuple(f"{self.name}_{part}" if part else self.name for part in known.produces) or (self.name,)

    def to_json(self) -> dict[str, Any]:
        """Return what a pipeline's file says of it."""
        told = {"name": self.name, "reader": self.reader, "files": list(self.files), "options": dict(self.options)}
        return {key: value for key, value in told.items() if value}


@dataclass(frozen=True)
class Step:
    """One analysis of a pipeline, with all that `hven.run` takes for it.

    Attributes
    ----------
    analysis
        A name that a plugin brings, or the analysis itself.
    inputs
        For each input a selection, or its text.
    parameters
        Of the analysis; defaults where not given.
    output
        Name of the dataset to make; the analysis's name when empty.
    misfits
        What was wrong with it where it was read.

    Examples
    --------
    >>> Step("red_clump_distances", {"stars": "apogee"}, output="apogee_distances").name
    'apogee_distances'
    """

    analysis: str | Analysis
    inputs: Mapping[str, str | Selection] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    misfits: tuple[HvenError, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """What it is called in the pipeline: the dataset that it makes."""
        return self.output or (self.analysis if isinstance(self.analysis, str) else self.analysis.name)

    @property
    def known(self) -> Analysis | None:
        """The analysis, when there is one of that name."""
        return plugins().analyses.get(self.analysis) if isinstance(self.analysis, str) else self.analysis

    @property
    def makes(self) -> tuple[str, ...]:
        """The datasets that it makes: one, or one for each part of the result."""
        parts = self.known.produces if self.known is not None else ("",)
        return tuple(f"{self.name}.{part}" if part else self.name for part in parts)

    @property
    def selections(self) -> dict[str, Selection]:
        """What each input takes in, of those that can be understood."""
        understood = {name: selected(given) for name, given in self.inputs.items()}
        return {name: one for name, one in understood.items() if isinstance(one, Selection)}

    @property
    def takes(self) -> tuple[str, ...]:
        """The datasets of the same lake that it takes in as they are then: those named without a version."""
        given = [reference for selection in self.selections.values() for reference in selection.datasets]
        names = [one.name for one in given if not one.version and not one.url]
        return tuple(dict.fromkeys((*names, *self._named_by_parameters())))

    def _named_by_parameters(self) -> Iterator[str]:
        from hven.plugins import DatasetPath

        try:
            checked = self.known.check(self.parameters) if self.known is not None else {}
        except HvenError:
            return
        for value in checked.values():
            for one in value if isinstance(value, list | tuple) else (value,):
                if isinstance(one, DatasetPath) and not one.url and not one.version:
                    yield one.name

    def to_json(self) -> dict[str, Any]:
        """Return what a pipeline's file says of it.

        Raises
        ------
        RecipeError
            If a condition is a Polars expression, which has no text.
        """
        told: dict[str, Any] = {"analysis": self.analysis if isinstance(self.analysis, str) else self.analysis.name}
        if self.output and self.output != told["analysis"]:
            told["output"] = self.output
        by_input: dict[str, dict[str, Any]] = {"inputs": {}, "where": {}, "region": {}, "columns": {}, "with": {}}
        for name, selection in self.selections.items():
            if selection.where is not None and not isinstance(selection.where, str):
                raise RecipeError(
                    f"the condition on input {name!r} is a Polars expression, which has no text",
                    where=f"step {self.name!r}",
                    expected="conditions as SQL text",
                    hint="Give it as text, such as where='logg > 2.3'.",
                )
            said = selection.to_json()
            by_input["inputs"][name] = said["datasets"]
            for key in ("where", "region", "columns", "with"):
                by_input[key] |= {name: said[key]} if said.get(key) else {}
        told |= {key: value for key, value in by_input.items() if value}
        if self.parameters:
            known, plain = self.known, self.parameters
            if known is not None and not known.misfits(plain):
                plain = known.parameters_json(plain)
            told["parameters"] = {name: plain[name] for name in sorted(self.parameters)}
        return told


def selected(given: str | Selection) -> Selection | HvenError:
    """Return the selection that is meant, or the error that says why it cannot be understood."""
    try:
        return given if isinstance(given, Selection) else select(given)
    except HvenError as error:
        return error


@dataclass(frozen=True)
class Pipeline:
    """Analyses that take in what others make, in any order; `check_pipeline`, `plan_pipeline` and `run_pipeline` it.

    Attributes
    ----------
    steps
        The analyses.
    ingest
        Datasets to be ingested first, unless they are there.
    cluster, workers
        As `hven.run` takes them; empty or None when it does not say.
    report
        What the page is to tell that is written when it has run.
    path
        The file that it was read from; empty for none.
    misfits
        What was wrong with the file as a whole.

    Examples
    --------
    >>> disc = Pipeline(
    ...     [
    ...         Step("red_clump_distances", {"stars": "apogee"}, output="apogee_distances"),
    ...         Step("metallicity_gradients", {"stars": "apogee+apogee_distances"}, {"bins": 1}),
    ...     ]
    ... )
    >>> disc.needs
    {'apogee_distances': (), 'metallicity_gradients': ('apogee_distances',)}
    """

    steps: Sequence[Step]
    ingest: Sequence[Intake] = ()
    cluster: str = ""
    workers: int | None = None
    report: PipelineReport = field(default_factory=PipelineReport)
    path: str = ""
    misfits: tuple[HvenError, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """What it is called: its file without folder and ending, or what its last step makes."""
        last = next((step.name for step in reversed(self.steps)), "pipeline")
        return re.sub(r"\.(ya?ml|json)$", "", Path(self.path).name) or last

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """For each step the steps whose results it takes in, by name."""
        made_by = {dataset: step.name for step in self.steps for dataset in step.makes}
        return {
            step.name: tuple(dict.fromkeys(made_by[name] for name in step.takes if name in made_by))
            for step in self.steps
        }

    def to_json(self) -> dict[str, Any]:
        """Return what its file says.

        Raises
        ------
        RecipeError
            If a condition is a Polars expression, which has no text.
        """
        told: dict[str, Any] = {
            "report": self.report.to_json(),
            "ingest": [one.to_json() for one in self.ingest],
            "steps": [step.to_json() for step in self.steps],
            "cluster": self.cluster,
            "workers": self.workers,
        }
        return {key: value for key, value in told.items() if value or key == "steps"}

    def to_yaml(self) -> str:
        """Return the text of a file that `read_pipeline` reads.

        Raises
        ------
        RecipeError
            If a condition is a Polars expression, which has no text.
        """
        import yaml

        class Readable(yaml.SafeDumper):
            """Writes text of several lines as it was written."""

        def text(dumper: yaml.SafeDumper, said: str) -> yaml.ScalarNode:
            return dumper.represent_scalar("tag:yaml.org,2002:str", said, style="|" if "\n" in said else None)

        Readable.add_representer(str, text)
        return str(yaml.dump(self.to_json(), Dumper=Readable, sort_keys=False, allow_unicode=True, width=110))
