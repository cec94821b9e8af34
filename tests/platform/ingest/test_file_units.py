"""Units of files and the canonical ones."""

import pytest

from hven.errors import UnitError
from hven.ingest.file_units import canonical_factor, standard_unit


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("km.s-1", "km / s"),
        ("km/s", "km / s"),
        ("mas.yr**-1", "mas / yr"),
        ("degrees", "deg"),
        ("0.1nm", "0.1 nm"),
        ("", ""),
        ("---", ""),
        (" K ", "K"),
        ("[cm/s2]", "dex(cm / s2)"),
        ("W.m**-2.nm**-1", "W / (nm m2)"),
        ("furlongs", None),
    ],
)
def test_units_of_any_convention_are_understood(text, unit):
    assert standard_unit(text) == unit


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [
        ("distance", "pc", 1e-3),
        ("distance_err", "Mpc", 1e3),
        ("radial_velocity", "m / s", 1e-3),
        ("ra", "hourangle", 15.0),
        ("logg", "dex(cm / s2)", 1.0),
        ("phot_g_mean_mag", "mag(AB)", 1.0),
        ("teff", "", 1.0),
        ("anything", "pc", 1.0),
    ],
)
def test_canonical_columns_are_brought_to_their_unit(name, unit, factor):
    assert canonical_factor(name, unit) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(("name", "unit"), [("teff", "km / s"), ("mass", "dex(M_sun)"), ("age", "mag")])
def test_a_unit_of_another_quantity_is_refused_naming_the_column(name, unit):
    with pytest.raises(UnitError, match=name):
        canonical_factor(name, unit)
