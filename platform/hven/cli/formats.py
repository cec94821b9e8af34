"""The verb about what data comes in and goes out by: formats."""

from typing import TYPE_CHECKING, Annotated

import typer

from hven.cli.analysis_command import parameter_rows
from hven.cli.output import AsJson, print_json, print_table, print_text

if TYPE_CHECKING:
    from hven.plugins import Exporter, PluginRegistry, Reader

verbs = typer.Typer(rich_markup_mode="markdown")


@verbs.command(rich_help_panel="Data")
def formats(
    name: Annotated[str | None, typer.Argument(help="Show this one, with the options that it takes.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what reads and writes files, or show one reader or exporter with its options.

    Example: `hven formats fits_images`
    """
    from hven.plugins import plugins as discover

    registry = discover()
    found = _all(registry) if name is None else _named(registry, name)
    if as_json:
        told = [{"direction": direction, **one.to_json()} for direction, one in found]
        print_json(told)
    elif name is None:
        print_table(
            ["format", "", "files", "datasets", "summary"],
            (
                [one.name, direction, _files(one.patterns), ", ".join(_kinds(one)), one.description]
                for direction, one in found
            ),
        )
    else:
        for direction, one in found:
            _print_card(direction, one)


def _all(registry: "PluginRegistry") -> "list[tuple[str, Reader | Exporter]]":
    reads = [("in", reader) for reader in registry.readers.values()]
    return [*reads, *(("out", exporter) for exporter in registry.exporters.values())]


def _named(registry: "PluginRegistry", name: str) -> "list[tuple[str, Reader | Exporter]]":
    from hven.plugins.registering import unknown_format

    found = [(direction, one) for direction, one in _all(registry) if one.name == name]
    if not found:
        raise unknown_format("format", name, {*registry.readers, *registry.exporters})
    return found


def _print_card(direction: str, one: "Reader | Exporter") -> None:
    from hven.plugins.docstring import read_docstring

    is_reader = direction == "in"
    print_text(f"{'Reader' if is_reader else 'Exporter'} {one.name}: {one.description}")
    print_text(f"Files: {_files(one.patterns) or 'whatever it is asked for by name'}")
    print_text(f"{'Makes' if is_reader else 'Takes'}: {', '.join(_kinds(one))}")
    body = read_docstring(one.function.__doc__).body
    if body:
        print_text(f"\n{body}")
    rows = parameter_rows(one.options)
    if rows:
        print_text("\nOptions")
        print_table(["option", "default", "allowed", "description"], rows)
        verb = f"hven ingest {'FILES' if one.patterns else ''}".rstrip() if is_reader else "hven export NAME FILE"
        chosen = f"--reader {one.name} --name NAME" if is_reader else f"--exporter {one.name}"
        print_text(f"Given as in: {verb} {chosen} -o {rows[0][0]}=...")
    else:
        print_text("No options.")
    print_text("")


def _files(patterns: tuple[str, ...]) -> str:
    return ", ".join(patterns)


def _kinds(one: "Reader | Exporter") -> list[str]:
    """Return the kinds of datasets that a reader makes, with the name of each part, or that an exporter takes."""
    from hven.plugins import Exporter

    if isinstance(one, Exporter):
        return list(one.takes)
    return [f"{kind} ({part})" if part else kind for part, kind in one.produces.items()]
