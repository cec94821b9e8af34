"""Where the rows of a dataset come from: files, reader and options, as its catalog entry keeps them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hven.errors import HvenError
    from hven.ingest.survey_file import SurveyFile

_LISTED = 20


def provenance(
    files: "Sequence[SurveyFile]",
    readers: Sequence[str],
    options: Mapping[str, Any],
    set_aside: "Sequence[tuple[str, HvenError]]" = (),
) -> dict[str, Any]:
    """Return how a dataset came to be, as plain JSON values; of many files the first ones and how many there were.

    Files are told by name, size and SHA-256, never by folder: catalogs are passed on.

    Examples
    --------
    >>> provenance([], [], {"hdu": 1})["options"]
    {'hdu': 1}
    """
    from hven import __version__

    return {
        "how": "ingest",
        "hven": __version__,
        "reader": list(readers),
        "options": {name: value if isinstance(value, _PLAIN) else str(value) for name, value in options.items()},
        "files": [_told(file) for file in files[:_LISTED] if file.path is not None],
        "n_files": len(files),
        "set_aside": [{"name": Path(name).name, "code": error.code} for name, error in set_aside[:_LISTED]],
        "n_set_aside": len(set_aside),
    }


_PLAIN = (str, int, float, bool, list, dict, type(None))


def _told(file: "SurveyFile") -> dict[str, Any]:
    if file.print is None:
        return {"name": Path(str(file.path)).name}
    return {"name": file.print.name, "bytes": file.print.bytes, "sha256": file.print.sha256}
