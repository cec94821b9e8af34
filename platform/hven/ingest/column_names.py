"""From the column names of a file to names that hven keeps: canonical where they mean the same, else plain letters."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from hven.ingest.file_units import standard_unit
from hven.schema import CANONICAL, Column, Note, Sureness, means, read_name
from hven.schema.aliases import RENAMED, plain_letters

_LOWER = {name.lower(): name for name in CANONICAL}
_NEVER_BY_MEANING = frozenset(
    ("ra", "dec", "source_id", "object_id", "_healpix_29", "mask", "flux", "ivar", "wavelength")
)
"""What readers find by themselves (positions, ids), and words too common to be taken for one thing."""


def new_names(
    names: Sequence[str], position: tuple[str, str] | None = None, units: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the new name of each column of a file, all different, also when case is ignored.

    The two columns of `position` become ``ra`` and ``dec``. A name that is another spelling of a canonical one becomes
    canonical (``TEFF``, ``[Fe/H]``, ``e_Teff``, ``MG_FE_ERR``, ``parallax_error``), when its unit does not speak
    against it and no other column is called so or spelled so. Other words for one (``VHELIO_AVG``, ``rv``) stay:
    analyses find them by `hven.schema.find_column`. Anything but letters, digits and ``_`` goes. A name that is taken
    gets a number.

    Parameters
    ----------
    names
        Names in the file.
    position
        Its columns of right ascension and declination.
    units
        Units of the file by name, as the file writes them.

    Examples
    --------
    >>> new_names(["RAJ2000", "DEJ2000", "TEFF", "e_[Fe/H]", "[Fe/H] (1)"], ("RAJ2000", "DEJ2000"))
    {'RAJ2000': 'ra', 'DEJ2000': 'dec', 'TEFF': 'teff', 'e_[Fe/H]': 'feh_err', '[Fe/H] (1)': 'Fe_H_1'}
    """
    units = units or {}
    kept: dict[str, str] = {}
    if position is not None:
        kept = {position[0]: "ra", position[1]: "dec"}
    taken = {name.lower() for name in kept.values()}
    meant = _meant(names, taken, units)
    plain = {name: _plain(name, units.get(name, "")) for name in names}
    # Names that stay as they are go first, then canonical ones, so that no other column takes theirs.
    for name in sorted(names, key=lambda n: (n != plain[n], n not in meant)):
        if name not in kept:
            kept[name] = _untaken(meant.get(name) or plain[name], taken)
            taken.add(kept[name].lower())
    return {name: kept[name] for name in names}


def rivals(names: Sequence[str], units: Mapping[str, str] | None = None) -> tuple[Note, ...]:
    """Return notes on columns that are spellings of one canonical name, of which none is taken for it.

    Examples
    --------
    >>> rivals(["FE_H", "[Fe/H]", "teff"])[0].text
    "columns 'FE_H', '[Fe/H]' are all spelled like 'feh': none is taken for it"
    """
    spelled = {name: canonical for name in names if (canonical := _spelled(name, (units or {}).get(name, "")))}
    others = {_plain(name).lower() for name in names if name not in spelled}
    alike: dict[str, list[str]] = {}
    for name in names:
        if (plain := _plain(name, (units or {}).get(name, ""))) in CANONICAL:
            alike.setdefault(plain, []).append(name)
    doubts = tuple(
        Note(f"columns {', '.join(map(repr, several))} are all called {canonical!r}: one of them is kept so", True)
        for canonical, several in alike.items()
        if len(several) > 1
    )
    return doubts + tuple(
        Note(
            f"columns {', '.join(repr(n) for n in names if spelled.get(n) == canonical)} are all spelled like "
            f"{canonical!r}: none is taken for it",
            needs_attention=True,
        )
        for canonical, count in Counter(spelled.values()).items()
        if count > 1 and canonical not in others
    )


def _meant(names: Sequence[str], taken: set[str], units: Mapping[str, str]) -> dict[str, str]:
    """Return the canonical name of each column that alone is a spelling of one that no column has already."""
    spelled = {name: canonical for name in names if (canonical := _spelled(name, units.get(name, "")))}
    # 'E_Age' and 'e_Age' are VizieR's upper and lower errors: neither is the 1-sigma error.
    spelled = {n: c for n, c in spelled.items() if not (n.startswith("e_") and f"E_{n[2:]}" in names)}
    counts = Counter(spelled.values())
    others = taken | {_plain(name).lower() for name in names if name not in spelled}
    return {name: c for name, c in spelled.items() if counts[c] == 1 and c not in others}


def _spelled(name: str, unit: str) -> str:
    """Return the canonical name that a column's name is a spelling of; empty when its unit speaks against it."""
    read = read_name(name)
    word = (read.value or name).strip().casefold()
    is_spelling = read.sureness is Sureness.SPELLING or (read.sureness is Sureness.ALIAS and word in RENAMED)
    if not is_spelling or read.canonical.removesuffix("_err") in _NEVER_BY_MEANING or _plain(name) == read.canonical:
        return ""
    standard = standard_unit(unit)
    column = Column(name, "", unit=unit if standard is None else standard)
    return read.canonical if means(column, read.canonical) is not None else ""


def _plain(name: str, unit: str = "") -> str:
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", plain_letters(name).strip())
    plain = plain if plain == name else plain.strip("_")
    canonical = _LOWER.get(plain.lower())
    if canonical and (name == canonical or _agrees(canonical, unit)):  # 'M_H' in mag is no metallicity
        return canonical
    plain = plain or "column"
    return f"_{plain}" if plain[0].isdigit() else plain


def _agrees(canonical: str, unit: str) -> bool:
    standard = standard_unit(unit)
    return means(Column(canonical.upper(), "", unit=unit if standard is None else standard), canonical) is not None


def _untaken(name: str, taken: set[str]) -> str:
    # '<c>_valid' says where column c is not null when data is opened as arrays.
    if name.lower().endswith("_valid") and name.lower().removesuffix("_valid") in taken:
        name = f"{name}_flag"
    found, number = name, 1
    while found.lower() in taken:
        number += 1
        found = f"{name}_{number}"
    return found
