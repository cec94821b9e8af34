"""Regions as text, for command lines, run records and catalogs: ``cone(190, 5, 1) & ~box(189, 190, 4, 6)``."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import and_, or_, sub, xor

from hven.errors import RegionError, did_you_mean
from hven.sky.mocs import moc, pixels
from hven.sky.polygon import polygon
from hven.sky.regions import Region, everywhere, nowhere
from hven.sky.shapes import box, cone

_TOKEN = re.compile(r"\s*(?:(?P<shape>[A-Za-z_]\w*)\s*\((?P<arguments>[^()]*)\)|(?P<mark>[-&|^~()]))")
_OPERATORS: dict[str, Callable[[Region, Region], Region]] = {"|": or_, "^": xor, "&": and_, "-": sub}
"""The loosest first."""

_DEEPEST = 100


def parse_region(text: str, *, files: bool = False) -> Region:
    """Return the region that `text` describes.

    ``cone(ra, dec, radius)``, ``box(ra_min, ra_max, dec_min, dec_max)`` and ``polygon(ra, dec, ra, dec, ...)`` in
    degrees; ``moc(text)``; ``pixels(id, id, ..., order=order)``; ``everywhere()`` and ``nowhere()``.
    They are combined by ``~`` (not), ``-`` (but not), ``&`` (and), ``^`` (either, not both), ``|`` (or), of which those
    named first bind tighter, as in Python, and by parentheses.

    Parameters
    ----------
    text
        The text.
    files
        Whether ``moc(path)`` opens a file. Only for texts that were typed here, as on the command line: those of
        catalogs, schedules and records may come from anybody.

    Raises
    ------
    RegionError
        If the text is not a region, saying which part is not.

    Examples
    --------
    >>> parse_region("cone(190, 5, 1)")
    Cone(ra=190.0, dec=5.0, radius=1.0)
    """
    reading = _Reading(text, _tokens(text), _SHAPES | _FROM_FILES if files else _SHAPES)
    region = _combined(reading)
    if reading.left:
        raise reading.refused(f"{reading.left[0].word!r} is left over")
    return region


@dataclass(frozen=True)
class _Token:
    word: str
    arguments: str
    place: int


@dataclass
class _Reading:
    """A text, what of it is still to be read, the shapes it may name, and how many parentheses are open."""

    text: str
    left: list[_Token]
    shapes: "Mapping[str, _Shape]" = field(repr=False)
    depth: int = 0

    def next_is(self, mark: str) -> bool:
        return bool(self.left) and self.left[0].word == mark

    def refused(self, what: str) -> RegionError:
        return _refused(what, self.text, self.left[0].place if self.left else len(self.text))


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise _refused(f"{text[at:].strip()!r} is not understood", text, at)
        kind = "shape" if match["shape"] else "mark"
        tokens.append(_Token(match[kind], match["arguments"] or "", match.start(kind)))
        at = match.end()
    return tokens


def _combined(reading: _Reading, loosest: int = 0) -> Region:
    """Return the next region, made by operators that bind no looser than number `loosest` of them."""
    region = _single(reading)
    while reading.left and reading.left[0].word in _OPERATORS:
        tightness = list(_OPERATORS).index(reading.left[0].word)
        if tightness < loosest:
            break
        combine = _OPERATORS[reading.left.pop(0).word]
        region = combine(region, _combined(reading, tightness + 1))
    return region


def _single(reading: _Reading) -> Region:
    inversions = 0
    while reading.next_is("~"):
        reading.left.pop(0)
        inversions += 1
    if reading.next_is("("):
        region = _enclosed(reading)
    elif not reading.left:
        raise reading.refused("a region is missing")
    elif reading.left[0].word in {")", *_OPERATORS}:
        raise reading.refused(f"a region is missing before {reading.left[0].word!r}")
    else:
        region = _shape(reading)
    return ~region if inversions % 2 else region


def _enclosed(reading: _Reading) -> Region:
    reading.depth += 1
    if reading.depth > _DEEPEST:
        raise reading.refused(f"over {_DEEPEST} parentheses are open")
    opening = reading.left.pop(0)
    region = _combined(reading)
    if reading.left and not reading.next_is(")"):
        raise reading.refused(f"{reading.left[0].word!r} is left over")
    if not reading.left:
        raise _refused("a parenthesis is not closed", reading.text, opening.place)
    reading.left.pop(0)
    reading.depth -= 1
    return region


def _shape(reading: _Reading) -> Region:
    token = reading.left[0]
    if token.word not in reading.shapes:
        known = did_you_mean(token.word, reading.shapes, f"There are: {', '.join(reading.shapes)}.")
        raise _refused(f"there is no region {token.word!r}", reading.text, token.place, known)
    takes, make = reading.shapes[token.word]
    try:
        region = make(token.arguments)
    except _ArgumentError as error:
        raise reading.refused(f"{token.word} takes {takes}, {error}") from error
    except RegionError as error:
        if reading.text.strip() == f"{token.word}({token.arguments})":
            raise
        where = f"{error.where}, at character {token.place + 1} of {_shortened(reading.text)!r}"
        raise RegionError(error.what, where=where, expected=error.expected, hint=error.hint) from error
    reading.left.pop(0)
    return region


class _ArgumentError(ValueError):
    """Says what a region was given instead of what it takes."""


def _cone(arguments: str) -> Region:
    return cone(*_numbers(arguments, 3))


def _box(arguments: str) -> Region:
    return box(*_numbers(arguments, 4))


def _polygon(arguments: str) -> Region:
    numbers = _numbers(arguments)
    if len(numbers) % 2:
        raise _ArgumentError(f"not {len(numbers)} numbers")
    return polygon(numbers[::2], numbers[1::2])


def _pixels(arguments: str) -> Region:
    ids, separator, order = arguments.partition("order")
    if not separator or not order.strip().startswith("="):
        raise _ArgumentError("and order= is missing")
    given = _integers(order.strip().removeprefix("="))
    if len(given) != 1:
        raise _ArgumentError("and one order= comes last")
    return pixels(_integers(ids.strip().removesuffix(",")), order=given[0])


def _moc(arguments: str) -> Region:
    text = arguments.strip()
    if any(letter.isalpha() for letter in text):
        raise RegionError(
            f"{_shortened(text)!r} is not a MOC as text, and no file is opened for a text that may come from anybody",
            where=f"moc({_shortened(text)})",
            expected="order/cells, for example '3/1-5,7 6/800'",
            hint="Read a file with hven.sky.moc(path), or name it on the command line.",
        )
    return moc(text)


def _nothing(make: Callable[[], Region]) -> Callable[[str], Region]:
    def shape(arguments: str) -> Region:
        if arguments.strip():
            raise _ArgumentError(f"not {arguments.strip()!r}")
        return make()

    return shape


_Shape = tuple[str, Callable[[str], Region]]
"""What a shape takes, in words, and what makes it of that."""

_SHAPES: dict[str, _Shape] = {
    "cone": ("ra, dec, radius", _cone),
    "box": ("ra_min, ra_max, dec_min, dec_max", _box),
    "polygon": ("pairs ra, dec, ra, dec, ...", _polygon),
    "moc": ("an ASCII MOC", _moc),
    "pixels": ("ids and an order, as in pixels(1, 2, order=6)", _pixels),
    "everywhere": ("nothing", _nothing(everywhere)),
    "nowhere": ("nothing", _nothing(nowhere)),
}
_FROM_FILES: dict[str, _Shape] = {"moc": ("an ASCII MOC or a path", lambda arguments: moc(arguments.strip()))}


def _numbers(arguments: str, count: int | None = None) -> list[float]:
    try:
        numbers = [float(part) for part in arguments.split(",")] if arguments.strip() else []
    except ValueError as error:
        raise _ArgumentError(f"not {arguments.strip()!r}: {_culprit(error)} is not a number") from error
    if count is not None and len(numbers) != count:
        raise _ArgumentError(f"not {len(numbers)} number{'' if len(numbers) == 1 else 's'}")
    return numbers


def _integers(arguments: str) -> list[int]:
    try:
        return [int(part) for part in arguments.split(",")] if arguments.strip() else []
    except ValueError as error:
        raise _ArgumentError(f"not {arguments.strip()!r}: {_culprit(error)} is not an integer") from error


def _culprit(error: ValueError) -> str:
    """Return what Python could not make a number of, in quotation marks, as its message ends."""
    return repr(str(error).split(": ", 1)[-1].strip("'").strip())


def _refused(what: str, text: str, place: int, hint: str = "Correct the text.") -> RegionError:
    return RegionError(
        what,
        where=f"region {_shortened(text)!r}, at character {place + 1}",
        expected="for example 'cone(190, 5, 1)' or 'box(0, 10, -5, 5) & ~moc(3/7)'",
        hint=hint,
    )


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."
