"""Column names of files become names that hven keeps."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hven.ingest.column_names import new_names


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), unique=True, max_size=20))
def test_any_names_become_plain_and_different_also_when_case_is_ignored(names):
    new = new_names(names)
    assert list(new) == names
    assert len({name.lower() for name in new.values()}) == len(names)
    assert all(name.replace("_", "a").isalnum() and name.isascii() and not name[0].isdigit() for name in new.values())


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), unique_by=str.lower, max_size=20))
def test_names_that_are_kept_stay_when_names_are_made_new_again(names):
    once = list(new_names(names).values())
    assert list(new_names(once).values()) == once


def test_a_name_that_is_canonical_but_for_its_case_becomes_canonical():
    assert new_names(["TEFF", "Parallax", "Feh_2"]) == {"TEFF": "teff", "Parallax": "parallax", "Feh_2": "Feh_2"}


def test_the_columns_of_the_position_become_ra_and_dec_and_no_other_column_does():
    new = new_names(["RA", "RAJ2000", "DEJ2000"], ("RAJ2000", "DEJ2000"))
    assert new == {"RA": "ra_2", "RAJ2000": "ra", "DEJ2000": "dec"}


def test_a_column_never_looks_like_the_validity_of_another():
    assert new_names(["age", "age_valid"])["age_valid"] == "age_valid_flag"
