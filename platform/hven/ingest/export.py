"""Datasets out of a lake, into survey files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven.errors import DataRefusedError, ParameterError
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
    if target.exists() and not overwrite:
        raise ParameterError(
            "there is a file already",
            where=str(target),
            hint="Choose another path, or say overwrite=True (--overwrite).",
        )
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
        chosen(frame, target, **told)
        return frame.height
    data = handle.dataset(columns, where, region)
    chosen(data, target, **told)
    return int(data.sizes.get("object", 0))
