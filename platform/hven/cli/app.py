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
    health,
    lakes,
    pipelines,
    plugin,
    rows,
    runs,
    schedules,
    surveys,
    undoing,
    updating,
)
from hven.cli.output import print_error
from hven.errors import DataRefusedError, HvenError, StorageError

app = typer.Typer(
    name="hven",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (
    demo,
    lakes,
    undoing,
    health,
    data,
    rows,
    formats,
    crossmatching,
    analyses,
    runs,
    pipelines,
    updating,
    doctor,
):
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
    except Exception as error:
        if "--traceback" in given:
            raise
        print_error(error if isinstance(error, HvenError) else unforeseen(error))
        sys.exit(1)


def unforeseen(error: Exception) -> HvenError:
    """Return an error of hven for one that no part of it foresaw, in one line.

    Examples
    --------
    >>> str(unforeseen(PermissionError(13, "Permission denied", "stars.csv")))
    'Permission denied (stars.csv). Check the path, and that it may be read and written.'
    """
    lines = str(error).strip().splitlines() or [""]
    if isinstance(error, OSError):
        path = error.filename if isinstance(error.filename, str) else ""
        hint = "Check the path, and that it may be read and written."
        return StorageError(error.strerror or lines[0] or type(error).__name__, where=path, hint=hint)
    if type(error).__module__.startswith("polars."):
        return DataRefusedError(
            f"the values do not fit: {lines[0]}", hint="See them with 'hven head', and types with 'hven show'."
        )
    return HvenError(
        f"this was not foreseen: {type(error).__name__}: {lines[0][:300]}",
        hint="It is a fault of the code: run it again with --traceback, and report what it shows.",
    )


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
