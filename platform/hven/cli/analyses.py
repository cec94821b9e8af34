"""Verbs about what plugins bring: plugins, analyses."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.output import AsJson, print_fields, print_json, print_table, print_text

if TYPE_CHECKING:
    from hven.plugins import Analysis

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Plugins"


@verbs.command(rich_help_panel=PANEL)
def plugins(as_json: AsJson = False) -> None:
    """List the plugins, what each brings, and for those not loaded the reason.

    Example: `hven plugins`
    """
    from hven.plugins import plugins as discover

    registry = discover()
    found = [*registry.loaded, *registry.failed]
    if as_json:
        print_json(
            [
                {
                    "name": p.name,
                    "distribution": p.distribution,
                    "version": p.version,
                    "brings": list(p.brings),
                    "loaded": p in registry.loaded,
                    "reason": p.reason,
                }
                for p in found
            ]
        )
        return
    print_table(
        ["plugin", "from", "version", "brings"],
        ([p.name, p.distribution, p.version, ", ".join(p.brings)] for p in registry.loaded),
    )
    if registry.failed:
        print_text("Not loaded:")
        print_table(
            ["plugin", "from", "version", "reason"],
            ([p.name, p.distribution, p.version, p.reason] for p in registry.failed),
        )


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
    import inspect

    from hven.plugins.parameters import allowed_values

    print_text(
        f"{analysis.name} (version {analysis.version}, {'per object' if analysis.per_object else 'on all objects'})"
    )
    print_text("")
    print_text(inspect.cleandoc(analysis.function.__doc__ or ""))
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
    print_table(
        ["parameter", "default", "allowed", "description"],
        (
            [
                field_name,
                "required" if field.is_required() else field.default,
                allowed_values(analysis.parameters, field_name),
                field.description,
            ]
            for field_name, field in analysis.parameters.model_fields.items()
        ),
    )
    print_text("Produces")
    print_table(
        ["part", "variable", "unit"],
        ([part, name, unit] for part, units in analysis.produces.items() for name, unit in units.items()),
    )
    print_fields([("references", ", ".join(analysis.references))])
