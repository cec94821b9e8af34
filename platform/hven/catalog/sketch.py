"""A sketch of the sky that a dataset covers: Mollweide's projection, north up, right ascension to the left."""

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from hven.sky import sky_fraction
from hven.sky.meeting import covered_ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 120, 60
ORDER = 5
"""Cells of 1.8 degrees: as fine as a dot of the sketch. What is smaller is drawn as large."""
_FEW, _BOLD = 20, 3


@lru_cache(maxsize=4096)
def sketch(coverage: str, label: str = "") -> str:
    """Return an inline SVG of a coverage (a MOC text), with an outline of the sky and the equator.

    Right ascension 0 is in the middle and grows to the left, as seen from inside the sphere. Colours are those of the
    text around it.

    Examples
    --------
    >>> sketch("0/0-3", "north")[:60]
    '<svg class="hven-sky" viewBox="-1 -1 122 62" width="122" hei'
    """
    text = escape(label or f"{100 * sky_fraction(coverage):.3g}% of the sky")
    dots = _dots(coverage)
    # A single field would be lost to the eye.
    bold = f' style="stroke-width:{_BOLD}"' if dots.sum() < _FEW else ""
    rx, ry = WIDTH / 2, HEIGHT / 2
    return (
        f'<svg class="hven-sky" viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}" width="{WIDTH + 2}" height="{HEIGHT + 2}" '
        f'role="img" aria-label="{text}"><title>{text}</title>'
        f'<path class="hven-cells" d="{_runs(dots)}"{bold}/>'
        f'<g class="hven-grid"><ellipse cx="{rx:g}" cy="{ry:g}" rx="{rx:g}" ry="{ry:g}"/>'
        f'<path d="M0 {ry:g}H{WIDTH}M{rx:g} 0V{HEIGHT}"/></g></svg>'
    )


def _dots(coverage: str) -> "NDArray[np.bool_]":
    """Return which dots (rows from the north, columns from the east) are covered."""
    held = covered_ranges(coverage)
    cells = np.unique(np.concatenate([np.arange(a, b + 1) for a, b in _degraded(held)] or [np.empty(0, int)]))
    on_sky, index = _grid()
    dots = np.zeros(on_sky.shape, bool)
    dots[on_sky] = np.isin(index, cells)
    # A cell may lie between the centres of dots: the dot it lies in is covered too.
    x, y = _project(cells)
    dots[y, x] = True
    return dots


def _degraded(ranges: "NDArray[np.int64]") -> "NDArray[np.int64]":
    shift = 2 * (29 - ORDER)
    return np.stack([ranges[:, 0] >> shift, (ranges[:, 1] - 1) >> shift], axis=1)


@lru_cache(maxsize=1)
def _grid() -> "tuple[NDArray[np.bool_], NDArray[np.int64]]":
    """Return which dots lie on the sky, and the cell of each that does."""
    from hven.sky import healpix_29

    x, y = np.meshgrid((np.arange(WIDTH) + 0.5) / WIDTH * 2 - 1, 1 - (np.arange(HEIGHT) + 0.5) / HEIGHT * 2)
    on_sky = x**2 + y**2 <= 1
    theta = np.arcsin(y[on_sky])
    dec = np.degrees(np.arcsin((2 * theta + np.sin(2 * theta)) / np.pi))
    ra = -180 * x[on_sky] / np.cos(theta)
    return on_sky, healpix_29(ra, dec) >> (2 * (29 - ORDER))


def _project(cells: "NDArray[np.int64]") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Return column and row of the dot in which the centre of each cell lies."""
    from hven.sky.healpix import cell_centres

    ra, dec = cell_centres(np.asarray(cells, np.int64), ORDER)
    aim, theta = np.pi * np.sin(np.radians(dec)), np.radians(dec)
    for _ in range(12):
        theta = theta - (2 * theta + np.sin(2 * theta) - aim) / np.maximum(2 + 2 * np.cos(2 * theta), 1e-9)
    theta = np.clip(theta, -np.pi / 2, np.pi / 2)
    east = np.mod(ra + 180, 360) - 180
    x, y = 0.5 - east / 360 * np.cos(theta), 0.5 - np.sin(theta) / 2
    return np.clip((x * WIDTH).astype(int), 0, WIDTH - 1), np.clip((y * HEIGHT).astype(int), 0, HEIGHT - 1)


def _runs(dots: "NDArray[np.bool_]") -> str:
    """Return the path of SVG that fills the dots: a rectangle for each run of a row, like ones below joined."""
    edges = np.diff(np.pad(dots, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    path: list[str] = []
    open_runs: dict[tuple[int, int], int] = {}
    for row in range(len(dots) + 1):
        runs = set()
        if row < len(dots):
            starts, stops = np.flatnonzero(edges[row] == 1), np.flatnonzero(edges[row] == -1)
            runs = set(zip(starts.tolist(), stops.tolist(), strict=True))
        for run in sorted(set(open_runs) - runs):
            top = open_runs.pop(run)
            path.append(f"M{run[0]} {top}h{run[1] - run[0]}v{row - top}h{run[0] - run[1]}z")
        for run in runs - set(open_runs):
            open_runs[run] = row
    return "".join(path)
