"""The command as a whole: its verbs put together, and errors told in one paragraph."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import hven
from hven.cli import (
    analyses,
    crossmatching,
    data,
    demo,
    doctor,
    formats,
    lakes,
    pipelines,
    plugin,
    runs,
    schedules,
    surveys,
    updating,
)
from hven.cli.output import print_error
from hven.errors import HvenError

app = typer.Typer(
    name="hven",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (demo, lakes, data, formats, crossmatching, analyses, runs, pipelines, updating, doctor):
    app.add_typer(room.verbs)
app.add_typer(plugin.verbs, name="plugin", rich_help_panel="Plugins")
app.add_typer(schedules.verbs, name="schedule", rich_help_panel="Runs")
app.add_typer(surveys.verbs, name="published", rich_help_panel="Data")

_WITH_PLUGIN = {"--disable-plugin", "--enable-plugin"}


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"hven {hven.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  the option's callback does it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print hven's version and end.")
    ] = False,
    traceback: Annotated[  # noqa: ARG001  `main` looks for it
        bool, typer.Option("--traceback", help="Show where in the code an error arose. Also taken after the verb.")
    ] = False,
    disable_plugin: Annotated[
        list[str] | None,
        typer.Option("--disable-plugin", help="Do not load this plugin, or `all`. Repeats. Also taken after the verb."),
    ] = None,
    enable_plugin: Annotated[
        list[str] | None,
        typer.Option(
            "--enable-plugin", help="Load this one, whatever else is said. Repeats. Also taken after the verb."
        ),
    ] = None,
) -> None:
    """Keep, find, analyse and publish the data of sky surveys, in one versioned lake.

    Example: `hven demo`
    """
    if disable_plugin or enable_plugin:
        from hven.plugins import switched

        source = "--disable-plugin"
        context.with_resource(switched(disable=disable_plugin or (), enable=enable_plugin or (), source=source))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error of hven becomes one paragraph on stderr and exit status 1.

    Parameters
    ----------
    arguments
        What follows ``hven`` on the command line; that of this process by default.
    """
    given = _general_first(sys.argv[1:] if arguments is None else arguments)
    try:
        app(given)
    except HvenError as error:
        if "--traceback" in given:
            raise
        print_error(error)
        sys.exit(1)


def _general_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the general options, wherever they stand, before the verb.

    Examples
    --------
    >>> _general_first(["plugins", "--json", "--disable-plugin", "files", "--traceback"])
    ['--disable-plugin', 'files', '--traceback', 'plugins', '--json']
    """
    general: list[str] = []
    others: list[str] = []
    is_value = False
    for argument in arguments:
        option = argument.partition("=")[0]
        is_general = is_value or argument == "--traceback" or option in _WITH_PLUGIN
        (general if is_general else others).append(argument)
        is_value = argument in _WITH_PLUGIN
    return [*general, *others]
