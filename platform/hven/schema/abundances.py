"""Names of element abundances: ``mg_fe`` for [Mg/Fe], ``tiii_fe`` for [TiII/Fe], and what catalogues write for them."""

import re
from collections.abc import Sequence

ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "h he li be b c n o f ne na mg al si p s cl ar k ca sc ti v cr mn fe co ni cu zn ga ge as se br kr rb sr y zr "
        "nb mo tc ru rh pd ag cd in sn sb te i xe cs ba la ce pr nd pm sm eu gd tb dy ho er tm yb lu hf ta w re os ir "
        "pt au hg tl pb bi th u",
    )
)
"""Symbols of the chemical elements that stars show, in small letters."""

COLOURS = frozenset(element + "_h" for element in ("b", "i", "k", "n", "u", "v", "y"))
"""Abundances over hydrogen that are written like a colour or a column density: a unit of dex or brackets decide."""

_ALPHA = frozenset(("alpha", "a"))
_STAGES = frozenset(("i", "ii", "iii", "1", "2", "3"))
_NAME = re.compile(r"([a-z]+[123]?)_(fe|h)")
_COMPACT = re.compile(r"_*([A-Z][a-z]?(?:I{1,3})?|alpha)(Fe)_*")


def abundance(tokens: Sequence[str]) -> str:
    """Return the canonical name of the abundance that two words stand for, empty when they stand for none.

    Examples
    --------
    >>> abundance(["mg", "fe"]), abundance(["fe", "h"]), abundance(["tiii", "fe"]), abundance(["j", "h"])
    ('mg_fe', 'feh', 'tiii_fe', '')
    """
    if len(tokens) != 2:
        return ""
    upper, lower = tokens
    special = {("fe", "h"): "feh", ("m", "h"): "m_h"}.get((upper, lower))
    if special:
        return special
    if upper in _ALPHA:
        return f"alpha_{lower}" if lower in {"fe", "m"} else ""
    return f"{upper}_{lower}" if lower in {"fe", "h"} and upper != lower and is_species(upper) else ""


def compact_abundance(name: str) -> str:
    """Return the canonical name of an abundance over iron without a sign between: ``MgFe``; empty for other names.

    Examples
    --------
    >>> compact_abundance("MgFe"), compact_abundance("TiIFe"), compact_abundance("cafe"), compact_abundance("NH")
    ('mg_fe', 'tii_fe', '', '')
    """
    match = _COMPACT.fullmatch(name)
    return abundance([part.casefold() for part in match.groups()]) if match else ""


def is_species(word: str) -> bool:
    """Return whether a word in small letters is an element, or one in a stage of ionisation: ``ti``, ``tiii``, ``fe2``.

    Examples
    --------
    >>> is_species("mg"), is_species("tiii"), is_species("fe1"), is_species("g")
    (True, True, True, False)
    """
    return word in ELEMENTS or bool(_ionised(word))


def abundance_text(name: str) -> str:
    """Return what an abundance is written as, ``[Mg/Fe]`` for ``mg_fe``; empty when `name` is none.

    Examples
    --------
    >>> abundance_text("mg_fe"), abundance_text("tiii_fe"), abundance_text("j_h")
    ('[Mg/Fe]', '[TiII/Fe]', '')
    """
    match = _NAME.fullmatch(name)
    if match is None or not is_species(match.group(1)):
        return ""
    species, base = match.groups()
    if species in ELEMENTS:
        return f"[{species.capitalize()}/{base.capitalize()}]"
    symbol, stage = _ionised(species)
    return f"[{symbol.capitalize()}{stage.upper()}/{base.capitalize()}]"


def _ionised(word: str) -> tuple[str, ...]:
    """Return the element and the stage of ionisation in a word, the longest element first: ``tiii`` is Ti II."""
    return next(((word[:n], word[n:]) for n in (2, 1) if word[:n] in ELEMENTS and word[n:] in _STAGES), ())
