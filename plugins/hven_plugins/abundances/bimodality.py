"""One alpha sequence or two: a calibrated test, and the fraction of stars on the low one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field as Range

import hven
from hven.methods import caveats, gather, stats
from hven.methods.mixtures import SequenceFit, Track, fit_sequences_of_each
from hven.methods.weights import effective_number, scaled
from hven.mocks import Mock, alpha_stars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

M_KNOTS = [-1.0, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4]
HIGH = [0.28, 0.25, 0.215, 0.17, 0.135, 0.10, 0.06, 0.04]
LOW = [0.16, 0.13, 0.095, 0.065, 0.04, 0.02, 0.015, 0.015]

INJECTED = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Fractions on the low sequence for which the power is told."""

_GRID = np.linspace(0, 1, 2001)
_EVERY = 10
"""Which of these fractions the posterior is told at."""


@hven.analysis(
    stars=hven.Table(
        m_h="dex",
        alpha_m="dex",
        optional={"m_h_err": "dex", "alpha_m_err": "dex", "weight": "", "object_id": None},
        named_by="group",
    ),
    produces={
        "groups": {
            "n": "",
            "f_low": "",
            "f_low_err": "",
            "f_low_median": "",
            "f_low_upper": "",
            "lr": "",
            "p": "",
            "delta_bic": "",
            "dip": "",
            "dip_p": "",
            "sigma": "dex",
            "sigma_err": "dex",
            "offset": "dex",
            "offset_err": "dex",
            "power": "",
            "track_low": "dex",
            "track_high": "dex",
            "free_track_low": "dex",
            "free_track_high": "dex",
            "posterior": "",
            "n_effective": "",
            "edge_low": "",
            "edge_high": "",
            "fit": "",
        },
        "stars": {"p_low": ""},
    },
    references=("2306.04688", "10.1214/aos/1176346577"),
    version="2",
    min_objects="n_min",
)
def alpha_bimodality(
    stars: xr.Dataset,
    *,
    group: str | None = None,
    edges: list[float] | None = None,
    m_knots: list[float] = M_KNOTS,
    high: list[float] = HIGH,
    low: list[float] = LOW,
    offset_sd: Annotated[float, hven.Unit("dex"), Range(ge=0)] = 0.02,
    n_boot: Annotated[int, Range(ge=20, le=10_000)] = 100,
    n_power: Annotated[int, Range(ge=0, le=10_000)] = 50,
    n_min: Annotated[int, Range(ge=10)] = 20,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Whether stars lie on one sequence of [alpha/M] against [M/H] or on two, and how many on the low one.

    Each star is on the high or the low sequence of the Milky Way, alpha = t(m) + delta + N(0, s^2), seen with its
    errors; those of [M/H] enter through the slope of the sequence. The fraction on the low sequence, the intrinsic
    width s and the zero point delta between instruments (prior of width `offset_sd` around 0) are fitted. Three tests:

    * ``lr``, ``p``: twice the gain in ln L of a fraction over none, with the p-value from `n_boot` simulated groups of
      one sequence (parametric bootstrap; it cannot be below 1 / (n_boot + 1)). None lies on the edge of what is
      possible, so that no chi^2 distribution holds. This is the test to use.
    * ``delta_bic``: BIC of one free track less that of two free tracks, positive for two; these two tracks, parabolas
      that know of no template, are ``free_track_low`` and ``free_track_high``.
    * ``dip``, ``dip_p``: Hartigan's dip of the residuals from the high sequence.

    With a hundred stars the last two see little, and a missing detection says little: ``power`` is the chance that the
    first test finds a fraction of 0.05 to 0.5 on the low sequence among these very stars, at a rate of false alarms of
    5 %. ``f_low_upper`` is the 95 % upper limit of the fraction, flat prior, s and delta at their best;
    ``posterior`` is its density over ``f``. ``f_low`` is the likeliest fraction, which comes out 2 % low at 0.3, as s
    takes up what lies between the sequences.

    The sequences are given at `m_knots`, smooth between; those given by default are a smooth form of what APOGEE shows
    in the disc, about 0.1 dex apart, and an assumption: give those of your own calibration. ``group`` names a column of
    fields, or with `edges` one that is cut into bins (``r_gal``; ``edge_low``, ``edge_high``). Groups with fewer than
    `n_min` complete stars are null, and `fit` says 'too few stars'; 'all alike' stands where [alpha/M] does not vary.

    Where a column ``weight`` is bound (one over the chance that a star was selected), each star counts that often, in
    proportion: weights are scaled to sum up to the effective number of stars ``n_effective`` = (sum w)^2 / sum w^2, and
    the simulated groups carry the same ones. The dip knows no weights.

    The result has two parts: ``groups``, and ``stars`` with ``p_low``, the probability of each star to be on the low
    sequence.

    Parameters
    ----------
    group
        Column that tells the groups apart; all stars are one group by default.
    edges
        Ascending edges of bins in this column; stars outside belong to no group.
    m_knots, high, low
        Ridge lines of the two sequences: [alpha/M] at these [M/H].
    offset_sd
        Width of the prior of the zero point; 0 fixes it.
    n_boot
        Simulated groups of one sequence for each p-value.
    n_power
        Simulated groups for each fraction of the power curve.
    n_min
        Fewest stars of a group.
    seed
        Of the simulations.

    Raises
    ------
    MissingColumnError
        Edges are given and no group.
    ParameterError
        Ridge lines that do not fit together, or edges that do not ascend.
    TooFewObjectsError
        There is no star.
    """
    tracks = _tracks(m_knots, high, low)
    table = gather(stars)
    names, label = _groups(table, group, edges)
    columns = {
        name: np.asarray(table[name].values, dtype=np.float64) if name in table else np.zeros(table.sizes["object"])
        for name in ("m_h", "alpha_m", "m_h_err", "alpha_m_err")
    }
    known = np.logical_and.reduce([np.isfinite(v) for v in columns.values()])
    known &= (columns["m_h_err"] >= 0) & (columns["alpha_m_err"] >= 0)
    if "weight" in table:
        columns["weight"] = np.asarray(table["weight"].values, dtype=np.float64)
        known &= np.nan_to_num(columns["weight"]) > 0
    if not known.any():
        raise hven.errors.TooFewObjectsError(
            "no star has m_h, alpha_m, their errors and a weight", where="input 'stars'", hint="Loosen the selection."
        )
    p_low = np.full(table.sizes["object"], np.nan)
    m = np.linspace(m_knots[0], m_knots[-1], 60)
    rows = []
    for i in range(len(names)):
        mine = known & (label == i)
        order = np.flatnonzero(mine)
        order = order[np.lexsort([columns[n][order] for n in columns])]  # sums and draws know no order of rows
        data = Stars(*(columns[n][order] for n in columns))
        row = _tested(data, tracks, offset_sd, m, n_boot=n_boot, n_power=n_power, n_min=n_min, seed=seed)
        p_low[order] = row.pop("p_low")
        rows.append(row)
    ids = {"object_id": ("object", table["object_id"].values)} if "object_id" in table else {}
    errors = [name for name in ("m_h_err", "alpha_m_err") if name not in table]
    attrs = {
        "group": group or "",
        "group_unit": str(table[group].attrs.get("units", "")) if group else "",
        "n_power": n_power,
        "assumed": f"no errors: {', '.join(errors)}" if errors else "nothing",
        "n_incomplete": int((~known).sum()),
        "n_outside": int((known & (label < 0)).sum()),
    }
    lines = {name: np.array([t.at(m)[0] + np.nan_to_num(r["offset"]) for r in rows]) for name, t in
             (("track_low", tracks[0]), ("track_high", tracks[1]))}  # fmt: skip
    free = np.array([r["free"] for r in rows])
    lines |= {"free_track_low": free[:, 0], "free_track_high": free[:, 1]}
    text = np.dtypes.StringDType()
    kinds: dict[str, Any] = {"fit": text, "n": np.int64}
    one = {n: ("group", np.array([r[n] for r in rows], dtype=kinds.get(n))) for n in rows[0] if n not in _ARRAYS}
    ends = np.array(edges) if edges is not None else np.full(len(names) + 1, np.nan)
    one |= {"edge_low": ("group", ends[:-1]), "edge_high": ("group", ends[1:])}
    groups = xr.Dataset(
        {
            **one,
            "power": (("group", "f_injected"), np.array([r["power"] for r in rows])),
            "posterior": (("group", "f"), np.array([r["posterior"] for r in rows])),
            **{name: (("group", "m"), values) for name, values in lines.items()},
        },
        coords={
            "group": np.array(names, dtype=text), "f_injected": np.array(INJECTED), "m": ("m", m, {"units": "dex"}),
            "f": _GRID[::_EVERY],
        },
        attrs=attrs,
    )  # fmt: skip
    texts = _caveats(table, columns, known, names, rows, attrs["assumed"])
    return {
        "groups": caveats.with_caveats(groups, texts),
        "stars": xr.Dataset({**ids, "p_low": ("object", p_low)}),
    }


def _caveats(
    table: xr.Dataset, columns: dict[str, Array], known: NDArray[np.bool_], names: list[str],
    rows: list[dict[str, Any]], assumed: Any,
) -> list[str]:  # fmt: skip
    """Return the caveats: errors that are assumed, unusable or too large, stars left out, groups that say nothing."""
    missing = {name: int(np.sum(~np.isfinite(values))) for name, values in columns.items()}
    texts = caveats.of_assumed(str(assumed)) + caveats.of_missing(len(known), int(known.sum()), missing)
    for name in ("m_h", "alpha_m"):
        if f"{name}_err" in table:
            texts += caveats.of_errors(name, columns[name], columns[f"{name}_err"], "dex")
            negative = int(np.sum(columns[f"{name}_err"] < 0))
            texts += [f"{negative:,} stars are left out: their errors of {name} are negative."] if negative else []
    texts += caveats.of_repeats([columns[name][known] for name in ("m_h", "alpha_m")])
    for word in dict.fromkeys(row["fit"] for row in rows if row["fit"] != "ok"):
        labels = [name for name, row in zip(names, rows, strict=True) if row["fit"] == word]
        texts.append(f"Group {', '.join(labels[:6])}{' and more' if len(labels) > 6 else ''}: {word}.")
    return texts


@dataclass(frozen=True)
class Stars:
    """[M/H], [alpha/M] and their errors of n stars, and how often each counts."""

    m: Array
    a: Array
    m_err: Array
    a_err: Array
    w: Array | None = None

    @property
    def n_effective(self) -> float:
        """Number of equal stars that tell as much: (sum w)^2 / sum w^2."""
        return float(len(self.m)) if self.w is None else effective_number(self.w)

    @property
    def columns(self) -> tuple[Array | None, ...]:
        """What `fit_sequences_of_each` takes, weights summing up to the effective number."""
        return self.m, self.a, self.m_err, self.a_err, None if self.w is None else scaled(self.w)

    def with_alpha(self, a: Array) -> "Stars":
        """Return the same stars with other [alpha/M]."""
        return replace(self, a=a)


def likelihood_ratios(
    groups: Sequence[Stars], tracks: Sequence[Track], offset_sd: float
) -> tuple[Array, list[SequenceFit]]:
    """Return twice the gain in ln L of two sequences over the high one, and the fits of both sequences.

    `tracks` are the low and the high one; the prior of the zero point counts in ln L.
    """
    tables = [s.columns for s in groups]
    both = fit_sequences_of_each(tables, tracks=list(tracks), offset_sd=offset_sd)
    alone = fit_sequences_of_each(tables, tracks=[tracks[1]], offset_sd=offset_sd)

    def height(fit: SequenceFit) -> float:
        return fit.loglike - (0.5 * (fit.offset / offset_sd) ** 2 if offset_sd > 0 else 0.0)

    return np.array([max(2 * (height(x) - height(y)), 0.0) for x, y in zip(both, alone, strict=True)]), both


def posterior_of_fraction(fit: SequenceFit, stars: Stars) -> Array:
    """Return the posterior of the low fraction on the grid 0, 0.0005, ..., 1, flat prior, other parameters at best."""
    terms = fit.log_terms(stars.m, stars.a, stars.m_err, stars.a_err)
    terms = np.exp(terms - terms.max(axis=1, keepdims=True))
    with np.errstate(divide="ignore"):
        each = np.log(_GRID[:, None] * terms[:, 0] + (1 - _GRID[:, None]) * terms[:, 1])
    w = stars.columns[4]
    height = each.sum(axis=1) if w is None else (w * each).sum(axis=1)
    density = np.exp(height - height.max())
    return np.asarray(density / density.sum())


def simulate(stars: Stars, tracks: Sequence[Track], f_low: float, sigma: float, offset: float, seed: Any) -> Stars:
    """Return the same stars with [alpha/M] drawn anew from the model with a fraction `f_low` on the low sequence."""
    rng = np.random.default_rng(seed)
    is_low = rng.random(len(stars.m)) < f_low
    (t_low, slope_low), (t_high, slope_high) = (track.at(stars.m) for track in tracks)
    ridge, slope = np.where(is_low, t_low, t_high), np.where(is_low, slope_low, slope_high)
    spread = np.sqrt(sigma**2 + stars.a_err**2 + (slope * stars.m_err) ** 2)
    return stars.with_alpha(ridge + offset + spread * rng.standard_normal(len(stars.m)))


def _tested(
    stars: Stars, tracks: Sequence[Track], offset_sd: float, m: Array, *, n_boot: int, n_power: int, n_min: int,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Return what is told of one group; free tracks at [M/H] `m`."""
    row: dict[str, Any] = dict.fromkeys(_NUMBERS, np.nan)
    row |= {"n_effective": stars.n_effective if len(stars.m) else 0.0}
    row |= {"free": np.full((2, len(m)), np.nan)}
    row |= {"posterior": np.full(len(_GRID[::_EVERY]), np.nan)}
    row |= {"n": len(stars.m), "power": np.full(len(INJECTED), np.nan), "p_low": np.full(len(stars.m), np.nan)}
    if len(stars.m) < n_min:
        return {**row, "fit": "too few stars"}
    if np.ptp(stars.a) == 0:
        return {**row, "fit": "all alike"}
    (lr,), (fit,) = likelihood_ratios([stars], tracks, offset_sd)
    table = [stars.columns]
    null = fit_sequences_of_each(table, tracks=[tracks[1]], offset_sd=offset_sd)[0]
    width, shift = float(null.scatter[0]), null.offset
    nulls = [simulate(stars, tracks, 0.0, width, shift, [seed, 0, b]) for b in range(n_boot)]
    drawn, _ = likelihood_ratios(nulls, tracks, offset_sd)
    own = float(fit.scatter[0])
    injected = [
        simulate(stars, tracks, f, own, fit.offset, [seed, 1 + k, b])
        for k, f in enumerate(INJECTED)
        for b in range(n_power)
    ]
    power = row["power"]
    if injected:
        seen, _ = likelihood_ratios(injected, tracks, offset_sd)
        power = (seen.reshape(len(INJECTED), n_power) > np.quantile(drawn, 0.95)).mean(axis=1)
    density = posterior_of_fraction(fit, stars)
    below = np.cumsum(density)
    low, middle, above, upper = (float(_GRID[np.searchsorted(below, level)]) for level in (0.1587, 0.5, 0.8413, 0.95))
    one, two = (fit_sequences_of_each(table, tracks=k)[0] for k in (1, 2))
    dip = stats.dip_test(stars.a - tracks[1].at(stars.m)[0])
    return {
        **row,
        "f_low": float(fit.fractions[0]),
        "f_low_err": (above - low) / 2,
        "f_low_median": middle,
        "f_low_upper": upper,
        "lr": float(lr),
        "p": stats.permutation_p(float(lr), drawn),
        "delta_bic": one.bic - two.bic,
        "free": np.where((m >= stars.m.min()) & (m <= stars.m.max()), two.tracks(m), np.nan),
        "posterior": density[::_EVERY] * (len(_GRID) - 1),
        "dip": dip.dip,
        "dip_p": dip.p,
        "sigma": own,
        "sigma_err": float(fit.scatter_err[0]),
        "offset": fit.offset,
        "offset_err": fit.offset_err,
        "power": power,
        "fit": "ok" if fit.converged else "not converged",
        "p_low": fit.membership(stars.m, stars.a, stars.m_err, stars.a_err)[:, 0],
    }


_ARRAYS = ("power", "posterior", "free")
_NUMBERS = (
    "f_low", "f_low_err", "f_low_median", "f_low_upper", "lr", "p", "delta_bic", "dip", "dip_p", "sigma", "sigma_err",
    "offset", "offset_err",
)  # fmt: skip


def _tracks(m_knots: list[float], high: list[float], low: list[float]) -> tuple[Track, Track]:
    fits = len(m_knots) == len(high) == len(low) >= 2 and bool(np.all(np.diff(m_knots) > 0))
    if not fits or not np.all(np.asarray(high) >= np.asarray(low)):
        raise hven.errors.ParameterError(
            f"{len(m_knots)} knots with {len(high)} values of the high and {len(low)} of the low sequence",
            where="parameters m_knots, high and low",
            expected="as many values as ascending knots, the high sequence nowhere below the low one",
            hint="Correct the ridge lines.",
        )
    return Track(tuple(m_knots), tuple(low)), Track(tuple(m_knots), tuple(high))


def _groups(table: xr.Dataset, group: str | None, edges: list[float] | None) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of the groups, and the group of each star, -1 for none."""
    if edges is not None and group is None:
        raise hven.errors.MissingColumnError(
            "edges are given, and no column that they cut", where="parameter 'group'", hint="Name it: group='r_gal'."
        )
    if group is None:
        return ["all"], np.zeros(table.sizes["object"], dtype=np.int64)
    values = np.asarray(table[group].values)
    if edges is None:
        numeric = values.dtype.kind == "f"
        usable = np.isfinite(values) if numeric else np.ones(len(values), dtype=bool)
        names, place = np.unique(values[usable], return_inverse=True)
        label = np.full(len(values), -1, dtype=np.int64)
        label[usable] = place
        return [f"{name:.15g}" if numeric else str(name) for name in names], label
    if len(edges) < 2 or not np.all(np.diff(edges) > 0):
        raise hven.errors.ParameterError(
            f"the edges are {edges}", where="parameter 'edges'", expected="two or more, ascending", hint="Correct them."
        )
    label = np.searchsorted(edges, values, side="right").astype(np.int64) - 1
    label[(label >= len(edges) - 1) | ~np.isfinite(values)] = -1
    return [f"{group} {a:g} to {b:g}" for a, b in pairwise(edges)], label


@alpha_bimodality.figure
def _figure(result: dict[str, xr.Dataset], inputs: dict[str, xr.Dataset]) -> "dict[str, Figure]":
    from hven_plugins.abundances.bimodality_figures import draw_fractions, draw_sequences

    return {
        "sequences": draw_sequences(result, inputs["stars"]),
        "fractions": draw_fractions(result["groups"]),
    }


@alpha_bimodality.mock
def _mock(size: int, seed: int) -> Mock:
    """Return stars of one group, 500 at most, a fifth of them on the low sequence."""
    mock = alpha_stars(min(size, 500), seed, f_low=0.2)
    return Mock(mock.inputs, {"groups.f_low": mock.truth["groups.f_low"]})
