"""What a search found: a part of the catalog that combines and is looked at."""

import pytest

from hven import errors
from hven.catalog import Catalog, Commit, Entry, Pin


def entry(name, kind, survey):
    return Entry(name, kind, Pin("delta", f"data/{name}/0a/table", 3), "5" * 64, survey=survey)


@pytest.fixture
def catalog():
    entries = [
        entry("apogee", "table", "APOGEE"),
        entry("galah", "spectra", "GALAH"),
        entry("lamost", "spectra", "LAMOST"),
        entry("rave", "table", "RAVE"),
    ]
    return Catalog(Commit(7, "t", "2026-01-01T00:00:00Z"), {e.name: e for e in entries})


def test_what_was_found_is_asked_like_a_tuple_and_like_a_mapping(catalog):
    found = catalog.search(kind="spectra")
    assert len(found) == 2
    assert [e.name for e in found] == list(found.names) == ["galah", "lamost"]
    assert found[0] is found["galah"] is catalog["galah"]
    assert found[-1].name == "lamost"
    assert [e.name for e in found[:1]] == ["galah"]
    assert "galah" in found
    assert "apogee" not in found
    assert list(found.entries) == ["galah", "lamost"]
    assert not catalog.search(survey="6df")


def test_searches_of_one_catalog_combine_in_its_order(catalog):
    spectra, old = catalog.search(kind="spectra"), catalog.search(survey="rave") | catalog.search(survey="galah")
    assert old.names == ("galah", "rave")
    assert (spectra & old).names == ("galah",)
    assert (spectra & ~old).names == ("lamost",)
    assert (spectra | old).names == ("galah", "lamost", "rave")
    assert (~spectra).names == ("apogee", "rave")
    assert (spectra & ~old) == catalog.search(spectra.query & ~old.query)
    assert "none fits them all" in (spectra & ~spectra).note


def test_searches_of_different_catalogs_do_not_combine(catalog):
    other = Catalog(catalog.commit, {"apogee": catalog["apogee"]})
    with pytest.raises(errors.QueryError, match="different catalogs"):
        catalog.search() & other.search()
    with pytest.raises(TypeError):
        catalog.search() | {"apogee"}
    with pytest.raises(TypeError):
        catalog.search() & {"apogee"}


def test_a_name_that_was_not_found_is_told_with_the_nearest(catalog):
    with pytest.raises(errors.DatasetNotFoundError, match="'lamost'"):
        catalog.search(kind="spectra")["lamos"]
    with pytest.raises(IndexError):
        catalog.search(kind="spectra")[2]


def test_what_was_found_is_a_frame_too(catalog):
    assert catalog.search(kind="spectra").frame()["survey"].to_list() == ["GALAH", "LAMOST"]
    assert catalog.search(survey="x").frame().height == 0
    assert catalog.search(survey="x").frame().schema == catalog.frame().schema
