"""From the column names of a file to names that hven keeps: canonical where they mean the same, else plain letters."""

import re
from collections.abc import Sequence

from hven.schema import CANONICAL

_LOWER = {name.lower(): name for name in CANONICAL}


def new_names(names: Sequence[str], position: tuple[str, str] | None = None) -> dict[str, str]:
    """Return the new name of each column of a file, all different, also when case is ignored.

    The two columns of `position` become ``ra`` and ``dec``; a name that is canonical but for its case becomes
    canonical; anything but letters, digits and ``_`` goes (``[Fe/H]`` is kept as ``Fe_H``). A name that is taken gets
    a number.

    Examples
    --------
    >>> new_names(["RAJ2000", "DEJ2000", "TEFF", "[Fe/H]", "[fe/h]"], ("RAJ2000", "DEJ2000"))
    {'RAJ2000': 'ra', 'DEJ2000': 'dec', 'TEFF': 'teff', '[Fe/H]': 'Fe_H', '[fe/h]': 'fe_h_2'}
    """
    kept: dict[str, str] = {}
    if position is not None:
        kept = {position[0]: "ra", position[1]: "dec"}
    taken = {name.lower() for name in kept.values()}
    # Names that stay as they are go first, so that no other column takes theirs.
    for name in sorted(names, key=lambda n: n != _plain(n)):
        if name not in kept:
            kept[name] = _untaken(_plain(name), taken)
            taken.add(kept[name].lower())
    return {name: kept[name] for name in names}


def _plain(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name.strip())
    plain = plain if plain == name else plain.strip("_")
    plain = _LOWER.get(plain.lower(), plain) or "column"
    return f"_{plain}" if plain[0].isdigit() else plain


def _untaken(name: str, taken: set[str]) -> str:
    # '<c>_valid' says where column c is not null when data is opened as arrays.
    if name.lower().endswith("_valid") and name.lower().removesuffix("_valid") in taken:
        name = f"{name}_flag"
    found, number = name, 1
    while found.lower() in taken:
        number += 1
        found = f"{name}_{number}"
    return found
