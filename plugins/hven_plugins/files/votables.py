"""VOTables, as the Virtual Observatory passes tables on."""

import warnings
from collections.abc import Iterator
from typing import Any

import hven
from hven import Batch
from hven.errors import UnreadableFileError
from hven_plugins.files.astropy_tables import astropy_frame
from hven_plugins.files.table_batch import table_batch


@hven.reader(
    name="votable", patterns=("*.vot", "*.votable", "*.xml", "*.vot.gz", "*.xml.gz"), with_options_of=table_batch
)
def votable(path: str, *, table: int = 0, **options: Any) -> Iterator[Batch]:
    """Tables of VOTable files, with their units, UCDs and descriptions.

    Parameters
    ----------
    path
        Of the file.
    table
        Which of the file's tables, counted from 0.
    **options
        Those of `table_batch`.
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
    frame, told, notes = astropy_frame(found)
    yield table_batch(frame, told, path, "", notes, **options)
