"""Verbs about what plugins bring: plugins, analyses."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.analysis_command import parameter_rows
from hven.cli.output import AsJson, print_fields, print_json, print_table, print_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hven.plugins import Analysis, PluginInfo

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Plugins"


@verbs.command(rich_help_panel=PANEL)
def plugins(context: typer.Context, as_json: AsJson = False) -> None:
    """List the plugins, what each brings, and for those not loaded the reason (whole with --traceback).

    Example: `hven plugins`
    """
    from hven.plugins import plugins as discover

    registry = discover()
    if as_json:
        print_json([plugin.to_json() for plugin in registry.plugins])
        return
    print_table(
        ["plugin", "from", "version", "state", "import", "brings"],
        (
            [p.name, p.distribution, p.version, p.state, _seconds_text(p), _brings_text(p.brings)]
            for p in registry.plugins
        ),
        right=["import"],
    )
    shows_traceback = context.find_root().params.get("traceback")
    for plugin in registry.plugins:
        if plugin.reason:
            more = " (--traceback shows where)" if plugin.traceback and not shows_traceback else ""
            print_text(f"{plugin.name}: {plugin.reason}{more}")
        if plugin.traceback and shows_traceback:
            print_text(plugin.traceback)


@verbs.command(rich_help_panel=PANEL)
def analyses(
    name: Annotated[str | None, typer.Argument(help="Show this one: what it does, takes, and produces.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the analyses, or show one with its inputs, parameters and references.

    Example: `hven analyses metallicity_gradients`
    """
    from hven.plugins import plugins as discover

    registry = discover()
    if name is not None:
        analysis = registry.analysis(name)
        print_json(analysis.to_json()) if as_json else _print_card(analysis)
    elif as_json:
        print_json([analysis.to_json() for analysis in registry.analyses.values()])
    else:
        print_table(
            ["analysis", "version", "runs", "takes", "summary"],
            (
                [a.name, a.version, "per object" if a.per_object else "on all", ", ".join(a.inputs), a.summary]
                for a in registry.analyses.values()
            ),
        )


def _print_card(analysis: "Analysis") -> None:
    print_text(
        f"{analysis.name} (version {analysis.version}, {'per object' if analysis.per_object else 'on all objects'})"
    )
    print_text(f"\n{analysis.summary}\n\n{analysis.doc.body}".rstrip())
    rows: list[list[Any]] = []
    for name, given in analysis.inputs.items():
        told = given.to_json()
        rows += [[name, given.kind, column, unit, "required"] for column, unit in told["required"].items()]
        rows += [
            [name, given.kind, column, unit, f"one of {', '.join(group)}"]
            for group in told["one_of"]
            for column, unit in group.items()
        ]
        rows += [[name, given.kind, column, unit, "optional"] for column, unit in told["optional"].items()]
    print_text("\nInputs")
    print_table(["input", "kind", "column", "unit", ""], rows)
    print_text("Parameters")
    print_table(["parameter", "default", "allowed", "description"], parameter_rows(analysis.parameters))
    print_text("Produces")
    print_table(
        ["part", "variable", "unit"],
        ([part, name, unit] for part, units in analysis.produces.items() for name, unit in units.items()),
    )
    for title, text in analysis.doc.sections.items():
        if title not in {"Parameters", "Examples", "Returns"}:
            print_text(f"{title}\n\n{text}\n")
    print_fields([("references", ", ".join(analysis.references))])


def _seconds_text(plugin: "PluginInfo") -> str:
    return f"{plugin.seconds:.2f} s" if plugin.state != "disabled" else ""


def _brings_text(brings: "Mapping[str, tuple[str, ...]]") -> str:
    return "; ".join(f"{sort} {', '.join(names)}" for sort, names in brings.items() if names)
