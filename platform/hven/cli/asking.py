"""How a catalog is asked on the command line, one option a condition, and how it answers."""

from typing import TYPE_CHECKING, Annotated

import typer

from hven.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hven.catalog import Entry, PublishedEntry

TextArgument = Annotated[
    str | None,
    typer.Argument(help="Words to be found in names, titles, descriptions, surveys, columns and citations."),
]
KindOption = Annotated[str | None, typer.Option("--kind", help="Only table, spectra, images, cube, model or result.")]
SurveyOption = Annotated[str | None, typer.Option("--survey", help="Only this survey.")]
ColumnOption = Annotated[
    str | None, typer.Option("--column", help="With this column: a name, an alias, or a pattern as '*_fe'.")
]
UnitOption = Annotated[str | None, typer.Option("--unit", help="With a column of this unit, as 'mas/yr'.")]
UcdOption = Annotated[
    str | None, typer.Option("--ucd", help="With a column whose UCD begins so: 'pos.eq', 'phot.mag;em.opt'.")
]
WavelengthOption = Annotated[
    str | None,
    typer.Option("--wavelength", help="With wavelengths between '4000:9000' (Angstrom; '400:900 nm', '15000:')."),
]
ResolutionOption = Annotated[
    str | None, typer.Option("--resolution", help="With a resolving power between, as '1000:2000' or '20000:'.")
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="Covering part of this region, as 'cone(190, 5, 1)' in degrees.")
]
ProducedByOption = Annotated[str | None, typer.Option("--produced-by", help="Made by this analysis, reader or run.")]


def print_entries(entries: "Iterable[Entry | PublishedEntry]", *, as_json: bool, empty: str) -> None:
    """Print entries as a table no wider than the terminal, or as JSON; `empty` says why there are none."""
    from hven.catalog import listing

    shown = list(entries)
    if as_json:
        print_json([entry.to_json() for entry in shown])
    else:
        print_rich(listing(shown, note="" if shown else empty, most=len(shown)))
