"""One rule says which column a survey's column name stands for."""

import pytest

from hven.schema import CANONICAL, Column, Sureness, canonical_name, find_column, means, read_name, same_column

SAME = {
    "teff": ["TEFF", "Teff", "T_eff", "teff_gspphot"],
    "teff_err": ["TEFF_ERR", "e_Teff", "E_TEFF", "teff_error", "err_teff", "Teff_unc", "sigma_teff", "TeffErr"],
    "feh": ["FE_H", "[Fe/H]", "__Fe_H_", "FeH", "fe_h", "mh_gspphot"],
    "feh_err": ["FE_H_ERR", "e_[Fe/H]", "e_fe_h", "e__Fe_H_", "feh_error"],
    "m_h": ["M_H", "[M/H]"],
    "mg_fe": ["MG_FE", "[Mg/Fe]", "MgFe", "__Mg_Fe_"],
    "mg_fe_err": ["MG_FE_ERR", "e_mg_fe", "e_[Mg/Fe]"],
    "alpha_fe": ["[a/Fe]", "[alpha/Fe]", "ALPHA_FE"],
    "tiii_fe": ["TIII_FE", "[TiII/Fe]"],
    "parallax": ["Plx", "PARALLAX"],
    "parallax_err": ["parallax_error", "e_Plx"],
    "pmra_err": ["pmra_error", "e_pmRA", "PMRA_ERR"],
    "pmdec": ["pmDE", "PMDEC"],
    "logg": ["LOGG", "log(g)", "logG"],
    "ebv": ["E(B-V)", "e_bv", "EBV", "E_BV"],
    "ebv_err": ["e_E(B-V)", "ebv_err"],
    "bp_rp": ["BP-RP", "BP_RP"],
    "radial_velocity": ["VHELIO_AVG", "RADIAL_VELOCITY", "RadialVelocity"],
    "phot_g_mean_mag": ["Gmag"],
    "feh_flag": ["flag_fe_h", "FE_H_FLAG"],
    "snr": ["SNR", "S/N"],
}
NOT = [
    ("e_bv", "bv_err"),
    ("e_B-V", "ebv"),
    ("e_B-V", "ebv_err"),
    ("ra_err", "ra"),
    ("E_Age", "age_err"),
    ("b_Age", "age_err"),
    ("gmag", "phot_g_mean_mag"),
    ("V-H", "v_h"),
    ("C-N", "c_n"),
    ("CN", "c_n"),
    ("LX", "l_x"),
    ("ZGAL", "z_gal"),
    ("h", "h_mag"),
    ("z", "redshift"),
    ("rv", "radial_velocity"),
    ("parallax_over_error", "parallax_err"),
    ("sigma_int", "int_err"),
    ("Teff_T13", "teff"),
    ("RV_TEFF", "teff"),
    ("nMg", "mg_fe"),
]


@pytest.mark.parametrize(("canonical", "name"), [(c, name) for c, names in SAME.items() for name in names])
def test_names_of_surveys_stand_for_canonical_ones(canonical, name):
    assert canonical_name(name) == canonical
    assert same_column(name, canonical)
    assert same_column(canonical, name)


@pytest.mark.parametrize(("one", "other"), NOT)
def test_false_friends_are_kept_apart(one, other):
    assert not same_column(one, other)


@pytest.mark.parametrize("name", [*CANONICAL, "teff_err", "mg_fe", "mg_fe_err", "tiii_fe_err", "c_h"])
def test_canonical_names_stand_for_themselves_in_any_case(name):
    assert read_name(name).sureness is Sureness.EXACT
    assert canonical_name(name) == canonical_name(name.upper()) == name


@pytest.mark.parametrize("name", ["", "_", "e_", "e__", "_err", "err", "[]", "🙂", "__", "flag_", "E(", "e_[", "-"])
def test_odd_names_mean_nothing(name):
    assert read_name(name).sureness is Sureness.UNKNOWN


def test_the_unit_decides_where_the_name_does_not():
    assert means(Column("H", "float32", unit="mag"), "h_mag") is Sureness.DOUBTFUL
    assert means(Column("z", "float32", ucd="src.redshift"), "redshift") is Sureness.DOUBTFUL
    assert means(Column("z", "float32", ucd="pos.cartesian.z"), "redshift") is None
    assert means(Column("N_H", "float32", unit="dex"), "n_h") is Sureness.DOUBTFUL
    assert means(Column("N_H", "float32", unit="1 / cm2"), "n_h") is None
    assert means(Column("AGE", "float32", unit="mag"), "age") is None
    assert means(Column("AGE", "float32", unit="Myr"), "age") is Sureness.SPELLING


def test_the_surest_columns_are_found():
    columns = [Column(name, "float32") for name in ("teff_gspphot", "TEFF", "[Fe/H]", "fe_h")]
    assert find_column("teff", columns) == ("TEFF",)
    assert find_column("feh", columns) == ("[Fe/H]", "fe_h")
    assert find_column("logg", columns) == ()
