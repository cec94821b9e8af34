"""The command as a whole: its verbs put together, and errors told in one paragraph."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import hven
from hven.cli import analyses, data, demo, doctor, lakes, runs, schedules, surveys
from hven.cli.output import print_error
from hven.errors import HvenError

app = typer.Typer(
    name="hven",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verbs in (demo.verbs, lakes.verbs, data.verbs, analyses.verbs, runs.verbs, doctor.verbs):
    app.add_typer(verbs)
app.add_typer(schedules.verbs, name="schedule", rich_help_panel="Runs")
app.add_typer(surveys.verbs, name="published", rich_help_panel="Data")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"hven {hven.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print hven's version and end.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error arose. Also taken after the verb.")
    ] = False,
) -> None:
    """Keep, find, analyse and publish the data of sky surveys, in one versioned lake.

    Example: `hven demo`
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error of hven becomes one paragraph on stderr and exit status 1.

    Parameters
    ----------
    arguments
        What follows ``hven`` on the command line; that of this process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    shows_traceback = "--traceback" in given
    try:
        app([*["--traceback"] * shows_traceback, *(argument for argument in given if argument != "--traceback")])
    except HvenError as error:
        if shows_traceback:
            raise
        print_error(error)
        sys.exit(1)
