"""What a figure of a gradient needs of the stars: how many there are by radius and metallicity, and the median."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hven_plugins.gradients.populations import Population

R_CELL, FEH_CELL, R_BIN = 0.1, 0.02, 0.5  # kpc, dex, kpc
MOST_CELLS = 400
FEWEST = 10
"""Stars in a bin of radius below which no median is given."""


def counts_and_medians(populations: Sequence[Population]) -> dict[str, tuple[Any, ...]]:
    """Return ``counts`` over (population, r_cell, feh_cell) and ``feh_median`` with error over (population, r_bin).

    Cells are multiples of 0.1 kpc and 0.02 dex, bins of 0.5 kpc, so that results of different stars can be compared;
    wider by whole factors where the stars reach far. They hold all but the outermost 0.1 % of the stars.
    """
    r = np.concatenate([p.stars.r_gal.values for p in populations])
    feh = np.concatenate([p.stars.feh.values for p in populations])
    r_edges, feh_edges, bin_edges = (_grid(r, R_CELL), _grid(feh, FEH_CELL), _grid(r, R_BIN))
    counts = [np.histogram2d(p.stars.r_gal, p.stars.feh, (r_edges, feh_edges))[0] for p in populations]
    profiles = [_medians(p.stars.r_gal.values, p.stars.feh.values, bin_edges) for p in populations]
    kpc, dex = {"units": "kpc"}, {"units": "dex"}
    return {
        "counts": (("population", "r_cell", "feh_cell"), np.array(counts, dtype=np.int64)),
        "feh_median": (("population", "r_bin"), np.array([median for median, _ in profiles])),
        "feh_median_err": (("population", "r_bin"), np.array([error for _, error in profiles])),
        "r_cell": ("r_cell", _centres(r_edges), kpc),
        "feh_cell": ("feh_cell", _centres(feh_edges), dex),
        "r_bin": ("r_bin", _centres(bin_edges), kpc),
    }


def _grid(values: NDArray[np.float64], cell: float) -> NDArray[np.float64]:
    low, high = np.quantile(values, [0.0005, 0.9995])
    width = cell * max(1.0, float(np.ceil((high - low) / cell / MOST_CELLS)))
    return np.asarray(width * np.arange(np.floor(low / width), np.ceil(high / width) + 2))


def _centres(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((edges[1:] + edges[:-1]) / 2)


def _medians(
    r: NDArray[np.float64], feh: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return median and its error in each bin of radius; the spread is taken from the median absolute deviation."""
    medians, errors = np.full((2, len(edges) - 1), np.nan)
    place = np.searchsorted(edges, r, side="right") - 1
    for i in range(len(edges) - 1):
        inside = feh[place == i]
        if len(inside) >= FEWEST:
            medians[i] = np.median(inside)
            errors[i] = 1.2533 * 1.4826 * np.median(np.abs(inside - medians[i])) / np.sqrt(len(inside))
    return medians, errors
