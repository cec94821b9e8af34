import json

import pytest

from hven import errors
from hven.catalog import Catalog, Commit, Counts, Entry, Pin, commit_of
from hven.catalog.sealing import sealed
from hven.sky import coverage, healpix_29


def entry(name, **texts):
    return Entry(name, "table", Pin("delta", f"data/{name}/0a/table", 3), "5" * 64, Counts(10, 100, 1), **texts)


@pytest.fixture
def catalog():
    entries = [
        entry(
            "apogee", title="APOGEE stars", survey="APOGEE DR17", columns=("feh", "teff"), citation=("Abdurro'uf 2022",)
        ),
        entry("gaia", survey="Gaia DR3", coverage=coverage(healpix_29([10.0], [20.0])), columns=("parallax",)),
        Entry("xp", "spectra", Pin("icechunk", "data/xp/0b/arrays", "SNAP"), "6" * 64, wavelength=(3360.0, 10200.0)),
    ]
    return Catalog(
        Commit(7, "t" * 32, "2026-01-01T00:00:00Z", "message é"),
        {e.name: e for e in entries},
        {"n": {"cron": "@daily"}},
    )


def test_a_catalog_survives_its_text(catalog):
    assert Catalog.from_json(catalog.to_json()) == catalog


def test_the_text_has_everything_that_intake_wants_and_no_absolute_address(catalog):
    document = json.loads(catalog.to_json())
    assert set(document) == {"version", "metadata", "user_parameters", "aliases", "data", "entries"}
    assert list(document["aliases"]) == ["apogee", "gaia", "xp"]
    for item in document["data"].values():
        assert item["kwargs"]["url"].startswith("{CATALOG_DIR}/../data/")
        assert set(item) == {"datatype", "kwargs", "metadata", "user_parameters"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"text": "FEH"}, ["apogee"]),
        ({"text": "abdurro"}, ["apogee"]),
        ({"survey": "gaia"}, ["gaia"]),
        ({"kind": "spectra"}, ["xp"]),
        ({"kind": "table", "text": "gaia"}, ["gaia"]),
        ({"text": "nothing of it"}, []),
        ({}, ["apogee", "gaia", "xp"]),
    ],
)
def test_search_finds_what_fits_everything_asked(catalog, query, found):
    assert [e.name for e in catalog.search(**query)] == found


def test_the_frame_has_a_row_a_dataset(catalog):
    frame = catalog.frame()
    assert frame["name"].to_list() == ["apogee", "gaia", "xp"]
    assert frame["rows"].to_list() == [10, 10, 0]
    assert Catalog(catalog.commit).frame().height == 0


def test_an_unknown_dataset_is_told_with_the_nearest_names(catalog):
    with pytest.raises(errors.DatasetNotFoundError, match="'apogee'"):
        catalog["apoge"]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"metadata": {}}', b"\xff\xfe"])
def test_what_is_no_catalog_is_refused(text):
    with pytest.raises(errors.LakeFormatError, match="not a catalog"):
        Catalog.from_json(text)


def test_a_newer_format_is_refused_by_name(catalog):
    with pytest.raises(errors.LakeFormatError, match="newer hven"):
        Catalog.from_json(catalog.to_json().replace(b'"format":2', b'"format":3'))


@pytest.mark.parametrize("path", ["/etc", "../other/data/x/0a/table", "data/../../x/table", "s3://bucket/data"])
def test_data_outside_the_lake_are_refused(catalog, path):
    text = sealed(json.loads(catalog.to_json().replace(b"data/gaia/0a/table", path.encode())))
    with pytest.raises(errors.LakeFormatError, match="'gaia' is said to rest outside the lake"):
        Catalog.from_json(text)


def test_the_commit_of_a_catalog_is_read_without_its_entries(catalog):
    text = catalog.to_json()
    assert commit_of(text) == catalog.commit
    with pytest.raises(errors.LakeFormatError, match="damaged"):
        commit_of(text[: text.index(b'"aliases"')])
    old = json.loads(text)
    old["metadata"] = {"hven": old["metadata"]["hven"] | {"format": 1}}
    assert commit_of(json.dumps(old, separators=(",", ":")).encode()) == catalog.commit
    assert commit_of(json.dumps(old, indent=1).encode()) == catalog.commit
    with pytest.raises(errors.LakeFormatError, match="not a catalog"):
        commit_of(text[:100])


def test_keys_of_a_newer_hven_are_passed_over(catalog):
    document = json.loads(catalog.to_json())
    document["entries"]["gaia:reader"]["metadata"]["novelty"] = 1
    assert Catalog.from_json(sealed(document)) == catalog
