"""Verbs about the catalogs that ship: published ls, show, check."""

from typing import TYPE_CHECKING, Annotated

import typer

from hven.cli.asking import (
    ColumnOption,
    KindOption,
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
from hven.cli.texts import read_region, split_assignments

if TYPE_CHECKING:
    from hven.catalog import Published, PublishedEntry

verbs = typer.Typer(
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Public surveys as they are published: what there is, where, and how to get it into a lake.",
)
Name = Annotated[str, typer.Argument(help="The public dataset; `hven published ls` lists them.")]
Folder = Annotated[
    str | None, typer.Option("--catalogs", help="A folder of catalogs of your own, instead of those that ship.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", help="A part of the address, as `plate=0266`. Repeats."),
]


@verbs.command("ls")
def list_published(
    text: TextArgument = None,
    kind: KindOption = None,
    survey: SurveyOption = None,
    column: ColumnOption = None,
    unit: UnitOption = None,
    ucd: UcdOption = None,
    wavelength: WavelengthOption = None,
    resolution: ResolutionOption = None,
    region: RegionOption = None,
    catalogs: Folder = None,
    as_json: AsJson = False,
) -> None:
    """List the public datasets that the catalogs describe, or those that fit all that is asked.

    Example: `hven published ls --survey Gaia --column parallax`
    """
    found = _published(catalogs).search(
        text,
        kind=kind,
        survey=survey,
        column=column,
        unit=unit,
        ucd=ucd,
        wavelength=wavelength,
        resolution=resolution,
        region=read_region(region),
    )
    print_entries(found, as_json=as_json, empty=found.note)


@verbs.command("show")
def show_published(name: Name, parameter: Parameters = None, catalogs: Folder = None, as_json: AsJson = False) -> None:
    """Show a public dataset: where it is, its columns with units, what to cite, and how to get it into a lake.

    Example: `hven published show apogee_dr17_allstar`
    """
    entry = _published(catalogs)[name]
    given = split_assignments(parameter or [], "-p")
    download, ingest = entry.download_command(**given), entry.ingest_command(**given)
    if as_json:
        print_json(entry.to_json() | {"address": entry.address_text(**given), "download": download, "ingest": ingest})
        return
    print_text(f"{entry.name}: {entry.title}")
    print_fields(_fields(entry, given))
    canonical = {published: name for name, published in entry.means.items()}
    print_table(
        ["column", "type", "unit", "in hven", "description", "ucd"],
        ([c.name, c.dtype, c.unit, canonical.get(c.name), c.description, c.ucd] for c in entry.schema),
    )
    if download:
        print_text(f"To download it:\n  {download}")
    if ingest:
        print_text(f"To bring it into a lake:\n  {ingest} --lake LAKE")
    else:
        print_text(
            f"To read it in Python, for no reader of hven takes it as it is:\n  hven.published()[{name!r}].open()"
        )


@verbs.command("check")
def check_published(
    name: Annotated[str | None, typer.Argument(help="The public dataset; none asks for every one.")] = None,
    parameter: Parameters = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for each.")] = 10.0,
    catalogs: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Ask whether public sources answer; the exit status is 1 when one does not.

    Example: `hven published check gaia_dr3_source`
    """
    from hven.errors import SourceUnreachableError

    surveys = _published(catalogs)
    if name is not None:
        asked = surveys[name].check(timeout, **split_assignments(parameter or [], "-p"))
        if as_json:
            print_json({"name": name, "address": asked, "answers": True})
        else:
            print_text(f"{name} answers: {asked}")
        return
    results = []
    for entry in surveys.values():
        try:
            results.append({"name": entry.name, "address": entry.check(timeout), "answers": True})
        except SourceUnreachableError as error:
            results.append({"name": entry.name, "answers": False, "error": error.to_json()})
    if as_json:
        print_json(results)
    else:
        rows = ([r["name"], "yes" if r["answers"] else "no", r.get("address") or r["error"]["what"]] for r in results)  # type: ignore[index]
        print_table(["dataset", "answers", "address or reason"], rows)
    if not all(result["answers"] for result in results):
        raise typer.Exit(1)


def _published(folder: str | None) -> "Published":
    import hven

    return hven.published(folder)


def _fields(entry: "PublishedEntry", given: dict[str, str]) -> list[tuple[str, object]]:
    from hven.catalog.listing import size_text

    return [
        ("kind", entry.kind),
        ("survey", entry.survey),
        ("address", entry.address_text(**given)),
        *(
            (f"-p {name}", f"{told['default'] or '...'} ({told['description']})")
            for name, told in entry.parameters.items()
        ),
        ("format", entry.format),
        ("objects", f"{entry.counts.rows:,}" if entry.counts.rows else ""),
        ("size", size_text(entry.size) if entry.size else ""),
        ("description", entry.description),
        ("wavelength", "{:g} to {:g} Angstrom".format(*entry.wavelength) if entry.wavelength else ""),
        ("resolution", "{:g} to {:g}".format(*entry.resolution) if entry.resolution else ""),
        ("cite", "; ".join(entry.citation)),
        ("licence", entry.licence),
        ("page", entry.homepage),
        ("checked", "; ".join(entry.checked)),
    ]
