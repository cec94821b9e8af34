# ruff: noqa: D102 - `Region` says what each method returns
"""Cones and boxes on the sky."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hven.errors import RegionError
from hven.sky.cover import cell_radius
from hven.sky.healpix import cell_centres, cell_vectors, wrap
from hven.sky.regions import Region, as_relation
from hven.sky.sphere import SQUARE_DEGREES, on_sky, positions, separations, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_ROUNDING = 1 + 8e-16
"""Of a squared sine: what is computed to lie on the rim, give or take its last digits, does."""


@dataclass(frozen=True)
class Cone(Region):
    """Everything within `radius` of a centre; all in degrees, ICRS."""

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        where = f"cone({self.ra}, {self.dec}, {self.radius})"
        _check_finite(where, ra=self.ra, dec=self.dec, radius=self.radius)
        check_dec(where, self.dec)
        if not 0 <= self.radius <= 180:
            raise RegionError(
                f"radius {self.radius} is not a radius on the sky",
                where=where,
                expected="0 to 180 degrees",
                hint="Correct the radius.",
            )

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        longitude, latitude = positions(ra, dec)
        centre = math.fmod(self.ra, 360.0)
        if self.radius > 90:  # Near the antipode a half sine is flat: what lies out of reach is told from that side.
            rim = math.nextafter(_half_sine_squared(180.0 - self.radius) / _ROUNDING, -1.0)
            beyond = _within(longitude, latitude, centre + 180.0, -self.dec, 180.0 - self.radius, rim)
            return np.asarray(on_sky(longitude, latitude) & ~beyond)
        rim = _half_sine_squared(self.radius) * _ROUNDING
        return _within(longitude, latitude, centre, self.dec, self.radius, rim)

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        centre = unit_vectors(math.fmod(self.ra, 360.0), self.dec)
        separation, reach = separations(cell_vectors(cells, order), centre), cell_radius(order)
        radius = math.radians(self.radius)
        return as_relation(separation <= radius + reach, separation + reach <= radius)

    def area_bounds(self) -> tuple[float, float]:
        area = 4 * math.pi * _half_sine_squared(self.radius) * SQUARE_DEGREES
        return area, area

    def to_text(self) -> str:
        return f"cone({number(self.ra)}, {number(self.dec)}, {number(self.radius)})"


@dataclass(frozen=True)
class Box(Region):
    """Everything between two meridians, eastward from `ra_min` to `ra_max`, and two parallels; degrees, ICRS.

    ``ra_min > ra_max`` goes through 0. A box that reaches a pole holds the pole, whatever its `ra` is written as.
    """

    ra_min: float
    ra_max: float
    dec_min: float
    dec_max: float

    def __post_init__(self) -> None:
        where = f"box({self.ra_min}, {self.ra_max}, {self.dec_min}, {self.dec_max})"
        edges = {"ra_min": self.ra_min, "ra_max": self.ra_max, "dec_min": self.dec_min, "dec_max": self.dec_max}
        _check_finite(where, **edges)
        check_dec(where, self.dec_min)
        check_dec(where, self.dec_max)
        if self.dec_min > self.dec_max:
            raise RegionError(
                f"dec_min {self.dec_min} is above dec_max {self.dec_max}",
                where=where,
                expected="ra_min, ra_max, dec_min, dec_max",
                hint="Exchange the two.",
            )

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        longitude, latitude = positions(ra, dec)
        within = np.asarray(np.isfinite(longitude) & (latitude >= self.dec_min) & (latitude <= self.dec_max))
        if not self._is_full_circle:
            low, high = self._edges
            east = wrap(longitude[within])
            between = (east >= low) & (east <= high) if low <= high else (east >= low) | (east <= high)
            within[within] = between | (np.abs(latitude[within]) == 90.0)
        return within

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        # A cell lies in the cap around its centre, and the cap between two parallels and two meridians.
        ra, dec = cell_centres(cells, order)
        reach = math.degrees(cell_radius(order))
        touches = (dec + reach >= self.dec_min) & (dec - reach <= self.dec_max)
        inside = (np.maximum(dec - reach, -90) >= self.dec_min) & (np.minimum(dec + reach, 90) <= self.dec_max)
        if not self._is_full_circle:
            half = _half_width(dec, reach)
            east = wrap(ra - self._edges[0])
            touches &= (east <= self._width + half) | (east >= 360.0 - half)
            inside &= (east >= half) & (east + half <= self._width)
        return as_relation(touches, inside)

    def area_bounds(self) -> tuple[float, float]:
        low, high = math.radians(self.dec_min), math.radians(self.dec_max)
        height = 2 * math.cos((low + high) / 2) * math.sin((high - low) / 2)
        area = math.radians(self._width) * height * SQUARE_DEGREES
        return area, area

    def to_text(self) -> str:
        return f"box({', '.join(number(x) for x in (self.ra_min, self.ra_max, self.dec_min, self.dec_max))})"

    @property
    def _is_full_circle(self) -> bool:
        return self.ra_max - self.ra_min >= 360.0

    @property
    def _width(self) -> float:
        low, high = self._edges
        return 360.0 if self._is_full_circle else high - low if low <= high else 360.0 - (low - high)

    @property
    def _edges(self) -> tuple[float, float]:
        low, high = wrap(np.array([self.ra_min, self.ra_max]))
        return float(low), float(high)


def cone(ra: float, dec: float, radius: float) -> Cone:
    """Return the region within `radius` of ``(ra, dec)``; all in degrees, ICRS.

    Raises
    ------
    RegionError
        If a number is not finite, `dec` is off the sky or `radius` is not between 0 and 180.

    Examples
    --------
    >>> cone(0, 90, 1).contains([200.0], [89.5]).tolist()
    [True]
    """
    return Cone(float(ra), float(dec), float(radius))


def box(ra_min: float, ra_max: float, dec_min: float, dec_max: float) -> Box:
    """Return the region eastward from `ra_min` to `ra_max` and between two declinations; all in degrees, ICRS.

    Raises
    ------
    RegionError
        If a number is not finite, or the declinations are off the sky or in the wrong order.

    Examples
    --------
    >>> box(350, 10, -5, 5).contains([355.0, 5.0, 20.0], [0.0, 0.0, 0.0]).tolist()
    [True, True, False]
    """
    return Box(float(ra_min), float(ra_max), float(dec_min), float(dec_max))


def check_dec(where: str, dec: float) -> None:
    """Refuse a declination that is not on the sky.

    Examples
    --------
    >>> check_dec("a cone", 90.0)
    """
    if not -90 <= dec <= 90:
        raise RegionError(
            f"declination {dec} is not on the sky",
            where=where,
            expected="-90 to 90 degrees",
            hint="Correct the declination; right ascension comes first.",
        )


def number(value: float) -> str:
    """Return the shortest text that reads back to `value`.

    Examples
    --------
    >>> number(10.0), number(0.1)
    ('10', '0.1')
    """
    return repr(value).removesuffix(".0")


def _within(
    ra: "NDArray[np.float64]", dec: "NDArray[np.float64]", ra_0: float, dec_0: float, radius: float, rim: float
) -> "NDArray[np.bool_]":
    """Return which positions have a haversine of at most `rim`; those beyond `radius` [deg] in declination do not."""
    near = np.asarray(np.isfinite(ra) & (np.abs(dec - dec_0) <= radius * _ROUNDING) & (np.abs(dec) <= 90.0))
    turn = ra[near] - ra_0
    turn -= 360.0 * np.round(turn / 360.0)  # Exact; 359 is as far from 0 as 1 is.
    across = 0.0 if abs(dec_0) == 90 else math.cos(math.radians(dec_0))
    half_height, half_turn = np.sin(np.radians((dec[near] - dec_0) / 2)), np.sin(np.radians(turn / 2))
    haversine = half_height * half_height + across * np.cos(np.radians(dec[near])) * (half_turn * half_turn)
    near[near] = haversine <= rim
    return near


def _half_sine_squared(angle: float) -> float:
    return math.sin(math.radians(angle / 2)) ** 2


def _half_width(dec: "NDArray[np.float64]", reach: float) -> "NDArray[np.float64]":
    """Return half the range of right ascension [deg] of caps of radius `reach` [deg]; 360 where a cap holds a pole."""
    off_pole = np.abs(dec) + reach < 90.0
    ratio = np.sin(math.radians(min(reach, 90.0))) / np.cos(np.radians(np.where(off_pole, dec, 0.0)))
    return np.where(off_pole, np.degrees(np.arcsin(np.minimum(ratio, 1.0))) + 1e-9, 360.0)


def _check_finite(where: str, **numbers: float) -> None:
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise RegionError(
                f"{name} is {value}", where=where, expected="a finite number of degrees", hint="Correct the region."
            )
