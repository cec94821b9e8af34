"""Which files to ingest: paths, folders and patterns, and what is in a folder but not data."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING

from hven.errors import UnreadableFileError
from hven.plugins.archives import MEMBER, archive_members, plain_name
from hven.plugins.claims import FileHead
from hven.plugins.foreign_files import foreign_folder
from hven.schema import Note

if TYPE_CHECKING:
    from hven.plugins import Reader

AnyPath = str | os.PathLike[str]

_LEFTOVERS = ("_SUCCESS", "_metadata", "_common_metadata", "_committed_", "_started_", "Thumbs.db", "desktop.ini")
_LEFTOVER_FOLDERS = ("__MACOSX", "__pycache__", "_temporary", "lost+found", "$RECYCLE.BIN")
_BACKUPS = ("~", ".bak", ".swp", ".tmp", ".part", ".crdownload")
_LAKE = "hven.json"
_SHOWN = 5


@dataclass(frozen=True)
class Found:
    """The files that paths name.

    Attributes
    ----------
    files
        In order, each once; None stands for the file that a reader finds by itself.
    notes
        What was passed over.
    """

    files: tuple[str | None, ...]
    notes: tuple[Note, ...] = ()


@dataclass
class _PassedOver:
    """What a folder holds that is not taken."""

    leftovers: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    lakes: list[str] = field(default_factory=list)

    def notes(self) -> Iterator[Note]:
        """Yield one sentence on each sort."""
        if self.leftovers:
            shown = ", ".join(self.leftovers[:_SHOWN]) + ", ..." * (len(self.leftovers) > _SHOWN)
            yield Note(f"passed over, because hidden or left by other programs ({len(self.leftovers)}): {shown}")
        if self.others:
            kinds = Counter(Path(name).suffix or Path(name).name for name in self.others).most_common(_SHOWN)
            shown = ", ".join(f"{count} {kind}" for kind, count in kinds)
            yield Note(f"passed over, because no reader knows such names ({len(self.others)} files): {shown}")
        if self.special:
            shown = ", ".join(self.special[:_SHOWN]) + ", ..." * (len(self.special) > _SHOWN)
            yield Note(f"passed over, because pipes, sockets and devices are no files of data: {shown}")
        if self.lakes:
            yield Note(f"passed over, because they are lakes of hven: {', '.join(self.lakes[:_SHOWN])}")


def find_files(paths: AnyPath | Sequence[AnyPath], reader: "Reader | None" = None) -> Found:
    """Return the files that paths, folders and glob patterns name, in order, each once.

    Of a folder, the files whose names the reader (or any reader) knows, without hidden files and backups; a folder that
    is one table (Delta, HATS) is given whole. The files in a zip archive are ``archive.zip::name``. Several paths to
    one file give it once. No paths at all give None, for a reader that finds its file by itself.

    Raises
    ------
    UnreadableFileError
        If there is nothing to read, or a pattern fits no file.

    Examples
    --------
    >>> find_files(["a.fits", "b.fits", "a.fits"]).files
    ('a.fits', 'b.fits')
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given and reader is not None and _finds_its_file(reader):
        return Found((None,))
    passed = _PassedOver()
    found: dict[str, str] = {}
    for path in given:
        for name in _files_of(os.fspath(path), reader, passed):
            found.setdefault(_real(name), name)
    if not found:
        raise UnreadableFileError(
            "there are no files to ingest",
            where=", ".join(os.fspath(p) for p in given) or "no path was given",
            expected=" ".join(note.text for note in passed.notes()),
            hint="Give paths of files, folders or patterns; folders are searched for names that a reader knows.",
        )
    return Found(tuple(found.values()), tuple(passed.notes()))


def expanded(paths: AnyPath | Sequence[AnyPath], reader: "Reader | None" = None) -> list[str | None]:
    """Return the files alone of `find_files`, without what was passed over.

    Examples
    --------
    >>> expanded("a.fits")
    ['a.fits']
    """
    return list(find_files(paths, reader).files)


def is_leftover(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, a backup, or left by another program.

    Examples
    --------
    >>> [name for name in ("a.csv", "._a.csv", "a.csv~", "_SUCCESS", "__MACOSX") if is_leftover(name)]
    ['._a.csv', 'a.csv~', '_SUCCESS', '__MACOSX']
    """
    return (
        name.startswith((".", *_LEFTOVERS))
        or name.lower().endswith(_BACKUPS)
        or name in _LEFTOVER_FOLDERS
        or (name.startswith("#") and name.endswith("#"))
    )


def _is_special(path: AnyPath) -> bool:
    """Return whether a path is there and is neither a file nor a folder: reading it may wait for ever."""
    return Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir()


def _finds_its_file(reader: "Reader") -> bool:
    return next(iter(signature(reader.function).parameters.values())).default is not Parameter.empty


def _real(path: str) -> str:
    file, mark, member = path.partition(MEMBER)
    return os.path.realpath(file) + mark + member


def _files_of(path: str, reader: "Reader | None", passed: _PassedOver) -> Iterable[str]:
    from hven.plugins import plugins

    readers = [reader] if reader is not None else list(plugins().readers.values())
    if Path(path).is_dir():
        return list(_inside(path, readers, passed, set()))
    if _is_special(path):
        raise UnreadableFileError(
            "this is a pipe, a socket or a device, no file",
            where=path,
            expected="a file that can be read more than once",
            hint="Write its content into a file, and ingest that.",
        )
    if not glob.has_magic(path) or Path(path).exists():
        return _unpacked(path)
    fitting = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - patterns may be absolute
    if not fitting:
        raise UnreadableFileError(
            "the pattern fits no file", where=path, hint="Correct the pattern, or leave it out; ** stands for folders."
        )
    folders = [one for one in fitting if Path(one).is_dir()]
    if len(folders) == len(fitting):
        return [file for one in folders for file in _inside(one, readers, passed, set())]
    return [file for one in fitting if Path(one).is_file() for file in _unpacked(one)]


def _inside(folder: str, readers: "list[Reader]", passed: _PassedOver, seen: set[str]) -> Iterator[str]:
    """Yield the files to read below a folder, or the folder itself where it is one dataset."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    if len(seen) > 1 and (Path(folder) / _LAKE).is_file():
        passed.lakes.append(folder)
        return
    if foreign_folder(folder) is not None or any(one.claims and one.claim(FileHead(folder)) for one in readers):
        yield folder
        return
    for one in sorted(Path(folder).iterdir(), key=str):
        if is_leftover(one.name):
            passed.leftovers.append(str(one))
        elif _is_special(one):
            passed.special.append(str(one))
        elif one.is_dir():
            yield from _inside(str(one), readers, passed, seen)
        elif any(reader.matches(plain_name(str(one))) or reader.matches(str(one)) for reader in readers):
            yield from _unpacked(str(one))
        elif archive_members(str(one)) is not None:
            yield from (name for name in _unpacked(str(one)) if any(r.matches(plain_name(name)) for r in readers))
        else:
            passed.others.append(str(one))


def _unpacked(path: str) -> list[str]:
    """Return the members of an archive as files of their own, and any other file as it is."""
    members = archive_members(path)
    return [f"{path}{MEMBER}{name}" for name in members] if members else [path]
