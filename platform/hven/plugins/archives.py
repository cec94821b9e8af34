"""Compressed files and members of zip archives, as plain files that every reader can read."""

import bz2
import gzip
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any

from hven.errors import TooMuchDataError, UnreadableFileError
from hven.plugins.file_limits import EXPANDED_VARIABLE, largest_expanded

MEMBER = "::"
"""What stands between the path of an archive and the name of a file in it: ``survey.zip::stars.csv``."""

LARGEST_RATIO = 200
"""A file that expands to more than this many times its size, and beyond `largest_expanded`, would fill the disk."""

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".zstd", ".gzip", ".bzip2")
_DEEPEST = 3


def plain_name(path: str) -> str:
    """Return the name of a file without its folders and without the endings of compression.

    Examples
    --------
    >>> plain_name("night/stars.csv.gz"), plain_name("survey.zip::dr1/stars.fits")
    ('stars.csv', 'stars.fits')
    """
    name = PurePosixPath(path.rsplit(MEMBER, 1)[1]).name if MEMBER in path else PurePath(path).name
    while name.lower().endswith(_ENDINGS):
        name = name.rsplit(".", 1)[0]
    return name


def compression(start: bytes) -> str:
    """Return how a file that begins like this is compressed, empty when it is not.

    Examples
    --------
    >>> compression(b"BZh91AY"), compression(b"SIMPLE  =")
    ('bzip2', '')
    """
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")


def archive_members(path: str) -> list[str] | None:
    """Return the names of the files in a zip archive; None for what is no archive, such as NPZ and office files.

    Hidden files and those that a system left are not among them.
    """
    try:
        with Path(path).open("rb") as file:
            if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06") or not zipfile.is_zipfile(file):
                return None
            with zipfile.ZipFile(file) as archive:
                names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile, ValueError):
        return None
    if names and all(name.endswith(".npy") for name in names):
        return None
    if {"[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"} & set(names):
        return None
    return sorted(name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/")))


@contextmanager
def local_file(path: str) -> Iterator[str]:
    """Give the path of a plain file with the content of `path`, as long as the block lasts.

    A plain file is given as it is. A file compressed by gzip, bzip2, xz or zstd, the only file of a zip archive, and a
    member of one (``survey.zip::stars.csv``) are expanded into a temporary folder, under the name without the ending.

    Raises
    ------
    UnreadableFileError
        If the file is not whole, is encrypted, or has no such member.
    TooMuchDataError
        If it expands to more than 200 times its size, and more than ``HVEN_LARGEST_EXPANDED`` (10 GB) allows.

    Examples
    --------
    >>> import gzip, tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "stars.csv.gz"
    >>> _ = file.write_bytes(gzip.compress(b"ra,dec"))
    >>> with local_file(str(file)) as local:
    ...     Path(local).name, Path(local).read_text()
    ('stars.csv', 'ra,dec')
    """
    archive, _, member = path.partition(MEMBER) if MEMBER in path and not Path(path).exists() else (path, "", "")
    if not Path(archive).is_file():
        yield path
        return
    names = archive_members(archive) or []
    if not member and len(names) == 1:
        member = names[0]
    if not member and not compression(_start(archive)):
        yield path
        return
    with TemporaryDirectory(prefix="hven-") as folder:
        local = archive
        try:
            if member:
                local = _member(archive, member, folder)
            for depth in range(_DEEPEST):
                kind = compression(_start(local))
                if not kind:
                    break
                target = Path(folder) / str(depth) / (plain_name(member or archive) or "file")
                target.parent.mkdir()
                with Path(local).open("rb") as packed, _expanding(packed, kind) as source, target.open("wb") as out:
                    _copy(source, out, Path(local).stat().st_size, path)
                local = str(target)
        except (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreadableFileError(
                f"the compressed file is not whole: {reason}",
                where=path,
                hint="Fetch or copy it again; see that there is room for its content in the folder TMPDIR.",
            ) from error
        yield local


def _start(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(8)
    except OSError:
        return b""


def _expanding(packed: IO[bytes], kind: str) -> Any:
    if kind == "zstd":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")
    opened: dict[str, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
    return opened[kind](packed, "rb")


def _copy(source: Any, out: IO[bytes], packed: int, path: str) -> None:
    written, limit = 0, largest_expanded()
    while block := source.read(2**22):
        written += len(block)
        if written > max(limit, LARGEST_RATIO * packed):
            raise TooMuchDataError(
                f"the compressed file expands to more than {limit / 2**30:.3g} GB, and {LARGEST_RATIO} times its size",
                where=path,
                hint=f"Raise {EXPANDED_VARIABLE} if that is right and there is room, or expand it yourself and ingest "
                "what comes out.",
            )
        out.write(block)


def _member(archive: str, member: str, folder: str) -> str:
    with zipfile.ZipFile(archive) as held:
        if member not in held.namelist():
            raise UnreadableFileError(
                f"the archive has no file {member!r}", where=archive, hint="Correct the name after '::'."
            )
        info = held.getinfo(member)
        if info.flag_bits & 1:
            raise UnreadableFileError(
                f"{member!r} is encrypted", where=archive, hint="Expand the archive with its password first."
            )
        target = os.path.join(folder, PurePosixPath(member).name)  # noqa: PTH118 - the name alone, no folders of it
        with held.open(info) as source, Path(target).open("wb") as out:
            _copy(source, out, max(info.compress_size, 1), f"{archive}{MEMBER}{member}")
    return target
