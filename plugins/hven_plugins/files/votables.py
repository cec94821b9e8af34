"""VOTables, as the Virtual Observatory passes tables on."""

import warnings
from collections.abc import Iterator
from typing import Literal

import hven
from hven import Batch
from hven.errors import UnreadableFileError
from hven_plugins.files.astropy_tables import astropy_frame
from hven_plugins.files.table_batch import table_batch


@hven.reader(name="votable", patterns=("*.vot", "*.votable", "*.xml", "*.vot.gz", "*.xml.gz"))
def votable(
    path: str,
    *,
    table: int = 0,
    columns: dict[str, str] | None = None,
    units: dict[str, str] | None = None,
    position: list[str] | None = None,
    identity: list[str] | None = None,
    sentinels: dict[str, list[float]] | None = None,
    valid: dict[str, list[float | None]] | None = None,
    unplaced: Literal["refuse", "drop"] = "refuse",
    survey: str = "",
    title: str = "",
    citation: list[str] | None = None,
) -> Iterator[Batch]:
    """Tables of VOTable files, with their units, UCDs and descriptions.

    Parameters
    ----------
    path
        Of the file.
    table
        Which of the file's tables, counted from 0.
    columns
        New names, as {"feh": "FE_H"}.
    units
        Units by new name, where the file tells none or a wrong one.
    position
        Columns of right ascension and declination, [] for none; guessed when not given.
    identity
        Columns that tell objects apart; guessed when not given.
    sentinels
        Values that mean missing, as {"teff": [-9999]}; "*" stands for every column.
    valid
        Smallest and largest good value, as {"a_k": [0, null]}.
    unplaced
        Whether rows without a position are refused, or dropped.
    survey
        For the catalog.
    title
        For the catalog.
    citation
        For the catalog: bibcodes, arXiv ids or DOIs.
    """
    from astropy.io.votable import parse
    from astropy.io.votable.exceptions import VOTableSpecError

    with warnings.catch_warnings():
        # Nearly every VOTable in the wild bends the standard somewhere; astropy warns of each place.
        warnings.simplefilter("ignore")
        try:
            tables = list(parse(path, verify="ignore").iter_tables())
            found = tables[table].to_table(use_names_over_ids=True) if 0 <= table < len(tables) else None
        except (OSError, ValueError, VOTableSpecError) as error:
            reason = str(error).split("\n")[0] or type(error).__name__
            raise UnreadableFileError(
                f"the file is not a VOTable: {reason}",
                where=path,
                hint="Fetch it again; services answer with an error page instead of a table now and then.",
            ) from error
    if found is None:
        raise UnreadableFileError(
            f"there is no table {table}",
            where=path,
            expected=f"a VOTable with at least {table + 1} tables, it has {len(tables)}",
            hint="Choose another with the option 'table', counted from 0.",
        )
    frame, told = astropy_frame(found)
    yield table_batch(
        frame,
        told,
        path,
        columns=columns,
        units=units,
        position=position,
        identity=identity,
        sentinels=sentinels,
        valid=valid,
        unplaced=unplaced,
        survey=survey,
        title=title,
        citation=citation,
    )
