"""Units of files and the canonical ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.errors import UnitError
from hven.ingest.file_units import canonical_factor, standard_unit
from hven.schema import parse_unit


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
        ("RADIANS", "rad"),
        ("DEG", "deg"),
        ("Deg", "deg"),
        ("[deg]", "deg"),
        ("KM/S", "km / s"),
        ("MAG", "mag"),
        ("years", "yr"),
        ("GYR", "Gyr"),
        ("days", "d"),
        ("counts/s", "ct / s"),
        ("microns", "um"),
        ("KPC", "kpc"),
        ("HZ", "Hz"),
        ("nanomaggies", "3.631e-06 Jy"),
        ("'hour'", "h"),
        ('"h:m:s"', "hourangle"),
        ("log(cm.s**-2)", "dex(cm / s2)"),
        ("log10(K)", "dex(K)"),
        ("[Sun]", "dex"),
        ("[-]", "dex"),
        ("[K]", "dex(K)"),
        ("Sun", ""),
        ("'dex'", "dex"),
        ("'electron'.s**-1", "electron / s"),
        # What astropy reads as units of the laboratory: ampere, petacoulomb, siemens, debye, degrees times kelvin.
        ("erg/s/cm2/A", "erg / (Angstrom s cm2)"),
        ("PC", "pc"),
        ("S", "s"),
        ("D", "d"),
        ("deg K", "K"),
        ("Msun", "solMass"),
        ("Lsun", "solLum"),
        ("mas/year", "mas / yr"),
        ("'", "arcmin"),
        ('"', "arcsec"),
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
        ("ra", "rad", 57.29577951308232),
        ("ra", "h", 15.0),
        ("feh", "dex", 1.0),
        ("phot_g_mean_mag", "mag(AB)", 1.0),
        ("teff", "", 1.0),
        ("anything", "pc", 1.0),
    ],
)
def test_canonical_columns_are_brought_to_their_unit(name, unit, factor):
    assert canonical_factor(name, unit) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("teff", "km / s"), ("mass", "dex(M_sun)"), ("age", "mag"), ("feh", "dex(K)"), ("logg", "dex(m / s2)")],
)
def test_a_unit_of_another_quantity_is_refused_naming_the_column(name, unit):
    with pytest.raises(UnitError, match=name):
        canonical_factor(name, unit)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="abkmgsKMSHADPC[]()/.-*^0123456789 'log\"dexSun", max_size=14))
def test_every_unit_that_is_understood_can_be_read_in_the_lake(text):
    unit = standard_unit(text)
    assert unit is None or parse_unit(unit) is not None
    if unit is not None:
        assert standard_unit(unit) == unit
