"""Densities of objects that are seen through a selection: the inhomogeneous Poisson process on the grid of a survey.

The selection is an array S over the cells of a grid, from 0 to 1; selections compose by product. A density is a JAX
function of parameters and places. Ignoring the selection biases what is fitted: that is what these functions are for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._rowwise import is_jax
from hven.methods.precision import in_float64

__all__ = ["Grid", "cone_grid", "expected_number", "log_likelihood", "selection_draws", "selection_fraction", "thin"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Cells that a survey is divided into.

    Attributes
    ----------
    places
        Where the density is taken in each cell, shape (cells, d).
    volumes
        Of the cells, (cells,), in the units of the density's inverse.
    selection
        The fraction of the objects of each cell that are seen, (cells,), from 0 to 1.
    """

    places: Array
    volumes: Array
    selection: Array

    def with_selection(self, selection: ArrayLike) -> "Grid":
        """Return the grid seen through another selection as well: the product of both, cell by cell.

        Raises
        ------
        DataRefusedError
            A value is not between 0 and 1, or the shape is not that of the cells.
        """
        return _grid(self.places, self.volumes, self.selection * np.asarray(selection, dtype=np.float64))


def cone_grid(
    directions: ArrayLike, solid_angles: ArrayLike, modulus: ArrayLike, selection: ArrayLike, *, origin: ArrayLike = 0.0
) -> Grid:
    """Return the cells of fields that are narrow cones, divided evenly in distance modulus.

    A cell of width delta mu at the distance D has the volume D^3 delta mu (ln 10 / 5) Omega.

    Parameters
    ----------
    directions
        Unit vectors to the fields, shape (fields, 3), in the frame in which places are wanted.
    solid_angles
        Of the fields in steradian, (fields,).
    modulus
        Distance moduli at the middle of the cells, (m,), evenly spaced.
    selection
        Fraction of objects seen, shape (fields, m).
    origin
        Where the observer is in that frame, (3,), in kpc.

    Raises
    ------
    DataRefusedError
        Shapes do not belong together, moduli are not evenly spaced, or a selection is not between 0 and 1.

    Examples
    --------
    >>> modulus = np.arange(10.0, 20.0, 0.01) + 0.005
    >>> grid = cone_grid([[1.0, 0.0, 0.0]], [0.1], modulus, np.ones((1, 1000)))
    >>> float(grid.volumes.sum().round(2)), round(0.1 / 3 * (100.0**3 - 1.0), 2)  # in kpc^3
    (33333.03, 33333.3)
    """
    towards, omega, mu = (np.asarray(v, dtype=np.float64) for v in (directions, solid_angles, modulus))
    seen = np.asarray(selection, dtype=np.float64)
    is_right = towards.ndim == 2 and towards.shape == (len(omega), 3) and mu.ndim == 1 and len(mu) > 1
    steps = np.diff(mu)
    if (
        not is_right
        or seen.shape != (len(omega), len(mu))
        or not np.allclose(steps, steps.mean(), rtol=1e-6)
        or steps[0] < 0
    ):
        raise DataRefusedError(
            f"directions {towards.shape}, solid angles {omega.shape}, moduli {mu.shape}, selection {seen.shape}",
            where="cone_grid",
            expected="(fields, 3), (fields,), evenly rising (m,), (fields, m)",
            hint="Interpolate the selection to evenly spaced distance moduli.",
        )
    distance = 10 ** (0.2 * mu - 2)  # in kpc
    places = distance[None, :, None] * towards[:, None, :] + np.asarray(origin, dtype=np.float64)
    volumes = omega[:, None] * distance**3 * steps.mean() * np.log(10) / 5
    return _grid(places.reshape(-1, 3), volumes.ravel(), seen.ravel())


def expected_number(log_density: Callable[[Any, Any], Any], parameters: Any, grid: Grid) -> Any:
    """Return the integral of density times selection over the grid: how many objects are seen.

    Parameters
    ----------
    log_density
        A JAX function of the parameters and places (m, d) that returns ln of the density there, (m,).
    parameters
        A pytree, as the function takes it.
    grid
        Made by `cone_grid`, or a `Grid` of your own.

    Examples
    --------
    >>> grid = Grid(np.zeros((10, 1)), np.full(10, 0.1), np.full(10, 0.5))
    >>> expected_number(lambda rate, x: rate + 0 * x[:, 0], np.log(8.0), grid).round(9).tolist()
    4.0
    """
    return _called(_expected, log_density, parameters, grid)


def log_likelihood(
    log_density: Callable[[Any, Any], Any],
    parameters: Any,
    places: ArrayLike,
    grid: Grid,
    *,
    free_amplitude: bool = False,
) -> Any:
    """Return ln L of the objects that are seen, without the constant sum of ln S at their places.

    sum ln nu(x_i) - int nu S dV where the amplitude is part of the density; with `free_amplitude` it is integrated out
    under a prior that is flat in its logarithm, sum ln nu(x_i) - N ln int nu S dV, and only the shape counts.

    NumPy parameters give a number; JAX parameters, as inside `grad`, give JAX: differentiate it, sample it with
    `hven.methods.hmc`.

    Parameters
    ----------
    log_density, parameters, grid
        As of `expected_number`.
    places
        Of the objects, shape (n, d); none may be missing.
    free_amplitude
        Whether only the shape of the density counts.

    Examples
    --------
    >>> grid = Grid(np.zeros((10, 1)), np.full(10, 0.1), np.ones(10))
    >>> flat = lambda rate, x: rate + 0 * x[:, 0]
    >>> [log_likelihood(flat, np.log(n), np.zeros((8, 1)), grid).round(3).tolist() for n in (6.0, 8.0, 10.0)]
    [8.334, 8.636, 8.421]
    """
    at = np.asarray(places, dtype=np.float64)
    if at.ndim != 2 or at.shape[1:] != grid.places.shape[1:] or not np.isfinite(at).all():
        raise DataRefusedError(
            f"places have shape {at.shape}, {int(np.sum(~np.isfinite(at)))} values are missing",
            where="point_process.log_likelihood",
            expected=f"(n, {grid.places.shape[1]}), all finite",
            hint="Leave out objects without a distance, and put what they lack into the selection.",
        )

    def value(density: Callable[[Any, Any], Any], at_parameters: Any, cells: Grid) -> Any:
        import jax.numpy as jnp

        seen = _expected(density, at_parameters, cells)
        total = jnp.sum(density(at_parameters, jnp.asarray(at)))
        return total - len(at) * jnp.log(seen) if free_amplitude else total - seen

    return _called(value, log_density, parameters, grid)


def selection_fraction(n_seen: ArrayLike, n_all: ArrayLike) -> tuple[Array, Array]:
    """Return mean and 1-sigma error of the selection of cells in which k of n objects were seen.

    Those of Beta(k + 1/2, n - k + 1/2), the posterior under Jeffreys' prior; of a cell without objects 0.5 and 0.35,
    which says that nothing is known.

    Examples
    --------
    >>> [v.round(3).tolist() for v in selection_fraction([5, 0], [10, 0])]
    [[0.5, 0.5], [0.144, 0.354]]
    """
    a, b = _beta(n_seen, n_all)
    return a / (a + b), np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))


def selection_draws(n_seen: ArrayLike, n_all: ArrayLike, n_draws: int, *, seed: int = 0) -> Array:
    """Return draws of the selection of cells, shape (n_draws, ...): fit with each, and the spread is its uncertainty.

    Examples
    --------
    >>> draws = selection_draws([5, 90], [10, 100], 4000)
    >>> draws.shape, draws.mean(axis=0).round(2).tolist()
    ((4000, 2), [0.5, 0.9])
    """
    a, b = _beta(n_seen, n_all)
    if n_draws < 1:
        raise ParameterError(f"n_draws is {n_draws}", expected="at least 1", hint="Fifty show whether it matters.")
    return np.asarray(np.random.default_rng(seed).beta(a, b, size=(n_draws, *a.shape)))


def thin(chance: ArrayLike, *, seed: int = 0) -> NDArray[np.bool_]:
    """Return which objects are seen when each has its own chance, shape of `chance`; an unknown chance is none.

    Examples
    --------
    >>> thin([0.0, 1.0, np.nan]).tolist()
    [False, True, False]
    """
    odds = np.asarray(chance, dtype=np.float64)
    return np.asarray(np.random.default_rng(seed).uniform(size=odds.shape) < np.nan_to_num(odds))


def _expected(log_density: Callable[[Any, Any], Any], parameters: Any, grid: Grid) -> Any:
    import jax.numpy as jnp

    weights = grid.volumes * grid.selection
    seen = weights > 0  # a density that is infinite in a cell that nobody sees spoils no derivative
    return jnp.sum(jnp.exp(log_density(parameters, jnp.asarray(grid.places[seen]))) * jnp.asarray(weights[seen]))


def _called(function: Callable[..., Any], log_density: Callable[[Any, Any], Any], parameters: Any, grid: Grid) -> Any:
    """Return the value from NumPy to NumPy in float64, unless JAX is at work on the parameters."""
    if is_jax(parameters):
        return function(log_density, parameters, grid)
    return np.asarray(in_float64(function)(log_density, parameters, grid))


def _grid(places: Array, volumes: Array, selection: Array) -> Grid:
    is_good = selection.shape == volumes.shape and np.all((selection >= 0) & (selection <= 1)) and np.all(volumes >= 0)
    if not is_good:
        raise DataRefusedError(
            f"a selection of shape {selection.shape} for {volumes.shape} cells, with values that are no fractions",
            where="point_process",
            expected="one number from 0 to 1 for each cell",
            hint="Where nothing is known of the selection, leave the cell and its objects out: 0.",
        )
    return Grid(places, volumes, selection)


def _beta(n_seen: ArrayLike, n_all: ArrayLike) -> tuple[Array, Array]:
    k, n = np.broadcast_arrays(np.asarray(n_seen, dtype=np.float64), np.asarray(n_all, dtype=np.float64))
    if not np.all((k >= 0) & (k <= n)):
        raise DataRefusedError(
            "more objects are seen than there are, or a number is negative or missing",
            where="point_process",
            expected="0 <= n_seen <= n_all in each cell",
            hint="Count what is seen among the same objects.",
        )
    return k + 0.5, n - k + 0.5
