"""Verbs about one plugin: plugin new, enable, disable."""

from pathlib import Path
from typing import Annotated

import typer

from hven.cli.output import print_text

verbs = typer.Typer(
    rich_markup_mode="markdown", no_args_is_help=True, help="Write a plugin of your own; switch plugins off and on."
)
Name = Annotated[str, typer.Argument(help="A plugin or its distribution, as `hven plugins` lists them.")]


@verbs.command()
def new(
    name: Annotated[str, typer.Argument(help="The plugin's name: lowercase letters, digits, `-` or `_`.")],
    path: Annotated[Path, typer.Option(help="The folder to put the package's folder in.")] = Path(),
) -> None:
    """Write an installable package with two analyses, their figures, mocks and tests, for you to change.

    Example: `hven plugin new my_survey`
    """
    from hven.plugins.scaffold import analyses_of, write_plugin

    folder = write_plugin(name, path)
    per_object, whole = analyses_of(name)
    print_text(
        f"Wrote {folder}. Next:\n"
        f"  cd {folder}\n"
        f"  pip install -e '.[dev]' && pytest\n"
        f"  hven analyses {per_object}\n"
        f"  hven run {per_object} --input stars=apogee --lake ../demo-lake\n"
        f"  hven run {whole} --input stars=apogee+{per_object} --where 'logg < 3.5' --lake ../demo-lake"
    )


@verbs.command()
def disable(name: Name) -> None:
    """Do not load a plugin any more, until it is enabled again; kept in the user's settings.

    Example: `hven plugin disable gaia_xp`
    """
    from hven.plugins.switches import keep_disabled
    from hven.plugins.user_settings import settings_path

    keep_disabled(name)
    print_text(f"{name} is disabled in {settings_path()}.")
    _tell_of_louder(name, "enabled")


@verbs.command()
def enable(name: Name) -> None:
    """Load a plugin again that was disabled in the user's settings.

    Example: `hven plugin enable gaia_xp`
    """
    from hven.plugins.switches import keep_enabled
    from hven.plugins.user_settings import settings_path

    keep_enabled(name)
    print_text(f"{name} is enabled in {settings_path()}.")
    _tell_of_louder(name, "disabled")


def _tell_of_louder(name: str, state: str) -> None:
    """Say so when the environment has the last word, and it is another one."""
    from hven.plugins.switches import voices
    from hven.plugins.user_settings import settings_path

    for voice in voices():
        if voice.source != str(settings_path()) and voice.says([name]) == state:
            print_text(f"Yet {voice.source} has it {state}, and that counts more.")
