"""Folders that are one table: Delta tables, and catalogs in the HATS format."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hven
from hven import Batch, Claim, FileHead
from hven.errors import MissingDependencyError, UnreadableFileError
from hven_plugins.files.arrow_frames import arrow_pieces
from hven_plugins.files.parquet_files import parquet_pieces
from hven_plugins.files.table_batch import table_batch

if TYPE_CHECKING:
    import pyarrow as pa

_PROPERTIES = ("hats.properties", "properties")
_COLLECTION = "collection.properties"
_PLACED = ("Norder", "Dir", "Npix", "_hipscat_index")
_READ = ("object", "source", "nested")


def delta_claim(head: FileHead) -> Claim | None:
    """Return what is said of a folder with a Delta log; None for anything else."""
    if head.is_folder and (Path(head.path) / "_delta_log").is_dir():
        return Claim("a Delta table", "layout", "its folder _delta_log")
    return None


@hven.reader(name="delta_table", with_options_of=table_batch, claims=delta_claim)
def delta_table(path: str, *, version: int | None = None, **options: Any) -> Iterator[Batch]:
    """Delta tables, which are folders: the rows of the newest version, without those that were deleted.

    Parameters
    ----------
    path
        Of the folder.
    version
        Of the table; the newest when not given.
    **options
        Those of `table_batch`.
    """
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path, version=version)
        data: Any = table.to_pyarrow_dataset()

        def batches(columns: Sequence[str] | None) -> "Iterator[pa.RecordBatch]":
            # Few batches ahead, so that memory is bounded by them.
            yield from data.to_batches(columns=columns, batch_readahead=1, fragment_readahead=1)

        for frame, told, notes in arrow_pieces(data.schema, batches):
            yield table_batch(frame, told, path, "", notes, **options)
    except ImportError as error:
        raise MissingDependencyError(str(error), where=path, hint="Install it: pip install pyarrow.") from error
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise UnreadableFileError(
            f"the Delta table cannot be read: {str(error).splitlines()[0]}",
            where=path,
            expected="a table whose features deltalake reads (no deletion vectors)",
            hint="Copy the folder whole, or rewrite it without deletion vectors (REORG TABLE ... APPLY (PURGE)).",
        ) from error


def hats_claim(head: FileHead) -> Claim | None:
    """Return what is said of a folder in the HATS format: a catalog, or a margin or index, refused."""
    if not head.is_folder:
        return None
    folder = _primary(Path(head.path))
    said = None if folder is None else _said(folder)
    if folder is None or said is None:
        return None
    kind = said.get("dataproduct_type", "object")
    if kind not in _READ:
        return Claim(
            f"a HATS folder of type {kind!r}", "survey", "its properties",
            "it is made from another catalog, and repeats it", "Ingest the catalog itself.",
        )  # fmt: skip
    return Claim("a HATS catalog", "survey", f"{_file_of(folder)} of {said.get('obs_collection', folder.name)!r}")


@hven.reader(name="hats", with_options_of=table_batch, claims=hats_claim)
def hats(path: str, **options: Any) -> Iterator[Batch]:
    """Catalogs in the HATS (LSDB, HiPSCat) format, which are folders; of a collection the primary catalog.

    Margins, indexes and thumbnails are not read. The columns of right ascension and declination are those that the
    properties name.

    Parameters
    ----------
    path
        Of the folder.
    **options
        Those of `table_batch`.
    """
    folder = _primary(Path(path))
    said = None if folder is None else _said(folder)
    if folder is None or said is None:
        raise UnreadableFileError(
            "the folder has no properties of HATS", where=path, hint="Give the folder that holds hats.properties."
        )
    files = _partitions(folder)
    if not files:
        raise UnreadableFileError(
            "the catalog has no partitions", where=path, expected="dataset/Norder=*/Dir=*/Npix=*.parquet",
            hint="Copy the folder whole.",
        )  # fmt: skip
    placed = [said.get(f"hats_col_{axis}", "") for axis in ("ra", "dec")]
    if options.get("position") is None and all(placed):
        new = {source: name for name, source in (options.get("columns") or {}).items()}
        options["position"] = [new.get(name, name) for name in placed]
    options["survey"] = options.get("survey") or said.get("obs_collection", "")
    rows = 0
    for frame, told, notes in parquet_pieces(files, path, _PLACED):
        rows += frame.height
        yield table_batch(frame, told, path, "", notes, **options)
    wanted = said.get("hats_nrows", "")
    if wanted.isdigit() and int(wanted) != rows:
        raise UnreadableFileError(
            f"the catalog has {rows} rows, and its properties say {wanted}",
            where=path,
            hint="Copy the folder whole; partitions are missing or there twice.",
        )


def _primary(folder: Path) -> Path | None:
    """Return the folder of the catalog: of a collection that of its primary table."""
    if (folder / _COLLECTION).is_file():
        name = _pairs(folder / _COLLECTION).get("hats_primary_table_url", "")
        inside = folder / name
        return inside if name and Path(name).name == name and inside.is_dir() else None
    return folder if _said(folder) is not None else None


def _file_of(folder: Path) -> str:
    return next((name for name in _PROPERTIES if (folder / name).is_file()), "")


def _said(folder: Path) -> dict[str, str] | None:
    name = _file_of(folder)
    if not name:
        return None
    said = _pairs(folder / name)
    known = ("hats_version", "hats_nrows", "hats_col_ra", "dataproduct_type", "obs_collection")
    return said if any(key in said for key in known) else None


def _pairs(file: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in file.read_text(errors="replace").splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, mark, value in lines if mark}


def _partitions(folder: Path) -> list[str]:
    """Return the Parquet files of a catalog, by order and pixel."""
    found = [*folder.glob("dataset/Norder=*/Dir=*/Npix=*"), *folder.glob("Norder=*/Dir=*/Npix=*")]
    files = []
    for one in sorted(
        found, key=lambda path: [int("".join(filter(str.isdigit, p.split(".")[0]))) for p in path.parts[-3:]]
    ):
        if one.is_dir():
            files += sorted(str(inside) for inside in one.rglob("*.parquet") if not inside.name.startswith((".", "_")))
        elif one.suffix in (".parquet", ".parq", ".pq"):
            files.append(str(one))
    return files
