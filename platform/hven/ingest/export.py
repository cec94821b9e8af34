"""Datasets out of a lake, into survey files."""

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven.errors import DataRefusedError, ParameterError, StorageError
from hven.ingest.files import AnyPath

if TYPE_CHECKING:
    import polars as pl

    from hven.lake import Lake
    from hven.plugins import Exporter
    from hven.sky import Region


def export_dataset(
    lake: "Lake",
    name: str,
    path: AnyPath,
    *,
    exporter: "str | Exporter | None" = None,
    columns: Sequence[str] | None = None,
    where: "str | pl.Expr | None" = None,
    region: "Region | None" = None,
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> int:
    """Write a dataset to a file and return how many objects it holds.

    An exporter with options ``units``, ``descriptions`` or ``ucds`` is told those of the dataset's columns.

    Parameters
    ----------
    lake
        Where from; ``lake.at("dr1")`` exports what a release holds.
    name
        Of the dataset.
    path
        Of the file.
    exporter
        By default the one whose pattern fits the file's name best.
    columns, where, region
        What to write; everything when not given.
    options
        Of the exporter; if all are texts, as from a command line, they are understood as such.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    ReaderNotFoundError, ParameterError
        If there is no such exporter, or it has no such option.
    DataRefusedError
        If the exporter does not take datasets of this kind.
    StorageError
        If the file cannot be written; one that was there is as before.

    Examples
    --------
    >>> import hven, polars as pl, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> lake = hven.create(folder + "/lake")
    >>> with lake.transaction() as tx:
    ...     tx.write("stars", pl.DataFrame({"object_id": [1, 2], "feh": [0.1, -0.3]}))
    >>> hven.export_dataset(lake, "stars", folder + "/stars.csv", where="feh < 0")
    1
    """
    from hven.plugins import plugins

    handle, target = lake[name], Path(path)
    chosen = plugins().exporter(exporter) if isinstance(exporter, str) else exporter
    chosen = chosen or plugins().exporter_for(path, handle.kind)
    if handle.kind not in chosen.takes:
        raise DataRefusedError(
            f"exporter {chosen.name!r} does not take datasets of kind {handle.kind!r}",
            where=f"dataset {name!r}",
            expected=" or ".join(chosen.takes),
            hint="Choose another exporter; of spectra and images, lake[name].table() gives the table of objects.",
        )
    check_target(target, overwrite=overwrite)
    told = dict(options or {})
    if told and all(isinstance(value, str) for value in told.values()):
        told = chosen.parse_texts(told)
    texts = {"units": "unit", "descriptions": "description", "ucds": "ucd"}
    for option, attribute in texts.items():
        if option in chosen.options.model_fields:
            known = {column.name: getattr(column, attribute) for column in handle.schema}
            told[option] = {name: text for name, text in known.items() if text} | (told.get(option) or {})
    if handle.kind == "table":
        frame = handle.table(columns, where, region).collect()
        _write(chosen, frame, target, told)
        return frame.height
    data = handle.dataset(columns, where, region)
    _write(chosen, data, target, told)
    return int(data.sizes.get("object", 0))


def export_frame(
    data: "pl.DataFrame | pl.LazyFrame", path: AnyPath, *, exporter: "str | None" = None, overwrite: bool = False
) -> int:
    """Write a Polars frame, what a query gives say, to a file and return how many rows it has.

    Parameters
    ----------
    data
        The rows; a LazyFrame is computed.
    path
        Of the file.
    exporter
        By default the one whose pattern fits the file's name best.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    ReaderNotFoundError
        If there is no such exporter.
    ParameterError, StorageError
        If the file is there already, or cannot be written.

    Examples
    --------
    >>> import polars as pl, tempfile
    >>> export_frame(pl.DataFrame({"feh": [0.1, -0.3]}), tempfile.mkdtemp() + "/stars.csv")
    2
    """
    from hven.plugins import plugins

    target = Path(path)
    chosen = plugins().exporter(exporter) if exporter else plugins().exporter_for(path, "table")
    check_target(target, overwrite=overwrite)
    frame = data.lazy().collect()
    _write(chosen, frame, target, {})
    return frame.height


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a path to which nothing can be written, before anything is computed.

    Raises
    ------
    ParameterError
        If there is a file already, and it may not be replaced.
    StorageError
        If there is no such folder, or nothing may be written in it.
    """
    try:
        if not target.parent.is_dir():
            raise StorageError(
                "there is no such folder", where=str(target.parent), hint="Make it, or choose another path."
            )
        if target.is_dir():
            raise ParameterError("this is a folder", where=str(target), hint="Give the path of a file.")
        is_there = target.exists()
    except OSError as error:
        raise _unwritable(error, target) from error
    if is_there and not overwrite:
        raise ParameterError(
            "there is a file already",
            where=str(target),
            hint="Choose another path, or say overwrite=True (--overwrite).",
        )
    if not os.access(target.parent, os.W_OK):
        raise StorageError(
            "nothing may be written in this folder",
            where=str(target.parent),
            hint="Mend access, or choose another path.",
        )


def _write(exporter: "Exporter", data: Any, target: Path, options: Mapping[str, Any]) -> None:
    """Write to a file beside the target, then put it in its place: nobody finds a part of a file there."""
    # The ending stays what it is: exporters choose the format by it.
    unfinished = target.with_name(f".{uuid.uuid4().hex[:8]}-{target.name}")
    try:
        exporter(data, unfinished, **options)
        unfinished.replace(target)
    except OSError as error:
        raise _unwritable(error, target) from error
    finally:
        if unfinished.is_file():
            unfinished.unlink()


def _unwritable(error: OSError, target: Path) -> StorageError:
    return StorageError(
        f"the file cannot be written: {error.strerror or error}",
        where=str(target),
        hint="Mend access or free space, or choose another path; a file that was there is as before.",
    )
