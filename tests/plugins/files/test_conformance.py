"""The built-in readers and exporters pass the suites that everybody's do."""

import polars as pl
import pytest
from astropy.table import Table

from hven.testing import ExporterSuite, ReaderSuite
from hven_plugins.files import csv, fits_table, parquet, votable, write_csv, write_fits, write_parquet

STARS = pl.DataFrame(
    {
        "source_id": [7, 2**60 + 1],
        "ra": [10.0, 359.9],
        "dec": [-89.0, 2.0],
        "name": ["HD 1", "étoile"],
        "feh": [0.1, None],
    }
)


class TestFitsTable(ReaderSuite):
    reader = fits_table

    def sample(self, folder):
        write_fits(STARS, folder / "stars.fits", units={"ra": "deg", "dec": "deg"})
        return folder / "stars.fits"

    def write(self, frame, folder):
        write_fits(frame, folder / "any.fits")
        return folder / "any.fits"


class TestVotable(ReaderSuite):
    reader = votable

    def sample(self, folder):
        columns = {name: STARS[name].to_list() for name in ("source_id", "ra", "dec")}
        Table(columns, units={"ra": "deg", "dec": "deg"}).write(folder / "stars.vot", format="votable")
        return folder / "stars.vot"


class TestCsv(ReaderSuite):
    reader = csv

    def sample(self, folder):
        write_csv(STARS, folder / "stars.csv")
        return folder / "stars.csv"


class TestParquet(ReaderSuite):
    reader = parquet

    def sample(self, folder):
        write_parquet(STARS, folder / "stars.parquet")
        return folder / "stars.parquet"

    def write(self, frame, folder):
        write_parquet(frame, folder / "any.parquet")
        return folder / "any.parquet"


class TestWriteFits(ExporterSuite):
    exporter = write_fits
    file_name = "stars.fits"
    types = (pl.Float64, pl.Float32, pl.Int64, pl.Int32, pl.Int16, pl.String, pl.Boolean)

    def sample(self):
        return STARS

    def read_back(self, path):
        (batch,) = fits_table(str(path))
        return batch.parts[""]


class TestWriteParquet(ExporterSuite):
    exporter = write_parquet
    file_name = "stars.parquet"
    types = (pl.Float64, pl.Float32, pl.Int64, pl.Int32, pl.Int16, pl.String, pl.Boolean)

    def sample(self):
        return STARS

    def read_back(self, path):
        return pl.read_parquet(path)


class TestWriteCsv(ExporterSuite):
    exporter = write_csv
    file_name = "stars.csv"

    def sample(self):
        return STARS

    def read_back(self, path):
        return pl.read_csv(path)


class TestWriteCsvOfTexts(TestWriteCsv):
    types = (pl.String,)

    def sample(self):
        return STARS.select("name")

    def read_back(self, path):
        return pl.read_csv(path, infer_schema=False)


class TestWriteTabs(TestWriteCsv):
    file_name = "stars.tsv.gz"

    def read_back(self, path):
        return pl.read_csv(path, separator="\t")


@pytest.mark.parametrize(("reader", "own"), [(fits_table, "hdu"), (votable, "table"), (csv, "nulls"), (parquet, "")])
def test_readers_of_tables_have_the_same_options_beside_their_own(reader, own):
    told = reader.options.model_json_schema()["properties"]
    shared = parquet.options.model_json_schema()["properties"]
    assert list(shared) == [
        "columns", "units", "position", "identity", "frame",
        "sentinels", "valid", "unplaced", "survey", "title", "citation",
    ]  # fmt: skip
    assert {name: told[name] for name in shared} == shared
    assert not own or own in told
    assert all(option["description"] for option in told.values())
