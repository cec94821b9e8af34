"""Files that are read whole into memory are refused above a size that a setting says."""

import warnings

import pytest
from astropy import units as u
from astropy.table import Table
from astropy.time import Time

import hven
from hven.errors import SettingsError, TooMuchDataError
from hven.plugins.file_limits import check_whole, largest_expanded

FORMATS = {"stars.vot": "votable", "stars.ecsv": "ascii.ecsv", "stars.mrt": "ascii.mrt"}


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    table = Table({"source_id": range(50), "teff": [5000.0 + n for n in range(50)] * u.K})
    if request.param.endswith("ecsv"):
        table["seen"] = Time([57000.0 + n for n in range(50)], format="mjd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.write(tmp_path / request.param, format=FORMATS[request.param])
    return tmp_path / request.param


def test_a_file_that_is_read_whole_is_refused_above_the_limit_and_read_below(path, tmp_path, monkeypatch):
    lake = hven.create(tmp_path / "lake")
    monkeypatch.setenv("HVEN_LARGEST_WHOLE", str(path.stat().st_size - 1))
    with pytest.raises(TooMuchDataError, match=r"read whole into memory.*HVEN_LARGEST_WHOLE") as refused:
        hven.ingest_files(lake, path, name="stars", progress=False)
    assert str(path) in refused.value.where
    assert "stars" not in lake
    monkeypatch.setenv("HVEN_LARGEST_WHOLE", str(path.stat().st_size))
    assert hven.ingest_files(lake, path, name="stars", progress=False).rows == 50


def test_tables_that_are_read_in_pieces_have_no_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("HVEN_LARGEST_WHOLE", "1")
    lake = hven.create(tmp_path / "lake")
    table = Table({"source_id": range(50), "feh": [0.01 * n for n in range(50)]})
    for name, form in (("stars.fits", "fits"), ("stars.csv", "ascii.csv"), ("plain.ecsv", "ascii.ecsv")):
        table.write(tmp_path / name, format=form)
        assert hven.ingest_files(lake, tmp_path / name, name=form.replace(".", "_"), progress=False).rows == 50


@pytest.mark.parametrize("text", ["much", "-3", "12 parsecs"])
def test_a_setting_that_is_no_size_is_refused(text, tmp_path, monkeypatch):
    (tmp_path / "stars.vot").write_text("<VOTABLE/>")
    monkeypatch.setenv("HVEN_LARGEST_WHOLE", text)
    monkeypatch.setenv("HVEN_LARGEST_EXPANDED", text)
    with pytest.raises(SettingsError, match="HVEN_LARGEST_WHOLE is"):
        check_whole(str(tmp_path / "stars.vot"), "stars.vot", "a VOTable")
    with pytest.raises(SettingsError, match="HVEN_LARGEST_EXPANDED is"):
        largest_expanded()


def test_a_setting_is_a_number_of_bytes_or_has_a_unit(monkeypatch):
    for text, size in (("12", 12), ("3 kB", 3000), ("2GiB", 2 * 2**30), ("", 10 * 2**30)):
        monkeypatch.setenv("HVEN_LARGEST_EXPANDED", text)
        assert largest_expanded() == size
