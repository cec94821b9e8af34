"""What the page of a pipeline is to tell: its title, its text, and which steps stand open on it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hven.compute.run_file import refusal, unknown_keys
from hven.errors import HvenError, RunFileError, did_you_mean

REPORT_KEYS = ("title", "text", "show")
SHOWN_KEYS = ("step", "text", "figures", "sections")


@dataclass(frozen=True)
class ShownStep:
    """A step that stands open on the page of its pipeline.

    Attributes
    ----------
    step
        Its name: the dataset that it makes.
    text
        Paragraphs above its figures, as in `PipelineReport`.
    figures
        Names of figures, in their order; None for all, none at all when empty.
    sections
        Titles of the sections that plugins add, in their order; None for all, none at all when empty.
    """

    step: str
    text: str = ""
    figures: Sequence[str] | None = None
    sections: Sequence[str] | None = None

    def to_json(self) -> str | dict[str, Any]:
        """Return what a pipeline's file says of it."""
        told: dict[str, Any] = {"step": self.step}
        if self.text:
            told["text"] = self.text
        chosen = {"figures": self.figures, "sections": self.sections}
        told |= {key: list(names) for key, names in chosen.items() if names is not None}
        return self.step if len(told) == 1 else told


@dataclass(frozen=True)
class PipelineReport:
    """What the page of a pipeline is to tell.

    Attributes
    ----------
    title
        Its heading; what the pipeline is called when empty.
    text
        Paragraphs under it, separated by blank lines; what stands between backticks is code. HTML is shown as it is
        written.
    show
        The steps that stand open on it, in this order, by name or as `ShownStep`; None for all, as they are run.
    misfits
        What was wrong with it where it was read.

    Examples
    --------
    >>> told = PipelineReport("The disc", show=["gradients", ShownStep("distances", figures=["map"])])
    >>> told.to_json()
    {'title': 'The disc', 'show': ['gradients', {'step': 'distances', 'figures': ['map']}]}
    """

    title: str = ""
    text: str = ""
    show: Sequence[str | ShownStep] | None = None
    misfits: tuple[HvenError, ...] = field(default=(), repr=False)

    def shown(self, steps: Sequence[str]) -> tuple[ShownStep, ...]:
        """Return what stands open of a pipeline with these steps, in its order."""
        chosen = steps if self.show is None else self.show
        return tuple(ShownStep(one) if isinstance(one, str) else one for one in chosen)

    def unknown_steps(self, steps: Sequence[str], where: str) -> Iterator[HvenError]:
        """Give an error for each step that is to be shown and is none of these."""
        for one in self.shown(steps):
            if one.step not in steps:
                yield RunFileError(
                    f"the report is to show {one.step!r}, which is no step",
                    where=where,
                    hint=did_you_mean(one.step, steps, f"The steps are: {', '.join(steps)}."),
                )

    def to_json(self) -> dict[str, Any]:
        """Return what a pipeline's file says of it."""
        told: dict[str, Any] = {key: said for key, said in (("title", self.title), ("text", self.text)) if said}
        if self.show is not None:
            told["show"] = [one if isinstance(one, str) else one.to_json() for one in self.show]
        return told


def report_told(said: object, path: str) -> PipelineReport:
    """Return the report that is described under the key ``report`` of a pipeline's file; errors call it `path`."""
    if said is None:
        return PipelineReport()
    if not isinstance(said, dict):
        return PipelineReport(misfits=(refusal("report", said, "'key: value' lines", path),))
    misfits: list[HvenError] = list(unknown_keys(said, REPORT_KEYS, path))
    listed, show = said.get("show"), None
    if listed is not None and not isinstance(listed, list):
        misfits.append(refusal("report.show", listed, "a list with a step in each item", path))
    elif listed is not None:
        show = tuple(one for item in listed if (one := _shown(item, path, misfits)) is not None)
    title, text = (_text(said, key, f"report.{key}", path, misfits) for key in ("title", "text"))
    return PipelineReport(title, text, show, tuple(misfits))


def _shown(said: object, path: str, misfits: list[HvenError]) -> str | ShownStep | None:
    if isinstance(said, str):
        return said
    if not isinstance(said, dict) or not isinstance(said.get("step"), str):
        misfits.append(refusal("an item of report.show", said, "a step, or 'key: value' lines with its 'step'", path))
        return None
    misfits += unknown_keys(said, SHOWN_KEYS, path)
    text = _text(said, "text", "report.show.text", path, misfits)
    figures, sections = (_names(said, key, path, misfits) for key in ("figures", "sections"))
    return ShownStep(said["step"], text, figures, sections)


def _text(said: Mapping[str, Any], key: str, name: str, path: str, misfits: list[HvenError]) -> str:
    value = said.get(key)
    if value is not None and not isinstance(value, str):
        misfits.append(refusal(name, value, "text", path))
    return value if isinstance(value, str) else ""


def _names(said: Mapping[str, Any], key: str, path: str, misfits: list[HvenError]) -> tuple[str, ...] | None:
    value = said.get(key)
    names = [value] if isinstance(value, str) else value
    if names is None or (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        return None if names is None else tuple(names)
    misfits.append(refusal(f"report.show.{key}", value, "a name, or a list of names", path))
    return None
