"""Readers and exporters of the files that astronomers pass on: tables, stacks of images, pictures, cut-outs."""

from typing import TYPE_CHECKING

import hven
from hven_plugins.files.array_images import hdf5_images, numpy_images
from hven_plugins.files.arrow_files import arrow
from hven_plugins.files.astropy_text import ascii_layout
from hven_plugins.files.csv_files import csv, write_csv
from hven_plugins.files.fits_images import cutouts, fits_cutouts, fits_images
from hven_plugins.files.fits_tables import fits_table, write_fits
from hven_plugins.files.hdf5_tables import hdf5_table
from hven_plugins.files.json_tables import json_records
from hven_plugins.files.numpy_tables import numpy_table
from hven_plugins.files.parquet_files import parquet, write_parquet
from hven_plugins.files.pictures import pictures
from hven_plugins.files.sqlite_tables import sqlite_table
from hven_plugins.files.table_folders import delta_table, hats
from hven_plugins.files.votables import votable

if TYPE_CHECKING:
    from hven import Exporter, Reader

__all__ = [
    "arrow",
    "ascii_layout",
    "csv",
    "cutouts",
    "delta_table",
    "fits_cutouts",
    "fits_images",
    "fits_table",
    "hats",
    "hdf5_images",
    "hdf5_table",
    "json_records",
    "numpy_images",
    "numpy_table",
    "parquet",
    "pictures",
    "sqlite_table",
    "votable",
    "write_csv",
    "write_fits",
    "write_parquet",
]


@hven.hookimpl
def hven_readers() -> "list[Reader]":
    """Return the readers of tables and of images."""
    tables = [fits_table, votable, csv, ascii_layout, json_records, parquet, arrow]
    tables += [hdf5_table, numpy_table, sqlite_table, delta_table, hats]
    return [*tables, fits_images, fits_cutouts, numpy_images, hdf5_images, pictures]


@hven.hookimpl
def hven_exporters() -> "list[Exporter]":
    """Return the exporters of tables."""
    return [write_parquet, write_csv, write_fits]
