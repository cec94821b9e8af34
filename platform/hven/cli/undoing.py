"""Verbs that change what is in a lake already: drop, restore, delete, describe. Each is one commit."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.confirming import YesOption, confirm
from hven.cli.output import AsJson, print_json, print_text
from hven.cli.texts import read_region
from hven.errors import ParameterError

if TYPE_CHECKING:
    from hven.lake import Lake

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Lakes"
Name = Annotated[str, typer.Argument(help="The dataset.")]


@verbs.command(rich_help_panel=PANEL)
def drop(
    name: Annotated[list[str], typer.Argument(help="The datasets.")],
    yes: YesOption = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Remove datasets from the newest state of a lake; older states and releases keep them.

    Example: `hven drop old_stars --lake my-survey`
    """
    opened = open_lake(lake)
    told = [f"{one}: {opened[one].entry.counts.rows:,} objects{_followers_text(opened, one)}" for one in name]
    confirm("\n".join([*told, "Drop it?" if len(name) == 1 else "Drop them?"]), is_answered=yes)
    before = opened.number
    with opened.transaction(f"dropped {', '.join(name)}") as tx:
        for one in name:
            tx.drop(one)
    if as_json:
        print_json({"dropped": name, "commit": tx.commit_number})
        return
    print_text(f"Dropped {', '.join(name)} (catalog {tx.commit_number}).")
    print_text(f"Until a vacuum, it comes back with: hven restore {name[0]} --at {before}")
    left = [f"{one}_vectors" for one in name if f"{one}_vectors" in opened]
    if left:
        print_text(f"Its vectors are a dataset of their own, and stay: hven drop {' '.join(left)}")


@verbs.command(rich_help_panel=PANEL)
def restore(
    name: Name,
    at: Annotated[str, typer.Option("--at", help="The catalog number or release in which it was as it shall be.")],
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Bring a dataset back as it was, dropped or changed since, as a new commit.

    Example: `hven restore apogee --at 1 --lake demo-lake`
    """
    opened = open_lake(lake)
    number = opened.restore(name, at)
    rows = opened[name].entry.counts.rows
    if as_json:
        print_json({"restored": name, "at": at, "rows": rows, "commit": number})
    else:
        print_text(f"Restored {name} as in {at}, {rows:,} objects (catalog {number}).{_stale_text(opened, name)}")


@verbs.command(rich_help_panel=PANEL)
def delete(
    name: Name,
    where: Annotated[str | None, typer.Option("--where", "-w", help="These objects: `'snr < 5'`.")] = None,
    region: Annotated[str | None, typer.Option(help="Those in this part of the sky: `'cone(190, 5, 1)'`.")] = None,
    yes: YesOption = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Remove objects from a dataset; older states and releases keep them.

    Example: `hven delete apogee --where 'snr < 5' --lake demo-lake`
    """
    import polars as pl

    opened, asked = open_lake(lake), read_region(region)
    if where is None and asked is None:
        raise ParameterError(
            "nothing says which objects to delete",
            expected="--where, --region or both",
            hint=f"To remove the whole dataset: hven drop {name}.",
        )
    handle = opened[name]
    count = handle.table(None, where, asked).select(pl.len()).collect().item()
    total = handle.entry.counts.rows
    if not count:
        print_json({"deleted": 0, "commit": None}) if as_json else print_text(f"No object of {name} is meant.")
        return
    followers = _followers_text(opened, name)
    confirm(f"{name}: {count:,} of {total:,} objects{followers}\nDelete them?", is_answered=yes)
    told = " and ".join(text for text in (where, region and f"in {region}") if text)
    with opened.transaction(f"deleted objects of {name}: {told}") as tx:
        deleted = tx.delete(name, where, asked)
    if as_json:
        print_json({"deleted": deleted, "commit": tx.commit_number})
        return
    stale = _stale_text(opened, name)
    print_text(f"Deleted {deleted:,} of {total:,} objects of {name} (catalog {tx.commit_number}).{stale}")
    print_text(f"Until a vacuum, they come back with: hven restore {name} --at {handle.lake.number}")


@verbs.command(rich_help_panel=PANEL)
def describe(
    name: Name,
    unit: Annotated[
        list[str] | None, typer.Option("--unit", "-u", help="The unit its values are in: `age=Gyr`. Repeats.")
    ] = None,
    column_description: Annotated[
        list[str] | None,
        typer.Option("--column-description", help="What a column is: `age='Age of the star'`. Repeats."),
    ] = None,
    ucd: Annotated[list[str] | None, typer.Option("--ucd", help="Its UCD: `age=time.age`. Repeats.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Of the dataset, in a few words.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="Of the dataset.")] = None,
    survey: Annotated[str | None, typer.Option("--survey", help="Whose data they are.")] = None,
    citation: Annotated[list[str] | None, typer.Option("--citation", help="What to cite. Repeats.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Let a unit take the place of another one; values are not converted.")
    ] = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Say what a dataset and its columns are: titles, citations, descriptions, units. No value changes.

    Example: `hven describe apogee --unit age=Gyr --title 'APOGEE giants' --lake demo-lake`
    """
    units, descriptions = _by_column(unit, "--unit"), _by_column(column_description, "--column-description")
    ucds = _by_column(ucd, "--ucd")
    given = {"title": title, "description": description, "survey": survey, "citation": citation}
    texts = {key: text for key, text in given.items() if text is not None}
    if not (units or descriptions or ucds or texts):
        raise ParameterError(
            "nothing is said",
            expected="--unit, --title, --description, --column-description, --ucd, --survey or --citation",
            hint=f"See what is said so far: hven show {name}.",
        )
    opened = open_lake(lake)
    said = [*texts, *(f"{what} of {column}" for what, by in _by_kind(units, descriptions, ucds) for column in by)]
    with opened.transaction(f"described {name}: {', '.join(said)}") as tx:
        tx.describe(name, units=units, descriptions=descriptions, ucds=ucds, force=force, **texts)
    if as_json:
        print_json({"described": name, "commit": tx.commit_number})
        return
    print_text(f"Described {name} (catalog {tx.commit_number}).{_stale_text(opened, name) if units else ''}")
    for column, text in units.items():
        print_text(f"{column} is taken to be in {text or 'no unit'}; its values are as they were.")


def _by_kind(
    units: dict[str, str], descriptions: dict[str, str], ucds: dict[str, str]
) -> Iterable[tuple[str, dict[str, str]]]:
    return (("unit", units), ("description", descriptions), ("ucd", ucds))


def _by_column(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """Return column -> text of texts such as ``age=Gyr``; names of columns are as free as surveys write them."""
    told: dict[str, str] = {}
    for text in texts or ():
        column, separator, value = text.partition("=")
        if not separator or not column.strip():
            raise ParameterError(f"{option} {text!r} names no column", hint=f"Write {option} column=text.")
        if column.strip() in told:
            raise ParameterError(f"{option} is given twice for column {column.strip()!r}", hint="Give it once.")
        told[column.strip()] = value.strip()
    return told


def _followers(lake: "Lake", name: str) -> list[str]:
    from hven.compute.recipes import recipes_of

    return [output for output, recipe in recipes_of(lake.catalog).items() if name in recipe.made_of]


def _followers_text(lake: "Lake", name: str) -> str:
    followers = _followers(lake, name)
    return f"; results made of it: {', '.join(followers)} (they stay)" if followers else ""


def _stale_text(lake: "Lake", name: str) -> str:
    return " Results are made of it; see what is stale: hven status." if _followers(lake, name) else ""
