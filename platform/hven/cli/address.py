"""Which lake a verb works on: the one named, the one in HVEN_LAKE, or the folder one stands in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hven.errors import LakeNotFoundError

if TYPE_CHECKING:
    from hven.lake import Lake

LakeOption = Annotated[
    str | None,
    typer.Option(
        "--lake",
        "-l",
        envvar="HVEN_LAKE",
        help="The lake: a folder or URL, `@version` after it for an older state. The current folder by default.",
    ),
]
AtOption = Annotated[str | None, typer.Option("--at", help="A catalog number or a release, instead of the newest.")]


def open_lake(address: str | None, at: str | None = None) -> "Lake":
    """Return the lake at `address`, or that of the current folder; as it was `at` a catalog number or release.

    Raises
    ------
    LakeNotFoundError
        If none is named and the current folder is not one.
    """
    import hven

    if not address:
        if not Path("hven.json").is_file():
            raise LakeNotFoundError(
                "no lake is named, and the current folder is not one",
                where=str(Path.cwd()),
                hint="Name it with --lake PATH or in HVEN_LAKE, or make one: 'hven create PATH'.",
            )
        address = "."
    lake = hven.open(address)
    return lake if at is None else lake.at(at)
