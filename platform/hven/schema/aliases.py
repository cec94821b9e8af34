"""One rule for "the same column": which canonical column a survey's column name stands for.

Search, ingest and binding all use it. A name may be a canonical one (``teff``), another spelling of one (``TEFF``,
``[Fe/H]``, ``e_Teff`` for ``teff_err``), another word for it (``VHELIO_AVG``, ``mh_gspphot``), or a word that means it
only when the unit agrees (``H``, ``dist``, ``z``). `read_name` says which; `find_column` looks for one among columns.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from hven.schema.abundances import COLOURS, abundance, compact_abundance
from hven.schema.canonical import CANONICAL, canonical_column
from hven.schema.columns import Column

ALIASES: dict[str, tuple[str, ...]] = {
    "source_id": ("gaia_source_id", "gaiaedr3_source_id", "gaiadr3_source_id", "dr3_source_id", "gaiadr2_source_id"),
    "ra": ("raj2000", "ra_j2000", "ra_icrs", "ra_deg", "radeg", "target_ra", "right_ascension"),
    "dec": ("dej2000", "decj2000", "dec_j2000", "de_icrs", "dec_deg", "decdeg", "dedeg", "target_dec", "declination"),
    "parallax": ("plx", "gaiaedr3_parallax", "gaia_parallax"),
    "pmra": ("pm_ra", "pm_ra_cosdec", "gaiaedr3_pmra", "gaia_pmra"),
    "pmdec": ("pmde", "pm_dec", "pm_de", "gaiaedr3_pmdec", "gaia_pmdec"),
    "radial_velocity": ("hrv", "vrad", "rv_galah", "rv_comp_1", "vhelio_avg", "gaiaedr3_dr2_radial_velocity"),
    "distance": ("r_est", "r_med_geo", "rgeo"),
    "teff": ("teff_gspphot", "teff_gspspec"),
    "logg": ("logg_gspphot", "logg_gspspec"),
    "feh": ("iron_abundance", "mh_gspphot"),
    "m_h": ("mh_gspspec",),
    "alpha_m": ("alpha_mh",),
    "phot_g_mean_mag": ("g_mean_mag", "gaiaedr3_phot_g_mean_mag", "gaia_phot_g_mean_mag"),
    "phot_bp_mean_mag": ("bpmag", "gaiaedr3_phot_bp_mean_mag", "gaia_phot_bp_mean_mag"),
    "phot_rp_mean_mag": ("rpmag", "gaiaedr3_phot_rp_mean_mag", "gaia_phot_rp_mean_mag"),
    "j_mag": ("jmag",),
    "h_mag": ("hmag",),
    "ks_mag": ("kmag", "k_mag", "ksmag"),
    "a_v": ("extinction_v",),
    "a_k": ("ak_targ", "a_ks"),
    "redshift": ("zbest", "z_spec", "zspec"),
    "snr": ("snr_avg", "snr_c3_iraf"),
    "ivar": ("inverse_variance", "invvar"),
}
"""Canonical name -> other words for it. Names that differ in case or punctuation only need not stand here."""

DOUBTFUL: dict[str, tuple[str, ...]] = {
    "radial_velocity": ("rv",),
    "distance": ("dist",),
    "m_h": ("metallicity", "mh"),
    "j_mag": ("j", "j_m"),
    "h_mag": ("h", "h_m"),
    "ks_mag": ("k", "ks", "k_m", "ks_m"),
    "redshift": ("z",),
    "snr": ("sn", "s_n"),
    "r_gal": ("rgal",),
    "x_gal": ("xgal",),
    "y_gal": ("ygal",),
    "z_gal": ("zgal",),
    "wavelength": ("lambda", "wave", "wl", "wlen"),
    "flux": ("flam", "f_lambda", "spec"),
}
"""Canonical name -> words that mean it, or something else: they are taken for it when the unit (or the UCD) says so."""

RENAMED = frozenset(("plx", "pmde"))
"""Words among the aliases that mean nothing else anywhere: ingest renames them, as it does other spellings."""

_CASED = {"Gmag": "phot_g_mean_mag", "BPmag": "phot_bp_mean_mag", "RPmag": "phot_rp_mean_mag", "S/N": "snr"}
"""Words that mean it in these letters only: ``gmag`` is the g of SDSS, ``SN`` a supernova."""

_SPLIT_SPELLINGS = {"t_eff": "teff", "log_g": "logg", "p_rot": "prot"}
_SHORT_SPELLINGS = {"av": "a_v", "ak": "a_k", "lz": "l_z", "jphi": "j_phi"}
_OF_GAL = frozenset(("rgal", "xgal", "ygal", "zgal"))
_OF_ANY_UNIT = frozenset(("flux", "ivar", "mask", "flux_err"))
_PREFIX = re.compile(r"(e|err|error|sigma|unc)_+(.+)", re.IGNORECASE)
_SUFFIX = re.compile(r"(.*?\w)(?:_*(?:err|error)|_+(?:unc|uncertainty|sigma))_*", re.IGNORECASE)
_SHORT = re.compile(r"(?:err?|e|sig)(?P<behind>(?=[A-Za-z\[]).{4,})|(?P<before>.+)_e", re.IGNORECASE)
_NO_ERROR_OF = frozenset(("bp_rp", "source_id", "object_id", "_healpix_29", "mask", "flux", "ivar", "wavelength"))
_FLAG = re.compile(r"flag_+(?P<after>.+)|(?P<before>.+?)_+flag", re.IGNORECASE)


_GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?(\w+)")


def plain_letters(text: str) -> str:
    """Return a text with Greek letters spelled out and without accents.

    Examples
    --------
    >>> plain_letters("[\u03b1/Fe]"), plain_letters("\u00c5ngstr\u00f6m"), plain_letters("teff")
    ('[alpha/Fe]', 'Angstrom', 'teff')
    """
    if text.isascii():
        return text
    letters = [letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter)]
    return "".join(_in_latin(letter) for letter in letters)


def _in_latin(letter: str) -> str:
    match = _GREEK.fullmatch(unicodedata.name(letter, ""))
    if match is None:
        return letter
    word = match[2].lower().replace("lamda", "lambda")
    return word if match[1] == "SMALL" else word.capitalize()


class Sureness(IntEnum):
    """How sure a name stands for a canonical column, the surest first."""

    EXACT = 0
    SPELLING = 1
    ALIAS = 2
    DOUBTFUL = 3
    UNKNOWN = 4


@dataclass(frozen=True)
class Name:
    """What a column name stands for.

    Attributes
    ----------
    canonical
        The canonical name; of unknown names their words in small letters, joined by ``_`` (``<words>_err`` for errors).
    sureness
        How sure that is.
    value
        For an error, the name (as written) of what it is the error of; empty for other columns.
    """

    canonical: str
    sureness: Sureness
    value: str = ""


@lru_cache(maxsize=65536)
def read_name(name: str) -> Name:
    """Return what a column name stands for.

    Examples
    --------
    >>> read_name("[Fe/H]"), read_name("e_Teff").canonical, read_name("VHELIO_AVG").sureness.name
    (Name(canonical='feh', sureness=<Sureness.SPELLING: 1>, value=''), 'teff_err', 'ALIAS')
    >>> read_name("e_bv").canonical, read_name("e_B-V").canonical, read_name("h").sureness.name
    ('ebv', 'b-v_err', 'DOUBTFUL')
    """
    name = plain_letters(name).strip()
    folded = name.casefold()
    plain = name[: -len("_err")] if folded.endswith("_err") else ""
    if canonical_column(folded) is not None and (plain or folded).casefold() not in {"fe_h", *COLOURS}:
        return Name(folded, Sureness.EXACT if name == folded else Sureness.SPELLING, plain)
    # 'E(B-V)' and 'e_bv' are a colour excess; 'e_B-V' is VizieR's error of a colour.
    is_excess = not (folded.startswith("e_") and "-" in name and (name[0] == "e" or "(" in name))
    if is_excess and (found := _value(name)) is not None:
        return found
    if (of := _error_of(name)) is not None:
        value = read_name(of)
        is_width = "sigma" in folded and value.sureness is Sureness.UNKNOWN
        if not value.value and not is_width:
            return Name(f"{value.canonical}_err", max(value.sureness, Sureness.SPELLING), of)
    if (match := _FLAG.fullmatch(name)) is not None:
        value = read_name(match["after"] or match["before"])
        if value.sureness is not Sureness.UNKNOWN:
            return Name(f"{value.canonical}_flag", max(value.sureness, Sureness.SPELLING))
    return Name(("-" if "-" in name else "_").join(_words(name)), Sureness.UNKNOWN)


def canonical_name(name: str) -> str:
    """Return the canonical name that a survey's column name stands for; of unknown names their words in small letters.

    Words that may mean something else (``h``, ``z``) stand for themselves here: see `find_column`.

    Examples
    --------
    >>> canonical_name("VHELIO_AVG"), canonical_name("[Fe/H]"), canonical_name("MG_FE_ERR"), canonical_name("N Visits")
    ('radial_velocity', 'feh', 'mg_fe_err', 'n_visits')
    """
    read = read_name(name)
    return "_".join(_words(name)) if read.sureness is Sureness.DOUBTFUL else read.canonical


def same_column(one: str, other: str) -> bool:
    """Return whether two column names stand for one quantity: alike but for case and punctuation, or aliases.

    Examples
    --------
    >>> same_column("feh", "FE_H"), same_column("ra", "RAJ2000"), same_column("ra_err", "ra")
    (True, True, False)
    >>> same_column("teff_err", "e_Teff"), same_column("h_mag", "h")
    (True, False)
    """
    return canonical_name(one) == canonical_name(other)


def means(column: Column, name: str) -> Sureness | None:
    """Return how sure a column is the one called `name`, None when it is not.

    The unit decides where the name leaves a doubt, and against a name that says otherwise: ``H`` in mag is ``h_mag``,
    ``H`` without unit is not, and ``AGE`` in mag is no age.

    Examples
    --------
    >>> means(Column("H", "float32", unit="mag"), "h_mag").name, means(Column("H", "float32"), "h_mag")
    ('DOUBTFUL', None)
    """
    if column.name == name:
        return Sureness.EXACT
    read, wanted = read_name(column.name), read_name(name)
    if read.canonical != wanted.canonical:
        return None
    if Sureness.UNKNOWN in {read.sureness, wanted.sureness}:
        return Sureness.SPELLING if read.sureness is wanted.sureness else None
    known = canonical_column(wanted.canonical)
    if known is None:  # a flag
        return read.sureness if read.sureness is not Sureness.DOUBTFUL else None
    if read.sureness is Sureness.DOUBTFUL and not _is_proven(column, known):
        return None
    return read.sureness if _agrees(column, known) else None


def find_column(name: str, columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the columns that are the one called `name`: itself, else the surest; several when nothing parts them.

    Examples
    --------
    >>> columns = [Column("FE_H", "float32"), Column("mh_gspphot", "float32"), Column("J", "float32", unit="mag")]
    >>> find_column("feh", columns), find_column("j_mag", columns), find_column("teff", columns)
    (('FE_H',), ('J',), ())
    >>> find_column("teff", [Column("teff_gspphot", "float32", unit="K"), Column("teff_gspspec", "float32", unit="K")])
    ('teff_gspphot', 'teff_gspspec')
    """
    found = [(sure, column.name) for column in columns if (sure := means(column, name)) is not None]
    best = min((sure for sure, _ in found), default=Sureness.UNKNOWN)
    return tuple(column for sure, column in found if sure is best)


def _error_of(name: str) -> str | None:
    """Return what a name is the error of, None when it is no error's."""
    name = re.sub(r"[\s.]+", "_", name)
    match = _PREFIX.fullmatch(name)
    # 'E_Age' beside 'e_Age' is VizieR's upper error; 'E_AGE' comes of a format of capitals.
    if match and match[1] == "E" and not name.isupper():
        return None
    of = match[2] if match else match[1] if (match := _SUFFIX.fullmatch(name)) else _shortly_of(name)
    return of.strip("_") if _words(of) else None


def _shortly_of(name: str) -> str:
    """Return what ``erTeff``, ``eTeff`` or ``plx_e`` is the error of; empty unless that is known and sure."""
    match = _SHORT.fullmatch(name)
    of = (match["behind"] or match["before"]) if match else ""
    value = read_name(of) if of else Name("", Sureness.UNKNOWN)
    is_known = value.sureness <= Sureness.ALIAS and not value.value and value.canonical not in _NO_ERROR_OF
    return of if is_known and canonical_column(value.canonical) is not None else ""


def _value(name: str) -> Name | None:
    """Return what the name of a value stands for, None when it stands for nothing known."""
    words = _words(name)
    if not words:
        return None
    if name in _CASED:
        return Name(_CASED[name], Sureness.ALIAS)
    joined, compact = "_".join(words), "".join(words)
    if "-" in name and joined != "bp_rp" and compact != "ebv":
        return None  # the difference of two things
    if ratio := abundance(words) or compact_abundance(name):
        is_sure = ratio not in COLOURS or "[" in name
        return Name(ratio, Sureness.SPELLING if is_sure else Sureness.DOUBTFUL)
    if joined in _OTHER:
        return _OTHER[joined]
    if joined in _SPELLINGS:
        return Name(_SPELLINGS[joined], Sureness.SPELLING)
    return Name("ebv", Sureness.SPELLING) if compact == "ebv" else None


def _is_proven(column: Column, known: Column) -> bool:
    """Return whether unit or UCD say that a column of a doubtful name is the known one."""
    if column.ucd and known.ucd:
        return column.ucd.split(";")[0].casefold() == known.ucd.split(";")[0]
    return bool(column.unit and known.unit) and column.unit != "1"


def _agrees(column: Column, known: Column) -> bool:
    """Return whether the unit of a column does not speak against its being the known one."""
    from hven.errors import UnitError
    from hven.schema.units import is_same_quantity

    if column.unit in {"", "1"} or known.name in _OF_ANY_UNIT:
        return True
    try:
        return is_same_quantity(column.unit, known.unit)
    except UnitError:
        return False


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.casefold())


def _joined(name: str) -> str:
    return "_".join(_words(name))


# A name of several words may be written without '_' when it is long enough to mean nothing else that way.
_SPELLINGS = {
    **{name.replace("_", ""): name for name in CANONICAL if name.count("_") == 0 or len(name) > 4},
    **{_joined(name): name for name in CANONICAL},
    **_SPLIT_SPELLINGS,
    **_SHORT_SPELLINGS,
}
_SPELLINGS = {written: name for written, name in _SPELLINGS.items() if written not in _OF_GAL}
_OTHER = {
    **{_joined(word): Name(name, Sureness.DOUBTFUL) for name, words in DOUBTFUL.items() for word in words},
    **{_joined(word): Name(name, Sureness.ALIAS) for name, words in ALIASES.items() for word in words},
}
