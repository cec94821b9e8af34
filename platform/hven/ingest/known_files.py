"""Known files: which survey files a dataset was made of, so that the same bytes never go in twice.

The list scales to 100,000 files. It rests in the lake as Parquet files named by their content,
``files/<sha256>.parquet``, and the dataset's provenance names them. An append adds a short list; many short ones are
put together.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven.errors import LakeFormatError
from hven.plugins.archives import MEMBER

if TYPE_CHECKING:
    from hven.catalog import Entry
    from hven.ingest.hive_folders import Value
    from hven.lake import Lake

_LISTS = 8
"""Lists that a dataset may have before they are put together."""

_AT_ONCE = 4


@dataclass(frozen=True)
class KnownFile:
    """One survey file that rows of a dataset are from.

    Attributes
    ----------
    number
        Of the file in its dataset; ``_file`` of its rows.
    name
        Without its folder: catalogs are passed on.
    place
        A hash of where it was, to know the file again when its bytes have changed.
    how
        A hash of the reader's options: with others, the same file is read as something else.
    sha256, bytes
        Of its content.
    rows
        How many it gave.
    """

    number: int
    name: str
    place: str
    how: str
    sha256: str
    bytes: int
    rows: int = 0


@dataclass(frozen=True)
class Print:
    """What tells a file from others: its name, place and content; see `KnownFile`."""

    name: str
    place: str
    sha256: str
    bytes: int


def fingerprints(
    paths: Sequence[str | None], folders: "Mapping[str, Mapping[str, Value]] | None" = None
) -> list[Print | None]:
    """Return the fingerprint of each file; None of what is no file here: addresses in the net, a reader's own file.

    Parameters
    ----------
    paths
        The files, ``archive.zip::name`` those in an archive.
    folders
        Values that the names of folders carry, by file: with others, the same bytes are other rows.

    Examples
    --------
    >>> fingerprints([None, "https://example.org/stars.fits"])
    [None, None]
    """
    files = list(dict.fromkeys(path.partition(MEMBER)[0] for path in paths if path is not None))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        contents = dict(zip(files, threads.map(_content, files), strict=True))
    return [_print(path, contents, (folders or {}).get(path or "")) for path in paths]


def how_read(options: Mapping[str, Any]) -> str:
    """Return a hash of a reader's options, the same for texts from a command line and for what they mean.

    Examples
    --------
    >>> how_read({"hdu": "2"}) == how_read({"hdu": 2}), how_read({}) == how_read({"hdu": 2})
    (True, False)
    """
    told = json.dumps({name: _plain(value) for name, value in options.items()}, sort_keys=True, default=str)
    return _hash(told)[:16]


def known_files(lake: "Lake", entry: "Entry | None") -> tuple[list[KnownFile], int]:
    """Return the files that the rows of a dataset are from, and the number of the next one.

    Raises
    ------
    LakeFormatError
        If a list is missing from the lake.
    """
    import polars as pl

    lists = _lists(entry)
    if not lists:
        return [], 0
    told = pl.concat([_load(lake, digest) for digest in lists])
    gone = told.filter(pl.col("rows") < 0)["number"]
    kept = told.filter(~pl.col("number").is_in(gone.implode())).sort("number")
    return [KnownFile(**row) for row in kept.iter_rows(named=True)], 1 + int(told["number"].max())


def save_files(lake: "Lake", entry: "Entry | None", new: Iterable[KnownFile], gone: Iterable[int]) -> list[str]:
    """Keep the list of a dataset's files with some new ones, without those gone, and return what provenance names.

    Parameters
    ----------
    lake, entry
        The lake, and what the dataset is before; None for a new one.
    new
        Files that rows were added from.
    gone
        Numbers of files whose rows were removed.
    """
    lists, added = _lists(entry), _frame(new)
    removed = _frame(KnownFile(number, "", "", "", "", 0, -1) for number in gone)
    if len(lists) >= _LISTS:
        numbers = set(removed["number"])
        old = _frame(file for file in known_files(lake, entry)[0] if file.number not in numbers)
        lists, added, removed = [], old.vstack(added), removed.clear()
    told = added.vstack(removed)
    if not told.height:
        return lists
    content = io.BytesIO()
    told.write_parquet(content, compression="zstd")
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    lake.store.put(_key(digest), content.getvalue())
    return [*lists, digest]


def _lists(entry: "Entry | None") -> list[str]:
    return list(entry.provenance.get("file_lists", ())) if entry is not None else []


def _load(lake: "Lake", digest: str) -> Any:
    import polars as pl

    try:
        return pl.read_parquet(io.BytesIO(lake.store.get(_key(digest))))
    except FileNotFoundError as error:
        raise LakeFormatError(
            "the list of files that a dataset was made of is missing",
            where=lake.store.address(_key(digest)),
            hint="Restore the folder 'files' from a copy of the lake.",
        ) from error


def _frame(files: Iterable[KnownFile]) -> Any:
    import polars as pl

    types = {field.name: pl.Int64 if field.type is int else pl.String for field in fields(KnownFile)}
    return pl.DataFrame([vars(file) for file in files], schema=types)


def _key(digest: str) -> str:
    return f"files/{digest}.parquet"


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _print(
    path: str | None, contents: Mapping[str, tuple[str, int] | None], values: "Mapping[str, Value] | None"
) -> Print | None:
    file, mark, member = (path or "").partition(MEMBER)
    content = contents.get(file)
    if content is None:
        return None
    digest, size = content
    if member or values:
        digest = _hash(f"{digest}{mark}{member}{json.dumps(values)}")
    return Print(Path(member or file).name, _hash(f"{Path(file).absolute()}{mark}{member}")[:16], digest, size)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _content(path: str) -> tuple[str, int] | None:
    """Return the digest of a file and its size; None of what is no file here."""
    if "://" in path or not Path(path).exists():
        return None
    try:
        return _folder(Path(path)) if Path(path).is_dir() else _file(Path(path))
    except OSError:  # What cannot be opened is set aside when it is read.
        return None


def _file(path: Path) -> tuple[str, int]:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest(), path.stat().st_size


def _folder(path: Path) -> tuple[str, int]:
    """Return the digest of a folder that is read as one, with all that is in it, and its size."""
    whole, size = hashlib.sha256(), 0
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest, count = _file(file)
        whole.update(f"{file.relative_to(path).as_posix()}\x00{digest}\n".encode())
        size += count
    return whole.hexdigest(), size
