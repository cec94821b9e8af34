"""Verbs about a lake and what is in it: create, ls, show, search, log, release."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hven.cli.address import AtOption, LakeOption, open_lake
from hven.cli.asking import (
    ColumnOption,
    KindOption,
    ProducedByOption,
    RegionOption,
    ResolutionOption,
    SurveyOption,
    TextArgument,
    UcdOption,
    UnitOption,
    WavelengthOption,
    print_entries,
)
from hven.cli.output import AsJson, print_fields, print_json, print_table, print_text
from hven.cli.texts import read_region

if TYPE_CHECKING:
    from hven.catalog.entry import Counts
    from hven.schema import Column

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Lakes"
_FOR_MACHINES = frozenset({"key", "recipe", "received", "content", "quality"})
"""Digests in a provenance, by which runs find their results; `--json` prints them."""


@verbs.command(rich_help_panel=PANEL)
def create(
    address: Annotated[str, typer.Argument(help="A new or empty folder, or an object-store prefix (`s3://...`).")],
) -> None:
    """Create an empty lake.

    Example: `hven create my-survey`
    """
    import hven

    lake = hven.create(address)
    print_text(f"Created a lake at {lake.url}")


@verbs.command(rich_help_panel=PANEL)
def ls(lake: LakeOption = None, at: AtOption = None, as_json: AsJson = False) -> None:
    """List the datasets of a lake.

    Example: `hven ls --lake demo-lake`
    """
    catalog = open_lake(lake, at).catalog
    print_entries(catalog.entries.values(), as_json=as_json, empty="The lake holds no datasets yet: hven ingest FILE")


@verbs.command(rich_help_panel=PANEL)
def search(
    text: TextArgument = None,
    kind: KindOption = None,
    survey: SurveyOption = None,
    column: ColumnOption = None,
    unit: UnitOption = None,
    ucd: UcdOption = None,
    wavelength: WavelengthOption = None,
    resolution: ResolutionOption = None,
    region: RegionOption = None,
    produced_by: ProducedByOption = None,
    published: Annotated[
        bool, typer.Option("--published", help="Search the public surveys that hven's own catalogs list, not a lake.")
    ] = False,
    lake: LakeOption = None,
    at: AtOption = None,
    as_json: AsJson = False,
) -> None:
    """Find datasets: all that is asked has to fit. Column, unit and UCD have to be those of one column.

    Example: `hven search metallicity --kind table --region 'cone(190, 5, 1)' --lake demo-lake`
    """
    from hven import catalog

    where = catalog.published() if published else open_lake(lake, at).catalog
    found = where.search(
        text,
        kind=kind,
        survey=survey,
        column=column,
        unit=unit,
        ucd=ucd,
        wavelength=wavelength,
        resolution=resolution,
        region=read_region(region),
        produced_by=produced_by,
    )
    print_entries(found, as_json=as_json, empty=found.note)


@verbs.command(rich_help_panel=PANEL)
def show(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    lake: LakeOption = None,
    at: AtOption = None,
    quality: Annotated[
        bool, typer.Option("--quality", help="Look at all values, however many, if no sheet of their quality is kept.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a dataset: what it is, its columns with units and the quality of their values, its versions, its origin.

    A quality sheet that no ingest made, or of rows that were changed since, is made now, unless that would take long:
    with --quality it is made of any dataset.

    Example: `hven show apogee --lake demo-lake`
    """
    from hven.catalog import spans_of
    from hven.cli.quality_table import print_quality
    from hven.ingest.quality_sheets import is_quick, make_quality, quality_sheet

    opened = open_lake(lake, at)
    handle = opened[name]
    entry, versions = handle.entry, handle.versions()
    sheet = quality_sheet(opened, entry)
    if sheet is None and (quality or is_quick(entry)):
        sheet = make_quality(opened, entry)
    if as_json:
        columns = [{"name": c.name, "dtype": c.dtype, "dims": list(c.dims)} | c.attrs() for c in handle.schema]
        told = [{"number": v.number, "created": v.created, "message": v.message, "rows": v.rows} for v in versions]
        told_quality = None if sheet is None else [column.to_json() for column in sheet.columns]
        print_json(entry.to_json() | {"schema_columns": columns, "versions": told, "quality": told_quality})
        return
    print_text(f"{entry.name}: {entry.title}" if entry.title else entry.name)
    print_fields(
        [
            ("kind", entry.kind),
            ("survey", entry.survey),
            ("objects", _counts_text(entry.counts)),
            ("description", entry.description),
            ("cite", "; ".join(entry.citation)),
            ("spans", ", ".join(spans_of(entry))),
            ("sky", _coverage_text(entry.coverage)),
            ("from", _provenance_text(entry.provenance)),
        ]
    )
    # Of a table there is nothing to tell of dimensions.
    dims = 0 if handle.source.is_table else 1
    print_table(
        ["column", "type", *["dims"] * dims, "unit", "description", "ucd"],
        ([c.name, c.dtype, *[", ".join(c.dims)] * dims, _unit_text(c), c.description, c.ucd] for c in handle.schema),
    )
    if sheet is not None:
        print_quality(sheet)
    elif not is_quick(entry):
        print_text(f"quality: no sheet of these rows is kept; 'hven show {name} --quality' looks at all values")
    print_table(
        ["catalog", "when", "objects", "message"],
        ([v.number, v.created, f"{v.rows:,}", v.message] for v in versions),
        right=["catalog", "objects"],
    )


@verbs.command(rich_help_panel=PANEL)
def log(
    lake: LakeOption = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many commits, newest first.")] = 20,
    at: AtOption = None,
    as_json: AsJson = False,
) -> None:
    """List the commits of a lake, newest first.

    Example: `hven log -n 5 --lake demo-lake`
    """
    opened = open_lake(lake, at)
    commits, names = opened.log(count), {number: name for name, number in opened.releases().items()}
    if as_json:
        print_json(
            [
                {
                    "number": c.number,
                    "created": c.created,
                    "message": c.message,
                    "changed": dict(c.changed),
                    "transaction": c.transaction,
                    "release": names.get(c.number),
                }
                for c in commits
            ]
        )
        return
    print_table(
        ["catalog", "when", "release", "message", "datasets"],
        (
            [
                c.number,
                c.created,
                names.get(c.number),
                c.message,
                ", ".join(f"{n} {what}" for n, what in c.changed.items()),
            ]
            for c in commits
        ),
        right=["catalog"],
    )


@verbs.command(rich_help_panel=PANEL)
def release(
    name: Annotated[str | None, typer.Argument(help="The release's name; none lists what there is.")] = None,
    lake: LakeOption = None,
    at: AtOption = None,
    as_json: AsJson = False,
) -> None:
    """Name a state of the lake so that it stays for good, or list the releases.

    Example: `hven release dr1 --lake demo-lake`
    """
    opened = open_lake(lake)
    if name is not None:
        number = opened.release(name, None if at is None else opened.at(at).number)
        print_text(f"Release {name} is catalog {number}; open it with --at {name}.")
        return
    releases = opened.releases()
    if as_json:
        print_json(releases)
    else:
        print_table(["release", "catalog"], releases.items(), right=["catalog"])


def _unit_text(column: "Column") -> str:
    """Return the unit of a column, and whether it was assumed, because nobody gave one."""
    return f"{column.unit} (assumed)" if column.assumed == "unit" else column.unit


def _counts_text(counts: "Counts") -> str:
    from hven.catalog.listing import size_text

    many = "segment" if counts.segments == 1 else "segments"
    return f"{counts.rows:,} in {counts.segments:,} {many}, {size_text(counts.bytes)}"


def _coverage_text(coverage: str) -> str:
    from hven.catalog.listing import sky_text

    return f"{sky_text(coverage)} (--json prints the MOC)" if coverage else ""


def _provenance_text(provenance: Mapping[str, Any]) -> str:
    told = {key: value for key, value in provenance.items() if isinstance(value, str | int | float)}
    return ", ".join(f"{key} {value}" for key, value in told.items() if key not in _FOR_MACHINES and value != "")
