"""Tables on rectilinear grids, interpolated between their nodes: any number of axes, vector values, derivatives by JAX.

NumPy coordinates give NumPy float64. JAX coordinates, as inside a function that is compiled or differentiated, give JAX
arrays in the precision of that function. Outside of its domain a table never extrapolates: the flag says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._array_namespace import floats, namespace

__all__ = ["Kind", "Outside", "Table", "table"]

Array = NDArray[np.float64]
Kind = Literal["linear", "catmull_rom", "spline"]
Outside = Literal["nan", "nearest"]


@dataclass(frozen=True)
class Table:
    """A table of values on a rectilinear grid, made by `table`.

    Attributes
    ----------
    axes
        Nodes of each axis, ascending, in the scale of interpolation: ln x where `log` is set.
    log
        Which axes are logarithmic.
    kind
        How values are interpolated.
    nodes
        Shape (n_1, ..., n_d, m, ...): the values at the nodes (m = 1), for the cubic kinds with their mixed
        derivatives too (m = 2^d), in the order of `itertools.product` over (value, derivative) of each axis.
    """

    axes: tuple[Array, ...]
    log: tuple[bool, ...]
    kind: Kind
    nodes: Array

    def at(self, *coordinates: Any, outside: Outside = "nan") -> tuple[Any, Any]:
        """Return the values at `coordinates`, and which of them lie inside the table.

        Parameters
        ----------
        coordinates
            One array or number for each axis, in the table's own scale (x, also on a logarithmic axis); they broadcast
            to one shape (...).
        outside
            Outside, and where a coordinate is NaN, values are NaN; ``"nearest"`` gives those of the nearest point
            of the domain, with derivatives of zero across its edge. NaN coordinates give NaN in any case.

        Returns
        -------
        tuple
            Values (..., k) and a boolean (...).

        Examples
        --------
        >>> squares = table([np.arange(5.0)], np.arange(5.0) ** 2, kind="spline")
        >>> values, inside = squares.at([1.5, 9.0])
        >>> values.round(6).tolist(), inside.tolist()
        ([2.25, nan], [True, False])
        """
        if len(coordinates) != len(self.axes):
            raise ParameterError(
                f"the table has {len(self.axes)} axes and {len(coordinates)} coordinates were given",
                where="Table.at",
                expected="one for each axis",
                hint="Pass an array or a number for each axis.",
            )
        if outside not in ("nan", "nearest"):
            raise ParameterError(f"outside is {outside!r}", expected="'nan' or 'nearest'", hint="Choose one.")
        xp = namespace(*coordinates)
        places = xp.broadcast_arrays(*floats(*coordinates)[1:])
        inside = xp.ones(places[0].shape, dtype=bool)
        weights, cells = [], []
        for place, axis, is_log in zip(places, self.axes, self.log, strict=True):
            low, high = (np.exp(axis[[0, -1]]) if is_log else axis[[0, -1]]).tolist()
            is_within = (place >= low * (1 - 1e-14 * is_log)) & (place <= high * (1 + 1e-14 * is_log))
            inside = inside & is_within
            kept = xp.clip(place, low, high)
            scaled = xp.clip(xp.log(kept) if is_log else kept, axis[0], axis[-1])
            cell = xp.clip(xp.searchsorted(xp.asarray(axis), scaled, side="right") - 1, 0, len(axis) - 2)
            cells.append(cell)
            weights.append(_cell_weights(xp, self.kind, xp.asarray(axis), cell, scaled))
        value = self._sum(xp, cells, weights)
        is_known = inside if outside == "nan" else ~xp.isnan(sum(places))
        return xp.where(is_known.reshape(is_known.shape + (1,) * (value.ndim - is_known.ndim)), value, xp.nan), inside

    def _sum(self, xp: Any, cells: list[Any], weights: list[Any]) -> Any:
        """Return the sum over the corners of the cell of each point, and over the derivatives there."""
        shape, dims = cells[0].shape, len(self.axes)
        rows = xp.asarray(self.nodes.reshape(-1, *self.nodes.shape[dims:]), dtype=weights[0].dtype)
        value: Any = 0.0
        for corner in product((0, 1), repeat=dims):
            row, weight = 0, xp.ones((*shape, 1), dtype=rows.dtype)
            for cell, axis, axis_weights, step in zip(cells, self.axes, weights, corner, strict=True):
                row = row * len(axis) + cell + step
                weight = xp.reshape(weight[..., None] * axis_weights[..., None, :, step], (*shape, -1))
            value = value + xp.einsum("...m,...mk->...k", weight, xp.reshape(rows[row], (*shape, rows.shape[1], -1)))
        return xp.reshape(value, (*shape, *rows.shape[2:]))


def table(axes: Sequence[ArrayLike], values: ArrayLike, *, kind: Kind = "linear", log: Sequence[bool] = ()) -> Table:
    """Return a table to interpolate in.

    Cubic kinds are Hermite polynomials of the values and derivatives at the nodes, tensor products over the axes; they
    differ in the derivatives. ``"catmull_rom"`` takes those of the parabola through three neighbouring nodes: local,
    smooth to first order, exact for polynomials of degree 2 in each axis. ``"spline"`` takes those of the
    not-a-knot spline: smooth to second order, exact for degree 3, but a step in the table rings far from it.

    Parameters
    ----------
    axes
        Nodes of each axis, d ascending arrays of lengths n_1, ..., n_d: at least 2, for cubic kinds 4.
    values
        Shape (n_1, ..., n_d) or, for vectors at each node, (n_1, ..., n_d, k).
    kind
        ``"linear"``, ``"catmull_rom"`` or ``"spline"``.
    log
        For each axis whether to interpolate in its logarithm; empty: none.

    Raises
    ------
    ParameterError
        Axes do not ascend, are too short, not positive where logarithmic, or their number or the kind is wrong.
    DataRefusedError
        The shape of the values is not that of the axes, or a value is not finite.

    Examples
    --------
    >>> plane = table([[0.0, 1.0], [1.0, 10.0]], [[0.0, 1.0], [2.0, 3.0]], log=[False, True])
    >>> plane.at(0.5, np.sqrt(10.0))[0].round(12).tolist()
    1.5
    """
    nodes = [np.asarray(axis, dtype=np.float64) for axis in axes]
    is_log = tuple(bool(flag) for flag in log) or (False,) * len(nodes)
    _refuse_axes(nodes, is_log, kind)
    filled = np.asarray(values, dtype=np.float64)
    shape = tuple(len(axis) for axis in nodes)
    if filled.shape[: len(shape)] != shape or not np.isfinite(filled).all():
        raise DataRefusedError(
            f"values of shape {filled.shape}, {int(np.sum(~np.isfinite(filled)))} of them not finite",
            where="interp.table",
            expected=f"finite values of shape {(*shape, '...')}",
            hint="Fill or cut off the nodes without a value, and put the dimensions in the order of the axes.",
        )
    scaled = tuple(np.log(axis) if flag else axis for axis, flag in zip(nodes, is_log, strict=True))
    filled = np.expand_dims(filled, len(shape))
    if kind != "linear":
        for i in reversed(range(len(shape))):  # the first axis varies slowest, as in itertools.product
            filled = np.concatenate([filled, _derivative(scaled[i], filled, i, kind)], axis=len(shape))
    return Table(scaled, is_log, kind, filled)


def _refuse_axes(axes: list[Array], log: tuple[bool, ...], kind: str) -> None:
    if kind not in ("linear", "catmull_rom", "spline"):
        raise ParameterError(
            f"the kind is {kind!r}", expected="'linear', 'catmull_rom' or 'spline'", hint="Choose one."
        )
    least = 2 if kind == "linear" else 4
    for i, axis in enumerate(axes):
        is_good = axis.ndim == 1 and len(axis) >= least and np.isfinite(axis).all() and np.all(np.diff(axis) > 0)
        if not is_good or (i < len(log) and log[i] and axis[0] <= 0):
            raise ParameterError(
                f"axis {i} has shape {axis.shape} and values that do not ascend, are too few or not positive",
                where="interp.table",
                expected=f"{least} or more ascending finite nodes, positive where the axis is logarithmic",
                hint="Sort the table along this axis.",
            )
    if not axes or len(log) != len(axes):
        raise ParameterError(
            f"{len(axes)} axes and {len(log)} flags for logarithms",
            where="interp.table",
            expected="one or more axes, a flag for each or none",
            hint="Pass axes as a list of arrays, and log as a list of as many booleans.",
        )


def _derivative(axis: Array, values: Array, i: int, kind: str) -> Array:
    """Return the derivatives of `values` along their dimension `i` at the nodes."""
    if kind == "spline":
        from scipy.interpolate import CubicSpline

        return np.asarray(CubicSpline(axis, values, axis=i)(axis, 1))
    return np.asarray(np.gradient(values, axis, axis=i, edge_order=2))


def _cell_weights(xp: Any, kind: str, axis: Any, cell: Any, place: Any) -> Any:
    """Return (..., order, node): what value, and in cubic kinds derivative, at both nodes of a cell weigh."""
    width = axis[cell + 1] - axis[cell]
    t = (place - axis[cell]) / width
    if kind == "linear":
        return xp.stack([1 - t, t], axis=-1)[..., None, :]
    rise = t * t * (3 - 2 * t)
    slopes = [width * t * (1 - t) ** 2, width * t * t * (t - 1)]
    return xp.stack([xp.stack([1 - rise, rise], axis=-1), xp.stack(slopes, axis=-1)], axis=-2)
