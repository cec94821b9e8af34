"""How plain Intake opens what a lake's catalogs name: the same pinned data, read by the same code.

Intake imports this module at every ``import intake`` (entry-point group ``intake.imports``), so it stays tiny.
"""

from typing import Any, ClassVar

from intake.readers.datatypes import BaseData
from intake.readers.readers import BaseReader


class _Pinned(BaseData):  # type: ignore[misc]
    """A dataset at one version.

    Parameters
    ----------
    url
        Of its table or repository.
    version
        Delta version or Icechunk snapshot.
    schema
        SHA-256 that names its columns in the lake.
    """

    def __init__(self, url: str, version: int | str, schema: str, metadata: Any = None) -> None:
        self.url = url
        self.version = version
        self.schema = schema
        super().__init__(metadata=metadata)


class PinnedTable(_Pinned):
    """A Delta table of a lake at one version."""


class PinnedArrays(_Pinned):
    """An Icechunk repository of a lake at one snapshot."""


class PinnedTableReader(BaseReader):  # type: ignore[misc]
    """Reads a pinned table as a Polars LazyFrame."""

    imports: ClassVar = {"polars", "deltalake"}
    implements: ClassVar = {PinnedTable}
    output_instance = "polars:LazyFrame"
    func = "builtins:NotImplemented"

    def _read(self, data: PinnedTable, **_: Any) -> Any:
        return _handle(data).table()


class PinnedArraysReader(BaseReader):  # type: ignore[misc]
    """Reads pinned arrays as a lazy xarray Dataset."""

    imports: ClassVar = {"xarray", "icechunk"}
    implements: ClassVar = {PinnedArrays}
    output_instance = "xarray:Dataset"
    func = "builtins:NotImplemented"

    def _read(self, data: PinnedArrays, **_: Any) -> Any:
        return _handle(data).dataset()


def _handle(data: _Pinned) -> Any:
    """Return the handle of what a catalog names by address: ``<lake>/catalogs/../data/<name>/<id>/<engine>``."""
    from hven.catalog import Entry, Pin
    from hven.lake import DatasetHandle, Lake
    from hven.lake.store import Store

    root, _, path = data.url.replace("/catalogs/../", "/").rpartition("/data/")
    name = path.split("/")[0]
    pin = Pin("delta" if isinstance(data, PinnedTable) else "icechunk", f"data/{path}", data.version)
    return DatasetHandle(Lake(Store.at(root), "", 0), Entry(name, "table", pin, data.schema))
