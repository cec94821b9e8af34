# ruff: noqa: D102 - `Region` says what each method returns
"""Polygons on the sky, of great-circle sides, convex or not."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hven.errors import RegionError
from hven.sky.cover import cell_radius
from hven.sky.healpix import cell_vectors
from hven.sky.regions import Region, as_relation
from hven.sky.shapes import check_dec, number
from hven.sky.sides import Sides
from hven.sky.sphere import SQUARE_DEGREES, on_sky, positions, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Vertices = tuple[tuple[float, float], ...]

_APART = math.radians(1e-9)
"""No vertex may come closer [rad] to a side that is not its own: 3.6 microarcseconds."""

_EVEN = 1e-9
"""Two sides of a polygon this near in area [sr] are equal: which one is inside cannot be told."""

_AT_ONCE = 16384


@dataclass(frozen=True)
class Polygon(Region):
    """The smaller of the two parts into which a closed line of great-circle arcs cuts the sky.

    `vertices` are ``(ra, dec)`` in degrees, ICRS, in either direction; each is joined to the next, and the last to the
    first, by the shorter arc. ``~polygon(...)`` is the larger part. A position within 4e-15 rad (1e-9 arcsec, the last
    digit of a double) of a side lies on it.
    """

    vertices: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        where = f"polygon of {len(self.vertices)} vertices, {_shortened(self.to_text())}"
        _check_vertices(self.vertices, where)
        _check_sides(self.vertices, self._sides, where)

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        longitude, latitude = positions(ra, dec)
        near = np.asarray(on_sky(longitude, latitude) & self._is_in_zone(latitude))
        east, north = longitude[near], latitude[near]
        held = np.empty(east.shape, bool)
        for start in range(0, east.size, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            held[part] = self._sides.hold(unit_vectors(east[part], north[part]))
        near[near] = held
        return near

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        centres = cell_vectors(cells, order)
        touches = self._sides.come_near(centres, cell_radius(order))
        inside = np.zeros(cells.shape, bool)
        inside[~touches] = self._sides.hold(centres[:, ~touches])
        return as_relation(touches | inside, inside)

    def area_bounds(self) -> tuple[float, float]:
        area = self._sides.area() * SQUARE_DEGREES
        return area, area

    def to_text(self) -> str:
        return f"polygon({', '.join(f'{number(ra)}, {number(dec)}' for ra, dec in self.vertices)})"

    @cached_property
    def _sides(self) -> Sides:
        return Sides.of(unit_vectors(*positions(*np.array(self.vertices).T)))

    @cached_property
    def _zone(self) -> tuple[float, float]:
        south, north = self._sides.latitudes()
        return math.degrees(south) - 1e-9, math.degrees(north) + 1e-9

    def _is_in_zone(self, dec: "NDArray[np.float64]") -> "NDArray[np.bool_]":
        south, north = self._zone
        return np.asarray((dec >= south) & (dec <= north))


def polygon(vertices: "ArrayLike", dec: "ArrayLike | None" = None) -> Polygon:
    """Return the region inside a closed line of great-circle arcs; all in degrees, ICRS.

    Inside is the smaller of the two parts of the sky, whichever way round the vertices go: for the larger one write
    ``~polygon(...)``. The last vertex is joined to the first.

    Parameters
    ----------
    vertices
        Pairs ``(ra, dec)``, shape (n, 2), three at least; or, when `dec` is given, the right ascensions, shape (n,).
    dec
        Declinations, shape (n,).

    Raises
    ------
    RegionError
        For fewer than three vertices, numbers that are not finite, declinations off the sky, vertices that repeat,
        neighbours opposite to one another, sides that cross or touch, and a line that halves the sky.

    Examples
    --------
    >>> field = polygon([(350, -10), (10, -10), (10, 10), (350, 10)])
    >>> field.contains([0.0, 20.0], [10.1, 0.0]).tolist()
    [True, False]
    >>> round(field.area(), 1), field == polygon([350, 10, 10, 350], [-10, -10, 10, 10])
    (401.9, True)
    """
    try:
        pairs = np.asarray(vertices, float) if dec is None else np.stack([_numbers(vertices), _numbers(dec)], axis=1)
    except (TypeError, ValueError) as error:
        raise _refused(f"its vertices are not pairs of numbers: {error}", "polygon") from error
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise _refused(f"its vertices have the shape {pairs.shape}", "polygon")
    return Polygon(tuple((float(one), float(other)) for one, other in pairs))


def _numbers(values: "ArrayLike") -> "NDArray[np.float64]":
    return np.asarray(values, float).ravel()


def _check_vertices(vertices: "Vertices", where: str) -> None:
    count = len(vertices)
    if count < 3:
        raise _refused(f"a polygon of {count} {'vertex' if count == 1 else 'vertices'} has no inside", where)
    for place, (ra, dec) in enumerate(vertices, start=1):
        if not math.isfinite(ra) or not math.isfinite(dec):
            raise _refused(f"vertex {place} is ({ra}, {dec})", where, hint="Correct the vertex.")
        check_dec(f"vertex {place} of {where}", dec)


def _check_sides(vertices: "Vertices", sides: Sides, where: str) -> None:
    """Refuse sides that do not part the sky in two, of which one is smaller."""
    count = len(vertices)
    for place in np.flatnonzero(sides.lengths < _APART).tolist():
        if place == count - 1:
            raise _refused(
                "the last vertex is the first one again",
                where,
                hint="Leave out the last vertex: a polygon closes itself.",
            )
        raise _refused(
            f"{_named(vertices, place + 1)} repeats the one before it", where, hint="Leave out one of the two."
        )
    for place in np.flatnonzero(sides.lengths > math.pi - _APART).tolist():
        raise _refused(
            f"{_named(vertices, place)} and the next one are opposite points of the sky: any arc would join them",
            where,
            hint="Put another vertex between the two.",
        )
    for vertex, side in sides.touches(_APART):
        for end in (side, (side + 1) % count):
            if np.linalg.norm(sides.starts[end] - sides.starts[vertex]) < _APART:
                first, last = sorted((vertex, end))
                raise _refused(
                    f"{_named(vertices, last)} repeats vertex {first + 1}",
                    where,
                    hint="Cut the polygon in two there, and join them with |.",
                )
        raise _refused(
            f"{_named(vertices, vertex)} lies on the side from vertex {side + 1} to vertex {(side + 1) % count + 1}",
            where,
            hint="Order the vertices along the border, each one once, with room between sides.",
        )
    for one, other in sides.crossings():
        raise _refused(
            f"the side from vertex {one + 1} to {(one + 1) % count + 1} "
            f"crosses the side from vertex {other + 1} to {(other + 1) % count + 1}",
            where,
            hint="Order the vertices along the border.",
        )
    if abs(sides.area() - 2 * math.pi) < _EVEN:
        raise _refused(
            "the polygon halves the sky, so neither part is the smaller one",
            where,
            hint="Write a hemisphere as a cone of 90 degrees, or as a box.",
        )


def _named(vertices: "Vertices", place: int) -> str:
    ra, dec = vertices[place]
    return f"vertex {place + 1} ({number(ra)}, {number(dec)})"


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _refused(what: str, where: str, hint: str = "Write polygon([(ra, dec), ...]) in degrees.") -> RegionError:
    return RegionError(
        what,
        where=where,
        expected="three or more vertices (ra, dec) along a border that does not cross itself",
        hint=hint,
    )
