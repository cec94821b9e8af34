"""Names that surveys give to the quantities of the canonical columns."""

import re
from functools import lru_cache

ALIASES: dict[str, tuple[str, ...]] = {
    "source_id": ("gaia_source_id", "gaiaedr3_source_id", "gaiadr3_source_id", "dr3_source_id", "gaiadr2_source_id"),
    "ra": ("raj2000", "ra_icrs", "ra_deg", "target_ra", "right_ascension"),
    "dec": ("dej2000", "decj2000", "de_icrs", "dec_deg", "target_dec", "declination"),
    "parallax": ("plx", "gaiaedr3_parallax"),
    "pmra": ("gaiaedr3_pmra",),
    "pmdec": ("pmde", "gaiaedr3_pmdec"),
    "radial_velocity": ("rv", "hrv", "vrad", "rv_galah", "rv_comp_1", "vhelio_avg", "gaiaedr3_dr2_radial_velocity"),
    "distance": ("dist", "r_est", "r_med_geo", "rgeo"),
    "teff": ("teff_gspphot", "teff_gspspec"),
    "logg": ("logg_gspphot", "logg_gspspec"),
    "feh": ("iron_abundance", "mh_gspphot"),
    "m_h": ("metallicity", "mh_gspspec"),
    "alpha_m": ("alpha_mh",),
    "phot_g_mean_mag": ("gmag", "g_mean_mag", "gaiaedr3_phot_g_mean_mag"),
    "phot_bp_mean_mag": ("bpmag", "gaiaedr3_phot_bp_mean_mag"),
    "phot_rp_mean_mag": ("rpmag", "gaiaedr3_phot_rp_mean_mag"),
    "j_mag": ("j", "jmag", "j_m"),
    "h_mag": ("h", "hmag", "h_m"),
    "ks_mag": ("k", "ks", "kmag", "ksmag", "k_mag", "k_m", "ks_m"),
    "a_v": ("extinction_v",),
    "a_k": ("ak_targ", "a_ks"),
    "redshift": ("z", "zbest", "z_spec", "zspec"),
    "snr": ("s_n", "sn", "snr_avg", "snr_c3_iraf"),
    "wavelength": ("lambda", "wave", "wl", "wlen"),
    "flux": ("flam", "f_lambda", "spec"),
    "ivar": ("inverse_variance", "invvar"),
}
"""Canonical name -> other names. Names that differ in case or punctuation only need not stand here."""


def same_column(one: str, other: str) -> bool:
    """Return whether two column names stand for one quantity: alike but for case and punctuation, or aliases.

    Examples
    --------
    >>> same_column("feh", "FE_H"), same_column("ra", "RAJ2000"), same_column("ra_err", "ra")
    (True, True, False)
    """
    return canonical_name(one) == canonical_name(other)


@lru_cache(maxsize=65536)
def canonical_name(name: str) -> str:
    """Return the canonical name that a survey's column name stands for, in small letters without punctuation.

    Examples
    --------
    >>> canonical_name("VHELIO_AVG"), canonical_name("[Fe/H]")
    ('radialvelocity', 'feh')
    """
    plain = _plain(name)
    return _CANONICAL.get(plain, plain)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_CANONICAL = {_plain(other): _plain(name) for name, others in ALIASES.items() for other in others}
