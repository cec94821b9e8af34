"""A question before something is taken away: answered by a person, or beforehand by an option."""

import sys
from typing import Annotated

import typer

from hven.errors import ParameterError

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, *, is_answered: bool) -> None:
    """Go on when the answer is yes; end the command when it is no.

    Raises
    ------
    ParameterError
        If the command does not run in a terminal.
    """
    if is_answered:
        return
    if not sys.stdin.isatty():
        told = " ".join(question.split("\n"))
        raise ParameterError(
            f"this needs a yes, and nobody can be asked outside of a terminal: {told}", hint="Say it with --yes."
        )
    if not typer.confirm(question):
        typer.echo("Nothing was changed.")
        raise typer.Exit(1)
