"""Datasets out of a lake, into files."""

import warnings

import polars as pl
import pytest
import xarray as xr
from astropy.io import fits

import hven
from hven.errors import DataRefusedError, MissingColumnError, ParameterError, ReaderNotFoundError, StorageError
from hven.schema import Column, Schema
from hven.sky import cone, healpix_29

STARS = pl.DataFrame(
    {
        "object_id": [1, 2, 3],
        "ra": [10.0, 10.1, 200.0],
        "dec": [0.0, 0.1, 0.0],
        "distance": [1.5, None, 0.5],
        "name": ["a", None, "c"],
    }
).with_columns(pl.Series("_healpix_29", healpix_29([10.0, 10.1, 200.0], [0.0, 0.1, 0.0])))


@pytest.fixture
def lake(tmp_path):
    lake = hven.create(tmp_path / "lake")
    told = Schema(
        (Column("distance", "float64", unit="kpc", description="How far"), Column("name", "string", ucd="meta.id"))
    )
    with lake.transaction() as tx:
        tx.write("stars", STARS, schema=told)
        spectra = {
            "flux": (("object", "wavelength"), [[1.0, 2.0]]),
            "wavelength": [1.0, 2.0],
            "object_id": ("object", [1]),
        }
        tx.write("spectra", xr.Dataset(spectra))
    return lake


def test_columns_where_and_region_choose_what_is_written(lake, tmp_path):
    path = tmp_path / "stars.csv"
    count = hven.export_dataset(
        lake, "stars", path, columns=["object_id"], where="name is not null", region=cone(10, 0, 1)
    )
    assert count == 1
    assert path.read_text() == "object_id\n1\n"


def test_units_ucds_and_descriptions_go_into_fits_headers(lake, tmp_path):
    hven.export_dataset(lake, "stars", tmp_path / "stars.fits")
    header = fits.getheader(tmp_path / "stars.fits", 1)
    number = next(n for n in range(1, 9) if header[f"TTYPE{n}"] == "distance")
    assert (header[f"TUNIT{number}"], header[f"TCOMM{number}"], header[f"TUCD{number}"]) == (
        "kpc",
        "How far",
        "pos.distance",
    )


@pytest.mark.parametrize("file", ["stars.fits", "stars.parquet", "stars.csv"])
def test_what_is_exported_is_ingested_again_with_the_same_ids(lake, tmp_path, file):
    hven.export_dataset(lake, "stars", tmp_path / file)
    report = hven.ingest_files(lake, tmp_path / file, name="again")
    again = lake["again"].table().collect()
    assert again.equals(lake["stars"].table().collect().sort("_healpix_29").select(again.columns))
    assert not report.set_aside
    if file != "stars.csv":
        assert lake["again"].schema["distance"].description == "How far"


def test_a_file_that_is_there_is_only_replaced_when_told(lake, tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("mine")
    with pytest.raises(ParameterError, match="there is a file already"):
        hven.export_dataset(lake, "stars", path)
    assert path.read_text() == "mine"
    assert hven.export_dataset(lake, "stars", path, overwrite=True) == 3


def test_what_cannot_be_exported_is_refused_with_a_next_step(lake, tmp_path):
    with pytest.raises(ReaderNotFoundError):
        hven.export_dataset(lake, "stars", tmp_path / "stars.doc")
    with pytest.raises(ReaderNotFoundError, match="parquet"):
        hven.export_dataset(lake, "stars", tmp_path / "stars.csv", exporter="parket")
    with pytest.raises(DataRefusedError, match="spectra"):
        hven.export_dataset(lake, "spectra", tmp_path / "spectra.csv", exporter="csv")
    with pytest.raises(MissingColumnError):
        hven.export_dataset(lake, "stars", tmp_path / "stars.csv", columns=["feh"])
    assert not list(tmp_path.glob("*.csv"))


LONG = "x" * 80
ODD = pl.DataFrame(
    {
        "object_id": [1],
        "\u00c5ngstr\u00f6m": [1.5],
        "Angstrom": [2.5],
        LONG: [3],
        f"{LONG}y": [4],
        "\u661f": ["Barnard\u2019s"],
    }
)


def test_names_that_fits_cannot_have_become_plain_ones_and_the_header_says_which(lake, tmp_path, caplog):
    from astropy.table import Table

    with lake.transaction() as tx:
        tx.write(
            "odd",
            ODD,
            schema=Schema((Column("\u00c5ngstr\u00f6m", "float64", unit="kpc", description="\u00e9t\u00e9"),)),
        )
    assert hven.export_dataset(lake, "odd", tmp_path / "odd.fits") == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Table.read(tmp_path / "odd.fits")
    assert table.colnames == ["object_id", "Angstrom", "Angstrom_2", "x" * 68, "x" * 66 + "_2", "_"]
    assert list(table[0]) == [1, 1.5, 2.5, 3, 4, "Barnard\u2019s"]
    comments = " ".join(str(fits.getheader(tmp_path / "odd.fits", 1)["COMMENT"]).split())
    assert "Column Angstrom is called \\xc5ngstr\\xf6m in the lake" in comments
    assert "Texts of column _ are UTF-8" in comments
    assert "is called 'Angstrom'" in caplog.text


def test_a_failed_export_leaves_the_file_that_was_there_and_nothing_else(lake, tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("as it was")

    @hven.exporter(name="full", patterns=("*.csv",))
    def full(data, path):
        """Nothing, after a part of it."""
        path.write_text("a part")
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(StorageError, match="No space left") as raised:
        hven.export_dataset(lake, "stars", path, exporter=full, overwrite=True)
    assert raised.value.where == str(path)
    assert path.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", "stars.csv"]


@pytest.mark.parametrize("place", ["missing/stars.csv", "lake", "stars.txt/stars.csv", "/proc/stars.csv"])
def test_a_place_where_no_file_can_be_written_is_told_before_anything_is_read(lake, tmp_path, place):
    (tmp_path / "stars.txt").write_text("a file")
    path = tmp_path / place
    with pytest.raises((StorageError, ParameterError)):
        hven.export_dataset(lake, "stars", path, exporter="csv")
    assert not path.is_file()


def test_what_a_query_gives_is_written_by_any_exporter(lake, tmp_path):
    from hven.ingest import export_frame

    lazy = lake.sql("SELECT object_id, distance FROM stars WHERE distance IS NOT NULL")
    assert export_frame(lazy, tmp_path / "near.fits") == 2
    with pytest.raises(ParameterError, match="already"):
        export_frame(lazy, tmp_path / "near.fits")
    assert fits.getdata(tmp_path / "near.fits")["object_id"].tolist() == [1, 3]
