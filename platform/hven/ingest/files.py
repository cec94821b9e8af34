"""Which files to ingest."""

import glob
import os
from collections.abc import Iterable, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING

from hven.errors import UnreadableFileError

if TYPE_CHECKING:
    from hven.plugins import Reader

AnyPath = str | os.PathLike[str]


def expanded(paths: AnyPath | Sequence[AnyPath], reader: "Reader | None" = None) -> list[str | None]:
    """Return the files that paths, folders and glob patterns name, in order, each once.

    Of a folder, the files whose names the reader (or any reader) knows; no paths at all give ``[None]`` for a reader
    that finds its file by itself.

    Raises
    ------
    UnreadableFileError
        If there is nothing to read.

    Examples
    --------
    >>> expanded(["a.fits", "b.fits", "a.fits"])
    ['a.fits', 'b.fits']
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given and reader is not None and _finds_its_file(reader):
        return [None]
    found = [name for path in given for name in _files_of(os.fspath(path), reader)]
    if not found:
        raise UnreadableFileError(
            "there are no files to ingest",
            where=", ".join(os.fspath(p) for p in given) or "no path was given",
            hint="Give paths of files, folders or patterns; folders are searched for names that a reader knows.",
        )
    return list(dict.fromkeys(found))


def _finds_its_file(reader: "Reader") -> bool:
    return next(iter(signature(reader.function).parameters.values())).default is not Parameter.empty


def _files_of(path: str, reader: "Reader | None") -> Iterable[str]:
    from hven.plugins import plugins

    if Path(path).is_dir():
        readers = [reader] if reader is not None else list(plugins().readers.values())
        inside = sorted(str(file) for file in Path(path).rglob("*") if file.is_file())
        return [file for file in inside if any(one.matches(file) for one in readers)]
    if glob.has_magic(path) and not Path(path).exists():
        return sorted(file for file in glob.glob(path, recursive=True) if Path(file).is_file())  # noqa: PTH207
    return [path]
