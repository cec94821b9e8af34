"""Readers and exporters of the files that astronomers pass on: FITS tables, VOTables, CSV, Parquet."""

from typing import TYPE_CHECKING

import hven
from hven_plugins.files.csv_files import csv, write_csv
from hven_plugins.files.fits_tables import fits_table, write_fits
from hven_plugins.files.parquet_files import parquet, write_parquet
from hven_plugins.files.votables import votable

if TYPE_CHECKING:
    from hven import Exporter, Reader

__all__ = ["csv", "fits_table", "parquet", "votable", "write_csv", "write_fits", "write_parquet"]


@hven.hookimpl
def hven_readers() -> "list[Reader]":
    """Return the readers of tables."""
    return [fits_table, votable, csv, parquet]


@hven.hookimpl
def hven_exporters() -> "list[Exporter]":
    """Return the exporters of tables."""
    return [write_parquet, write_csv, write_fits]
