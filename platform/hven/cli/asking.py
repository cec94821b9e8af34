"""How a question to a catalog is asked on the command line: one option a condition."""

from typing import Annotated

import typer

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
