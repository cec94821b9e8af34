"""The verb that matches two catalogs by position: crossmatch."""

from typing import Annotated, Literal

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.output import AsJson, print_json, print_text
from hven.cli.texts import read_region, split_assignments
from hven.errors import ParameterError

verbs = typer.Typer(rich_markup_mode="markdown")

_NAME_HELP = "Which left column is ra, dec, pmra, pmdec or object_id: `ra=RAJ2000`. Repeats."
_Region = Annotated[str | None, typer.Option(help="Only the left objects in this part of the sky.")]


@verbs.command(rich_help_panel="Data")
def crossmatch(
    left: Annotated[str, typer.Argument(help="A dataset (`apogee@dr1`), a Parquet file or folder, a HATS catalog.")],
    right: Annotated[str, typer.Argument(help="What to match it with; likewise.")],
    radius: Annotated[str, typer.Option(help="`1 arcsec`, `0.5 arcmin`, or the left column with each object's own.")],
    to: Annotated[str, typer.Option("--to", help="The dataset to write, or a file that ends in `.parquet`.")],
    match: Annotated[Literal["nearest", "all"], typer.Option(help="Of several within the radius.")] = "nearest",
    how: Annotated[Literal["inner", "left", "anti"], typer.Option(help="Which left objects are kept.")] = "inner",
    epoch: Annotated[float | None, typer.Option(help="Bring both sides to this Julian year first.")] = None,
    left_epoch: Annotated[str | None, typer.Option(help="Of the left positions: a year, or a column.")] = None,
    right_epoch: Annotated[str | None, typer.Option(help="Of the right positions: a year, or a column.")] = None,
    left_column: Annotated[list[str] | None, typer.Option(help="Take only these. Repeats.")] = None,
    right_column: Annotated[list[str] | None, typer.Option(help="Take only these. Repeats.")] = None,
    left_name: Annotated[list[str] | None, typer.Option(help=_NAME_HELP)] = None,
    right_name: Annotated[list[str] | None, typer.Option(help="Likewise, of the right side.")] = None,
    where: Annotated[str | None, typer.Option("--where", "-w", help="Only these left objects: `'logg > 2.3'`.")] = None,
    region: _Region = None,
    suffix: Annotated[str, typer.Option(help="For right columns whose name the left side has.")] = "_right",
    count: Annotated[bool, typer.Option("--count", help="Tell how many are within the radius.")] = False,
    cluster: Annotated[
        str | None, typer.Option(help="local, synchronous, or the address of a Dask scheduler; threads by default.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many; a core each by default.")] = None,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Find the objects of one catalog in another, by position, and keep the pairs as a dataset or a file.

    Example: `hven crossmatch apogee gaia --radius '1 arcsec' --epoch 2000 --to apogee_gaia --lake my-survey`
    """
    from hven.compute import crossmatch as match_catalogs
    from hven.compute import select

    opened = open_lake(lake)
    source = select(left, where=where, region=read_region(region)) if left.split("@")[0] in opened else left
    if source is left and (where or region):
        raise ParameterError(
            "--where and --region are for datasets of the lake", where=left, hint="Ingest the file, or leave them out."
        )
    found = match_catalogs(
        source,
        right,
        radius,
        lake=opened,
        match=match,
        how=how,
        epoch=epoch,
        left_epoch=_year_or_column(left_epoch),
        right_epoch=_year_or_column(right_epoch),
        left_columns=left_column,
        right_columns=right_column,
        left_names=split_assignments(left_name or [], "--left-name"),
        right_names=split_assignments(right_name or [], "--right-name"),
        suffix=suffix,
        count=count,
        cluster=cluster,
        workers=workers,
    )
    told: dict[str, object]
    if to.endswith(".parquet"):
        told = {"file": to, "rows": found.sink_parquet(to)}
    else:
        number = found.write(opened, to)
        told = {"dataset": to, "rows": opened.at(number)[to].entry.counts.rows, "catalog": number}
    if as_json:
        print_json(told)
    else:
        place = f"{to} (catalog {told['catalog']})" if "catalog" in told else to
        print_text(f"Wrote {told['rows']:,} rows to {place}")


def _year_or_column(text: str | None) -> float | str | None:
    """Return a Julian year as a number, and the name of a column as it is.

    Examples
    --------
    >>> _year_or_column("2015.5"), _year_or_column("ref_epoch")
    (2015.5, 'ref_epoch')
    """
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
