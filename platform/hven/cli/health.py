"""Verbs about the health of a lake: verify, repair."""

from pathlib import Path
from typing import Annotated

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.confirming import YesOption, confirm
from hven.cli.output import AsJson, print_json, print_table, print_text

verbs = typer.Typer(rich_markup_mode="markdown")
PANEL = "Lakes"


@verbs.command(rich_help_panel=PANEL)
def verify(
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte: digests, rows, statistics, ids.")] = False,
    lake: LakeOption = None,
    as_json: AsJson = False,
) -> None:
    """Look whether a lake holds what its catalogs say: the chain, the releases, and the data of the newest state.

    The exit status is 1 when anything is wrong.

    Example: `hven verify --deep --lake demo-lake`
    """
    from hven.lake import verify as look

    opened = open_lake(lake)
    faults = look(opened, is_deep=deep)
    if as_json:
        print_json([fault.to_json() for fault in faults])
    elif faults:
        print_table(
            ["dataset", "objects", "what is wrong", "where"],
            ([f.dataset, _reach(f.objects), f.what, f.where] for f in faults),
        )
        print_text(
            "Restore these files from a copy of the lake, or go back with 'hven restore'; see also 'hven repair'."
        )
    else:
        print_text(
            f"Catalog {opened.number} and all releases are whole{'' if deep else ' as far as --deep is not asked'}."
        )
    if faults:
        raise typer.Exit(1)


@verbs.command(rich_help_panel=PANEL)
def repair(yes: YesOption = False, lake: LakeOption = None, as_json: AsJson = False) -> None:
    """Put the chain of catalogs right: a wrong hint, a newest catalog that is gone or damaged. No data are touched.

    Example: `hven repair --lake demo-lake`
    """
    from hven.lake import repair as mend

    address = lake or str(Path.cwd())
    planned = mend(address, is_dry=True)
    if planned:
        confirm("\n".join([*planned, "Do it?"]), is_answered=yes)
    done = mend(address, is_dry=False) if planned else []
    if as_json:
        print_json(done)
    else:
        print_text("\n".join(done) if done else "There is nothing to repair.")


def _reach(objects: tuple[int, int] | None) -> str:
    return "all" if objects is None else f"{objects[0]:,} to {objects[1]:,}"
