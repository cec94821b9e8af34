"""The progress of a run on the terminal: a bar on standard error, so that what scripts read stays clean."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from hven.compute import Run

_BARS: "dict[str, Progress]" = {}
"""The bars that are on the terminal, by run; each lives from `begin` to `end`."""


def begin(run: "Run") -> None:
    """Show a bar for a run, when it asks for one or (by default) when there is a terminal."""
    wanted = sys.stderr.isatty() if run.progress is None else run.progress
    if not wanted or run.id in _BARS:
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[of]}[red]{task.fields[failed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    progress.add_task(run.analysis, total=run.blocks["total"], completed=run.done, failed="", of="blocks")
    progress.start()
    _BARS[run.id] = progress


def advance(run: "Run", *, failed: bool = False) -> None:
    """Move the bar of a run to where the run is."""
    progress = _BARS.get(run.id)
    if progress is None:
        return
    task = progress.tasks[0]
    count = run.blocks["failed"]
    text = f", {count} failed" if count or failed else ""
    progress.update(task.id, completed=run.done + count, failed=text)


def show(run: "Run", done: int, total: int, text: str) -> None:
    """Move the bar of a run to where its analysis says that it is."""
    progress = _BARS.get(run.id)
    if progress is not None:
        progress.update(progress.tasks[0].id, completed=done, total=total, of=text)


def end(run: "Run") -> None:
    """Take the bar of a run away."""
    progress = _BARS.pop(run.id, None)
    if progress is not None:
        progress.stop()
