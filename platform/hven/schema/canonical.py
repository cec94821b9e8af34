"""The canonical column names of hven, with units, UCDs and descriptions."""

from dataclasses import replace

from hven.schema.abundances import COLOURS, abundance_text
from hven.schema.columns import Column


def _column(name: str, unit: str, ucd: str, description: str, dtype: str = "float64") -> Column:
    return Column(name, dtype, ("object",), unit, description, ucd)


CANONICAL: dict[str, Column] = {
    column.name: column
    for column in (
        _column("object_id", "", "meta.id;meta.main", "Unique id of the object in this dataset", "int64"),
        _column("source_id", "", "meta.id", "Identifier given by the survey; may repeat", "int64"),
        _column("_healpix_29", "", "pos.healpix", "HEALPix index of order 29, nested, ICRS", "int64"),
        _column("ra", "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS"),
        _column("dec", "deg", "pos.eq.dec;meta.main", "Declination, ICRS"),
        _column("parallax", "mas", "pos.parallax.trig", "Parallax"),
        _column("pmra", "mas/yr", "pos.pm;pos.eq.ra", "Proper motion in right ascension, times cos(dec)"),
        _column("pmdec", "mas/yr", "pos.pm;pos.eq.dec", "Proper motion in declination"),
        _column("radial_velocity", "km/s", "spect.dopplerVeloc;pos.heliocentric", "Heliocentric radial velocity"),
        _column("distance", "kpc", "pos.distance", "Distance from the Sun"),
        _column("teff", "K", "phys.temperature.effective", "Effective temperature"),
        _column("logg", "dex", "phys.gravity", "Surface gravity, log10 of cgs"),
        _column("feh", "dex", "phys.abund.Fe", "Iron abundance [Fe/H]"),
        _column("m_h", "dex", "phys.abund.Z", "Overall metallicity [M/H]"),
        _column("alpha_m", "dex", "phys.abund", "Abundance of alpha elements over metals [alpha/M]"),
        _column("alpha_fe", "dex", "phys.abund", "Abundance of alpha elements over iron [alpha/Fe]"),
        _column("c_n", "dex", "phys.abund", "Carbon over nitrogen [C/N]"),
        _column("age", "Gyr", "time.age", "Age"),
        _column("age_p16", "Gyr", "time.age;stat.min", "16th percentile of the age"),
        _column("age_p50", "Gyr", "time.age;stat.median", "Median age"),
        _column("age_p84", "Gyr", "time.age;stat.max", "84th percentile of the age"),
        _column("age_gyro", "Gyr", "time.age", "Age from rotation"),
        _column("age_kin", "Gyr", "time.age", "Age from kinematics"),
        _column("mass", "M_sun", "phys.mass", "Stellar mass"),
        _column("r_gal", "kpc", "pos.distance;pos.galactocentric", "Galactocentric cylindrical radius"),
        _column("phi_gal", "rad", "pos.posAng;pos.galactocentric", "Galactocentric azimuth; the Sun is at pi"),
        _column("z_gal", "kpc", "pos.cartesian.z;pos.galactocentric", "Height above the Galactic plane"),
        _column("x_gal", "kpc", "pos.cartesian.x;pos.galactocentric", "Galactocentric x; the Sun at negative x"),
        _column("y_gal", "kpc", "pos.cartesian.y;pos.galactocentric", "Galactocentric y, along rotation"),
        _column("v_r_gal", "km/s", "phys.veloc;pos.galactocentric", "Galactocentric radial velocity, cylindrical"),
        _column("v_phi_gal", "km/s", "phys.veloc.rotat;pos.galactocentric", "Azimuthal velocity; the disc is negative"),
        _column("v_z_gal", "km/s", "phys.veloc;pos.galactocentric", "Vertical velocity"),
        _column("l_x", "kpc km/s", "phys.angMomentum", "Angular momentum, x"),
        _column("l_y", "kpc km/s", "phys.angMomentum", "Angular momentum, y"),
        _column("l_z", "kpc km/s", "phys.angMomentum", "Angular momentum, z; the disc is negative"),
        _column("j_r", "kpc km/s", "phys.angMomentum", "Radial action"),
        _column("j_phi", "kpc km/s", "phys.angMomentum", "Azimuthal action, equal to l_z"),
        _column("j_z", "kpc km/s", "phys.angMomentum", "Vertical action"),
        _column("ecc", "", "src.orbital.eccentricity", "Orbital eccentricity"),
        _column("prot", "d", "time.period.rotation", "Rotation period"),
        _column("bp_rp", "mag", "phot.color;em.opt.B;em.opt.R", "Gaia BP - RP colour"),
        _column("phot_g_mean_mag", "mag", "phot.mag;em.opt", "Gaia G magnitude"),
        _column("phot_bp_mean_mag", "mag", "phot.mag;em.opt.B", "Gaia BP magnitude"),
        _column("phot_rp_mean_mag", "mag", "phot.mag;em.opt.R", "Gaia RP magnitude"),
        _column("j_mag", "mag", "phot.mag;em.IR.J", "2MASS J magnitude"),
        _column("h_mag", "mag", "phot.mag;em.IR.H", "2MASS H magnitude"),
        _column("ks_mag", "mag", "phot.mag;em.IR.K", "2MASS Ks magnitude"),
        _column("a_v", "mag", "phys.absorption;em.opt.V", "Extinction in V"),
        _column("ebv", "mag", "phot.color.excess", "Colour excess E(B-V)"),
        _column("a_k", "mag", "phys.absorption;em.IR.K", "Extinction in Ks"),
        _column("redshift", "", "src.redshift", "Redshift"),
        _column("ruwe", "", "stat.fit.goodness", "Gaia renormalised unit weight error"),
        _column("snr", "", "stat.snr", "Signal-to-noise ratio"),
        _column("wavelength", "Angstrom", "em.wl", "Wavelength in vacuum"),
        _column("flux", "", "phot.flux;em.wl", "Flux"),
        _column("ivar", "", "stat.weight;phot.flux;em.wl", "Inverse variance of the flux"),
        _column("mask", "", "meta.code.qual", "True where a value is not to be used", "bool"),
    )
}


PLAUSIBLE: dict[str, tuple[float, float]] = {
    "parallax": (-5, 800),
    "radial_velocity": (-1500, 1500),
    "distance": (1e-4, 100),
    "teff": (500, 200_000),
    "logg": (-2, 10),
    **dict.fromkeys(("feh", "m_h"), (-8, 2)),
    **dict.fromkeys(("alpha_m", "alpha_fe", "c_n"), (-3, 3)),
    **dict.fromkeys(("age", "age_p16", "age_p50", "age_p84", "age_gyro", "age_kin"), (0, 20)),
    "mass": (0.005, 300),
    "r_gal": (0, 200),
    "phi_gal": (-6.3, 6.3),
    **dict.fromkeys(("x_gal", "y_gal", "z_gal"), (-200, 200)),
    **dict.fromkeys(("v_r_gal", "v_phi_gal", "v_z_gal"), (-1500, 1500)),
    **dict.fromkeys(("l_x", "l_y", "l_z", "j_r", "j_phi", "j_z"), (-1e5, 1e5)),
    "prot": (1e-3, 2000),
    **dict.fromkeys(("phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag"), (-2, 35)),
    **dict.fromkeys(("j_mag", "h_mag", "ks_mag"), (-5, 35)),
    **dict.fromkeys(("a_v", "a_k", "ebv"), (-1, 60)),
    "wavelength": (100, 1e7),
}
"""Canonical name -> where the median of its values lies, in its canonical unit, for what surveys measure."""

_OF_SEVERAL_UNITS = frozenset(
    (
        *("distance", "r_gal", "x_gal", "y_gal", "z_gal", "phi_gal", "wavelength", "radius"),
        *("age", "age_p16", "age_p50", "age_p84", "age_gyro", "age_kin"),
    )
)


def is_of_several_units(name: str) -> bool:
    """Return whether surveys write a canonical column in several units, so that one that is not said is a guess.

    Examples
    --------
    >>> is_of_several_units("age"), is_of_several_units("distance_err"), is_of_several_units("teff")
    (True, True, False)
    """
    return name.removesuffix("_err") in _OF_SEVERAL_UNITS


def describe(column: Column) -> Column:
    """Return `column` with unit, UCD and description filled in from the canonical names where it says nothing itself.

    Text has no unit. ``c_err`` is described as the 1-sigma error of ``c``; ``<x>_fe`` and ``<x>_h`` as abundances.

    Examples
    --------
    >>> describe(Column("teff_err", "float32")).unit
    'K'
    >>> describe(Column("mg_fe", "float32")).description
    'Abundance [Mg/Fe]'
    """
    known = _known(column.name)
    if known is None or (column.name in COLOURS and column.unit not in {"", "1", "dex"}):
        return column
    return replace(
        column,
        unit=column.unit or ("" if column.dtype in {"string", "bool"} else known.unit),
        description=column.description or known.description,
        ucd=column.ucd or known.ucd,
    )


def canonical_column(name: str) -> Column | None:
    """Return what is known of the canonical column that `name` stands for, errors and abundances included, or None.

    Examples
    --------
    >>> canonical_column("teff_err").unit, canonical_column("n_visits")
    ('K', None)
    """
    return _known(name.casefold())


def _known(name: str) -> Column | None:
    if name in CANONICAL:
        return CANONICAL[name]
    if name.endswith("_err"):
        value = _known(name.removesuffix("_err"))
        return value and replace(
            value,
            name=name,
            description=f"1-sigma error of {value.name}",
            ucd=f"stat.error;{value.ucd}" if value.ucd else "",
        )
    if text := abundance_text(name):
        return _column(name, "dex", f"phys.abund.{text[1:].split('/')[0].rstrip('I123')}", f"Abundance {text}")
    return None
