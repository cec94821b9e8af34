"""Column names of files become names that hven keeps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.ingest.column_names import new_names, rivals
from hven.schema import Sureness, read_name


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


def test_spellings_of_canonical_names_and_their_errors_become_canonical():
    apogee = ["TEFF", "TEFF_ERR", "M_H", "M_H_ERR", "FE_H", "FE_H_ERR", "MG_FE", "MG_FE_ERR", "TIII_FE", "FE_H_FLAG"]
    assert list(new_names(apogee).values()) == [
        *("teff", "teff_err", "m_h", "m_h_err", "feh", "feh_err", "mg_fe", "mg_fe_err", "tiii_fe", "feh_flag")
    ]
    gaia = new_names(["parallax", "parallax_error", "pmra_error", "parallax_over_error", "ra_error"])
    assert list(gaia.values()) == ["parallax", "parallax_err", "pmra_err", "parallax_over_error", "ra_error"]
    vizier = new_names(["Teff", "e_Teff", "[Fe/H]", "e_[Fe/H]", "Plx", "e_Plx", "pmDE", "__Mg_Fe_", "e__Mg_Fe_"])
    assert list(vizier.values()) == [
        *("teff", "teff_err", "feh", "feh_err", "parallax", "parallax_err", "pmdec", "mg_fe", "mg_fe_err")
    ]


def test_words_that_may_mean_something_else_keep_their_names():
    kept = ["J", "H", "K", "z", "dist", "rv", "VHELIO_AVG", "mh_gspphot", "gmag", "N_H", "e_bv_x", "sigma_int", "E_Age"]
    assert list(new_names(kept).values()) == kept


def test_two_columns_never_become_one_and_a_note_names_the_rivals():
    names = ["FE_H", "[Fe/H]", "e_teff", "teff_err"]
    assert new_names(names) == {"FE_H": "FE_H", "[Fe/H]": "Fe_H_2", "e_teff": "e_teff", "teff_err": "teff_err"}
    assert [note.text for note in rivals(names)] == [
        "columns 'FE_H', '[Fe/H]' are all spelled like 'feh': none is taken for it"
    ]
    assert new_names(["Age", "e_Age", "E_Age"])["e_Age"] != "age_err", "two-sided errors are no 1-sigma errors"


def test_a_unit_of_another_quantity_speaks_against_a_spelling():
    assert new_names(["M_H", "AGE"], units={"M_H": "mag", "AGE": "log(yr)"}) == {"M_H": "M_H", "AGE": "AGE"}
    assert new_names(["M_H", "AGE"], units={"M_H": "[Sun]", "AGE": "Myr"}) == {"M_H": "m_h", "AGE": "age"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("erTeff", "teff_err"), ("eTeff", "teff_err"), ("plx_e", "parallax_err"), ("pmra_e", "pmra_err"),
        ("e.teff", "teff_err"), ("Teff err", "teff_err"), ("e[Fe/H]", "feh_err"), ("fe_h_e", "feh_err"),
        ("ebprp", None), ("era", None), ("type_e", None), ("elevation", None), ("eMask", None), ("z_e", None),
    ],
)  # fmt: skip
def test_short_spellings_of_errors_are_errors_of_what_is_known_and_sure(name, meant):
    read = read_name(name)
    assert (read.canonical if read.sureness < Sureness.UNKNOWN else None) == meant


def test_columns_that_differ_in_case_alone_need_attention():
    (note,) = rivals(["Teff", "TEFF", "x", "X"])
    assert note.needs_attention
    assert "'Teff', 'TEFF'" in note.text
    assert not rivals(["teff", "logg"])


def test_greek_letters_are_spelled_out_and_accents_go():
    names = ["[\N{GREEK SMALL LETTER ALPHA}/Fe]", "\N{GREEK SMALL LETTER SIGMA}_Teff", "\xc5ngstr\xf6m"]
    assert list(new_names(names).values()) == ["alpha_fe", "teff_err", "Angstrom"]
    assert new_names(["\N{GREEK SMALL LETTER LAMDA}", "\N{GREEK CAPITAL LETTER DELTA}\N{GREEK SMALL LETTER NU}"]) == {
        "\N{GREEK SMALL LETTER LAMDA}": "lambda",
        "\N{GREEK CAPITAL LETTER DELTA}\N{GREEK SMALL LETTER NU}": "Deltanu",
    }
