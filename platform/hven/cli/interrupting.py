"""Ctrl-C in the middle of a run: said in one line, with its own exit status."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

INTERRUPTED = 130
TERMINATED = 143


@contextmanager
def interruptible() -> Iterator[None]:
    """End the command when it is interrupted, with what the run noted of itself: how to go on.

    The status is 130 after Ctrl-C and 143 after SIGTERM, as of any program that these stop.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        typer.echo("\n".join(getattr(interrupt, "__notes__", ["Interrupted."])), err=True)
        raise typer.Exit(TERMINATED if interrupt.args == ("SIGTERM",) else INTERRUPTED) from interrupt
