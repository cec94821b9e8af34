"""Units as archives and people spell them, rewritten so that astropy reads what was meant."""

import re
from functools import lru_cache

NOTHING = frozenset(
    ("", "-", "--", "---", "none", "null", "n/a", "unitless", "dimensionless", "adimensional", "no unit", "?", "number")
)
"""Texts that say that numbers have no unit, in small letters."""

_WHOLE = {
    "h:m:s": "hourangle",
    "hh:mm:ss": "hourangle",
    "d:m:s": "deg",
    "dd:mm:ss": "deg",
    "deg k": "K",
    "deg_k": "K",
    "degk": "K",
    "[-]": "dex",
    "[]": "dex",
    "[sun]": "dex",
    "[solar]": "dex",
    "solar": "Sun",
    "cgs": "dex(cm/s2)",
    "[cgs]": "dex(cm/s2)",
    "log(cgs)": "dex(cm/s2)",
    "log cgs": "dex(cm/s2)",
    "dex(cgs)": "dex(cm/s2)",
    "ab mag": "mag(AB)",
    "abmag": "mag(AB)",
    "mag (ab)": "mag(AB)",
    "vega mag": "mag",
    "mag(vega)": "mag",
    "mag (vega)": "mag",
    "'": "arcmin",
    '"': "arcsec",
    "nanomaggy": "3.631e-6 Jy",
    "nanomaggies": "3.631e-6 Jy",
    "nmgy": "3.631e-6 Jy",
    "mjd": "d",
    "jd": "d",
}
"""Whole texts, in small letters."""

_PLAIN_IN_BRACKETS = frozenset(
    ("deg", "rad", "arcsec", "arcmin", "mas", "mag", "pix", "pixel", "count", "counts", "adu")
)
"""What stands in brackets for decoration: nobody keeps logarithms of angles and magnitudes."""

_WORDS = {
    "degree": "deg",
    "degrees": "deg",
    "radian": "rad",
    "radians": "rad",
    "rads": "rad",
    "arcsecond": "arcsec",
    "arcseconds": "arcsec",
    "arcsecs": "arcsec",
    "asec": "arcsec",
    "arcminute": "arcmin",
    "arcminutes": "arcmin",
    "milliarcsec": "mas",
    "milliarcsecond": "mas",
    "milliarcseconds": "mas",
    "ang": "Angstrom",
    "angstrom": "Angstrom",
    "angstroms": "Angstrom",
    "å": "Angstrom",
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "micrometers": "um",
    "nanometer": "nm",
    "nanometers": "nm",
    "kelvin": "K",
    "kelvins": "K",
    "year": "yr",
    "years": "yr",
    "yrs": "yr",
    "gyrs": "Gyr",
    "myrs": "Myr",
    "day": "d",
    "days": "d",
    "hour": "h",
    "hours": "h",
    "hr": "h",
    "hrs": "h",
    "minute": "min",
    "minutes": "min",
    "mins": "min",
    "second": "s",
    "seconds": "s",
    "secs": "s",
    "sec": "s",
    "counts": "count",
    "cts": "count",
    "electrons": "electron",
    "photons": "photon",
    "parsec": "pc",
    "parsecs": "pc",
    "kiloparsec": "kpc",
    "magnitude": "mag",
    "magnitudes": "mag",
    "mags": "mag",
    "msun": "solMass",
    "msol": "solMass",
    "m_sun": "solMass",
    "solmass": "solMass",
    "solarmass": "solMass",
    "lsun": "solLum",
    "lsol": "solLum",
    "l_sun": "solLum",
    "sollum": "solLum",
    "rsun": "solRad",
    "rsol": "solRad",
    "r_sun": "solRad",
    "solrad": "solRad",
    "pixel": "pix",
    "pixels": "pix",
    "percent": "%",
}
"""Words within a unit, in small letters, where astropy has no unit of that very spelling."""

_OF_CAPITALS: dict[str, str] = {
    unit.upper(): unit
    for unit in re.findall(
        r"\w+",
        "deg rad mas mag dex arcsec arcmin km cm um nm pc kpc Mpc yr Myr Gyr kyr d s m K Hz kHz MHz GHz Jy erg eV keV "
        "AU min adu pix ct",
    )
}
"""Formats of capitals only write ``KM/S``: astropy reads ``S`` as siemens, ``PC`` as petacoulomb, ``D`` as debye."""

_ASTRONOMERS = {"A": "Angstrom", "S": "s", "PC": "pc", "D": "d"}
"""Words that astropy has as units of the laboratory (ampere, siemens, petacoulomb, debye), and no sky table does."""

_SIGNS = str.maketrans("\u2212·µμ", "-.uu", "${}")
_WORD = re.compile(r"[^\W\d]+(?:_sun)?", re.IGNORECASE)
_LOGARITHM = re.compile(r"(?:log|log10|lg)\s*(?:10)?\s*[\[(](.+)[\])]", re.IGNORECASE)


@lru_cache(maxsize=4096)
def respell(text: str) -> str:
    """Return a unit respelled for astropy; what means no unit becomes ``""``, logarithms ``dex(...)``.

    Examples
    --------
    >>> respell("RADIANS"), respell("KM/S"), respell("[Sun]"), respell("erg/s/cm2/A"), respell("log(cm.s**-2)")
    ('rad', 'km/s', 'dex', 'erg/s/cm2/Angstrom', 'dex(cm.s**-2)')
    """
    text = text.strip().translate(_SIGNS)
    if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    folded = text.casefold()
    if folded in NOTHING:
        return ""
    if folded in _WHOLE:
        return _WHOLE[folded]
    if match := _LOGARITHM.fullmatch(text):
        return _logarithm(match[1])
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1].strip()
        return respell(inner) if inner.casefold() in _PLAIN_IN_BRACKETS else _logarithm(inner)
    text = re.sub(r"'(\w+)'", r"\1", text)  # the Gaia archive writes 'electron'.s**-1
    text = text.replace('"', "arcsec").replace("'", "arcmin")
    return str(_WORD.sub(lambda word: _respelled(word[0]), text))


def _logarithm(inner: str) -> str:
    of = respell(inner.strip("[]"))
    return "dex" if of in {"", "Sun"} else f"dex({of})"


def _respelled(word: str) -> str:
    if word in _ASTRONOMERS:
        return _ASTRONOMERS[word]
    if word.casefold() in _WORDS and not _is_unit(word):
        return _WORDS[word.casefold()]
    if word.upper() in _OF_CAPITALS and word != _OF_CAPITALS[word.upper()] and not _is_unit(word):
        return _OF_CAPITALS[word.upper()]
    return word


@lru_cache(maxsize=4096)
def _is_unit(word: str) -> bool:
    from astropy import units

    if word in {"DEG", "sec", "M_sun"}:
        return word == "M_sun"
    try:
        units.Unit(word)
    except (ValueError, TypeError):
        return False
    return True
