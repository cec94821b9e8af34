"""Ctrl-C in the middle of a run: said in one line, with its own exit status."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

INTERRUPTED = 130


@contextmanager
def interruptible() -> Iterator[None]:
    """End the command with status 130 when it is interrupted, and what the run noted of itself: how to go on."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        typer.echo("\n".join(getattr(interrupt, "__notes__", ["Interrupted."])), err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
