"""Regions as text, for command lines, run records and catalogs: ``cone(190, 5, 1) & ~box(189, 190, 4, 6)``."""

import re

from hven.errors import RegionError, did_you_mean
from hven.sky.regions import Region, box, cone, moc

_TOKEN = re.compile(r"\s*(?:(?P<shape>[A-Za-z_]+)\s*\((?P<arguments>[^()]*)\)|(?P<mark>[&|~()]))")
_ARGUMENTS = {"cone": "ra, dec, radius", "box": "ra_min, ra_max, dec_min, dec_max", "moc": "an ASCII MOC"}


def parse_region(text: str) -> Region:
    """Return the region that `text` describes.

    ``cone(ra, dec, radius)``, ``box(ra_min, ra_max, dec_min, dec_max)`` in degrees and ``moc(text)``, combined by ``&``
    (and), ``|`` (or), ``~`` (not) and parentheses; ``~`` binds tightest, then ``&``.

    Raises
    ------
    RegionError
        If the text is not a region, saying which part is not.

    Examples
    --------
    >>> parse_region("cone(190, 5, 1)")
    Cone(ra=190.0, dec=5.0, radius=1.0)
    """
    tokens = _tokens(text)
    region = _union(tokens, text)
    if tokens:
        raise _refused(f"{tokens[0][0]!r} is left over", text)
    return region


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _refused(f"{text[at:].strip()!r} is not understood", text)
        tokens.append((match["shape"] or match["mark"], match["arguments"] or ""))
        at = match.end()
    return tokens


def _union(tokens: list[tuple[str, str]], text: str) -> Region:
    region = _intersection(tokens, text)
    while tokens and tokens[0][0] == "|":
        tokens.pop(0)
        region = region | _intersection(tokens, text)
    return region


def _intersection(tokens: list[tuple[str, str]], text: str) -> Region:
    region = _single(tokens, text)
    while tokens and tokens[0][0] == "&":
        tokens.pop(0)
        region = region & _single(tokens, text)
    return region


def _single(tokens: list[tuple[str, str]], text: str) -> Region:
    if not tokens:
        raise _refused("a region is missing", text)
    word, arguments = tokens.pop(0)
    if word == "~":
        return ~_single(tokens, text)
    if word == "(":
        region = _union(tokens, text)
        if not tokens or tokens.pop(0)[0] != ")":
            raise _refused("a parenthesis is not closed", text)
        return region
    if word in {")", "&", "|"}:
        raise _refused(f"a region is missing before {word!r}", text)
    return _shape(word, arguments, text)


def _shape(name: str, arguments: str, text: str) -> Region:
    if name == "moc":
        return moc(arguments)
    if name not in _ARGUMENTS:
        raise RegionError(
            f"there is no region {name!r}",
            where=f"region {text!r}",
            hint=did_you_mean(name, _ARGUMENTS, f"There are: {', '.join(_ARGUMENTS)}."),
        )
    try:
        numbers = [float(part) for part in arguments.split(",")]
    except ValueError as error:
        raise _refused(f"{name}({arguments}) has an argument that is not a number", text) from error
    if len(numbers) != len(_ARGUMENTS[name].split(",")):
        raise _refused(f"{name} takes {_ARGUMENTS[name]}, not {len(numbers)} numbers", text)
    return cone(*numbers) if name == "cone" else box(*numbers)


def _refused(what: str, text: str) -> RegionError:
    return RegionError(
        what,
        where=f"region {text!r}",
        expected="for example 'cone(190, 5, 1)' or 'box(0, 10, -5, 5) & ~moc(3/7)'",
        hint="Correct the text.",
    )
