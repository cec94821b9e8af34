"""The sides of a polygon on the sphere: on which side of them a position lies, and which of them it is close to.

Whether a position lies inside is told by counting the sides between it and a fixed point off all of them, the
*outlook*: seen from there each side covers a range of azimuths, half open, so that none is counted twice at a vertex,
and it lies before or behind a position by the sign of one product.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ON_SIDE = 4e-15
"""How far [rad] from a side a position may come out by rounding that lies on it."""

_OUTLOOKS = 1024
_PAIRS = 1 << 18


@dataclass(frozen=True, eq=False)
class Sides:
    """Great-circle arcs from each of n vertices to the next; arrays over sides.

    Parameters
    ----------
    starts, ends
        Unit vectors of the vertices, shape (n, 3).
    normals
        Unit vectors of the planes, shape (n, 3): a position on the left, seen along the side, has a positive product.
    lengths
        Angles [rad] between the ends, shape (n,).
    """

    starts: "NDArray[np.float64]"
    ends: "NDArray[np.float64]"
    normals: "NDArray[np.float64]"
    lengths: "NDArray[np.float64]"

    @classmethod
    def of(cls, vertices: "NDArray[np.float64]") -> "Sides":
        """Return the sides between unit vectors (3, n).

        Examples
        --------
        >>> Sides.of(np.eye(3)).normals.round().astype(int).tolist()
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
        """
        starts = np.ascontiguousarray(vertices.T)
        ends = np.roll(starts, -1, axis=0)
        # The product of difference and sum keeps its direction where the ends are close, or opposite.
        apart, together = ends - starts, ends + starts
        normals = np.cross(together, apart)
        size = np.linalg.norm(normals, axis=1, keepdims=True)
        lengths = 2 * np.arctan2(np.linalg.norm(apart, axis=1), np.linalg.norm(together, axis=1))
        return cls(starts, ends, np.divide(normals, size, where=size > 0, out=np.zeros_like(normals)), lengths)

    def hold(self, vectors: "NDArray[np.float64]") -> "NDArray[np.bool_]":
        """Return which unit `vectors` (3, m) lie in the smaller part of the sky, or on a side.

        Examples
        --------
        >>> Sides.of(np.eye(3)).hold(np.array([[0.6, 0.0, -0.6], [0.6, 1.0, 0.6], [0.6, 0.0, 0.6]])).tolist()
        [True, True, False]
        """
        odd = self._crossed(vectors)
        inside = odd ^ self._outlook_is_inside
        for block in self._blocks(vectors.shape[1]):
            sides, near = np.nonzero(np.abs(self.normals[block] @ vectors) <= ON_SIDE)
            if near.size:
                is_on = self._is_beside(sides + block.start, vectors[:, near])
                inside[near[is_on]] = True
        return inside

    def come_near(self, vectors: "NDArray[np.float64]", reach: float) -> "NDArray[np.bool_]":
        """Return which unit `vectors` (3, m) come within `reach` [rad, at most 1.5] of a side.

        Examples
        --------
        >>> Sides.of(np.eye(3)).come_near(np.array([[0.0, 0.0], [0.8, -1.0], [0.6, 0.0]]), 0.1).tolist()
        [True, False]
        """
        near = np.zeros(vectors.shape[1], bool)
        chord = 2 * math.sin(reach / 2)
        for block in self._blocks(vectors.shape[1]):
            beside = np.abs(self.normals[block] @ vectors) <= math.sin(reach)
            beside &= (self._inward[0][block] @ vectors >= 0) & (self._inward[1][block] @ vectors >= 0)
            apart = self.starts[block][:, :, None] - vectors
            near |= (beside | (np.einsum("ijk,ijk->ik", apart, apart) <= chord * chord)).any(axis=0)
        return near

    def area(self) -> float:
        """Return the area [sr] of the smaller part of the sky.

        Examples
        --------
        >>> round(Sides.of(np.eye(3)).area() / np.pi, 12)
        0.5
        """
        return abs(self._signed_area)

    def latitudes(self) -> tuple[float, float]:
        """Return the lowest and the highest latitude [rad] of the smaller part of the sky.

        Examples
        --------
        >>> Sides.of(np.eye(3)).latitudes()
        (0.0, 1.5707963267948966)
        """
        heights = [*self.starts[:, 2]]
        across = np.hypot(self.normals[:, 0], self.normals[:, 1])
        for sign in (1.0, -1.0):
            # A great circle is highest above the direction of its normal, turned by a right angle.
            summits = -sign * self.normals[:, 2:] * self.normals / np.maximum(across, 1e-300)[:, None]
            summits[:, 2] += sign / np.maximum(across, 1e-300)
            is_on = np.einsum("ij,ij->i", self._inward[0], summits) >= 0
            is_on &= np.einsum("ij,ij->i", self._inward[1], summits) >= 0
            heights += [*(sign * across[is_on])]
        south, north = self.hold(np.array([[0.0, 0.0], [0.0, 0.0], [-1.0, 1.0]]))
        low, high = np.arcsin(np.clip([min(heights), max(heights)], -1, 1))
        return (-math.pi / 2 if south else float(low)), (math.pi / 2 if north else float(high))

    def touches(self, distance: float) -> "Iterator[tuple[int, int]]":
        """Return pairs (vertex, side) that come closer than `distance` [rad], of those that do not belong together.

        Examples
        --------
        >>> list(Sides.of(np.eye(3)).touches(1e-9))
        []
        """
        vertices = self.starts.T
        for block in self._blocks(len(self.starts)):
            sides, near = np.nonzero(np.abs(self.normals[block] @ vertices) <= math.sin(distance))
            sides = sides + block.start
            is_other = (near != sides) & (near != (sides + 1) % len(self.starts))
            sides, near = sides[is_other], near[is_other]
            is_close = self._is_beside(sides, vertices[:, near], distance)
            yield from zip(near[is_close].tolist(), sides[is_close].tolist(), strict=True)

    def crossings(self) -> "Iterator[tuple[int, int]]":
        """Return pairs of sides that cross.

        Examples
        --------
        >>> list(Sides.of(np.eye(3)).crossings())
        []
        """
        count = len(self.starts)
        places = np.arange(count)
        for block in self._blocks(count):
            # Arcs AB and CD cross when A, B, C and C, D, B turn one way, and A, B, D and C, D, A the other.
            abc, abd = _turn(self.normals[block] @ self.starts.T), _turn(self.normals[block] @ self.ends.T)
            cda, cdb = _turn(self.starts[block] @ self.normals.T), _turn(self.ends[block] @ self.normals.T)
            cross = (abc != 0) & (abd == -abc) & (cda == -abc) & (cdb == abc)
            own = places[block][:, None]
            cross &= (places > own + 1) & ((places + 1) % count != own)
            one, other = np.nonzero(cross)
            yield from zip((one + block.start).tolist(), other.tolist(), strict=True)

    @cached_property
    def _inward(self) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """Vectors along the side at its start, and against it at its end: beside a side both products are positive."""
        return np.cross(self.normals, self.starts), np.cross(self.ends, self.normals)

    @cached_property
    def _outlook(self) -> "NDArray[np.float64]":
        """Axes (3, 3), the last of which points to the outlook: that of many points which is farthest off all circles.

        Neither it nor its opposite is close to a vertex then, and no side points at it.
        """
        steps = np.arange(_OUTLOOKS) + 0.5
        height, turn = 1 - 2 * steps / _OUTLOOKS, steps * (math.pi * (3 - math.sqrt(5)))  # A Fibonacci spiral.
        across = np.sqrt(1 - height * height)
        points = np.stack([across * np.cos(turn), across * np.sin(turn), height])
        clear = np.full(_OUTLOOKS, 2.0)
        for block in self._blocks(_OUTLOOKS):
            clear = np.minimum(clear, np.abs(self.normals[block] @ points).min(axis=0))
        axis = points[:, int(np.argmax(clear))]
        first = np.cross(axis, np.eye(3)[int(np.argmin(np.abs(axis)))])
        first /= np.linalg.norm(first)
        return np.stack([first, np.cross(axis, first), axis])

    @cached_property
    def _azimuths(self) -> "NDArray[np.float64]":
        return _turns(self._outlook @ self.starts.T)

    @cached_property
    def _ahead(self) -> "tuple[NDArray[np.bool_], NDArray[np.float64]]":
        """Which sides go through azimuth zero, and their normals turned so that the outlook has a positive product."""
        is_east = self.normals @ self._outlook[2] > 0
        through_zero = is_east == (np.roll(self._azimuths, -1) < self._azimuths)
        return through_zero, np.where(is_east[:, None], self.normals, -self.normals)

    def _crossed(self, vectors: "NDArray[np.float64]", left_out: int = -1) -> "NDArray[np.bool_]":
        """Return between which unit `vectors` (3, m) and the outlook an odd number of sides lies."""
        through_zero, normals = self._ahead
        azimuths = _turns(self._outlook @ vectors)
        odd = np.zeros(vectors.shape[1], bool)
        for block in self._blocks(vectors.shape[1]):
            behind = normals[block] @ vectors < 0
            for side, is_behind in enumerate(behind, start=block.start):
                if side == left_out:
                    continue
                first, last = self._azimuths[side], self._azimuths[(side + 1) % len(self.starts)]
                at_azimuth = (azimuths >= min(first, last)) & (azimuths < max(first, last))
                odd ^= (at_azimuth ^ through_zero[side]) & is_behind
        return odd

    @cached_property
    def _signed_area(self) -> float:
        """The area [sr] of the smaller part, negative when it is on the right: a sum of triangles (Eriksson 1990)."""
        corner = self.starts.sum(axis=0)
        corner /= max(float(np.linalg.norm(corner)), 1e-300)
        if (self.starts @ corner).min() <= 0.1:  # A triangle with opposite corners would have any area.
            corner = self._outlook[2]
        one, other = self.starts @ corner, self.ends @ corner
        triple = (self.normals @ corner) * np.sin(self.lengths)
        area = float(2 * np.arctan2(triple, 1 + one + other + np.cos(self.lengths)).sum())
        return area - 4 * math.pi * round(area / (4 * math.pi))

    @cached_property
    def _outlook_is_inside(self) -> bool:
        longest = int(np.argmax(self.lengths))
        middle = self.starts[longest] + self.ends[longest]
        # Between the outlook and the near face of this side: an even number of sides means that both are in one part.
        is_odd = bool(self._crossed((middle / np.linalg.norm(middle))[:, None], left_out=longest)[0])
        is_left = (float(self.normals[longest] @ self._outlook[2]) > 0) != is_odd
        return is_left == (self._signed_area > 0)

    def _is_beside(
        self, sides: "NDArray[np.intp]", vectors: "NDArray[np.float64]", distance: float = ON_SIDE
    ) -> "NDArray[np.bool_]":
        """Return which `vectors` (3, m), close to the circles of some `sides` (m,), are close to the sides too."""
        along, back = (np.einsum("ij,ji->i", inward[sides], vectors) for inward in self._inward)
        is_beside = (along >= 0) & (back >= 0)
        for ends in (self.starts, self.ends):
            is_beside |= np.linalg.norm(ends[sides] - vectors.T, axis=1) <= distance
        return np.asarray(is_beside)

    def _blocks(self, columns: int) -> "Iterator[slice]":
        """Return slices of sides, so few that a table with `columns` columns of each stays small."""
        step = max(1, _PAIRS // max(1, columns))
        for start in range(0, len(self.starts), step):
            yield slice(start, min(start + step, len(self.starts)))


def _turn(products: "NDArray[np.float64]") -> "NDArray[np.int8]":
    """Return 1 to the left of a side, -1 to the right, 0 on its circle or too close to tell: sides may be in line."""
    return (products > ON_SIDE).astype(np.int8) - (products < -ON_SIDE).astype(np.int8)


def _turns(vectors: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return numbers from 0 to 4, shape (m,), that grow with the azimuth of `vectors` (3, m) about the third axis."""
    across = vectors[0] / np.maximum(np.abs(vectors[0]) + np.abs(vectors[1]), 1e-300)
    return np.asarray(np.where(vectors[1] >= 0, 1 - across, 3 + across))
