"""Symbols of the chemical elements, and the columns that abundances of them stand in."""

from collections.abc import Iterable, Sequence

_ROWS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb",
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au",
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U",
)
SYMBOLS: tuple[str, ...] = tuple(symbol for row in _ROWS for symbol in row.split())
"""By atomic number, from hydrogen to uranium."""

_PLACE = {symbol: i for i, symbol in enumerate(SYMBOLS)}


def by_atomic_number(names: Sequence[str]) -> list[int]:
    """Return the indices that sort symbols by atomic number, what is no element last, by name.

    Examples
    --------
    >>> by_atomic_number(["Fe", "alpha", "C", "O"])
    [2, 3, 0, 1]
    """
    return sorted(range(len(names)), key=lambda i: (_PLACE.get(names[i], len(SYMBOLS)), names[i]))


def elements_of(columns: Iterable[str], scale: str) -> list[str]:
    """Return the elements that columns ``<x>_<scale>`` speak of, by atomic number.

    Examples
    --------
    >>> elements_of(["mg_fe", "c_fe", "alpha_fe", "mg_fe_err", "feh"], "fe")
    ['C', 'Mg']
    """
    found = [name.removesuffix(f"_{scale}").capitalize() for name in columns if name.endswith(f"_{scale}")]
    known = [symbol for symbol in found if symbol in _PLACE]
    return [known[i] for i in by_atomic_number(known)]
