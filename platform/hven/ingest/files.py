"""Which files to ingest, and which reader takes each."""

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven.errors import ReaderNotFoundError, UnreadableFileError, did_you_mean

if TYPE_CHECKING:
    from hven.plugins import Exporter, Reader

AnyPath = str | os.PathLike[str]


def expanded(paths: "AnyPath | Sequence[AnyPath]", reader: "Reader | None") -> list[str | None]:
    """Return the files that paths, folders and glob patterns name, in order, each once.

    Of a folder, the files whose names a reader knows; no paths at all give ``[None]`` for a reader that finds its
    file by itself.

    Raises
    ------
    UnreadableFileError
        If there is nothing to read.
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


def reader_of(name: "str | Reader") -> "Reader":
    """Return the reader of that name.

    Raises
    ------
    ReaderNotFoundError
        With the nearest names.
    """
    if not isinstance(name, str):
        return name
    readers = _readers()
    if name in readers:
        return readers[name]
    known = ", ".join(sorted(readers)) or "none"
    raise ReaderNotFoundError(
        f"there is no reader {name!r}", hint=did_you_mean(name, readers, f"The readers are: {known}.")
    )


def reader_for(path: str) -> "Reader":
    """Return the reader whose pattern fits the name of a file best.

    Raises
    ------
    ReaderNotFoundError
        If none does.
    """
    best: Reader = _best(_readers(), path, "reader")
    return best


def exporter_for(path: AnyPath, name: "str | Exporter | None" = None) -> "Exporter":
    """Return the exporter of that name, or else the one whose pattern fits the name of a file best.

    Raises
    ------
    ReaderNotFoundError
        If there is none.
    """
    from hven.plugins import plugins

    if name is not None and not isinstance(name, str):
        return name
    exporters: Mapping[str, Exporter] = plugins().exporters
    if name is None:
        best: Exporter = _best(exporters, os.fspath(path), "exporter")
        return best
    if name in exporters:
        return exporters[name]
    known = ", ".join(sorted(exporters)) or "none"
    raise ReaderNotFoundError(
        f"there is no exporter {name!r}", hint=did_you_mean(name, exporters, f"The exporters are: {known}.")
    )


def _readers() -> "Mapping[str, Reader]":
    from hven.plugins import plugins

    return plugins().readers


def _best(known: "Mapping[str, Reader | Exporter]", path: str, what: str) -> Any:
    fits = {name: one.matches(path) for name, one in sorted(known.items())}
    best = max(fits, key=fits.__getitem__, default="")
    if not best or not fits[best]:
        raise ReaderNotFoundError(
            f"no {what} is known for {Path(path).name!r}",
            where=path,
            hint=f"Choose one by name: {', '.join(sorted(known)) or f'there are no {what}s'}.",
        )
    return known[best]


def _finds_its_file(reader: "Reader") -> bool:
    return next(iter(signature(reader.function).parameters.values())).default is not Parameter.empty


def _files_of(path: str, reader: "Reader | None") -> Iterable[str]:
    if Path(path).is_dir():
        readers = [reader] if reader is not None else list(_readers().values())
        inside = sorted(str(file) for file in Path(path).rglob("*") if file.is_file())
        return [file for file in inside if any(one.matches(file) for one in readers)]
    if glob.has_magic(path) and not Path(path).exists():
        return sorted(file for file in glob.glob(path, recursive=True) if Path(file).is_file())  # noqa: PTH207
    return [path]
