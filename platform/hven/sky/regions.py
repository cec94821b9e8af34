# ruff: noqa: D102 - `Region` says what each method returns
"""Regions on the sky: frozen values that say which positions they hold and which HEALPix cells cover them.

They combine: ``cone(190, 5, 1) | cone(200, 5, 1)``, ``a & b``, ``~a``; a region written as text is read back by
`hven.sky.parse_region`.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hven.errors import RegionError
from hven.sky.cover import INSIDE, OUTSIDE, TOUCHING, as_ranges, cell_radius, cover, in_ranges
from hven.sky.healpix import cell_centres, healpix_29, wrap
from hven.sky.moc_text import canonical_moc, parse_moc

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Region(ABC):
    """A part of the sky.

    Examples
    --------
    >>> region = cone(190, 5, 1) & box(189, 190, 4, 6)
    >>> region.contains([189.5, 190.5], [5.0, 5.0]).tolist()
    [True, False]
    """

    @abstractmethod
    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        """Return which positions `ra`, `dec` [deg], shape (n,), lie in the region.

        Its border is part of it; NaN lies nowhere.
        """

    @abstractmethod
    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        """Return how each of `cells` (n,) of `order` lies to the region (`hven.sky.cover`).

        "Outside" and "inside" are certain; "touching" is the answer when in doubt.
        """

    @abstractmethod
    def to_text(self) -> str:
        """Return the text that `hven.sky.parse_region` reads back to an equal region."""

    def ranges(self) -> "NDArray[np.int64]":
        """Return sorted half-open ranges (n, 2) of nested cells of order 29 that hold every point of the region.

        They may hold a little more: filter by `contains` afterwards.
        """
        return cover(self)

    def __and__(self, other: "Region") -> "Region":
        return Intersection(self, other) if isinstance(other, Region) else NotImplemented

    def __or__(self, other: "Region") -> "Region":
        return Union(self, other) if isinstance(other, Region) else NotImplemented

    def __invert__(self) -> "Region":
        return Complement(self)

    def __str__(self) -> str:
        return self.to_text()


@dataclass(frozen=True)
class Cone(Region):
    """Everything within `radius` of a centre; all in degrees, ICRS."""

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        where = f"cone({self.ra}, {self.dec}, {self.radius})"
        _check_finite(where, ra=self.ra, dec=self.dec, radius=self.radius)
        _check_dec(where, self.dec)
        if not 0 <= self.radius <= 180:
            raise RegionError(
                f"radius {self.radius} is not a radius on the sky",
                where=where,
                expected="0 to 180 degrees",
                hint="Correct the radius.",
            )

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        return self._separation(np.asarray(ra, float), np.asarray(dec, float)) <= math.radians(self.radius)

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        separation, reach = self._separation(*cell_centres(cells, order)), cell_radius(order)
        radius = math.radians(self.radius)
        return _relation(separation <= radius + reach, separation + reach <= radius)

    def to_text(self) -> str:
        return f"cone({_number(self.ra)}, {_number(self.dec)}, {_number(self.radius)})"

    def _separation(self, ra: "NDArray[np.float64]", dec: "NDArray[np.float64]") -> "NDArray[np.float64]":
        from astropy.coordinates import angular_separation

        centre = math.radians(self.ra), math.radians(self.dec)
        return np.asarray(angular_separation(*centre, np.radians(ra), np.radians(dec)))


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
        _check_dec(where, self.dec_min)
        _check_dec(where, self.dec_max)
        if self.dec_min > self.dec_max:
            raise RegionError(
                f"dec_min {self.dec_min} is above dec_max {self.dec_max}",
                where=where,
                expected="ra_min, ra_max, dec_min, dec_max",
                hint="Exchange the two.",
            )

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        longitude, latitude = np.broadcast_arrays(np.asarray(ra, float), np.asarray(dec, float))
        within = np.isfinite(longitude) & (latitude >= self.dec_min) & (latitude <= self.dec_max)
        if self._is_full_circle:
            return np.asarray(within)
        low, high = (float(edge) for edge in wrap(np.array([self.ra_min, self.ra_max])))
        east = wrap(longitude)
        between = (east >= low) & (east <= high) if low <= high else (east >= low) | (east <= high)
        return np.asarray(within & (between | (np.abs(latitude) == 90.0)))

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        # A cell lies in the cap around its centre, and the cap between two parallels and two meridians.
        ra, dec = cell_centres(cells, order)
        reach = math.degrees(cell_radius(order))
        touches = (dec + reach >= self.dec_min) & (dec - reach <= self.dec_max)
        inside = (np.maximum(dec - reach, -90) >= self.dec_min) & (np.minimum(dec + reach, 90) <= self.dec_max)
        if not self._is_full_circle:
            width = float(np.diff(wrap(np.array([self.ra_min, self.ra_max])))[0]) % 360.0
            half = _half_width(dec, reach)
            east = wrap(ra - self.ra_min)
            touches &= (east <= width + half) | (east >= 360.0 - half)
            inside &= (east >= half) & (east + half <= width)
        return _relation(touches, inside)

    def to_text(self) -> str:
        return f"box({', '.join(_number(x) for x in (self.ra_min, self.ra_max, self.dec_min, self.dec_max))})"

    @property
    def _is_full_circle(self) -> bool:
        return self.ra_max - self.ra_min >= 360.0


@dataclass(frozen=True)
class Moc(Region):
    """The HEALPix cells that a MOC (multi-order coverage map, IVOA) names in ASCII, for example ``3/1-5,7 6/800``."""

    text: str

    def __post_init__(self) -> None:
        parse_moc(self.text)

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        longitude, latitude = np.broadcast_arrays(np.atleast_1d(np.asarray(ra, float)), np.asarray(dec, float))
        on_sky = np.isfinite(longitude) & (np.abs(latitude) <= 90)
        found = np.zeros(longitude.shape, bool)
        found[on_sky] = in_ranges(healpix_29(longitude[on_sky], latitude[on_sky]), self._ranges)
        return found.reshape(np.broadcast_shapes(np.shape(ra), np.shape(dec)))

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        held = self._ranges
        start, stop = as_ranges(cells, order).T
        if not len(held):
            return np.full(cells.shape, OUTSIDE, np.int8)
        first = np.minimum(np.searchsorted(held[:, 1], start, side="right"), len(held) - 1)
        touches = (held[first, 0] < stop) & (held[first, 1] > start)
        return _relation(touches, (held[first, 0] <= start) & (held[first, 1] >= stop))

    def ranges(self) -> "NDArray[np.int64]":
        return self._ranges.copy()

    def to_text(self) -> str:
        return f"moc({self.text})"

    @cached_property
    def _ranges(self) -> "NDArray[np.int64]":
        return parse_moc(self.text)


@dataclass(frozen=True)
class Intersection(Region):
    """What lies in both of two regions."""

    left: Region
    right: Region

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        return self.left.contains(ra, dec) & self.right.contains(ra, dec)

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        return np.minimum(self.left.relation(cells, order), self.right.relation(cells, order))

    def to_text(self) -> str:
        return f"({self.left.to_text()} & {self.right.to_text()})"


@dataclass(frozen=True)
class Union(Region):
    """What lies in either of two regions."""

    left: Region
    right: Region

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        return self.left.contains(ra, dec) | self.right.contains(ra, dec)

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        return np.maximum(self.left.relation(cells, order), self.right.relation(cells, order))

    def to_text(self) -> str:
        return f"({self.left.to_text()} | {self.right.to_text()})"


@dataclass(frozen=True)
class Complement(Region):
    """What does not lie in a region; positions that are not finite lie nowhere."""

    region: Region

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        on_sky = np.isfinite(np.asarray(ra, float)) & (np.abs(np.asarray(dec, float)) <= 90)
        return np.asarray(on_sky & ~self.region.contains(ra, dec))

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        return (INSIDE - self.region.relation(cells, order)).astype(np.int8)

    def to_text(self) -> str:
        return f"~{self.region.to_text()}"


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


def moc(text: str) -> Moc:
    """Return the region of a MOC in ASCII, brought to its canonical form.

    Raises
    ------
    RegionError
        If the text is not a MOC.

    Examples
    --------
    >>> moc("1/0 1/1,2-3 3/4").text
    '0/0'
    """
    return Moc(canonical_moc(text))


def _relation(touches: "NDArray[np.bool_]", inside: "NDArray[np.bool_]") -> "NDArray[np.int8]":
    return np.where(inside, INSIDE, np.where(touches, TOUCHING, OUTSIDE)).astype(np.int8)


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


def _check_dec(where: str, dec: float) -> None:
    if not -90 <= dec <= 90:
        raise RegionError(
            f"declination {dec} is not on the sky",
            where=where,
            expected="-90 to 90 degrees",
            hint="Correct the declination; right ascension comes first.",
        )


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
