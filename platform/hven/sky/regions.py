# ruff: noqa: D102 - `Region` says what each method returns
"""Regions on the sky: frozen values that say which positions they hold and which HEALPix cells cover them.

They combine: ``cone(190, 5, 1) | cone(200, 5, 1)``, ``a & b``, ``a - b``, ``a ^ b``, ``~a``; a region written as text
is read back by `hven.sky.parse_region`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import RegionError
from hven.sky.cover import INSIDE, OUTSIDE, TOUCHING, as_ranges, cover, descend, in_ranges
from hven.sky.healpix import ORDER, SKY, healpix_29
from hven.sky.moc_text import parse_moc
from hven.sky.sphere import SQUARE_DEGREES, on_sky, positions

if TYPE_CHECKING:
    from mocpy import MOC
    from numpy.typing import ArrayLike, NDArray

_SKY_AREA = 4 * math.pi * SQUARE_DEGREES
_AREA_CELLS = 20_000
_MOC_CELLS = 1_000_000


class Region(ABC):
    """A part of the sky.

    Two regions are equal when they are written alike, which is more than holding the same positions.

    Examples
    --------
    >>> from hven.sky import box, cone
    >>> region = cone(190, 5, 1) & box(189, 190, 4, 6)
    >>> region.contains([189.5, 190.5], [5.0, 5.0]).tolist()
    [True, False]
    """

    @abstractmethod
    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        """Return which positions `ra`, `dec` [deg], shape (n,), lie in the region.

        Its border is part of it; what is not on the sky, NaN say, lies nowhere.
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

        They may hold a little more: filter by `contains` afterwards. Of 4,000 cones, boxes and polygons, from
        microdegrees to half the sky, half had at most 112 ranges, and none more than 509.
        """
        return cover(self)

    def area(self) -> float:
        """Return the area [square degrees].

        It is exact for every shape and what lies outside it; for combinations it is the middle of `area_bounds`.
        """
        low, high = self.area_bounds()
        return (low + high) / 2

    def area_bounds(self) -> tuple[float, float]:
        """Return two areas [square degrees] between which that of the region certainly lies.

        Combinations are measured in cells, 20,000 or more of them on the border: the bounds of what two cones share
        are about 0.5 % of it apart, however large they are.
        """
        inside, touching, order = descend(self, _AREA_CELLS)
        certain = float((inside[:, 1] - inside[:, 0]).sum())
        doubtful = float(len(touching)) * 4.0 ** (ORDER - order)
        return certain / SKY * _SKY_AREA, (certain + doubtful) / SKY * _SKY_AREA

    def to_moc(self, order: int = 10) -> "MOC":
        """Return a `mocpy.MOC` that covers the region, with cells of `order` or coarser ones.

        Every position of the region lies in it; so do others, up to 2.2 / 2**order rad (two cells' width and a little)
        beyond the border. ``region.to_moc(12).save("field.fits", format="fits")`` writes it.

        Raises
        ------
        RegionError
            If `order` is not from 0 to 29, or so fine that over a million cells would lie on the border.
        """
        from mocpy import MOC

        if not 0 <= order <= ORDER:
            raise RegionError(
                f"there is no order {order} of HEALPix cells",
                where="to_moc",
                expected="an order from 0 to 29",
                hint="Order 10 has cells of 3.4 arcmin, each further order cells of half the width.",
            )
        inside, touching, reached = descend(self, _MOC_CELLS, order)
        if touching.size and reached < order:
            raise RegionError(
                f"the border crosses over {_MOC_CELLS:,} cells of order {reached}, and order {order} is asked for",
                where=f"to_moc of {_shortened(self.to_text())}",
                hint=f"Ask for order {reached} or less.",
            )
        held = np.concatenate([inside, as_ranges(touching, reached)])
        return MOC.from_depth29_ranges(order, held.astype(np.uint64))

    def __and__(self, other: "Region") -> "Region":
        return Intersection(_parts(Intersection, self, other)) if isinstance(other, Region) else NotImplemented

    def __or__(self, other: "Region") -> "Region":
        return Union(_parts(Union, self, other)) if isinstance(other, Region) else NotImplemented

    def __xor__(self, other: "Region") -> "Region":
        if not isinstance(other, Region):
            return NotImplemented
        return SymmetricDifference(_parts(SymmetricDifference, self, other))

    def __sub__(self, other: "Region") -> "Region":
        return self & ~other if isinstance(other, Region) else NotImplemented

    def __invert__(self) -> "Region":
        return Complement(self)

    def __str__(self) -> str:
        return self.to_text()

    def __getstate__(self) -> dict[str, Any]:
        # What was computed from the fields stays here: a region travels to workers in many tasks.
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Moc(Region):
    """The HEALPix cells that a MOC (multi-order coverage map, IVOA) names in ASCII, for example ``3/1-5,7 6/800``."""

    text: str

    def __post_init__(self) -> None:
        parse_moc(self.text)

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        longitude, latitude = positions(ra, dec)
        good = on_sky(longitude, latitude)
        found = np.zeros(good.shape, bool)
        found[good] = in_ranges(healpix_29(longitude[good], latitude[good]), self._ranges)
        return found

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        held = self._ranges
        start, stop = as_ranges(cells, order).T
        if not len(held):
            return np.full(cells.shape, OUTSIDE, np.int8)
        first = np.minimum(np.searchsorted(held[:, 1], start, side="right"), len(held) - 1)
        touches = (held[first, 0] < stop) & (held[first, 1] > start)
        return as_relation(touches, (held[first, 0] <= start) & (held[first, 1] >= stop))

    def ranges(self) -> "NDArray[np.int64]":
        return self._ranges.copy()

    def area_bounds(self) -> tuple[float, float]:
        area = float((self._ranges[:, 1] - self._ranges[:, 0]).sum()) / SKY * _SKY_AREA
        return area, area

    def to_text(self) -> str:
        return f"moc({self.text})"

    @cached_property
    def _ranges(self) -> "NDArray[np.int64]":
        return parse_moc(self.text)


@dataclass(frozen=True)
class Intersection(Region):
    """What lies in every one of several regions."""

    parts: tuple[Region, ...]

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        return reduce(np.logical_and, (part.contains(ra, dec) for part in self.parts))

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        return reduce(np.minimum, (part.relation(cells, order) for part in self.parts))

    def to_text(self) -> str:
        return _joined("&", self.parts)


@dataclass(frozen=True)
class Union(Region):
    """What lies in any of several regions."""

    parts: tuple[Region, ...]

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        return reduce(np.logical_or, (part.contains(ra, dec) for part in self.parts))

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        return reduce(np.maximum, (part.relation(cells, order) for part in self.parts))

    def to_text(self) -> str:
        return _joined("|", self.parts)


@dataclass(frozen=True)
class SymmetricDifference(Region):
    """What lies in an odd number of several regions: of two, in one but not in the other."""

    parts: tuple[Region, ...]

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        return reduce(np.logical_xor, (part.contains(ra, dec) for part in self.parts))

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        relations = [part.relation(cells, order) for part in self.parts]
        is_certain = reduce(np.logical_and, (relation != TOUCHING for relation in relations))
        is_odd = reduce(np.logical_xor, (relation == INSIDE for relation in relations))
        return as_relation(is_odd | ~is_certain, is_odd & is_certain)

    def to_text(self) -> str:
        return _joined("^", self.parts)


@dataclass(frozen=True)
class Complement(Region):
    """What does not lie in a region; positions that are not finite lie nowhere."""

    region: Region

    def contains(self, ra: "ArrayLike", dec: "ArrayLike") -> "NDArray[np.bool_]":
        return np.asarray(on_sky(*positions(ra, dec)) & ~self.region.contains(ra, dec))

    def relation(self, cells: "NDArray[np.int64]", order: int) -> "NDArray[np.int8]":
        return (INSIDE - self.region.relation(cells, order)).astype(np.int8)

    def area_bounds(self) -> tuple[float, float]:
        low, high = self.region.area_bounds()
        return _SKY_AREA - high, _SKY_AREA - low

    def to_text(self) -> str:
        return f"~{self.region.to_text()}"

    def __invert__(self) -> Region:
        return self.region


def everywhere() -> Moc:
    """Return the whole sky as a region.

    Examples
    --------
    >>> print(everywhere())
    moc(0/0-11)
    """
    return Moc("0/0-11")


def nowhere() -> Moc:
    """Return the region that holds no position at all.

    Examples
    --------
    >>> nowhere().ranges().shape
    (0, 2)
    """
    return Moc("")


def as_relation(touches: "NDArray[np.bool_]", inside: "NDArray[np.bool_]") -> "NDArray[np.int8]":
    """Return the relation of cells: `touches` says which may meet the region, `inside` which certainly lie in it.

    Examples
    --------
    >>> as_relation(np.array([False, True, True]), np.array([False, False, True])).tolist()
    [0, 1, 2]
    """
    return np.where(inside, INSIDE, np.where(touches, TOUCHING, OUTSIDE)).astype(np.int8)


def _parts(kind: "type[Intersection | Union | SymmetricDifference]", *regions: Region) -> tuple[Region, ...]:
    """Return the parts to combine, those of regions of the same kind taken out: a thousand fields are no deep tree."""
    return tuple(part for region in regions for part in (region.parts if isinstance(region, kind) else (region,)))


def _joined(mark: str, parts: Iterable[Region]) -> str:
    return f"({f' {mark} '.join(part.to_text() for part in parts)})"


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
