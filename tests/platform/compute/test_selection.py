import pytest

from hven import errors
from hven.compute import Reference, select


def test_a_selection_names_datasets_versions_and_lakes():
    chosen = select("apogee@dr1+distances+/data/x+y/my lake#stars@7")
    assert chosen.datasets == (
        Reference("apogee", "dr1"),
        Reference("distances"),
        Reference("stars", "7", "/data/x+y/my lake"),
    )
    assert select(chosen.text) == chosen


def test_a_selection_is_told_in_plain_values():
    told = select("stars", where="feh > 0", region="cone(10, 20, 3)", columns={"feh": "m_h"}).to_json()
    assert told["where"] == "feh > 0"
    assert told["region"] == "cone(10, 20, 3)"
    assert told["columns"] == {"feh": "m_h"}


@pytest.mark.parametrize("text", ["", "+", "a+", "+b", "../stars", "a@", "a@1@2", "a b", "x#", "/lake/stars", "1st"])
def test_what_names_no_dataset_is_refused(text):
    with pytest.raises(errors.NameRefusedError):
        select(text)


def test_a_malformed_region_is_refused():
    with pytest.raises(errors.RegionError):
        select("stars", region="cone(1, 2)")
