"""Names of the columns of a text table: each once, without the unit that may stand behind them, and what is known."""

import re
from collections.abc import Sequence

from hven import Column, Note
from hven_plugins.files.words import is_unit

_WITH_UNIT = re.compile(r"^(?P<name>[^\[(]*[^\[(\s])(?P<blank>\s*)[\[(](?P<unit>[^\])]+)[\])]$")
_ATTACHED = frozenset(
    [
        "deg",
        "rad",
        "arcsec",
        "arcmin",
        "mas",
        "mas/yr",
        "km/s",
        "m/s",
        "kpc",
        "pc",
        "Mpc",
        "AU",
        "mag",
        "dex",
        "Gyr",
        "Myr",
        "yr",
        "K",
        "AA",
        "Angstrom",
        "nm",
        "um",
        "d",
        "h",
        "hourangle",
        "Msun",
    ]
)
"""Units that stand behind a name without a blank: with others, as in ``log(g)``, it may be a function."""


def column_names(given: Sequence[str]) -> tuple[list[str], list[Note]]:
    """Return a different name for each column, and what was changed.

    Examples
    --------
    >>> names, notes = column_names(["x", "x", ""])
    >>> names, [str(note) for note in notes]
    (['x', 'x_2', 'col3'], ["two columns are called 'x': the second is kept as 'x_2'"])
    """
    names: list[str] = []
    notes: list[Note] = []
    for number, name in enumerate(given, 1):
        plain = name.strip() or f"col{number}"
        found, count = plain, 1
        while found in names or (found != plain and found in given):
            count += 1
            found = f"{plain}_{count}"
        if count > 1:
            ordinal = {2: "second", 3: "third"}.get(count, f"{count}th")
            several = "two" if count == 2 else str(count)
            text = f"{several} columns are called {plain!r}: the {ordinal} is kept as {found!r}"
            notes.append(Note(text, column=found))
        names.append(found)
    return names, notes


def described(
    names: Sequence[str], units: Sequence[str], known: Sequence[Column] = ()
) -> tuple[list[str], list[Column]]:
    """Return names without units behind them (``teff [K]``), and what is known of each column.

    Parameters
    ----------
    names
        All different.
    units
        Of a line of units; may be shorter.
    known
        Columns whose units, descriptions or UCDs the file tells otherwise.

    Examples
    --------
    >>> names, columns = described(["teff [K]", "log(g)", "[Fe/H]"], [])
    >>> names, columns[0].unit
    (['teff', 'log(g)', '[Fe/H]'], 'K')
    """
    by_name = {column.name: column for column in known}
    kept: list[str] = []
    columns: list[Column] = []
    for index, name in enumerate(names):
        column = by_name.get(name, Column(name, ""))
        kept_name, unit = name, units[index] if index < len(units) else ""
        behind = _WITH_UNIT.match(name)
        if (
            not unit
            and behind
            and (behind["unit"] in _ATTACHED or (behind["blank"] and is_unit(behind["unit"])))
            and behind["name"] not in names
            and behind["name"] not in kept
        ):
            kept_name, unit = behind["name"], behind["unit"]
        kept.append(kept_name)
        columns.append(Column(kept_name, "", ("object",), unit or column.unit, column.description, column.ucd))
    return kept, columns
