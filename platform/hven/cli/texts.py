"""How ``name=value``, and a region, are read from the command line."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hven.errors import ParameterError

if TYPE_CHECKING:
    from hven.sky import Region

_NAMED = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)\s*(.*)", re.DOTALL)


def split_assignments(texts: Iterable[str], option: str) -> dict[str, str]:
    """Return name -> value of texts such as ``bins=10``.

    Raises
    ------
    ParameterError
        If a text has no name, or a name comes twice.

    Examples
    --------
    >>> split_assignments(["bins=10", "columns=mg_fe,si_fe"], "-p")
    {'bins': '10', 'columns': 'mg_fe,si_fe'}
    """
    values: dict[str, str] = {}
    for text in texts:
        match = _NAMED.fullmatch(text)
        if match is None:
            raise ParameterError(f"{option} {text!r} has no name", hint=f"Write {option} name=value.")
        if match[1] in values:
            raise ParameterError(f"{option} {match[1]} is given twice", hint="Give it once.")
        values[match[1]] = match[2]
    return values


def split_by_input(texts: Iterable[str], inputs: Iterable[str], option: str) -> dict[str, str]:
    """Return input -> text for an option that may name the input it is for, as ``stars='logg > 2.3'``.

    A text that names no input is meant for the only one, or the first; ``feh=0`` is such a text unless an input is
    called ``feh``.

    Raises
    ------
    ParameterError
        If one input is given two texts.

    Examples
    --------
    >>> split_by_input(["logg > 2.3"], ["stars"], "--where")
    {'stars': 'logg > 2.3'}
    >>> split_by_input(["spectra=snr > 50", "stars = feh < 0"], ["stars", "spectra"], "--where")
    {'spectra': 'snr > 50', 'stars': 'feh < 0'}
    """
    known = list(inputs)
    values: dict[str, str] = {}
    for text in texts:
        match = _NAMED.fullmatch(text)
        name, value = (match[1], match[2]) if match is not None and match[1] in known else (known[0], text.strip())
        if name in values:
            raise ParameterError(f"{option} is given twice for input {name!r}", hint="Join the two with AND.")
        values[name] = value
    return values


def read_region(text: str | None) -> "Region | None":
    """Return the region of a text that was typed here: ``moc(path)`` in it reads a file.

    Examples
    --------
    >>> read_region("cone(190, 5, 1)")
    Cone(ra=190.0, dec=5.0, radius=1.0)
    """
    from hven.sky import parse_region

    return None if text is None else parse_region(text, files=True)
